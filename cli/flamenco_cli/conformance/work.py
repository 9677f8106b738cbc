"""Where tasks come from that checks need, and who approves our Workers."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from flamenco_cli.client import Client
from flamenco_cli.submission import Wish, submit
from flamenco_core.errors import FlamencoError, NotFound, Unavailable
from flamenco_core.identifiers import new_id

JOB_TYPE = "echo-sleep-test"
MESSAGE = "{jobs} {no-such-variable}"
"""What the first task says: a variable that there always is, and one that there is not (worker-api.md, section 8)."""
TASKS_FOR_US = 60
"""More than all checks together take."""
NAP_S = 3600
"""How long a task sleeps that another Worker of the farm takes from us; the job is cancelled at the end."""


@dataclass(frozen=True)
class Task:
    """A task as it was handed out."""

    document: dict[str, Any]

    @property
    def id(self) -> str:
        """Its UUID."""
        return str(self.document.get("uuid"))

    @property
    def job(self) -> str:
        """The UUID of its job."""
        return str(self.document.get("job"))

    @property
    def attempt(self) -> int | None:
        """The number of the hand-out, where the Manager gives one."""
        return self.document.get("attempt")


class TaskSource(Protocol):
    """Makes tasks, where that is possible."""

    advice: str
    """What a person can do when no task comes."""
    has_tasks: bool
    has_farm: bool
    """People's requests can be made through it."""

    async def prepare(self) -> None:
        """See to it that there are tasks."""

    def owns(self, task: Task) -> bool:
        """Tell whether a task is one of those that we may end as we like."""

    async def approve(self, worker_id: str) -> bool:
        """Approve a Worker; False when we cannot."""

    async def ask_worker(self, worker_id: str, status: str, *, lazy: bool) -> None:
        """Ask a Worker to be something else."""

    async def forget(self, worker_id: str) -> None:
        """Remove a Worker, if we can."""

    async def cancel_job(self) -> None:
        """Cancel the job that the tasks belong to; later ones belong to a new one."""

    async def close(self) -> None:
        """Leave nothing behind."""


@dataclass
class NoTasks:
    """There are none: checks that need some are not made."""

    advice: str = "Give --task-source flamenco, or submit some and give --task-source ready."
    has_tasks: bool = False
    has_farm: bool = False

    async def prepare(self) -> None:
        """Do nothing."""

    def owns(self, task: Task) -> bool:
        """Nothing is ours."""
        return False

    async def approve(self, worker_id: str) -> bool:
        """Only a person can."""
        return False

    async def ask_worker(self, worker_id: str, status: str, *, lazy: bool) -> None:
        """Nobody can be asked."""
        raise Unavailable("There is no Server to ask.")

    async def forget(self, worker_id: str) -> None:
        """Only a person can."""

    async def cancel_job(self) -> None:
        """There is no job."""
        raise Unavailable("There is no Server to ask.")

    async def close(self) -> None:
        """Leave nothing behind."""


@dataclass
class ReadyTasks(NoTasks):
    """Whatever the Manager hands out is taken, ended without being worked on, and called completed."""

    advice: str = "Submit a job of some 40 short, independent tasks to the Manager first."
    has_tasks: bool = True

    def owns(self, task: Task) -> bool:
        """Every task may be ended."""
        return True


@dataclass
class FarmTasks:
    """Submits jobs to the Server of a Flamenco farm, with enough tasks for its own Workers and for ours."""

    client: Client
    advice: str = "Are the farm's Manager and the URL the same? Its other Workers may have taken all tasks."
    has_tasks: bool = True
    has_farm: bool = True
    _jobs: list[str] = field(default_factory=list)

    async def prepare(self) -> None:
        """Submit a job, unless one is there."""
        if self._jobs:
            return
        others = sum(worker["status"] == "awake" for worker in await self.client.workers())
        settings = [
            f"message={MESSAGE}",
            f"sleep_repeats={TASKS_FOR_US + others}",
            f"sleep_duration_seconds={NAP_S}",
        ]
        wish = Wish(JOB_TYPE, name=f"conformance {new_id()[:8]}", settings=settings, priority=100)
        job = await submit(self.client, wish, _Silent())
        self._jobs.append(job["id"])

    def owns(self, task: Task) -> bool:
        """Tell whether the task is of a job that we submitted."""
        return task.job in self._jobs

    async def approve(self, worker_id: str) -> bool:
        """Approve it, as the person whose token we carry."""
        await self.client.ask_worker(worker_id, "approve")
        return True

    async def ask_worker(self, worker_id: str, status: str, *, lazy: bool) -> None:
        """Ask a Worker to be something else, through the Server."""
        await self.client.ask_worker(worker_id, "status", {"status": status, "lazy": lazy})

    async def forget(self, worker_id: str) -> None:
        """Remove it; one that the Server has not heard of yet stays."""
        try:
            await self.client.ask_worker(worker_id, "forget")
        except NotFound:
            return

    async def cancel_job(self) -> None:
        """Cancel our newest job."""
        await self.client.ask_job(self._jobs[-1], "cancel")
        self._jobs.clear()

    async def close(self) -> None:
        """Cancel what we submitted: its other tasks would sleep for an hour."""
        for job in self._jobs:
            try:
                await self.client.ask_job(job, "cancel")
            except FlamencoError:  # it has ended, or the Server has gone: neither is for us to mend
                continue


class _Silent:
    """Shows nothing while a job is submitted."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def begin(self, phase: str, total_bytes: int) -> None:
        """Show nothing."""

    def advance(self, more_bytes: int) -> None:
        """Show nothing."""
