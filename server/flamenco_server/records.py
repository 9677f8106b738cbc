"""What the Server knows of jobs, tasks, frames, Workers and Managers, as its stores return it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.manager_api import FailedAttempt, JobFile
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
class Job:
    """A job: what was submitted, and how far it is.

    ``number`` rises from one submitted job to the next. ``manager_id`` is None until the job is issued to one.
    ``counts`` maps task status to number; ``frames`` is a frame range and ``output`` a path pattern, both None for a
    job that renders nothing; ``newest_frame`` is the frame whose thumbnail came last.
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
    cancel_requested: bool = False
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


@dataclass(frozen=True, slots=True)
class Task:
    """A task as its Manager reported it last; ``commands`` is filled only where one task is asked for."""

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
    """A Worker as its Manager reported it last."""

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
