"""Turning jobs into tasks: repeatable, in batches, and nothing that a job type does harms another job."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from server_world import a_job_type

from contracts.server_store import (
    HELLO_TYPE,
    NOON,
    ServerStore,
    a_job,
    cancel,
    linked,
)
from flamenco_core.identifiers import task_id
from flamenco_core.statuses import JobStatus
from flamenco_core.wire.manager_api import Needs, TaskDefinition
from flamenco_server.compiling import SLICE, CannotCompile, Compiled, Compiler, CompileStore, definitions
from flamenco_server.events import Change, InProcessBus
from flamenco_server.job_type_registry import JobTypes, LoadedJobType, load_source
from flamenco_server.records import Job
from flamenco_server.stores.sqlite.store import open_store

MANY = a_job_type("for number in range(1201):\n    yield task(f'task {number}', depends_on=[0] if number else [])")


class InBatches:
    """A store of compiles that tells how big the batches were, and stops for good before batch ``stop_before``."""

    def __init__(self, store: CompileStore, stop_before: int | None = None) -> None:
        self._store = store
        self._stop_before = stop_before
        self.batches: list[int] = []
        self.stopped = asyncio.Event()

    async def add_tasks(self, job_id: str, tasks: Sequence[TaskDefinition]) -> bool:
        if len(self.batches) == self._stop_before:
            self.stopped.set()
            await asyncio.Event().wait()
        self.batches.append(len(tasks))
        return await self._store.add_tasks(job_id, tasks)

    async def uncompiled_jobs(self) -> Sequence[str]:
        return await self._store.uncompiled_jobs()

    async def begin_compile(self, job_id: str) -> Job | None:
        return await self._store.begin_compile(job_id)

    async def finish_compile(self, job_id: str, compiled: Compiled, now: datetime) -> str | None:
        return await self._store.finish_compile(job_id, compiled, now)

    async def fail_compile(self, job_id: str, activity: str, now: datetime) -> bool:
        return await self._store.fail_compile(job_id, activity, now)

    async def job_type_source(self, etag: str) -> tuple[str, str] | None:
        return await self._store.job_type_source(etag)


def loaded(source: str) -> LoadedJobType:
    job_type = load_source(source, "own.py")
    assert job_type is not None
    return job_type


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[ServerStore]:
    failures: list[BaseException] = []
    async with open_store(folder, failures.append) as store:
        yield store
    assert failures == []


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ServerStore]:
    async with opened(tmp_path) as store:
        yield store


async def submitted(store: ServerStore, source: str = MANY, **changes: Any) -> str:
    """Store a job of a studio's own type; no folder has the type any more, so the compiler takes the kept source."""
    job_type = loaded(source)
    job = a_job(type=job_type.type.name, type_etag=job_type.etag, **changes)
    await store.jobs.add_job(job, job_type, None)
    return job.id


def a_compiler(store: CompileStore, bus: InProcessBus | None = None) -> Compiler:
    return Compiler(store, JobTypes(), bus or InProcessBus(), lambda: NOON)


async def stored(store: ServerStore, job_id: str) -> list[tuple[int, str, str]]:
    """Return the index, id and name of every task that is stored."""
    page = await store.reader.tasks(job_id, 10_000, None, None)
    return [(task.index, task.id, task.name) for task in page.items]


def expected(job_id: str) -> list[tuple[int, str, str]]:
    return [(index, task_id(job_id, index), f"task {index}") for index in range(1201)]


def test_the_same_job_makes_the_same_tasks_with_the_same_ids() -> None:
    job = a_job()
    first, second = list(definitions(loaded(MANY), job)), list(definitions(loaded(MANY), job))
    assert first == second
    assert [task.id for task in first] == [task_id(job.id, index) for index in range(1201)]
    other = list(definitions(loaded(MANY), a_job()))
    assert {task.id for task in first}.isdisjoint(task.id for task in other)


def test_a_job_type_sees_the_job_as_it_was_submitted_and_no_more() -> None:
    seen = "{job.name} {job.priority} {job.created:%H:%M} {job.settings} {job.metadata}"
    source = a_job_type(f'yield task(f"{seen}")')
    job = a_job(name="shot", priority=7, settings={"x": 1}, metadata={"project": "p"})
    (task,) = definitions(loaded(source), job)
    assert task.name == "shot 7 12:00 {'x': 1} {'project': 'p'}"


def test_a_task_has_the_needs_that_its_job_type_says() -> None:
    needs = "Needs(tag='gpu', memory_bytes=8, gpu='any', limits={'renderman': 1})"
    source = a_job_type(f"from flamenco_core.wire.definitions import Needs\nyield task(needs={needs})\nyield task()")
    special, plain = definitions(loaded(source), a_job())
    assert special.needs == Needs(tag="gpu", memory_bytes=8, gpu="any", limits={"renderman": 1})
    assert plain.needs == Needs()


async def test_tasks_are_stored_in_batches(store: ServerStore) -> None:
    job_id = await submitted(store)
    batched = InBatches(store.compiles)
    await a_compiler(batched).compile(job_id)
    assert batched.batches == [SLICE, SLICE, 201]
    assert await stored(store, job_id) == expected(job_id)
    assert (await store.reader.job(job_id)).task_count == 1201


async def test_a_compile_that_was_cut_short_begins_again_and_doubles_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        job_id = await submitted(store)
        cut = InBatches(store.compiles, stop_before=2)
        running = asyncio.create_task(a_compiler(cut).run())
        async with asyncio.timeout(20):
            await cut.stopped.wait()
        assert len(await stored(store, job_id)) == 2 * SLICE
        running.cancel()
        await asyncio.wait([running])
    async with opened(tmp_path) as store:  # the next process finds it by itself
        ended = asyncio.Event()
        bus = InProcessBus()
        with bus.listening(lambda change: ended.set()):
            running = asyncio.create_task(a_compiler(store.compiles, bus).run())
            async with asyncio.timeout(20):
                await ended.wait()
            running.cancel()
            await asyncio.wait([running])
        assert await stored(store, job_id) == expected(job_id)
        assert (await store.reader.job(job_id)).task_count == 1201
        lines = b"".join([await store.jobs.task_lines(job_id, after) for after in (-1, 499, 999)])
        assert lines.count(b"\n") == 1201


async def test_a_job_that_is_canceled_half_way_is_compiled_no_further(store: ServerStore) -> None:
    job_id = await submitted(store, a_job_type("number = 0\nwhile True:\n    yield task(f'{number}')\n    number += 1"))
    half = InBatches(store.compiles, stop_before=2)
    running = asyncio.create_task(a_compiler(half).compile(job_id))
    async with asyncio.timeout(20):
        await half.stopped.wait()
    running.cancel()
    await asyncio.wait([running])
    await cancel(store, job_id)
    whole = InBatches(store.compiles)
    async with asyncio.timeout(20):
        await a_compiler(whole).compile(job_id)
    assert whole.batches == []
    assert await stored(store, job_id) == []


async def test_a_cancel_between_two_batches_ends_the_compile(store: ServerStore) -> None:
    job_id = await submitted(store, a_job_type("while True:\n    yield task()"))

    class CancelsAfterTwo(InBatches):
        async def add_tasks(self, job_id: str, tasks: Sequence[TaskDefinition]) -> bool:
            if len(self.batches) == 2:
                await cancel(store, job_id)
            return await super().add_tasks(job_id, tasks)

    batched = CancelsAfterTwo(store.compiles)
    async with asyncio.timeout(20):
        await a_compiler(batched).compile(job_id)
    assert len(batched.batches) == 3
    assert await stored(store, job_id) == []
    assert (await store.reader.job(job_id)).activity == "Canceled by ada"


FAULTS = [
    (
        "raise ValueError('the frames do not fit')\nyield",
        "Own cannot make tasks of these settings: the frames do not fit",
    ),
    ("yield task()\nraise RuntimeError('oops')", "The job type own has a fault: RuntimeError: oops"),
    ("yield task()\n1 / 0", "The job type own has a fault: ZeroDivisionError"),
    ("return\nyield", "make no tasks"),
    ("yield task('a')\nyield task('b', depends_on=[1])", "Task 1 ('b') waits for a task that does not come before it"),
    ("yield task('a', depends_on=[-1])", "Task 0 ('a') waits for"),
    ("yield 'a task'", "The job type own has a fault: AttributeError"),
    ("yield AuthoredTask('a', 'misc', [Command('echo', {'message': Path('/a')})])", "has a fault: TypeError"),
    ("yield AuthoredTask('a', 'misc', [Command('echo', {}, total_step_count='many')])", "has a fault: TypeError"),
    ("yield AuthoredTask('a', 'misc', ['echo'])", "The job type own has a fault"),
    ("yield task(frames='all of them')", "The job type own has a fault"),
    ("yield task(depends_on=7)", "The job type own has a fault"),
    ("yield from job.no_such_thing", "The job type own has a fault: AttributeError"),
]


@pytest.mark.parametrize(("body", "words"), FAULTS)
async def test_a_job_type_with_a_fault_fails_its_job_and_no_other(store: ServerStore, body: str, words: str) -> None:
    manager = await linked(store)
    faulty = await submitted(store, a_job_type(body))
    good = a_job()
    await store.jobs.add_job(good, HELLO_TYPE, None)
    ended: asyncio.Queue[Change] = asyncio.Queue()
    bus = InProcessBus()
    with bus.listening(ended.put_nowait):
        running = asyncio.create_task(a_compiler(store.compiles, bus).run())
        async with asyncio.timeout(20):
            while (await ended.get()) != Change("job", good.id):
                assert not running.done()
        running.cancel()
        await asyncio.wait([running])
    job = await store.reader.job(faulty)
    assert (job.status, job.finished_at) == (JobStatus.FAILED, NOON)
    assert words in job.activity
    assert await stored(store, faulty) == []
    assert (await store.reader.job(good.id)).task_count == 1
    orders = await store.orders.orders_after(manager, 0, 10)
    assert [order.details for order in orders] == [{"job": good.id}]
    assert await store.compiles.uncompiled_jobs() == []


async def test_a_job_is_compiled_by_the_job_type_as_it_was_submitted_with(tmp_path: Path, store: ServerStore) -> None:
    job_id = await submitted(store, a_job_type("yield task('as it was')"))
    folder = tmp_path / "types"
    folder.mkdir()
    (folder / "own.py").write_text(a_job_type("yield task('as it is')"))
    await Compiler(store.compiles, JobTypes(folder), InProcessBus(), lambda: NOON).compile(job_id)
    assert [name for _, _, name in await stored(store, job_id)] == ["as it was"]


async def test_a_job_whose_type_is_lost_says_so(store: ServerStore) -> None:
    job = a_job(type="gone", type_etag="0" * 32)
    await store.jobs.add_job(job, HELLO_TYPE, None)
    await a_compiler(store.compiles).compile(job.id)
    found = await store.reader.job(job.id)
    assert found.status is JobStatus.FAILED
    assert "The job type gone as it was at submission is lost" in found.activity


async def test_who_listens_is_told_of_the_job_and_its_manager_of_the_order(store: ServerStore) -> None:
    manager = await linked(store)
    job_id = await submitted(store)
    changes: list[Change] = []
    bus = InProcessBus()
    with bus.listening(changes.append):
        await a_compiler(store.compiles, bus).compile(job_id)
    assert changes == [Change("order", manager), Change("job", job_id)]


def test_a_job_type_that_never_stops_is_stopped() -> None:
    tasks = definitions(loaded(a_job_type("while True:\n    yield task()")), a_job(), most=700)
    assert len(list(islice(tasks, 700))) == 700
    with pytest.raises(CannotCompile, match="More than 700 tasks"):
        next(tasks)


def test_as_many_tasks_as_are_allowed_are_made() -> None:
    assert len(list(definitions(loaded(MANY), a_job(), most=1201))) == 1201
