"""What the add-on knows while Blender runs: the farm, the job on its way, the job that is watched.

All of it is read and changed on the main thread. ``tick`` is called by a timer a few times per second; it takes what
background calls brought, starts those that are due, and tells whether the panel should be painted again.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .background import Background, Outcome, outcome_of
from .connection import Connection
from .job_progress import JobProgress, read_job
from .job_types import JobType
from .problems import Problem, Refused
from .sending import Doing, JobToSend, Sending
from .server_client import ServerClient, Workers
from .setting_values import Linked

JOB_EVERY_S = 1.0
"""How often a job that runs is asked for."""
JOB_AFTER_PROBLEM_S = 5.0
"""How long to wait after the Server was not reached."""
FARM_EVERY_S = 30.0
"""How often Workers and job types are asked for while somebody looks at the panel."""


@dataclass(frozen=True)
class Farm:
    """The Server and what it offers; ``problem`` is why what is here may be old, or missing."""

    host: str = ""
    job_types: "tuple[JobType, ...]" = ()
    workers: "Workers | None" = None
    problem: "Problem | None" = None

    @property
    def sentence(self) -> str:
        """Say in one line how the farm is."""
        if self.problem is not None:
            return str(self.problem)
        if self.workers is None:
            return f"Connecting to {self.host}…"
        if not self.workers.total:
            return f"{self.host}, no Workers yet"
        return f"{self.host}, {self.workers.free} of {self.workers.total} Workers free"


class Session:
    """Everything that the panel shows, and the few things that can be done."""

    def __init__(self, make_client: Callable[[Connection], ServerClient] = ServerClient) -> None:
        self.farm: "Farm | None" = None
        self.job: "JobProgress | None" = None
        self.job_problem: "Problem | None" = None
        self.problem: "Problem | None" = None
        self.picture: "Path | None" = None
        self.is_looked_at = False
        self.scenes_looked_at: "set[str]" = set()
        self.linked: "dict[tuple[str, str], dict[str, Linked]]" = {}
        self._make_client = make_client
        self._background = Background()
        self._client: "ServerClient | None" = None
        self._job_client: "ServerClient | None" = None
        self._sending: "Sending | None" = None
        self._to_save: "Callable[[], JobToSend] | None" = None
        self._was_painted = False
        self._last_doing: "Doing | None" = None
        self._now_s = 0.0
        self._farm_due_s = float("inf")
        self._job_due_s = float("inf")
        self._picture_of: "tuple[str, int | None] | None" = None
        self._pictures: "Path | None" = None
        self._picture_numbers = itertools.count(1)  # a new name each time: Blender keeps pictures by their path

    @property
    def doing(self) -> "Doing | None":
        """Tell what is being done to send a job; None while none is sent."""
        if self._sending is not None:
            return self._sending.doing
        return Doing("Saving a copy…") if self._to_save is not None else None

    def connect(self, connection: Connection) -> None:
        """Ask a Server for its job types and Workers; what is known of the same Server stays until then."""
        client = self._make_client(connection)
        if self.farm is None or self.farm.host != client.host:
            self.farm = Farm(client.host)
        self._client = client
        self._ask_for_farm(client)

    def disconnect(self, problem: Problem) -> None:
        """Have no Server, for a reason to show."""
        self._client = None
        self._farm_due_s = float("inf")
        self.farm = Farm(problem=problem)

    def send(self, client_for: Connection, save: Callable[[], JobToSend], pictures: Path) -> None:
        """Hand over a job: ``save`` makes the copy, in a later tick, so that the panel can say so before it blocks.

        ``pictures`` is a folder for the newest frame's picture.
        """
        if self.doing is not None:
            raise Problem("A job is being sent already. Wait for it, or stop it first.")
        self.problem = None
        self._job_client = self._make_client(client_for)
        self._pictures = pictures
        self._was_painted = False
        self._to_save = save

    def stop_sending(self) -> None:
        """Give up the job on its way."""
        self._to_save = None
        if self._sending is not None:
            self._sending.stop()

    def cancel_job(self) -> None:
        """Ask the Server to cancel the job that is watched."""
        if self.job is not None and self._job_client is not None:
            self._background.start(partial(self._job_client.cancel, self.job.id), self._job_arrived)

    def forget_problem(self) -> None:
        """Stop showing the last problem."""
        self.problem = None

    def tick(self, now_s: float) -> bool:
        """Do what is due. Returns whether something to be seen has changed."""
        self._now_s = now_s
        changed = self._background.deliver()
        changed = self._save_when_painted() or changed
        if now_s >= self._farm_due_s and self._client is not None and self.is_looked_at:
            self.is_looked_at = False  # painting what comes sets it again, if somebody still looks
            self._ask_for_farm(self._client)
        if now_s >= self._job_due_s and self.job is not None and self._job_client is not None:
            self._job_due_s = float("inf")
            self._background.start(partial(self._job_client.job, self.job.id), self._job_arrived)
        doing, self._last_doing = self._last_doing, self.doing
        return changed or doing != self._last_doing

    def _save_when_painted(self) -> bool:
        if self._to_save is None:
            return False
        if not self._was_painted:
            self._was_painted = True
            return True
        save, self._to_save = self._to_save, None
        outcome = outcome_of(save)
        if outcome.problem is not None or self._job_client is None:
            self.problem = outcome.problem
            return True
        self._sending = Sending(self._job_client, outcome.get())
        self._background.start(self._sending.run, self._sent)
        return True

    def _sent(self, outcome: "Outcome[dict[str, Any]]") -> None:
        self._sending = None
        if outcome.problem is None:
            self._forget_picture()
            self.job = None
            self._job_arrived(outcome)
        else:
            self.problem = self._explained(outcome.problem)

    def _explained(self, problem: Problem) -> Problem:
        """Refresh a job type that changed by itself, and say so."""
        if not isinstance(problem, Refused) or problem.kind != "job-type-changed" or self._client is None:
            return problem
        self._ask_for_farm(self._client)
        return Problem(
            "The job type has changed on the Server, and was refreshed. Look at its settings, then send the job again.",
            problem.details,
        )

    def _ask_for_farm(self, client: ServerClient) -> None:
        self._farm_due_s = float("inf")

        def ask() -> Farm:
            return Farm(client.host, client.job_types(), client.workers())

        self._background.start(ask, partial(self._farm_arrived, client))

    def _farm_arrived(self, client: ServerClient, outcome: Outcome[Farm]) -> None:
        if client is not self._client:
            return  # the preferences name another Server by now
        self._farm_due_s = self._now_s + FARM_EVERY_S
        if outcome.problem is None:
            self.farm = outcome.get()
        else:
            known = self.farm or Farm(client.host)
            self.farm = Farm(known.host, known.job_types, known.workers, outcome.problem)

    def _job_arrived(self, outcome: "Outcome[dict[str, Any]]") -> None:
        self._job_due_s = self._now_s + JOB_AFTER_PROBLEM_S
        try:
            job = read_job(outcome.get())
        except Problem as problem:
            self.job_problem = problem
            return
        if self.job is not None and self.job.id != job.id:
            return  # an answer about the job before
        self.job, self.job_problem = job, None
        self._job_due_s = float("inf") if job.has_ended else self._now_s + JOB_EVERY_S
        self._ask_for_picture(job)

    def _ask_for_picture(self, job: JobProgress) -> None:
        wanted = (job.id, job.frame)
        if job.picture is None or wanted == self._picture_of or self._job_client is None:
            return
        self._picture_of = wanted
        self._background.start(partial(self._job_client.picture, job.picture), partial(self._picture_arrived, wanted))

    def _picture_arrived(self, wanted: "tuple[str, int | None]", outcome: Outcome[bytes]) -> None:
        if wanted != self._picture_of or self._pictures is None:
            return
        if outcome.problem is not None:
            self._picture_of = None  # asked for again with the next answer about the job
            return
        older = self.picture
        self.picture = self._pictures / f"flamenco-frame-{next(self._picture_numbers)}.jpg"
        self.picture.write_bytes(outcome.get())
        if older is not None and older != self.picture:
            older.unlink(missing_ok=True)

    def _forget_picture(self) -> None:
        if self.picture is not None:
            self.picture.unlink(missing_ok=True)
        self.picture = self._picture_of = None

    def close(self) -> None:
        """Stop whatever runs, and leave no file behind."""
        self.stop_sending()
        self._forget_picture()
