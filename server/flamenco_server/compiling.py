"""Turning jobs into tasks, in the background and repeatably (architecture.md, "Compiling is repeatable").

A compile that was cut short erases what it had stored and starts again; ids of tasks follow from the job and the
task's index, so nothing doubles.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Protocol

import structlog

from flamenco_core.errors import BadInput, FlamencoError
from flamenco_core.identifiers import task_id
from flamenco_core.wire.manager_api import TaskDefinition
from flamenco_runtime.clock import Clock
from flamenco_server.events import Change, EventBus
from flamenco_server.job_type import AuthoredTask, JobToCompile
from flamenco_server.job_type_registry import JobTypes, LoadedJobType, UnknownJobType, load_source
from flamenco_server.records import Job

log = structlog.get_logger()

MOST_TASKS = 1_000_000
"""The cap on tasks of a job."""
SLICE = 500
"""Tasks that are stored at once: compressed together, in a transaction of their own."""


class CannotCompile(BadInput):
    """A job type that does not make tasks of a job; the message becomes the job's activity."""

    type = "cannot-compile"


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a finished compile says of its job."""

    task_count: int
    steps_total: int


class CompileStore(Protocol):
    """Compiles, on disk. Each method is one step; those that return False found the job cancelled or ended."""

    async def uncompiled_jobs(self) -> Sequence[str]:
        """Return the jobs whose compile is not finished, oldest first."""

    async def begin_compile(self, job_id: str) -> Job | None:
        """Erase what an earlier compile stored; return the job, None if it is not to be compiled any more."""

    async def add_tasks(self, job_id: str, tasks: Sequence[TaskDefinition]) -> bool:
        """Store consecutive tasks."""

    async def finish_compile(self, job_id: str, compiled: Compiled, now: datetime) -> str | None:
        """Issue the job to a Manager, or leave it waiting for one; returns the Manager's id, None without."""

    async def fail_compile(self, job_id: str, activity: str, now: datetime) -> bool:
        """Erase what was stored of its tasks, and make the job ``failed``."""

    async def job_type_source(self, etag: str) -> tuple[str, str] | None:
        """Return the name and the source of a job type as it was submitted with."""


class Compiler:
    """Compiles one job after another, for as long as it runs."""

    def __init__(self, store: CompileStore, job_types: JobTypes, bus: EventBus, clock: Clock) -> None:
        self._store = store
        self._job_types = job_types
        self._bus = bus
        self._clock = clock
        self._waiting: asyncio.Queue[str] = asyncio.Queue()

    def compile_soon(self, job_id: str) -> None:
        """Put a job in line."""
        self._waiting.put_nowait(job_id)

    async def run(self) -> None:
        """Compile what an earlier process left behind, then what comes."""
        for job_id in await self._store.uncompiled_jobs():
            self.compile_soon(job_id)
        while True:
            await self.compile(await self._waiting.get())

    async def compile(self, job_id: str) -> None:
        """Compile a job from nothing; what goes wrong is told by the job itself."""
        job = await self._store.begin_compile(job_id)
        if job is None:
            return
        try:
            await self._compile(job)
        except FlamencoError as error:
            log.warning("job cannot be compiled", job=job_id, type=job.type, why=str(error))
            await self._store.fail_compile(job_id, str(error), self._clock())
        except Exception as error:  # whatever a job type does or yields: this job fails, and the next is compiled
            log.exception("job type failed", job=job_id, type=job.type)
            why = f"The job type {job.type} has a fault: {type(error).__name__}: {error}"
            await self._store.fail_compile(job_id, why, self._clock())
        self._bus.publish([Change("job", job_id)])

    async def _compile(self, job: Job) -> None:
        loaded = await self._job_type(job)
        tasks = definitions(loaded, job)
        count, steps = 0, 0
        while batch := await asyncio.to_thread(_next_slice, tasks):
            count += len(batch)
            steps += sum(task.steps_total for task in batch)
            if not await self._store.add_tasks(job.id, batch):
                return
        if count == 0:
            raise CannotCompile("These settings make no tasks: there is nothing to do.")
        manager = await self._store.finish_compile(job.id, Compiled(count, steps), self._clock())
        log.info("job compiled", job=job.id, type=job.type, tasks=count)
        if manager is not None:
            self._bus.publish([Change("order", manager)])

    async def _job_type(self, job: Job) -> LoadedJobType:
        """Return the job type as it was when the job was submitted. Raises CannotCompile."""
        try:
            present = await self._job_types.get(job.type)
        except UnknownJobType:
            present = None
        if present is not None and present.etag == job.type_etag:
            return present
        kept = await self._store.job_type_source(job.type_etag)
        loaded = await asyncio.to_thread(load_source, kept[1], f"{kept[0]}.py") if kept else None
        if loaded is None:
            raise CannotCompile(f"The job type {job.type} as it was at submission is lost; submit the job again.")
        return loaded


def definitions(loaded: LoadedJobType, job: Job, *, most: int = MOST_TASKS) -> Iterator[TaskDefinition]:
    """Yield the tasks of a job, ``most`` of them at most: a pure function of the job and its type's source.

    Raises CannotCompile, or whatever a job type with a fault raises.
    """
    to_compile = JobToCompile(
        id=job.id,
        name=job.name,
        priority=job.priority,
        created=job.created_at,
        settings=job.settings,
        metadata=job.metadata,
        files=frozenset(file.path for file in job.files),
    )
    for index, authored in enumerate(_authored(loaded, to_compile)):
        if index >= most:
            raise CannotCompile(f"More than {most} tasks: put more into each task, or make several jobs.")
        yield _definition(job.id, index, authored)


def _authored(loaded: LoadedJobType, job: JobToCompile) -> Iterator[AuthoredTask]:
    """Run the job type's generator; what it says is wrong with the settings becomes a message for people."""
    try:
        yield from loaded.type.compile(job)
    except ValueError as error:
        raise CannotCompile(f"{loaded.type.label} cannot make tasks of these settings: {error}") from error


def _definition(job_id: str, index: int, authored: AuthoredTask) -> TaskDefinition:
    if any(not 0 <= dependency < index for dependency in authored.depends_on):
        raise CannotCompile(f"Task {index} ({authored.name!r}) waits for a task that does not come before it.")
    return TaskDefinition(
        index=index,
        id=task_id(job_id, index),
        name=authored.name,
        type=authored.type,
        commands=authored.commands,
        priority=authored.priority,
        depends_on=list(authored.depends_on),
        frames=str(authored.frames) if authored.frames else None,
        tag=authored.needs.tag,
        memory_bytes=authored.needs.memory_bytes,
        gpu=authored.needs.gpu,
        limits=authored.needs.limits,
    )


def _next_slice(tasks: Iterator[TaskDefinition]) -> list[TaskDefinition]:
    return list(islice(tasks, SLICE))
