"""What the Server knows of jobs, tasks, frames, Workers and Managers, as its stores return it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.manager_api import Block, FailedAttempt, JobFile, NeededJob, Rev, SleepSchedule
from flamenco_core.wire.worker_api import Command, Hardware, Program

R = TypeVar("R")

AWAY_AFTER = timedelta(seconds=60)
"""A Manager that has not been seen for so long is shown as away (manager-api.md)."""


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some records of a longer list, and where the next ones begin; ``next`` is None on the last page."""

    items: Sequence[R]
    next: int | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What people asked of a job, task or Worker, until its Manager has answered.

    ``value`` is JSON. ``order`` is the id of the order that carries it; None: no Manager had it yet, so that it is part
    of what the Manager fetches.
    """

    value: Any
    by: str
    order: str | None = None


Asks = Mapping[str, Asked]
"""What is asked and not answered, by what it is about: ``state``, ``priority``, ``tags`` …"""

STATE = "state"
"""In ``Asks``: what a job or task shall do: ``cancel``, ``pause`` …"""
REQUEUE = "requeue"
"""In ``Asks``: which tasks of a job shall run again. What was asked for after that stands beside it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """When and where a job may run (``JobDefinition`` has the meaning of each)."""

    start_after: datetime | None = None
    max_workers: int | None = None
    needs_jobs: Sequence[NeededJob] = ()
    memory_bytes: int | None = None
    gpu: str | None = None
    limits: Mapping[str, int] | None = None
    task_runtime_limit_s: float | None = None
    task_silence_limit_s: float | None = None


NO_TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Job:
    """A job: what was submitted, and how far it is.

    ``number`` rises from one submitted job to the next. ``status`` is what people see, ``reported_status`` what is so:
    what the Manager said last, before that what the Server did. ``manager_id`` is None until the job is issued to one.
    ``counts`` maps task status to number; ``frames`` is a frame range and ``output`` a path pattern, both None for a
    job that renders nothing; ``newest_frame`` is the frame whose thumbnail came last. ``asks`` is what people asked and
    the Manager has not answered yet, ``refused`` why it did not do the last thing that it did not do. ``deleted_at``:
    since when it is in the bin; ``erased``: its Manager has no more of it. ``rev`` is that of the last report.
    """

    number: int
    id: str
    name: str
    type: str
    type_etag: str
    status: JobStatus
    activity: str
    priority: int
    owner: str
    created_at: datetime
    settings: Mapping[str, Any]
    metadata: Mapping[str, Any]
    files: Sequence[JobFile]
    reported_status: JobStatus = JobStatus.UNDER_CONSTRUCTION
    project: str = ""
    tag: str | None = None
    start_paused: bool = False
    terms: Terms = NO_TERMS
    asks: Asks = field(default_factory=dict)
    refused: str = ""
    deleted_at: datetime | None = None
    erased: bool = False
    rev: Rev | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    manager_id: str | None = None
    manager_name: str = ""
    task_count: int = 0
    counts: Mapping[str, int] | None = None
    steps_completed: int = 0
    steps_total: int = 0
    frames: str | None = None
    frame_count: int = 0
    frames_done: int = 0
    output: str | None = None
    newest_frame: int | None = None

    @property
    def asked_state(self) -> str | None:
        """What the job is asked to do, as long as the Manager has not answered."""
        asked = self.asks.get(STATE)
        return asked.value if asked else None

    @property
    def cancel_requested(self) -> bool:
        """People want it to end, and it has not been told yet that it did."""
        return self.asked_state in ("cancel", "delete") and not self.reported_status.is_ended


@dataclass(frozen=True, slots=True)
class Task:
    """A task as its Manager reported it last; ``commands`` is filled only where one task is asked for.

    ``asks``, ``refused`` and ``rev`` are as those of a job.
    """

    id: str
    job: str
    index: int
    name: str
    type: str
    status: TaskStatus
    priority: int
    steps_total: int
    attempt: int = 0
    activity: str = ""
    steps_completed: int = 0
    frames: str | None = None
    depends_on: Sequence[int] = ()
    worker: str | None = None
    worker_name: str = ""
    failed_by: Sequence[FailedAttempt] = ()
    result: Mapping[str, Any] | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    commands: Sequence[Command] = ()
    asks: Asks = field(default_factory=dict)
    refused: str = ""
    rev: Rev | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that a job is to render. ``path`` and what follows are None until it was saved."""

    job: str
    frame: int
    layer: str
    status: TaskStatus
    task: str
    path: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    worker_name: str = ""
    has_thumbnail: bool = False


@dataclass(frozen=True, slots=True)
class CurrentTask:
    """The task that a Worker holds, with the names that people know it by."""

    id: str
    name: str
    job: str
    job_name: str


@dataclass(frozen=True, slots=True)
class Worker:
    """A Worker as its Manager reported it last; ``asks`` and ``refused`` are as those of a job."""

    id: str
    name: str
    manager_id: str
    manager_name: str
    status: WorkerStatus
    approved: bool
    platform: str
    software: str
    address: str
    task_types: Sequence[str]
    status_requested: WorkerStatus | None = None
    current_task: CurrentTask | None = None
    last_seen: datetime | None = None
    hardware: Hardware | None = None
    programs: Sequence[Program] = ()
    node: str | None = None
    slot: int | None = None
    tags: Sequence[str] = ()
    lazy: bool = False
    schedule: SleepSchedule | None = None
    can_restart: bool = False
    blocked: Sequence[Block] = ()
    asks: Asks = field(default_factory=dict)
    refused: str = ""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A change of a Worker's status; ``number`` rises from one to the next."""

    number: int
    status: WorkerStatus
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A group of Workers that jobs may ask for."""

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Manager:
    """The service of one site; ``last_seen`` is None until its first hello."""

    id: str
    name: str
    created_at: datetime
    software: str = ""
    platform: str = ""
    last_seen: datetime | None = None

    def is_away(self, now: datetime) -> bool:
        """Tell whether it has not been seen for a while, or never."""
        return self.last_seen is None or now - self.last_seen > AWAY_AFTER
