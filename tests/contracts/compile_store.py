"""What every engine promises of compiles (``CompileStore``), and of whom a job goes to."""

import asyncio

import pytest

from contracts.server_store import (
    HELLO_TYPE,
    NOON,
    Engine,
    ServerStore,
    StoreContract,
    a_job,
    at,
    cancel,
    compiled,
    linked,
    submitted,
    tasks_of,
)
from flamenco_core.identifiers import new_id
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_server.compiling import Compiled


class CompileStoreContract(StoreContract):
    async def test_what_is_not_compiled_is_told_oldest_first(self, engine: Engine) -> None:
        async with engine() as store:
            first, done, failed, canceled, begun, last = [await submitted(store) for _ in range(6)]
            await store.compiles.begin_compile(done)
            await store.compiles.add_tasks(done, tasks_of(done, 1))
            await store.compiles.finish_compile(done, Compiled(1, 2), NOON)
            await store.compiles.fail_compile(failed, "no", NOON)
            await cancel(store, canceled)
            await store.compiles.begin_compile(begun)
            await store.compiles.add_tasks(begun, tasks_of(begun, 1))
        async with engine() as store:
            assert await store.compiles.uncompiled_jobs() == [first, begun, last]

    async def test_a_compile_begins_from_nothing(self, store: ServerStore) -> None:
        job_id = await submitted(store)
        for count in (3, 2):  # the first was cut short
            job = await store.compiles.begin_compile(job_id)
            assert job is not None
            assert (await store.reader.tasks(job_id, 10, None, None)).items == []
            assert await store.compiles.add_tasks(job_id, tasks_of(job_id, count))
        await store.compiles.finish_compile(job_id, Compiled(2, 4), NOON)
        assert [task.index for task in (await store.reader.tasks(job_id, 10, None, None)).items] == [0, 1]
        assert (await store.jobs.task_lines(job_id, -1)).count(b"\n") == 2

    async def test_a_compile_is_given_the_job_with_its_files(self, store: ServerStore) -> None:
        job_id = await submitted(store)
        assert await store.compiles.begin_compile(job_id) == await store.jobs.job(job_id)

    async def test_tasks_begin_as_queued_with_what_was_defined(self, store: ServerStore) -> None:
        job_id = await compiled(store, frames=["1-5:2", "7"])
        first, second = (await store.reader.tasks(job_id, 10, None, None)).items
        assert (first.status, first.attempt, first.frames) == (TaskStatus.QUEUED, 0, "1-5:2")
        assert (second.name, second.type, second.priority, second.steps_total) == ("task 1", "misc", 50, 2)
        assert (second.index, list(second.depends_on), second.worker) == (1, [0], None)

    async def test_a_finished_compile_says_what_the_job_holds(self, store: ServerStore) -> None:
        job_id = await compiled(store, tasks=3)
        job = await store.jobs.job(job_id)
        assert (job.status, job.activity) == (JobStatus.UNDER_CONSTRUCTION, "Waiting for a Manager")
        assert (job.task_count, job.counts, job.steps_total, job.manager_id) == (3, {"queued": 3}, 6, None)

    async def test_a_job_is_issued_with_its_compiles_last_step(self, store: ServerStore) -> None:
        manager = await linked(store, "site")
        job_id = await compiled(store)
        job = await store.jobs.job(job_id)
        assert (job.manager_id, job.manager_name, job.activity) == (manager, "site", "Manager site fetches it")
        assert job.status is JobStatus.UNDER_CONSTRUCTION
        (order,) = await store.orders.orders_after(manager, 0, 10)
        assert (order.kind, order.details, order.asked_by) == ("job.submit", {"job": job_id}, "ada")

    async def test_a_compile_ends_once(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id = await compiled(store)
        assert await store.compiles.begin_compile(job_id) is None
        assert await store.compiles.add_tasks(job_id, tasks_of(job_id, 1, first=2)) is False
        assert await store.compiles.finish_compile(job_id, Compiled(9, 9), NOON) is None
        assert await store.compiles.fail_compile(job_id, "no", NOON) is False
        job = await store.jobs.job(job_id)
        assert (job.task_count, job.status) == (2, JobStatus.UNDER_CONSTRUCTION)
        assert len(await store.orders.orders_after(manager, 0, 10)) == 1

    async def test_a_job_goes_to_the_oldest_manager_that_is_in_touch(self, store: ServerStore) -> None:
        await linked(store, "third", added=at(3), seen=at(120))
        await linked(store, "away", added=at(1), seen=NOON)
        second = await linked(store, "second", added=at(2), seen=at(100))
        job_id = await submitted(store)
        await store.compiles.begin_compile(job_id)
        assert await store.compiles.finish_compile(job_id, Compiled(1, 1), at(130)) == second

    async def test_a_manager_that_is_away_is_better_than_none(self, store: ServerStore) -> None:
        away = await linked(store, "away", seen=NOON)
        await store.managers.add_manager(new_id(), "never said hello", "sha256", NOON)
        job_id = await submitted(store)
        await store.compiles.begin_compile(job_id)
        assert await store.compiles.finish_compile(job_id, Compiled(1, 1), at(10_000)) == away

    async def test_a_job_that_was_canceled_meanwhile_is_not_compiled(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id = await submitted(store)
        await store.compiles.begin_compile(job_id)
        await cancel(store, job_id)
        assert await store.compiles.add_tasks(job_id, tasks_of(job_id, 2)) is False
        assert await store.compiles.finish_compile(job_id, Compiled(2, 4), NOON) is None
        assert await store.compiles.fail_compile(job_id, "no", NOON) is False
        assert await store.compiles.begin_compile(job_id) is None
        job = await store.jobs.job(job_id)
        assert (job.status, job.activity, job.manager_id) == (JobStatus.CANCELED, "Canceled by ada", None)
        assert (await store.reader.tasks(job_id, 10, None, None)).items == []
        assert await store.orders.orders_after(manager, 0, 10) == []

    async def test_a_failed_compile_leaves_no_tasks_and_says_why(self, store: ServerStore) -> None:
        job_id = await submitted(store)
        await store.compiles.begin_compile(job_id)
        await store.compiles.add_tasks(job_id, tasks_of(job_id, 2))
        assert await store.compiles.fail_compile(job_id, "There is nothing to do.", at(5)) is True
        job = await store.jobs.job(job_id)
        assert (job.status, job.activity, job.finished_at) == (JobStatus.FAILED, "There is nothing to do.", at(5))
        assert (await store.reader.tasks(job_id, 10, None, None)).items == []
        assert await store.jobs.task_lines(job_id, -1) == b""

    async def test_an_unknown_job_is_not_compiled(self, store: ServerStore) -> None:
        assert await store.compiles.begin_compile(new_id()) is None

    async def test_the_source_of_a_job_type_is_kept_by_its_etag(self, engine: Engine) -> None:
        async with engine() as store:
            await submitted(store)
            await submitted(store)
        async with engine() as store:
            assert await store.compiles.job_type_source(HELLO_TYPE.etag) == ("hello", HELLO_TYPE.source)
            assert await store.compiles.job_type_source("0" * 32) is None

    @pytest.mark.parametrize("cancels_first", [True, False])
    async def test_a_cancel_and_the_end_of_a_compile_at_once_leave_no_job_that_is_lost(
        self, store: ServerStore, cancels_first: bool
    ) -> None:
        manager = await linked(store)
        job = a_job()
        await submitted(store, job)
        await store.compiles.begin_compile(job.id)
        await store.compiles.add_tasks(job.id, tasks_of(job.id, 1))
        steps = [
            cancel(store, job.id),
            store.compiles.finish_compile(job.id, Compiled(1, 2), NOON),
        ]
        await asyncio.gather(*(steps if cancels_first else reversed(steps)))
        kinds = [order.kind for order in await store.orders.orders_after(manager, 0, 10)]
        status = (await store.jobs.job(job.id)).status
        assert (status, kinds) in [
            (JobStatus.CANCELED, []),
            (JobStatus.CANCEL_REQUESTED, ["job.submit", "job.cancel"]),
        ]
