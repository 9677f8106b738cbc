"""Records of the worker protocol, ``/api/v3/worker/…`` (``worker-api.md`` sections 4 and 15).

The first fields of each are Flamenco 3's; those that default to ``None`` or to nothing are ours, and a Flamenco 3
program ignores them. Absent optional keys stay absent when a record is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from flamenco_core.statuses import TaskStatus, WorkerStatus
from flamenco_core.wire.plain_updates import plain_update
from flamenco_core.wire.schema import Boolean, Integer, ListOf, Number, Sha256, Timestamp, Uuid, WireSchema

FEATURES = ("attempt", "wait", "frames", "batch")
"""What this version speaks of section 15: attempts and ``seq``, ``Prefer: wait``, frames in updates, batches."""

MOST_BATCHED = 1_000
"""How many updates one batch holds at most (15.5)."""
MOST_BATCH_BYTES = 8 * 1024 * 1024
"""How large the JSON of one batch is at most (15.5)."""

MOST_TASKS_AT_ONCE = 16
"""How many tasks one answer hands out at most (15.6)."""

SHORT_TEXT_LENGTH = 1024
SHORT_TEXT = validate.Length(max=SHORT_TEXT_LENGTH)

WORKERS_WORDS = (TaskStatus.ACTIVE, TaskStatus.COMPLETED, TaskStatus.FAILED)
"""What a Worker may say that its task is; the other statuses are the Manager's to set (section 14)."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A graphics card that Cycles could use."""

    backend: str
    name: str
    memory_bytes: int = 0


class GpuSchema(WireSchema):
    record = Gpu
    backend = fields.String(required=True, validate=SHORT_TEXT)
    name = fields.String(required=True, validate=SHORT_TEXT)
    memory_bytes = Integer()


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a machine has."""

    cpu_count: int = 0
    memory_bytes: int = 0
    gpus: Sequence[Gpu] = ()


class HardwareSchema(WireSchema):
    record = Hardware
    cpu_count = Integer()
    memory_bytes = Integer()
    gpus = ListOf(fields.Nested(GpuSchema), most=64)


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a Worker found: ``name`` is ``blender`` or ``ffmpeg``."""

    name: str
    version: str
    path: str


class ProgramSchema(WireSchema):
    record = Program
    name = fields.String(required=True, validate=SHORT_TEXT)
    version = fields.String(required=True, validate=SHORT_TEXT)
    path = fields.String(required=True, validate=validate.Length(max=4096))


class _OurSignOnFields(WireSchema):
    """What our Workers tell of themselves, at registration and at each sign-on (15.1)."""

    node = Uuid()
    slot = Integer(validate=validate.Range(0, 1023))
    hardware = fields.Nested(HardwareSchema)
    programs = ListOf(fields.Nested(ProgramSchema), most=64)
    features = ListOf(fields.String(validate=SHORT_TEXT), most=64)


@dataclass(frozen=True, slots=True)
class WorkerRegistration:
    """A Worker introduces itself; ``secret`` is the password that it made up."""

    secret: str
    platform: str
    supported_task_types: Sequence[str]
    name: str
    node: str | None = None
    slot: int | None = None
    hardware: Hardware | None = None
    programs: Sequence[Program] | None = None
    features: Sequence[str] = ()
    token: str | None = None


class WorkerRegistrationSchema(_OurSignOnFields):
    record = WorkerRegistration
    secret = fields.String(required=True)
    platform = fields.String(required=True, validate=SHORT_TEXT)
    supported_task_types = ListOf(fields.String(validate=SHORT_TEXT), most=256, required=True)
    name = fields.String(required=True, validate=SHORT_TEXT)
    token = fields.String(validate=SHORT_TEXT)


@dataclass(frozen=True, slots=True)
class RegisteredWorker:
    """What the Manager stored of a new Worker."""

    uuid: str
    name: str
    address: str
    platform: str
    supported_task_types: Sequence[str]
    status: str = ""
    software: str = ""


class RegisteredWorkerSchema(WireSchema):
    record = RegisteredWorker
    uuid = Uuid(required=True)
    name = fields.String(required=True)
    address = fields.String(required=True)
    status = fields.String()
    platform = fields.String(required=True)
    software = fields.String()
    supported_task_types = fields.List(fields.String(), required=True)


@dataclass(frozen=True, slots=True)
class WorkerSignOn:
    """A Worker begins a session."""

    name: str
    supported_task_types: Sequence[str]
    software_version: str
    can_restart: bool = False
    node: str | None = None
    slot: int | None = None
    hardware: Hardware | None = None
    programs: Sequence[Program] | None = None
    features: Sequence[str] = ()


class WorkerSignOnSchema(_OurSignOnFields):
    record = WorkerSignOn
    name = fields.String(required=True, validate=SHORT_TEXT)
    supported_task_types = ListOf(fields.String(validate=SHORT_TEXT), most=256, required=True)
    software_version = fields.String(required=True, validate=SHORT_TEXT)
    can_restart = Boolean()


@dataclass(frozen=True, slots=True)
class WorkerStateChange:
    """The Manager tells a Worker what to be; ``features`` and ``time`` come with the answer to sign-on (15.1)."""

    status_requested: WorkerStatus
    features: Sequence[str] | None = None
    time: datetime | None = None


class WorkerStateChangeSchema(WireSchema):
    record = WorkerStateChange
    status_requested = fields.Enum(WorkerStatus, by_value=True, required=True)
    features = fields.List(fields.String(), allow_none=True)
    time = Timestamp(allow_none=True)


@dataclass(frozen=True, slots=True)
class WorkerStateChanged:
    """A Worker tells what it is now."""

    status: WorkerStatus


class WorkerStateChangedSchema(WireSchema):
    record = WorkerStateChanged
    status = fields.Enum(WorkerStatus, by_value=True, required=True)


@dataclass(frozen=True, slots=True)
class Command:
    """One operation of a task; ``total_step_count`` 0: it reports no steps of its own and counts as one."""

    name: str
    parameters: Mapping[str, Any]
    total_step_count: int = 0

    @property
    def steps(self) -> int:
        """How many steps it adds to its task."""
        return self.total_step_count or 1


class CommandSchema(WireSchema):
    record = Command
    name = fields.String(required=True, validate=SHORT_TEXT)
    parameters = fields.Dict(keys=fields.String(), required=True)
    total_step_count = Integer(validate=validate.Range(min=0))


@dataclass(frozen=True, slots=True)
class SavedFrame:
    """A frame on disk under its final name, opened and found whole.

    ``path`` is absolute, as the Worker sees it; ``sha256`` is of the file; ``width`` and ``height`` are in pixels;
    ``seconds`` is the time it took to render.
    """

    frame: int
    path: str
    size_bytes: int
    sha256: str
    layer: str = ""
    width: int = 0
    height: int = 0
    seconds: float = 0.0


class SavedFrameSchema(WireSchema):
    record = SavedFrame
    frame = Integer(required=True, validate=validate.Range(0, 1_048_574))
    path = fields.String(required=True, validate=validate.Length(max=4096))
    size_bytes = Integer(required=True, validate=validate.Range(min=0))
    sha256 = Sha256(required=True)
    layer = fields.String(validate=SHORT_TEXT)
    width = Integer(validate=validate.Range(0, 1_000_000))
    height = Integer(validate=validate.Range(0, 1_000_000))
    seconds = Number(validate=validate.Range(0, 1e9))


@dataclass(frozen=True, slots=True)
class AssignedTask:
    """A task handed to a Worker. ``frames_done``: what other attempts saved already, and need not be rendered again."""

    uuid: str
    job: str
    name: str
    status: TaskStatus
    priority: int
    job_priority: int
    job_type: str
    task_type: str
    commands: Sequence[Command]
    steps_completed: int
    steps_total: int
    attempt: int | None = None
    deadline_seconds: float | None = None
    frames_done: Sequence[SavedFrame] | None = None


class AssignedTaskSchema(WireSchema):
    record = AssignedTask
    uuid = Uuid(required=True)
    job = Uuid(required=True)
    name = fields.String(required=True)
    status = fields.Enum(TaskStatus, by_value=True, required=True)
    priority = Integer(required=True)
    job_priority = Integer(required=True)
    job_type = fields.String(required=True)
    task_type = fields.String(required=True)
    commands = fields.List(fields.Nested(CommandSchema), required=True)
    steps_completed = Integer(required=True)
    steps_total = Integer(required=True)
    attempt = Integer(allow_none=True)
    deadline_seconds = Number(allow_none=True)
    frames_done = fields.List(fields.Nested(SavedFrameSchema), allow_none=True)


@dataclass(frozen=True, slots=True)
class AssignedTasks:
    """Several tasks at once: the first is to be run now, the others after it (15.6)."""

    tasks: Sequence[AssignedTask]


class AssignedTasksSchema(WireSchema):
    record = AssignedTasks
    tasks = fields.List(fields.Nested(AssignedTaskSchema), required=True, validate=validate.Length(min=1))


@dataclass(frozen=True, slots=True)
class TaskUpdate:
    """What a Worker says of a task; an absent field leaves the stored value alone (section 4, 15.2).

    ``seq`` rises within an attempt, ``log_at`` is the byte offset of ``log`` in the attempt's log, ``frames`` are those
    saved since the update before, and ``result`` comes with the last status.
    """

    task_status: TaskStatus | None = None
    activity: str | None = None
    log: str | None = None
    steps_completed: int | None = None
    attempt: int | None = None
    seq: int | None = None
    log_at: int | None = None
    frames: Sequence[SavedFrame] = ()
    result: Mapping[str, Any] | None = None


class TaskUpdateSchema(WireSchema):
    record: ClassVar[type] = TaskUpdate
    task_status = fields.Enum(TaskStatus, by_value=True, data_key="taskStatus")
    activity = fields.String()
    log = fields.String()
    steps_completed = Integer()
    attempt = Integer(validate=validate.Range(min=1))
    seq = Integer(validate=validate.Range(min=1))
    log_at = Integer(validate=validate.Range(min=0))
    frames = ListOf(fields.Nested(SavedFrameSchema), most=10_000)
    result = fields.Dict(keys=fields.String())

    def load(self, data: Any, **kwargs: Any) -> Any:
        """Load an update; a plain one in a quick way."""
        plain = None if kwargs else plain_update(data)
        return super().load(data, **kwargs) if plain is None else TaskUpdate(**plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchedUpdate(TaskUpdate):
    """One update of a batch; ``at`` is when the Worker said so, by its own clock (15.5)."""

    task: str
    at: datetime | None = None


class BatchedUpdateSchema(TaskUpdateSchema):
    record = BatchedUpdate
    task = Uuid(required=True)
    at = Timestamp()
    task_status = fields.Enum(
        TaskStatus,
        by_value=True,
        data_key="taskStatus",
        validate=validate.OneOf(WORKERS_WORDS, error="A Worker says active, completed or failed."),
    )
    attempt = Integer(required=True, validate=validate.Range(min=1))
    seq = Integer(required=True, validate=validate.Range(min=1))

    def load(self, data: Any, **kwargs: Any) -> Any:
        """Load an update of a batch; a plain one in a quick way."""
        plain = None if kwargs else plain_update(data, is_batched=True)
        return Schema.load(self, data, **kwargs) if plain is None else BatchedUpdate(**plain)


class BatchResult(StrEnum):
    """What became of one update of a batch."""

    APPLIED = "applied"
    REPEATED = "repeated"
    """It, or a newer one of its attempt, was applied before."""
    STALE = "stale"
    """Its attempt is over; its log is kept."""
    UNKNOWN = "unknown"
    """There is no such task."""


@dataclass(frozen=True, slots=True)
class BatchItemResult:
    """What became of the update ``seq`` of a task; results stand in the order of the updates."""

    task: str
    seq: int
    result: BatchResult


class BatchItemResultSchema(WireSchema):
    record = BatchItemResult
    task = Uuid(required=True)
    seq = Integer(required=True)
    result = fields.Enum(BatchResult, by_value=True, required=True)


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """The answer to a batch; ``next`` are tasks to go on with, where the batch ended the last one (15.6)."""

    results: Sequence[BatchItemResult]
    next: Sequence[AssignedTask] | None = None


class BatchAnswerSchema(WireSchema):
    record = BatchAnswer
    results = fields.List(fields.Nested(BatchItemResultSchema), required=True)
    next = fields.List(fields.Nested(AssignedTaskSchema), allow_none=True)


@dataclass(frozen=True, slots=True)
class MayKeepRunning:
    """Whether a Worker may go on with its task, and if not, why."""

    may_keep_running: bool
    reason: str = ""
    status_change_requested: bool = False


class MayKeepRunningSchema(WireSchema):
    record = MayKeepRunning
    may_keep_running = Boolean(required=True, data_key="mayKeepRunning")
    reason = fields.String(required=True)
    status_change_requested = Boolean(required=True, data_key="statusChangeRequested")


@dataclass(frozen=True, slots=True)
class ManagerVersion:
    """What ``GET /api/v3/version`` answers (section 7)."""

    version: str
    shortversion: str
    name: str
    git: str = field(default="")


class ManagerVersionSchema(WireSchema):
    record = ManagerVersion
    version = fields.String(required=True)
    shortversion = fields.String(required=True)
    name = fields.String(required=True)
    git = fields.String(required=True)
