"""What a farm is made of: jobs, their tasks, Workers. Plain data; the rules are in the modules beside it.

Everything here lives in memory while it can still change. A job that has ended leaves memory once that is on disk.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.definitions import Needs
from flamenco_core.wire.manager_api import FailedAttempt, SleepSchedule
from flamenco_core.wire.worker_api import Hardware, Program


@dataclass(frozen=True, slots=True)
class Moment:
    """The present, twice: ``wall`` is written down, ``monotonic_s`` measures how long something takes."""

    wall: datetime
    monotonic_s: float


@dataclass(frozen=True)
class Policy:
    """The numbers in the farm's rules (jobs.md, "Time-outs" and "Failure of a task by a Worker"). Times in seconds."""

    worker_timeout_s: float = 60.0
    idle_worker_timeout_s: float = 180.0
    starting_worker_timeout_s: float = 180.0
    task_timeout_s: float = 600.0
    start_up_grace_s: float = 120.0
    """Nothing times out so soon after the Manager's own start."""
    failed_attempts: int = 3
    lost_attempts: int = 3
    job_failed_tasks: int = 3
    job_failed_share: float = 0.1
    block_after: int = 3
    """So many failed tasks of one type in one job, by one Worker, may block it from that type in that job."""
    retry_pauses_s: Sequence[float] = (5.0, 30.0, 120.0)
    """How long the same Worker waits after its first, second, … failure of a task."""
    flamenco3_mark_s: float = 60.0
    """How long a Flamenco 3 Worker must be silent about a task that left it, before it can get that task again."""
    ahead_s: float = 10.0
    """So much work, by the time that earlier tasks of a job took, may be handed out ahead to one Worker."""


NO_NEEDS = Needs()


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """Tasks that the same Workers can take, and that count against the same limits of the farm.

    Compared by identity: ``Kinds`` makes each of them once. ``gpu`` is a backend such as ``OPTIX``, or ``any``;
    ``limits`` are names of the farm's limits, and how much of each a task holds while it is active.
    """

    type: str
    tag: str | None = None
    memory_bytes: int = 0
    gpu: str | None = None
    limits: tuple[tuple[str, int], ...] = ()
    project: str = ""


class Kinds:
    """Every kind of task that was seen, each once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Kind] = {}

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._known.values())

    def of(self, task_type: str, needs: Needs = NO_NEEDS, project: str = "") -> Kind:
        """Return the one kind that has all this."""
        limits = tuple(sorted((name, held) for name, held in (needs.limits or {}).items() if held))
        what = (task_type, needs.tag or None, needs.memory_bytes or 0, needs.gpu or None, limits, project)
        kind = self._known.get(what)
        if kind is None:
            kind = self._known[what] = Kind(*what)
        return kind


@dataclass(slots=True)
class NeededJob:
    """A job that another one waits for: until it is completed, or (``ended``) until it has ended, however."""

    id: str
    ended: bool
    is_met: bool = False


@dataclass(slots=True, eq=False)
class Job:
    """A job that this Manager has. ``key`` is its number in the store; ``live`` counts what keeps it from ending."""

    id: str
    key: int
    status: JobStatus = JobStatus.UNDER_CONSTRUCTION
    activity: str = ""
    priority: int = 50
    type: str = ""
    created: datetime | None = None
    tasks: Sequence["Task"] = ()
    counts: dict[TaskStatus, int] = field(default_factory=dict)
    live: int = 0
    """Tasks that are active, or wait for nothing but time, a Worker, or tasks that are live themselves."""
    failed_with_job: int = 0
    """Tasks that were canceled because the job failed."""
    is_cancelled: bool = False
    """People cancelled it since its last requeue."""
    steps_completed: int = 0
    steps_total: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    project: str = ""
    needs: Needs = NO_NEEDS
    """What its tasks need where they do not say otherwise."""
    start_after: datetime | None = None
    max_workers: int | None = None
    """At most so many of its tasks are active at a time."""
    needs_jobs: Sequence[NeededJob] = ()
    is_held_back: bool = False
    """It is before its start time, or waits for another job: nothing of it is runnable yet."""
    is_changing: bool = False
    """So many tasks are being changed that it happens piece by piece: nothing of it is handed out meanwhile."""
    is_deleted: bool = False
    is_whole: bool = False
    """All its tasks and files have come."""
    is_pause_wanted: bool = False
    """A person paused it while it was under construction: it begins as paused."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """What people changed of its definition: ``priority``, ``tag``, ``paused`` (whether it begins so)."""
    task_runtime_limit_s: float | None = None
    task_silence_limit_s: float | None = None
    blocked: set[tuple[str, str]] = field(default_factory=set)
    """Workers (by id) and the type of this job's tasks that they get no more."""
    failures: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    """Indexes of the tasks on whose failure lists a Worker (by id) stands, per type of task."""
    typical_s: dict[str, float] = field(default_factory=dict)
    """How long its tasks take, per type: a mean in which recent ones weigh more."""
    ready: dict[Kind, list[tuple[int, int, "Task"]]] = field(default_factory=dict)
    """The scheduler's lists of its runnable tasks."""
    order: tuple[int, int, float, int] = (0, 0, 0.0, 0)
    """Where it stands in the scheduler's lists."""
    is_passed_over: bool = False
    """The scheduler does not look at it: it has as many Workers as it may have."""
    rev: int = 0


@dataclass(slots=True, eq=False)
class Task:
    """A task, and what its present attempt has said.

    ``worker`` holds it or held it last. While ``is_held``, that attempt can still change the task: it is active, or it
    is suspended (its Worker fell silent, and nobody else took the task yet).
    """

    id: str
    key: int
    job: Job
    index: int
    name: str
    kind: Kind
    priority: int
    steps_total: int
    frames: str | None = None
    depends_on: Sequence[int] = ()
    dependants: Sequence["Task"] = ()
    open_dependencies: int = 0
    """How many tasks that it waits for are not completed."""
    stuck_dependencies: int = 0
    """How many of those can never complete without somebody's doing."""
    status: TaskStatus = TaskStatus.QUEUED
    attempt: int = 0
    worker: "Worker | None" = None
    is_held: bool = False
    is_reserved: bool = False
    """``worker`` has it ahead of time (worker-api.md 15.6); nobody runs it yet."""
    has_begun: bool = False
    """The holder has said ``active`` itself."""
    seq: int = 0
    activity: str = ""
    steps_completed: int = 0
    lost: int = 0
    failed_by: Sequence[FailedAttempt] = ()
    retry_at_s: float = 0.0
    """Monotonic: before this, nobody who failed it gets it again."""
    marks: dict[str, float] | None = None
    """Flamenco 3 Workers that it left, and until when (monotonic) they cannot have it (worker-api.md, section 14)."""
    failed_with_job: bool = False
    needs: Needs | None = None
    """What it needs otherwise than its job."""
    is_pause_wanted: bool = False
    """A person paused it while it was active: should it come back, it is paused."""
    requeued_by: int = 0
    """The number of the change by which a person last queued it."""
    fresh_after: int = 0
    """What attempts up to this one saved counts no more: a person has queued the task since."""
    saved_frames: set[int] | None = None
    result: Mapping[str, Any] | None = None
    touched_s: float = 0.0
    """Monotonic: the last update or may-i-run of its holder."""
    begun_s: float = 0.0
    """Monotonic: when its attempt was handed out, or said ``active``."""
    output_s: float = 0.0
    """Monotonic: when its attempt last wrote to its log."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    is_listed: bool = False
    """It stands in the scheduler's list of its job."""
    rev: int = 0

    @property
    def type(self) -> str:
        """What kind of program it runs: ``blender``, ``ffmpeg``, ``file-management``, ``misc``."""
        return self.kind.type

    @property
    def is_suspended(self) -> bool:
        """Its holder fell silent, and may come back."""
        return self.is_held and self.status is not TaskStatus.ACTIVE


@dataclass(slots=True, eq=False)
class Worker:
    """A Worker that has registered. ``task`` is what it holds, also suspended."""

    id: str
    secret_sha256: bytes
    name: str
    platform: str
    address: str
    task_types: Sequence[str]
    tags: frozenset[str] = frozenset()
    software: str = ""
    status: WorkerStatus | None = None
    """None: it has never signed on."""
    status_before_error: WorkerStatus | None = None
    status_requested: WorkerStatus | None = None
    is_lazy: bool = False
    """What is requested can wait until it has finished its task."""
    schedule: SleepSchedule | None = None
    schedule_at: datetime | None = None
    """When its sleep schedule next wants something else of it."""
    is_approved: bool = False
    is_forgotten: bool = False
    """People had it removed; whoever holds it still must not change it any more."""
    can_restart: bool = False
    node: str | None = None
    slot: int | None = None
    hardware: Hardware | None = None
    programs: Sequence[Program] = ()
    features: Sequence[str] = ()
    task: Task | None = None
    reserved: list[Task] = field(default_factory=list)
    """Tasks that it has ahead of time, in their order."""
    fitness: dict[Kind, bool] | None = None
    """Which kinds of tasks it can take, as far as that was asked; None: ask anew."""
    has_signed_on_since: bool = False
    """It has signed on since it was handed its task."""
    lost_task: Task | None = None
    """Counted as lost when it was given to somebody else; taken back if this Worker had only been out of touch."""
    last_seen: datetime | None = None
    seen_s: float = 0.0
    """Monotonic."""
    stored_seen_s: float = float("-inf")
    stored_profile: tuple[tuple[Any, ...], bytes] | None = None
    """What it said of itself when that was last written, and how it was written."""
    rev: int = 0

    @property
    def is_free(self) -> bool:
        """It holds no task, and has none ahead of time."""
        return self.task is None and not self.reserved

    @property
    def knows_attempts(self) -> bool:
        """It is one of ours, or speaks our extensions; else it is a Flamenco 3 Worker."""
        return "attempt" in self.features

    @property
    def is_at_work(self) -> bool:
        """It is awake, and stays so; one that is asked to sleep after its task takes no other."""
        stays = self.status_requested in (None, WorkerStatus.AWAKE)
        return self.status is WorkerStatus.AWAKE and self.is_approved and stays

    @property
    def is_idle(self) -> bool:
        """It has nothing to run, now or next."""
        return self.task is None and not self.reserved

    @property
    def must_stop(self) -> bool:
        """What is requested of it cannot wait for its task."""
        return self.status_requested is not None and not self.is_lazy
