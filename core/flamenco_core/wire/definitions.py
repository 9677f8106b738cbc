"""What jobs and tasks are, as Managers fetch them: ``GET jobs/ID`` and ``GET jobs/ID/tasks`` (``manager-api.md``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from marshmallow import fields, validate

from flamenco_core.wire.schema import Boolean, Integer, Number, Sha256, Timestamp, Uuid, WireSchema
from flamenco_core.wire.worker_api import Command, CommandSchema

COMMANDS_MEDIA_TYPE = "application/jsonl"
"""The media type of a stream of tasks: one JSON object a line."""


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
class NeededJob:
    """A job that another one waits for: until it is completed, or until it has ``ended``, however that was."""

    job: str
    ended: bool = False


class NeededJobSchema(WireSchema):
    record = NeededJob
    job = Uuid(required=True)
    ended = Boolean()


@dataclass(frozen=True, slots=True)
class Needs:
    """What a task asks of its Worker and of the farm.

    ``gpu`` is a backend by its name (``OPTIX``), or ``any``; ``limits`` maps each named limit to how much of it
    the task holds while it is active. None says nothing; ``""``, 0 and ``{}`` say that nothing is needed.
    """

    tag: str | None = None
    memory_bytes: int | None = None
    gpu: str | None = None
    limits: Mapping[str, int] | None = None

    def over(self, of_job: "Needs") -> "Needs":
        """Return what a task needs whose job needs ``of_job``: its own wins, what it leaves open is the job's."""
        return Needs(
            tag=of_job.tag if self.tag is None else self.tag,
            memory_bytes=of_job.memory_bytes if self.memory_bytes is None else self.memory_bytes,
            gpu=of_job.gpu if self.gpu is None else self.gpu,
            limits=of_job.limits if self.limits is None else self.limits,
        )


@dataclass(frozen=True, slots=True)
class JobDefinition:
    """A job as its Manager fetches it.

    ``cancel_requested``, ``pause_requested`` and ``deleted`` are what people asked before its Manager had it;
    ``max_workers``: so many at most work on it at a time; ``start_after``: nothing starts before;
    ``task_runtime_limit_s`` and ``task_silence_limit_s``: a task that runs for longer, or is without output for longer,
    has failed. ``submitter_platform`` (``linux``, ``windows``, ``darwin``): its commands name paths as that one does.
    ``tag``, ``memory_bytes``, ``gpu`` and ``limits`` are the ``Needs`` of all its tasks.
    """

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
    pause_requested: bool = False
    deleted: bool = False
    submitter_platform: str = ""
    project: str = ""
    start_paused: bool = False
    start_after: datetime | None = None
    max_workers: int | None = None
    needs_jobs: Sequence[NeededJob] = ()
    task_runtime_limit_s: float | None = None
    task_silence_limit_s: float | None = None
    tag: str | None = None
    memory_bytes: int | None = None
    gpu: str | None = None
    limits: Mapping[str, int] | None = None

    @property
    def needs(self) -> Needs:
        """What its tasks need where they do not say otherwise."""
        return Needs(self.tag, self.memory_bytes, self.gpu, self.limits)


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
    pause_requested = Boolean()
    deleted = Boolean()
    submitter_platform = fields.String(validate=validate.Length(max=64))
    project = fields.String()
    start_paused = Boolean()
    start_after = Timestamp(allow_none=True)
    max_workers = Integer(allow_none=True, validate=validate.Range(min=1))
    needs_jobs = fields.List(fields.Nested(NeededJobSchema))
    task_runtime_limit_s = Number(allow_none=True, validate=validate.Range(min=0))
    task_silence_limit_s = Number(allow_none=True, validate=validate.Range(min=0))
    tag = fields.String(allow_none=True)
    memory_bytes = Integer(allow_none=True, validate=validate.Range(min=0))
    gpu = fields.String(allow_none=True)
    limits = fields.Dict(keys=fields.String(), values=Integer(validate=validate.Range(min=0)), allow_none=True)


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """One line of ``GET jobs/ID/tasks``.

    ``depends_on`` are indexes of lower tasks; ``frames`` is a frame range; ``tag``, ``memory_bytes``, ``gpu`` and
    ``limits`` are its ``Needs``, over those of its job.
    """

    index: int
    id: str
    name: str
    type: str
    commands: Sequence[Command]
    priority: int = 50
    depends_on: Sequence[int] = ()
    frames: str | None = None
    tag: str | None = None
    memory_bytes: int | None = None
    gpu: str | None = None
    limits: Mapping[str, int] | None = None

    @property
    def needs(self) -> Needs:
        """What it needs otherwise than its job."""
        return Needs(self.tag, self.memory_bytes, self.gpu, self.limits)

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
    tag = fields.String(allow_none=True)
    memory_bytes = Integer(allow_none=True, validate=validate.Range(min=0))
    gpu = fields.String(allow_none=True)
    limits = fields.Dict(keys=fields.String(), values=Integer(validate=validate.Range(min=0)), allow_none=True)
