"""The farm in memory, and what changed in it. Pure: no I/O, no clock, no randomness.

The rules are in the modules beside it (``attempts``, ``job_rules``, ``worker_rules``, ``leases``); each of their
functions changes the farm in one step. Whoever calls one then takes the ``Changes``: what must be stored in one
transaction, what the Server is to hear, and who waits for something that may have come.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush
from itertools import chain
from math import ceil

from flamenco_core.errors import NotFound
from flamenco_core.statuses import TaskStatus, WorkerStatus
from flamenco_core.wire.definitions import Needs
from flamenco_core.wire.reports import WorkerState
from flamenco_core.wire.worker_api import SavedFrame
from flamenco_manager.fitting import can_take
from flamenco_manager.held_pieces import HeldPiece
from flamenco_manager.limits import Limits
from flamenco_manager.model import Job, Kind, Kinds, Policy, Task, Worker
from flamenco_manager.scheduler import Scheduler
from flamenco_manager.task_rules import is_full, set_status


class NoSuchWorker(NotFound):
    """No Worker has this id."""

    type = "no-such-worker"


@dataclass
class Changes:
    """What one step changed.

    ``number`` rises with every step that changed anything; it is the ``rev`` of all that changed. ``touched_workers``
    have a reason to look again: their attempt ended, or they are asked to be something else. ``new_work`` is how many
    waiting Workers could find a task now that did not before. ``forgotten_frames``: tasks of which no saved frame
    counts any more. ``is_urgent``: the Server wants to hear of it at once.
    """

    number: int = 0
    jobs: dict[str, Job] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    worker_states: list[WorkerState] = field(default_factory=list)
    frames: list[tuple[Task, int, SavedFrame]] = field(default_factory=list)
    forgotten_frames: list[Task] = field(default_factory=list)
    ended_attempts: list[tuple[Task, int]] = field(default_factory=list)
    log_pieces: list[tuple[Task, HeldPiece]] = field(default_factory=list)
    touched_workers: set[str] = field(default_factory=set)
    new_work: int = 0
    is_urgent: bool = False

    def __bool__(self) -> bool:
        """Tell whether there is anything to store."""
        return bool(self.jobs or self.tasks or self.workers or self.frames or self.ended_attempts or self.log_pieces)


class Farm:
    """Jobs, tasks and Workers by id, and the scheduler over them."""

    def __init__(self, policy: Policy, *, changes_so_far: int = 0) -> None:
        self.policy = policy
        self.jobs: dict[str, Job] = {}
        self.tasks: dict[str, Task] = {}
        self.workers: dict[str, Worker] = {}
        self.kinds = Kinds()
        self.scheduler = Scheduler()
        self.limits = Limits()
        self.waiting_for: dict[str, set[str]] = {}
        """Jobs (by id) that others wait for, and those others."""
        self.attempts_above = 0
        """Whatever is handed out gets a higher attempt than this: those up to it may belong to a past that was lost."""
        self.is_whole = True
        """All unfinished jobs are in memory; after a start some may come later."""
        self.awaits_server = False
        """The store was restored from a backup: nothing is handed out until the Server has said what it knows."""
        self.before_start: set[str] = set()
        """Jobs (by id) whose start time has not come."""
        self.explained = 0
        """Where the next look at idle jobs begins."""
        self.started_s = 0.0
        self.ticked_s = 0.0
        self._wake_times: list[int] = []
        self._wakes: dict[int, int] = {}
        self._number = changes_so_far
        self._changes = Changes()

    @property
    def number_of_next_change(self) -> int:
        """The number that what changes now will carry."""
        return self._number + 1

    def worker(self, worker_id: str) -> Worker:
        """Return one Worker. Raises NoSuchWorker."""
        try:
            return self.workers[worker_id]
        except KeyError:
            raise NoSuchWorker(f"This Manager knows no Worker {worker_id}.") from None

    def job_changed(self, job: Job) -> None:
        """Note that a job must be stored and reported."""
        self._changes.jobs[job.id] = job

    def task_changed(self, task: Task) -> None:
        """Note that a task must be stored and reported; its job's counts or steps may have changed with it."""
        self._changes.tasks[task.id] = task

    def worker_changed(self, worker: Worker) -> None:
        """Note that a Worker must be stored and reported."""
        self._changes.workers[worker.id] = worker

    def worker_state(self, worker: Worker, at: datetime, why: str) -> None:
        """Note for its history what a Worker has become, or is asked to be; it must be stored and reported."""
        status = worker.status or WorkerStatus.OFFLINE
        self._changes.worker_states.append(WorkerState(worker.id, status, at, why))
        self.worker_changed(worker)

    def worker_fitness_changed(self, worker: Worker) -> None:
        """Note that a Worker can take other kinds of tasks than before: its types, tags or hardware changed."""
        worker.fitness = None
        self.offer_work(workers=1)

    def frames_forgotten(self, task: Task) -> None:
        """Note that what was saved of a task so far does not count any more."""
        task.saved_frames, task.fresh_after = None, task.attempt
        self._changes.forgotten_frames.append(task)

    def frame_saved(self, task: Task, attempt: int, frame: SavedFrame) -> None:
        """Note that an attempt saved a frame."""
        self._changes.frames.append((task, attempt, frame))

    def log_said(self, task: Task, piece: HeldPiece) -> None:
        """Note that a piece of a task's log is to be held."""
        self._changes.log_pieces.append((task, piece))

    def attempt_ended(self, task: Task) -> None:
        """Note that the task's present attempt is over, whatever became of it."""
        self._changes.ended_attempts.append((task, task.attempt))
        self.hurry()

    def hurry(self) -> None:
        """Note that something began or ended, of which the Server wants to hear at once."""
        self._changes.is_urgent = True

    def touch_worker(self, worker: Worker) -> None:
        """Note that there is something to tell a Worker that waits."""
        self._changes.touched_workers.add(worker.id)

    def offer_work(self, *, workers: int) -> None:
        """Note that so many waiting Workers could find something now."""
        self._changes.new_work += workers

    def move(self, task: Task, status: TaskStatus) -> None:
        """Change a task's status; what became runnable by that is listed for hand-out."""
        was = task.status
        self.list_runnable(set_status(task, status))
        if (was is TaskStatus.ACTIVE) != (status is TaskStatus.ACTIVE):
            change = self._occupied if status is TaskStatus.ACTIVE else self._vacated
            change(task)
        self.task_changed(task)
        self.job_changed(task.job)

    def kind_of(self, job: Job, task_type: str, own: Needs | None) -> Kind:
        """Return the kind of a task of a job; ``own``: what it needs otherwise than its job."""
        return self.kinds.of(task_type, job.needs if own is None else own.over(job.needs), job.project)

    def change_kind(self, task: Task) -> None:
        """Look again at what a task needs: that of its job has changed. It must not be listed."""
        is_active = task.status is TaskStatus.ACTIVE
        if is_active:
            self.limits.give(task.kind)
        task.kind = self.kind_of(task.job, task.type, task.needs)
        if is_active:
            self.limits.take(task.kind)

    def occupied_at_start(self, task: Task) -> None:
        """Count a task that was active when the farm was put together."""
        self.limits.take(task.kind)
        self._look_at_room(task.job)

    def go_on_with_server(self) -> None:
        """Hand out tasks again after a restore: the Server was heard."""
        if self.awaits_server:
            self.awaits_server = False
            self.offer_work(workers=len(self.workers))

    def next_attempt(self, task: Task) -> int:
        """Return the number of a task's next attempt."""
        return max(task.attempt, self.attempts_above) + 1

    def list_runnable(self, tasks: Iterable[Task]) -> None:
        """List tasks that became runnable."""
        for task in tasks:
            self.scheduler.add(task)
            self._changes.new_work += 1

    def wake_at(self, moment_s: float) -> None:
        """Let one more waiting Worker look for work from this time (monotonic, rounded up to a second) on."""
        second = ceil(moment_s)
        if second not in self._wakes:
            heappush(self._wake_times, second)
        self._wakes[second] = self._wakes.get(second, 0) + 1

    def wake_due(self, now_s: float) -> None:
        """Let those look whose time has come."""
        while self._wake_times and self._wake_times[0] <= now_s:
            self._changes.new_work += self._wakes.pop(heappop(self._wake_times))

    def awake_workers(self, kind: Kind) -> Iterable[Worker]:
        """Yield the Workers that are awake, to stay so, and can take tasks of this kind."""
        return (worker for worker in self.workers.values() if worker.is_at_work and can_take(worker, kind))

    def set_policy(self, policy: Policy, *, is_balanced: bool) -> None:
        """Take over changed settings of the farm."""
        self.policy = policy
        self.scheduler.set_balanced(is_balanced)
        self.offer_work(workers=len(self.workers))

    def set_limits(self, capacity: Mapping[str, int], caps: Mapping[str, int]) -> None:
        """Take over the farm's limits and its projects' caps."""
        self.limits.set(capacity, caps)
        self.offer_work(workers=len(self.workers))

    def forget(self, job: Job) -> None:
        """Let an ended job leave memory; call it once that it ended is on disk."""
        del self.jobs[job.id]
        for task in job.tasks:
            del self.tasks[task.id]
        for needed in job.needs_jobs:
            self.waiting_for.get(needed.id, set()).discard(job.id)
        for worker in self.workers.values():
            if worker.lost_task is not None and worker.lost_task.job is job:
                worker.lost_task = None
        job.tasks, job.ready = [], {}  # each refers to its job: so they go at once, without the garbage collector

    def _occupied(self, task: Task) -> None:
        self.limits.take(task.kind)
        self._look_at_room(task.job)

    def _vacated(self, task: Task) -> None:
        self.limits.give(task.kind)
        self._look_at_room(task.job)
        if task.job.max_workers is not None or self.limits.is_counted(task.kind):
            self.offer_work(workers=max((held for _, held in task.kind.limits), default=1))

    def _look_at_room(self, job: Job) -> None:
        """Note what follows from how many of a job's tasks are active."""
        if job.max_workers is not None:
            (self.scheduler.pass_over if is_full(job) else self.scheduler.look_at)(job)
        if self.scheduler.is_balanced:
            self.scheduler.reorder(job)

    @property
    def has_changed(self) -> bool:
        """There is something to store."""
        return bool(self._changes)

    def is_noted(self, changed: Job | Task | Worker) -> bool:
        """Tell whether something changed and is still to be taken; what is stored of it is older."""
        noted = self._changes
        return changed.id in noted.tasks or changed.id in noted.jobs or changed.id in noted.workers

    def take_changes(self) -> Changes:
        """Return what changed since the last call, numbered; what changed carries the number as its ``rev``."""
        changes, self._changes = self._changes, Changes()
        if not changes:
            return changes
        self._number += 1
        changes.number = self._number
        everything: tuple[Iterable[Job | Task | Worker], ...] = (
            changes.jobs.values(),
            changes.tasks.values(),
            changes.workers.values(),
        )
        for changed in chain.from_iterable(everything):
            changed.rev = self._number
        return changes
