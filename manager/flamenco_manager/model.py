"""What a farm is made of: jobs, their tasks, Workers. Plain data; the rules are in the modules beside it.

Everything here lives in memory while it can still change. A job that has ended leaves memory once that is on disk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.manager_api import FailedAttempt
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
    retry_pauses_s: Sequence[float] = (5.0, 30.0, 120.0)
    """How long the same Worker waits after its first, second, … failure of a task."""
    flamenco3_mark_s: float = 60.0
    """How long a Flamenco 3 Worker must be silent about a task that left it, before it can get that task again."""


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
    type: str
    priority: int
    steps_total: int
    frames: str | None = None
    depends_on: Sequence[int] = ()
    dependants: list["Task"] = field(default_factory=list)
    open_dependencies: int = 0
    """How many tasks that it waits for are not completed."""
    stuck_dependencies: int = 0
    """How many of those can never complete without somebody's doing."""
    status: TaskStatus = TaskStatus.QUEUED
    attempt: int = 0
    worker: "Worker | None" = None
    is_held: bool = False
    has_begun: bool = False
    """The holder has said ``active`` itself."""
    seq: int = 0
    activity: str = ""
    steps_completed: int = 0
    lost: int = 0
    failed_by: list[FailedAttempt] = field(default_factory=list)
    retry_at_s: float = 0.0
    """Monotonic: before this, nobody who failed it gets it again."""
    marks: dict[str, float] | None = None
    """Flamenco 3 Workers that it left, and until when (monotonic) they cannot have it (worker-api.md, section 14)."""
    failed_with_job: bool = False
    saved_frames: set[int] | None = None
    result: Mapping[str, Any] | None = None
    touched_s: float = 0.0
    """Monotonic: the last update or may-i-run of its holder."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    is_listed: bool = False
    """It stands in the scheduler's list of its job."""
    rev: int = 0

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
    software: str = ""
    status: WorkerStatus | None = None
    """None: it has never signed on."""
    status_before_error: WorkerStatus | None = None
    status_requested: WorkerStatus | None = None
    is_approved: bool = False
    can_restart: bool = False
    node: str | None = None
    slot: int | None = None
    hardware: Hardware | None = None
    programs: Sequence[Program] = ()
    features: Sequence[str] = ()
    task: Task | None = None
    has_signed_on_since: bool = False
    """It has signed on since it was handed its task."""
    lost_task: Task | None = None
    """Counted as lost when it was given to somebody else; taken back if this Worker had only been out of touch."""
    last_seen: datetime | None = None
    seen_s: float = 0.0
    """Monotonic."""
    stored_seen_s: float = float("-inf")
    rev: int = 0

    @property
    def knows_attempts(self) -> bool:
        """It is one of ours, or speaks our extensions; else it is a Flamenco 3 Worker."""
        return "attempt" in self.features
