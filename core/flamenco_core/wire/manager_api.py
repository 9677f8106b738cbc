"""Records between Manager and Server, ``/api/v1/manager/…`` (``manager-api.md``)."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from marshmallow import fields, validate

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.schema import LARGEST_INTEGER, Boolean, Integer, Number, Sha256, Timestamp, Uuid, WireSchema
from flamenco_core.wire.worker_api import (
    Command,
    CommandSchema,
    Hardware,
    HardwareSchema,
    Program,
    ProgramSchema,
)

MANAGER_FEED = "Flamenco-Manager-Feed"
"""Header: the feed of the Manager's store, on every call."""
SERVER_FEED = "Flamenco-Server-Feed"
"""Header: the feed of the Server's store as the Manager knows it, on every call but ``hello``."""

NO_DIGEST = "0" * 64
"""The digest of what came before the first report, or before the first order."""

COMMANDS_MEDIA_TYPE = "application/jsonl"
"""The media type of a stream of tasks: one JSON object a line."""


@dataclass(frozen=True, slots=True)
class Hello:
    """A Manager says who it is and how far it has come. ``server_feed`` is None before the first hello."""

    name: str
    software: str
    platform: str
    feed: str
    server_feed: str | None = None
    capabilities: Sequence[str] = ()
    jobs_folder: str = ""
    last_order: int = 0
    last_order_digest: str = NO_DIGEST
    first_report: int = 1
    previous_report_digest: str = NO_DIGEST


class HelloSchema(WireSchema):
    record = Hello
    name = fields.String(required=True, validate=validate.Length(1, 200))
    software = fields.String(required=True, validate=validate.Length(max=200))
    platform = fields.String(required=True, validate=validate.Length(max=200))
    feed = Uuid(required=True)
    server_feed = Uuid(allow_none=True)
    capabilities = fields.List(fields.String())
    jobs_folder = fields.String()
    last_order = Integer(validate=validate.Range(min=0))
    last_order_digest = Sha256()
    first_report = Integer(validate=validate.Range(min=1))
    previous_report_digest = Sha256()


@dataclass(frozen=True, slots=True)
class HelloReply:
    """The Server's side of it.

    ``next_order``: the number of the first order that the Manager has not applied;
    ``next_report``: the report that the Server expects next; ``resync``: the two do not fit, and must begin anew.
    """

    manager: str
    feed: str
    next_order: int
    next_report: int
    resync: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


class HelloReplySchema(WireSchema):
    record = HelloReply
    manager = Uuid(required=True)
    feed = Uuid(required=True)
    next_order = Integer(required=True)
    next_report = Integer(required=True)
    resync = Boolean()
    settings = fields.Dict(keys=fields.String())


@dataclass(frozen=True, slots=True)
class Order:
    """Something that the Server wants of a Manager.

    ``order`` is its number for this Manager, ``id`` tells it apart for ever. ``details`` are those of its ``kind``:
    ``job.submit``, ``job.cancel``: ``job``; ``task.log``: ``task``, ``attempt``, ``seconds``; ``worker.approve``:
    ``worker``.
    """

    order: int
    id: str
    kind: str
    details: Mapping[str, Any]
    asked_by: str
    asked_at: datetime
    expires: datetime | None = None


class OrderSchema(WireSchema):
    record = Order
    order = Integer(required=True, validate=validate.Range(min=1))
    id = Uuid(required=True)
    kind = fields.String(required=True)
    details = fields.Dict(keys=fields.String(), required=True)
    asked_by = fields.String(required=True)
    asked_at = Timestamp(required=True)
    expires = Timestamp(allow_none=True)


def order_digest(previous: str, order: Order) -> str:
    """Return the digest of an order and of all before it, whose digest is ``previous`` (at first ``NO_DIGEST``).

    SHA-256 of ``previous`` and the order as JSON: keys sorted, no spaces, not escaped, UTF-8. Both sides keep it with
    the last order, so that a store that went back is noticed.
    """
    document = OrderSchema().dump(order)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256((previous + text).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Orders:
    """The answer to ``GET orders``."""

    orders: Sequence[Order]


class OrdersSchema(WireSchema):
    record = Orders
    orders = fields.List(fields.Nested(OrderSchema), required=True)


@dataclass(frozen=True, slots=True)
class JobFile:
    """A file of a job: its path inside the checkout, with ``/`` between parts, and its contents by hash."""

    path: str
    sha256: str
    size_bytes: int


class JobFileSchema(WireSchema):
    record = JobFile
    path = fields.String(required=True, validate=validate.Length(1, 1024))
    sha256 = Sha256(required=True)
    size_bytes = Integer(required=True, validate=validate.Range(min=0))


@dataclass(frozen=True, slots=True)
class JobDefinition:
    """A job as its Manager fetches it. ``cancel_requested``: people cancelled it before its Manager had it."""

    id: str
    name: str
    type: str
    priority: int
    owner: str
    created: datetime
    task_count: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[JobFile] = ()
    cancel_requested: bool = False


class JobDefinitionSchema(WireSchema):
    record = JobDefinition
    id = Uuid(required=True)
    name = fields.String(required=True)
    type = fields.String(required=True)
    priority = Integer(required=True)
    owner = fields.String(required=True)
    created = Timestamp(required=True)
    task_count = Integer(required=True)
    settings = fields.Dict(keys=fields.String())
    metadata = fields.Dict(keys=fields.String())
    files = fields.List(fields.Nested(JobFileSchema))
    cancel_requested = Boolean()


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """One line of ``GET jobs/ID/tasks``. ``depends_on`` are indexes of lower tasks; ``frames`` is a frame range."""

    index: int
    id: str
    name: str
    type: str
    commands: Sequence[Command]
    priority: int = 50
    depends_on: Sequence[int] = ()
    frames: str | None = None

    @property
    def steps_total(self) -> int:
        """The sum of its commands' steps."""
        return sum(command.steps for command in self.commands)


class TaskDefinitionSchema(WireSchema):
    record = TaskDefinition
    index = Integer(required=True, validate=validate.Range(min=0))
    id = Uuid(required=True)
    name = fields.String(required=True)
    type = fields.String(required=True)
    commands = fields.List(fields.Nested(CommandSchema), required=True)
    priority = Integer()
    depends_on = fields.List(Integer(validate=validate.Range(min=0)))
    frames = fields.String(allow_none=True)


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
    """What became of an order: ``done``, ``dropped`` or ``expired``, and why if not done."""

    order: int
    result: str
    why: str = ""


class OrderResultSchema(WireSchema):
    record = OrderResult
    order = Integer(required=True, validate=validate.Range(min=1))
    result = fields.String(required=True, validate=validate.OneOf(["done", "dropped", "expired"]))
    why = fields.String()


@dataclass(frozen=True, slots=True)
class JobReport:
    """A job as its Manager sees it. ``counts`` maps task status to number, statuses without tasks left out."""

    id: str
    rev: Rev
    status: JobStatus
    activity: str
    counts: Mapping[str, int]
    steps_completed: int
    steps_total: int
    started_at: datetime | None = None
    finished_at: datetime | None = None


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


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """A Worker as its Manager sees it; ``current_task`` is the one that it holds."""

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


@dataclass(frozen=True, slots=True)
class Report:
    """A numbered batch of what changed. ``previous`` is the SHA-256 of the bytes of the report before."""

    report: int
    previous: str
    orders: Sequence[OrderResult] = ()
    jobs: Sequence[JobReport] = ()
    tasks: Sequence[TaskReport] = ()
    frames: Sequence[FrameReport] = ()
    workers: Sequence[WorkerReport] = ()


class ReportSchema(WireSchema):
    record = Report
    report = Integer(required=True, validate=validate.Range(min=1))
    previous = Sha256(required=True)
    orders = fields.List(fields.Nested(OrderResultSchema))
    jobs = fields.List(fields.Nested(JobReportSchema))
    tasks = fields.List(fields.Nested(TaskReportSchema))
    frames = fields.List(fields.Nested(FrameReportSchema))
    workers = fields.List(fields.Nested(WorkerReportSchema))


@dataclass(frozen=True, slots=True)
class ReportAcknowledged:
    """The answer to a report: everything up to this number is on the Server's disk."""

    acknowledged: int


class ReportAcknowledgedSchema(WireSchema):
    record = ReportAcknowledged
    acknowledged = Integer(required=True)
