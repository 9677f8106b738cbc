"""What every engine promises of jobs: submitting, cancelling, fetching (``JobStore``, ``ManagerJobStore``)."""

import asyncio

import orjson
import pytest

from contracts.server_store import (
    HELLO_TYPE,
    NOON,
    Engine,
    Reporter,
    ServerStore,
    StoreContract,
    a_job,
    cancel,
    compiled,
    job_report,
    linked,
    submitted,
    tasks_of,
)
from flamenco_core.identifiers import new_id
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_core.wire.manager_api import JobFile, TaskDefinitionSchema
from flamenco_server.job_requests import JobEnded
from flamenco_server.jobs import IdempotencyKeyReused, SubmissionKey
from flamenco_server.reading import NoSuchJob

KEY = SubmissionKey.of("a key", b"body")


class JobStoreContract(StoreContract):
    async def test_a_job_comes_back_as_it_was_submitted(self, store: ServerStore) -> None:
        job = a_job(
            name="Ünïcode 🎬",
            priority=7,
            settings={"frames": "1-3", "fps": 29.97, "preview": True, "count": 3},
            metadata={"project": "Ö", "empty": ""},
            files=[JobFile("a/b.blend", "a" * 64, 5), JobFile("c.png", "b" * 64, 0)],
            frames="1-3",
            frame_count=3,
            output="/out/######",
        )
        stored = (await store.jobs.add_job(job, HELLO_TYPE, None)).job
        found = await store.jobs.job(job.id)
        assert found == stored
        assert (found.number, found.counts, found.task_count) == (1, {}, 0)
        for name in ("id", "name", "type", "type_etag", "status", "priority", "owner", "created_at", "settings"):
            assert getattr(found, name) == getattr(job, name), name
        for name in ("metadata", "files", "frames", "frame_count", "output", "manager_id", "started_at", "finished_at"):
            assert getattr(found, name) == getattr(job, name), name

    async def test_numbers_rise_from_one_job_to_the_next(self, engine: Engine) -> None:
        async with engine() as store:
            found = [(await store.jobs.add_job(a_job(), HELLO_TYPE, None)).job.number for _ in range(3)]
        async with engine() as store:
            found.append((await store.jobs.add_job(a_job(), HELLO_TYPE, None)).job.number)
        assert found == sorted(set(found))

    async def test_a_job_that_is_not_there_is_told_so(self, store: ServerStore) -> None:
        with pytest.raises(NoSuchJob):
            await store.jobs.job(new_id())

    async def test_the_same_key_and_body_are_the_same_job(self, engine: Engine) -> None:
        job = a_job()
        async with engine() as store:
            assert await store.jobs.submitted_with("ada", KEY) is None
            assert not (await store.jobs.add_job(job, HELLO_TYPE, KEY)).is_replay
            again = await store.jobs.add_job(a_job(), HELLO_TYPE, KEY)
            assert (again.job.id, again.is_replay) == (job.id, True)
        async with engine() as store:  # and after a restart
            known = await store.jobs.submitted_with("ada", KEY)
            assert known is not None
            assert known.id == job.id
            assert (await store.jobs.add_job(a_job(), HELLO_TYPE, KEY)).job.id == job.id
            assert len((await store.reader.jobs(10, None, None)).items) == 1

    async def test_one_key_sent_many_times_at_once_makes_one_job(self, store: ServerStore) -> None:
        results = await asyncio.gather(*(store.jobs.add_job(a_job(), HELLO_TYPE, KEY) for _ in range(10)))
        assert len({result.job.id for result in results}) == 1
        assert [result.is_replay for result in results].count(False) == 1
        assert len((await store.reader.jobs(10, None, None)).items) == 1

    async def test_a_key_with_another_body_is_refused_and_stores_nothing(self, store: ServerStore) -> None:
        await store.jobs.add_job(a_job(), HELLO_TYPE, KEY)
        other = SubmissionKey.of(KEY.key, b"another body")
        with pytest.raises(IdempotencyKeyReused):
            await store.jobs.submitted_with("ada", other)
        with pytest.raises(IdempotencyKeyReused):
            await store.jobs.add_job(a_job(), HELLO_TYPE, other)
        assert len((await store.reader.jobs(10, None, None)).items) == 1

    async def test_a_key_is_its_owners_own(self, store: ServerStore) -> None:
        await store.jobs.add_job(a_job(owner="ada"), HELLO_TYPE, KEY)
        other = SubmissionKey.of(KEY.key, b"another body")
        assert not (await store.jobs.add_job(a_job(owner="grace"), HELLO_TYPE, other)).is_replay

    async def test_a_job_that_waits_for_a_manager_is_canceled_at_once(self, store: ServerStore) -> None:
        job_id = await compiled(store, tasks=3)
        job = await cancel(store, job_id)
        assert (job.status, job.activity, job.finished_at) == (JobStatus.CANCELED, "Canceled by ada", NOON)
        assert job.counts == {"canceled": 3}
        tasks = (await store.reader.tasks(job_id, 10, None, None)).items
        assert {task.status for task in tasks} == {TaskStatus.CANCELED}
        manager = await linked(store)
        assert await store.orders.orders_after(manager, 0, 10) == []

    async def test_a_job_that_compiles_is_canceled_at_once_and_leaves_no_tasks(self, store: ServerStore) -> None:
        job_id = await submitted(store)
        await store.compiles.begin_compile(job_id)
        await store.compiles.add_tasks(job_id, tasks_of(job_id, 3))
        job = await cancel(store, job_id)
        assert (job.status, job.counts) == (JobStatus.CANCELED, {})
        assert (await store.reader.tasks(job_id, 10, None, None)).items == []
        assert await store.jobs.task_lines(job_id, -1) == b""

    async def test_a_job_of_a_manager_is_asked_for_once(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id = await compiled(store)
        for _ in range(2):
            job = await cancel(store, job_id)
            assert (job.status, job.cancel_requested) == (JobStatus.CANCEL_REQUESTED, True)
            assert (job.manager_id, job.finished_at) == (manager, None)
        orders = await store.orders.orders_after(manager, 0, 10)
        assert [item.kind for item in orders] == ["job.submit", "job.cancel"]
        assert (orders[1].id, orders[1].details) == (job.asks["state"].order, {"job": job_id})

    @pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED])
    async def test_a_job_that_has_ended_cannot_be_canceled(self, store: ServerStore, status: JobStatus) -> None:
        manager = await linked(store)
        job_id = await compiled(store)
        reporter = Reporter()
        report = reporter.next(jobs=[job_report(job_id, reporter.rev(), status)])
        await store.reports.apply_report(manager, report, NOON)
        with pytest.raises(JobEnded, match=status):
            await cancel(store, job_id)
        assert len(await store.orders.orders_after(manager, 0, 10)) == 1
        assert (await store.jobs.job(job_id)).cancel_requested is False

    async def test_what_is_not_there_cannot_be_canceled(self, store: ServerStore) -> None:
        with pytest.raises(NoSuchJob):
            await cancel(store, new_id())

    async def test_definitions_of_tasks_come_as_lines_in_their_order_from_wherever_one_asks(
        self, store: ServerStore
    ) -> None:
        job_id = await submitted(store)
        await store.compiles.begin_compile(job_id)
        tasks = tasks_of(job_id, 8)
        for start, end in ((0, 3), (3, 4), (4, 8)):
            await store.compiles.add_tasks(job_id, tasks[start:end])
        schema = TaskDefinitionSchema()
        for after in range(-1, 8):
            lines, behind = b"", after
            while piece := await store.jobs.task_lines(job_id, behind):
                assert piece.endswith(b"\n")
                assert behind < 8
                lines += piece
                behind += piece.count(b"\n")
            assert [schema.load(orjson.loads(line)) for line in lines.splitlines()] == tasks[after + 1 :]
