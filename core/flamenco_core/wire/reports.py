"""What a Manager tells of its jobs, tasks, frames and Workers: ``POST reports`` (``manager-api.md``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marshmallow import fields, validate

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.schema import (
    LARGEST_INTEGER,
    Boolean,
    Integer,
    Number,
    Sha256,
    TimeOfDay,
    Timestamp,
    Uuid,
    WireSchema,
)
from flamenco_core.wire.worker_api import Hardware, HardwareSchema, Program, ProgramSchema


@dataclass(frozen=True, slots=True)
class Rev:
    """Which of two states of an object is newer: (epoch, commit number of the Manager), compared in that order."""

    epoch: int
    commit: int


class RevField(fields.Field[Rev]):
    """A ``Rev`` as ``[epoch, commit]``."""

    def _serialize(self, value: Rev | None, attr: str | None, obj: Any, **kwargs: Any) -> list[int] | None:
        return None if value is None else [value.epoch, value.commit]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Rev:
        if not isinstance(value, list) or len(value) != 2 or not all(map(_is_count, value)):
            raise self.make_error("validator_failed")
        return Rev(*value)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_INTEGER


@dataclass(frozen=True, slots=True)
class OrderResult:
    """What became of an order: ``done``, ``dropped`` or ``expired``, and why if not done.

    ``answer`` is what a question was answered. To ``task.why``: ``{"reasons": [{"code", "text", "count"?, "workers"?,
    "act"?}]}``, the first that matters first; ``workers`` are names, ``act`` is what would help.
    """

    order: int
    result: str
    why: str = ""
    answer: Mapping[str, Any] | None = None


class OrderResultSchema(WireSchema):
    record = OrderResult
    order = Integer(required=True, validate=validate.Range(min=1))
    result = fields.String(required=True, validate=validate.OneOf(["done", "dropped", "expired"]))
    why = fields.String()
    answer = fields.Dict(keys=fields.String(), allow_none=True)


@dataclass(frozen=True, slots=True)
class JobReport:
    """A job as its Manager sees it. ``counts`` maps task status to number, statuses without tasks left out.

    ``priority`` is None where the Manager does not tell; it then tells nothing of the tag, project and bin either.
    """

    id: str
    rev: Rev
    status: JobStatus
    activity: str
    counts: Mapping[str, int]
    steps_completed: int
    steps_total: int
    started_at: datetime | None = None
    finished_at: datetime | None = None
    priority: int | None = None
    tag: str | None = None
    project: str = ""
    deleted: bool = False


class JobReportSchema(WireSchema):
    record = JobReport
    id = Uuid(required=True)
    rev = RevField(required=True)
    status = fields.Enum(JobStatus, by_value=True, required=True)
    activity = fields.String(required=True)
    counts = fields.Dict(keys=fields.String(), values=Integer(), required=True)
    steps_completed = Integer(required=True)
    steps_total = Integer(required=True)
    started_at = Timestamp(allow_none=True)
    finished_at = Timestamp(allow_none=True)
    priority = Integer(allow_none=True)
    tag = fields.String(allow_none=True)
    project = fields.String()
    deleted = Boolean()


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An entry of a task's failure list."""

    worker: str
    reason: str


class FailedAttemptSchema(WireSchema):
    record = FailedAttempt
    worker = fields.String(required=True)
    reason = fields.String(required=True)


@dataclass(frozen=True, slots=True)
class TaskReport:
    """A task as its Manager sees it; ``worker`` holds it or held it last."""

    id: str
    job: str
    rev: Rev
    status: TaskStatus
    attempt: int
    activity: str
    steps_completed: int
    steps_total: int
    worker: str | None = None
    worker_name: str = ""
    failed_by: Sequence[FailedAttempt] = ()
    result: Mapping[str, Any] | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class TaskReportSchema(WireSchema):
    record = TaskReport
    id = Uuid(required=True)
    job = Uuid(required=True)
    rev = RevField(required=True)
    status = fields.Enum(TaskStatus, by_value=True, required=True)
    attempt = Integer(required=True)
    activity = fields.String(required=True)
    steps_completed = Integer(required=True)
    steps_total = Integer(required=True)
    worker = Uuid(allow_none=True)
    worker_name = fields.String()
    failed_by = fields.List(fields.Nested(FailedAttemptSchema))
    result = fields.Dict(keys=fields.String(), allow_none=True)
    started_at = Timestamp(allow_none=True)
    finished_at = Timestamp(allow_none=True)


@dataclass(frozen=True, slots=True)
class FrameReport:
    """A frame that an attempt saved: ``path`` as the Worker sees it, under its final name."""

    job: str
    task: str
    attempt: int
    frame: int
    rev: Rev
    path: str
    size_bytes: int
    sha256: str
    layer: str = ""
    width: int = 0
    height: int = 0
    seconds: float = 0.0


class FrameReportSchema(WireSchema):
    record = FrameReport
    job = Uuid(required=True)
    task = Uuid(required=True)
    attempt = Integer(required=True)
    frame = Integer(required=True)
    rev = RevField(required=True)
    path = fields.String(required=True)
    size_bytes = Integer(required=True)
    sha256 = Sha256(required=True)
    layer = fields.String()
    width = Integer()
    height = Integer()
    seconds = Number()


DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class SleepWindow:
    """When a Worker sleeps, on these days (``DAYS``). An ``end`` that is not after ``start`` is on the next day."""

    days: Sequence[str]
    start: str
    end: str


class SleepWindowSchema(WireSchema):
    record = SleepWindow
    days = fields.List(fields.String(validate=validate.OneOf(DAYS)), required=True)
    start = TimeOfDay(required=True)
    end = TimeOfDay(required=True)


@dataclass(frozen=True, slots=True)
class SleepSchedule:
    """All windows in which a Worker sleeps, in the time of ``time_zone`` (an IANA name)."""

    is_active: bool
    time_zone: str
    windows: Sequence[SleepWindow]


class SleepScheduleSchema(WireSchema):
    record = SleepSchedule
    is_active = Boolean(required=True)
    time_zone = fields.String(required=True, validate=validate.Length(1, 100))
    windows = fields.List(fields.Nested(SleepWindowSchema), required=True)


@dataclass(frozen=True, slots=True)
class Block:
    """A Worker gets no tasks of this type of this job any more: it failed too many."""

    job: str
    task_type: str


class BlockSchema(WireSchema):
    record = Block
    job = Uuid(required=True)
    task_type = fields.String(required=True)


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """A Worker as its Manager sees it; ``current_task`` is the one that it holds.

    ``lazy``: what ``status_requested`` asks for comes after the current task; ``can_restart``: it comes back by itself;
    ``forgotten``: people had it removed; ``secret_sha256``: of what it proves with who it is, so that it need not be
    approved again should the Manager lose its store; ``features``: what it knows beyond Flamenco 3's protocol.
    """

    id: str
    rev: Rev
    name: str
    address: str
    platform: str
    software: str
    task_types: Sequence[str]
    status: WorkerStatus
    approved: bool
    status_requested: WorkerStatus | None = None
    current_task: str | None = None
    last_seen: datetime | None = None
    node: str | None = None
    slot: int | None = None
    hardware: Hardware | None = None
    programs: Sequence[Program] = ()
    tags: Sequence[str] = ()
    lazy: bool = False
    schedule: SleepSchedule | None = None
    can_restart: bool = False
    blocked: Sequence[Block] = ()
    forgotten: bool = False
    secret_sha256: str | None = None
    features: Sequence[str] = ()


class WorkerReportSchema(WireSchema):
    record = WorkerReport
    id = Uuid(required=True)
    rev = RevField(required=True)
    name = fields.String(required=True)
    address = fields.String(required=True)
    platform = fields.String(required=True)
    software = fields.String(required=True)
    task_types = fields.List(fields.String(), required=True)
    status = fields.Enum(WorkerStatus, by_value=True, required=True)
    approved = Boolean(required=True)
    status_requested = fields.Enum(WorkerStatus, by_value=True, allow_none=True)
    current_task = Uuid(allow_none=True)
    last_seen = Timestamp(allow_none=True)
    node = Uuid(allow_none=True)
    slot = Integer(allow_none=True)
    hardware = fields.Nested(HardwareSchema, allow_none=True)
    programs = fields.List(fields.Nested(ProgramSchema))
    tags = fields.List(fields.String())
    lazy = Boolean()
    schedule = fields.Nested(SleepScheduleSchema, allow_none=True)
    can_restart = Boolean()
    blocked = fields.List(fields.Nested(BlockSchema))
    forgotten = Boolean()
    secret_sha256 = Sha256(allow_none=True)
    features = fields.List(fields.String())


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A Worker became this at that time, and why."""

    worker: str
    status: WorkerStatus
    at: datetime
    why: str = ""


class WorkerStateSchema(WireSchema):
    record = WorkerState
    worker = Uuid(required=True)
    status = fields.Enum(WorkerStatus, by_value=True, required=True)
    at = Timestamp(required=True)
    why = fields.String()


@dataclass(frozen=True, slots=True)
class Report:
    """A numbered batch of what changed. ``previous`` is the SHA-256 of the bytes of the report before.

    ``worker_states`` are all changes since then, oldest first.
    """

    report: int
    previous: str
    orders: Sequence[OrderResult] = ()
    jobs: Sequence[JobReport] = ()
    tasks: Sequence[TaskReport] = ()
    frames: Sequence[FrameReport] = ()
    workers: Sequence[WorkerReport] = ()
    worker_states: Sequence[WorkerState] = ()


class ReportSchema(WireSchema):
    record = Report
    report = Integer(required=True, validate=validate.Range(min=1))
    previous = Sha256(required=True)
    orders = fields.List(fields.Nested(OrderResultSchema))
    jobs = fields.List(fields.Nested(JobReportSchema))
    tasks = fields.List(fields.Nested(TaskReportSchema))
    frames = fields.List(fields.Nested(FrameReportSchema))
    workers = fields.List(fields.Nested(WorkerReportSchema))
    worker_states = fields.List(fields.Nested(WorkerStateSchema))


@dataclass(frozen=True, slots=True)
class ReportAcknowledged:
    """The answer to a report: everything up to this number is on the Server's disk."""

    acknowledged: int


class ReportAcknowledgedSchema(WireSchema):
    record = ReportAcknowledged
    acknowledged = Integer(required=True)
