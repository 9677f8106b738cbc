"""How a submitted job comes in: its definition, its tasks as a stream, its files; only then can it run.

Each step is stored before the next, so that it goes on after a restart where it stopped.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import structlog

from flamenco_core.errors import BadInput, FlamencoError, NotFound, Unavailable
from flamenco_core.frames import BadFrames, parse_frames
from flamenco_core.identifiers import task_ids
from flamenco_core.statuses import JobStatus
from flamenco_core.wire.manager_api import JobDefinition, JobFile, TaskDefinition
from flamenco_core.wire.schema import LARGEST_INTEGER
from flamenco_manager import checkout, job_rules
from flamenco_manager.blobs import Blobs
from flamenco_manager.farm import Farm
from flamenco_manager.farm_variables import FarmVariables
from flamenco_manager.foreman import Foreman
from flamenco_manager.model import Job, Moment, Task
from flamenco_manager.refusals import check_is_final
from flamenco_manager.stores.farm_store import Also
from flamenco_manager.task_rules import link
from flamenco_manager.waiting import JobState, still_hold
from flamenco_runtime import garbage
from flamenco_runtime.http_client import pauses

log = structlog.get_logger()

AT_ONCE = 4
"""So many jobs come in side by side; a small one need not wait for a huge one."""
MOST_TASKS = 1_000_000
LISTED_AT_ONCE = 5_000
"""So many tasks of a job become ready in one go: everybody else waits that long."""
SLICES_TOLD = 10
"""How far a job has come is told once in so many slices of its tasks: to tell costs as much as to store one."""


class BadJob(BadInput):
    """The job cannot run, whoever tries; the message says why."""

    type = "bad-job"


class Source(Protocol):
    """Where jobs come from."""

    async def job(self, job_id: str) -> JobDefinition:
        """Fetch a job's definition. Raises NotFound when it is gone."""

    def tasks(self, job_id: str, first: int) -> AsyncIterator[Sequence[TaskDefinition]]:
        """Stream a job's tasks from an index on, some at a time: nobody else gets a turn while those are looked at."""

    def blob(self, sha256: str) -> AsyncIterator[bytes]:
        """Stream the contents of a file. Raises NotFound when it is gone."""


class Store(Protocol):
    """Where what has come is kept."""

    async def definition(self, job: Job) -> JobDefinition | None:
        """Return the definition that was fetched of a job."""

    async def keep_definition(self, job: Job, definition: JobDefinition) -> None:
        """Store the definition of a job."""

    async def tasks_stored(self, job: Job) -> int:
        """Return how many of a job's tasks are here."""

    def keep_tasks(self, job: Job, tasks: Sequence[TaskDefinition]) -> "asyncio.Future[None]":
        """Store the next tasks of a job: a whole slice, or its last tasks; the future waits for the disk."""


class TaskStore(Protocol):
    """Where a job's tasks are read from, once they are all there."""

    async def tasks_of(self, job: Job, farm: Farm, now: Moment) -> list[Task]:
        """Read all tasks of a job, in order."""

    async def states_of(self, job_ids: Sequence[str]) -> dict[str, JobState]:
        """Return how jobs stand that have left memory."""


class Space(Protocol):
    """How much room there is for new jobs."""

    @property
    def missing(self) -> str | None:
        """Say what is missing; None: there is enough."""

    async def looked(self) -> None:
        """Wait until somebody has looked again."""


class Results(Protocol):
    """Where it is noted what became of the order that submitted a job."""

    def submission_result(self, job: str, result: str, why: str = "") -> Also:
        """Make the part of a transaction that notes it."""


class Arrivals:
    """Brings in every job that is under construction."""

    def __init__(
        self,
        foreman: Foreman,
        store: Store,
        tasks: TaskStore,
        results: Results,
        blobs: Blobs,
        jobs_folder: Path,
        variables: FarmVariables,
        slice_tasks: int,
        space: Space,
    ) -> None:
        self._foreman = foreman
        self._store = store
        self._tasks = tasks
        self._results = results
        self._blobs = blobs
        self._jobs_folder = jobs_folder
        self._variables = variables
        self._slice_tasks = slice_tasks
        self._space = space
        self._waiting: asyncio.PriorityQueue[tuple[bool, int, Job]] = asyncio.PriorityQueue()
        """Jobs that had ended before this store was lost come last: nobody waits for them."""
        self._numbers = itertools.count()
        self._on_their_way: set[str] = set()
        """Jobs, by id, that wait or are being brought in: one that came twice at a time would run twice."""

    def begin(self, job: Job) -> None:
        """Bring in a job as soon as there is room."""
        is_to_come = job.status is JobStatus.UNDER_CONSTRUCTION or _is_over(job)
        if is_to_come and job.id not in self._on_their_way:
            self._on_their_way.add(job.id)
            self._waiting.put_nowait((job.finished_at is not None, next(self._numbers), job))

    async def run(self, source: Source) -> None:
        """Bring jobs in for ever; those that were under construction at the start first.

        It may be cut short and run again: then it begins with those that are still under construction.
        """
        self._waiting, self._on_their_way = asyncio.PriorityQueue(), set()
        for job in self._foreman.farm.jobs.values():
            if job.status is JobStatus.UNDER_CONSTRUCTION:
                self.begin(job)
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._bring_in_for_ever(source))

    async def _bring_in_for_ever(self, source: Source) -> None:
        while True:
            _, _, job = await self._waiting.get()
            await self._bring_in_at_last(source, job)
            self._on_their_way.discard(job.id)

    async def _bring_in_at_last(self, source: Source, job: Job) -> None:
        """Bring a job in, however often that must be tried."""
        for pause_s in pauses():
            try:
                await self._bring_in(source, job)
                break
            except (Unavailable, OSError) as error:
                log.warning("job cannot be fetched yet", job=job.id, error=str(error))
                await self._say(job, f"Fetching the job does not work yet: {error}")
                await asyncio.sleep(pause_s)

    async def _bring_in(self, source: Source, job: Job) -> None:
        """Take a job as far as it goes. Raises Unavailable and OSError for what may work later."""
        try:
            await self._wait_for_room(job)
            if _is_over(job):
                await self._start(job)
                return
            definition = await self._definition(source, job)
            await self._fetch_tasks(source, job, definition)
            await self._fetch_files(source, job, definition.files)
            if not _is_over(job):
                await self._lay_out(job, definition.files)
            await self._start(job)
        except NotFound:
            await self._give_up(job, "dropped", "The job is gone from the Server.")
        except FlamencoError as error:
            check_is_final(error)
            await self._give_up(job, "done", str(error))

    async def _start(self, job: Job) -> None:
        farm = self._foreman.farm
        tasks = [] if _is_over(job) else await self._tasks.tasks_of(job, farm, self._foreman.now())
        links = await asyncio.to_thread(link, tasks)
        others = await self._others(job)
        if not _is_over(job):
            job_rules.begin(farm, job, tasks, links, self._foreman.now(), others)
            job_rules.list_ready(farm, tasks[:LISTED_AT_ONCE])
            log.info("job ready", job=job.id, tasks=len(tasks))
        listed = LISTED_AT_ONCE
        try:
            await self._foreman.settle(also=self._results.submission_result(job.id, "done"))
            while listed < len(tasks):
                job_rules.list_ready(farm, tasks[listed : listed + LISTED_AT_ONCE])
                listed += LISTED_AT_ONCE
                garbage.keep()  # so many stay for long
                await self._foreman.settle()
                await asyncio.sleep(0)
        finally:  # cut short, since the link is made anew: nobody would list the rest
            job_rules.list_ready(farm, tasks[listed:])

    async def _others(self, job: Job) -> dict[str, JobState]:
        """Return how the jobs stand that a job waits for, also those that leave memory while we ask."""
        needed = [needed.id for needed in job.needs_jobs]
        while not still_hold(self._foreman.farm, others := await self._tasks.states_of(needed)):
            log.debug("a job ended while it was looked up", waiting=job.id)
        return others

    async def _definition(self, source: Source, job: Job) -> JobDefinition:
        definition = await self._store.definition(job)
        if definition is None:
            definition = await source.job(job.id)
            checkout.check_manifest(definition.files)
            await self._store.keep_definition(job, definition)
        if not _is_over(job):
            job_rules.define(self._foreman.farm, job, definition)
            if definition.cancel_requested or definition.deleted:
                job_rules.cancel(self._foreman.farm, job, self._foreman.now())
        await self._foreman.settle()
        return definition

    async def _fetch_tasks(self, source: Source, job: Job, definition: JobDefinition) -> None:
        stored = await self._store.tasks_stored(job)
        if stored >= definition.task_count or _is_over(job):
            return
        id_of = task_ids(job.id)
        slices = _Slices(self._store, job)
        try:
            async for tasks in source.tasks(job.id, stored):
                for task in tasks:
                    _check_task(id_of, definition, task, stored)
                    slices.waiting.append(self._adopted(task, definition.submitter_platform))
                    stored += 1
                    if stored % self._slice_tasks == 0:
                        await slices.keep()
                    if stored % (self._slice_tasks * SLICES_TOLD) == 0:
                        await self._say(job, f"Fetching tasks: {stored} of {definition.task_count}")
                if _is_over(job):
                    return
            if stored < definition.task_count:
                raise Unavailable(f"only {stored} of {definition.task_count} tasks came.")
            await slices.keep()
        finally:
            await slices.kept()

    def _adopted(self, task: TaskDefinition, platform: str) -> TaskDefinition:
        """Have a task of a submitter's platform name paths as this site does."""
        commands = self._variables.submitted(task.commands, platform)
        return task if commands is task.commands else replace(task, commands=commands)

    async def _fetch_files(self, source: Source, job: Job, files: Sequence[JobFile]) -> None:
        wanted = list(dict.fromkeys(file.sha256 for file in files))
        for number, sha256 in enumerate(wanted, start=1):
            if _is_over(job):
                return
            if await self._blobs.has(sha256):
                continue
            await self._wait_for_room(job)
            await self._say(job, f"Fetching files: {number} of {len(wanted)}")
            try:
                await self._blobs.keep(sha256, source.blob(sha256))
            except NotFound as error:
                names = [file.path for file in files if file.sha256 == sha256]
                raise BadJob(f"The Server does not have the file {names[0]!r}; submit the job again.") from error

    async def _wait_for_room(self, job: Job) -> None:
        """Let a job wait while the disk is nearly full: what is at work must still be stored."""
        while (missing := self._space.missing) is not None and not _is_over(job):
            await self._say(job, f"Waits for disk space: {missing}")
            await self._space.looked()

    async def _lay_out(self, job: Job, files: Sequence[JobFile]) -> None:
        await self._say(job, "Laying out the files")
        await asyncio.to_thread(checkout.lay_out, self._jobs_folder / job.id, files, self._blobs)

    async def _give_up(self, job: Job, result: str, why: str) -> None:
        log.warning("job dropped", job=job.id, why=why)
        if not _is_over(job):
            job_rules.fail_before_start(self._foreman.farm, job, why, self._foreman.now())
        await self._foreman.settle(also=self._results.submission_result(job.id, result, why))

    async def _say(self, job: Job, activity: str) -> None:
        if not _is_over(job):
            job_rules.say(self._foreman.farm, job, activity)
            await self._foreman.settle()


class _Slices:
    """Keeps the tasks of a job slice by slice: while one is on its way to the disk, the next one is read."""

    def __init__(self, store: Store, job: Job) -> None:
        self._store = store
        self._job = job
        self._on_its_way: asyncio.Future[None] | None = None
        self.waiting: list[TaskDefinition] = []

    async def keep(self) -> None:
        """Store the tasks that wait, once those before them are on disk; somebody else gets a turn meanwhile."""
        await self.kept()
        if self.waiting:
            self._on_its_way, self.waiting = self._store.keep_tasks(self._job, self.waiting), []
        await asyncio.sleep(0)

    async def kept(self) -> None:
        """Wait until all that was to be kept is on disk."""
        if self._on_its_way is not None:
            await asyncio.shield(self._on_its_way)


def _is_over(job: Job) -> bool:
    """Tell whether somebody cancelled the job meanwhile."""
    return job.status.is_ended


def _check_task(id_of: Callable[[int], str], definition: JobDefinition, task: TaskDefinition, index: int) -> None:
    """Refuse what would break the farm's own order. Raises BadJob."""
    if task.index != index or index >= min(definition.task_count, MOST_TASKS):
        raise BadJob(f"The Server sent task {task.index} of {definition.task_count} where task {index} was due.")
    if task.id != id_of(index):
        raise BadJob(f"Task {index} has the id {task.id}; it should be {id_of(index)}.")
    if task.depends_on and any(dependency >= index for dependency in task.depends_on):
        raise BadJob(f"Task {index} ({task.name!r}) waits for a task that comes after it.")
    if task.steps_total > LARGEST_INTEGER:
        raise BadJob(f"Task {index} ({task.name!r}) has more steps than can be counted.")
    try:
        if task.frames is not None:
            parse_frames(task.frames)
    except BadFrames as error:
        raise BadJob(f"Task {index} ({task.name!r}) has bad frames: {error}") from error
