"""What every engine promises of what people ask (``AskStore``): a change and its orders are one step."""

import asyncio

import pytest

from contracts.server_store import (
    ADA,
    NOON,
    Engine,
    Reporter,
    ServerStore,
    StoreContract,
    a_job,
    at,
    compiled,
    job_report,
    linked,
    submitted,
    task_report,
    tasks_of,
    worker_report,
)
from flamenco_core.errors import Conflict
from flamenco_core.identifiers import new_id, task_id
from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.manager_api import OrderResult, Rev
from flamenco_server import job_requests, task_requests, worker_requests
from flamenco_server.asking import Step
from flamenco_server.compiling import Compiled
from flamenco_server.events import Change
from flamenco_server.reading import NoSuchJob, NoSuchTask, NoSuchWorker
from flamenco_server.records import Job, Task, Worker


async def ask(store: ServerStore, job_id: str, verb: str) -> Job:
    """Ask something of a job."""
    return await store.asks.change_job(job_id, lambda job: getattr(job_requests, verb)(job, ADA))


async def kinds(store: ServerStore, manager: str) -> list[str]:
    """Return the kinds of all orders to a Manager."""
    return [order.kind for order in await store.orders.orders_after(manager, 0, 100)]


async def a_worker(store: ServerStore, manager: str, reporter: Reporter) -> str:
    """Have a Manager report a Worker; returns its id."""
    worker_id = new_id()
    report = reporter.next(workers=[worker_report(worker_id, reporter.rev(), approved=False)])
    await store.reports.apply_report(manager, report, NOON)
    return worker_id


async def compiled_now(store: ServerStore, job_id: str) -> None:
    """Compile a job that was submitted."""
    assert await store.compiles.begin_compile(job_id) is not None
    await store.compiles.add_tasks(job_id, tasks_of(job_id, 2))
    await store.compiles.finish_compile(job_id, Compiled(2, 4), NOON)


class JobAskContract(StoreContract):
    async def test_what_is_asked_of_a_job_is_kept_with_its_order(self, engine: Engine) -> None:
        async with engine() as store:
            manager = await linked(store)
            job_id = await compiled(store)
            answered = await ask(store, job_id, "pause")
        async with engine() as store:
            job = await store.jobs.job(job_id)
            assert job == answered
            assert (job.status, job.asked_state) == (JobStatus.PAUSE_REQUESTED, "pause")
            orders = await store.orders.orders_after(manager, 1, 10)
            assert [(order.kind, order.id) for order in orders] == [("job.pause", job.asks["state"].order)]
            (listed,) = (await store.reader.jobs(10, None, None)).items
            assert listed.asks == job.asks

    async def test_all_that_asking_changes_is_kept(self, store: ServerStore) -> None:
        job_id = await submitted(store, a_job(start_paused=True, tag="cpu"))

        def decide(job: Job) -> Step[Job]:
            assert (job.start_paused, job.tag) == (True, "cpu")
            changed = job_requests.change(job, ADA, {"priority": 80, "tag": "gpu"}).object
            return job_requests.resume(changed, ADA)

        await store.asks.change_job(job_id, decide)
        job = await store.jobs.job(job_id)
        assert (job.priority, job.tag, job.start_paused) == (80, "gpu", False)

    async def test_what_is_refused_changes_nothing(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id = await compiled(store)
        before = await store.jobs.job(job_id)

        def refuse(job: Job) -> Step[Job]:
            raise Conflict("no")

        with pytest.raises(Conflict, match="no"):
            await store.asks.change_job(job_id, refuse)
        assert await store.jobs.job(job_id) == before
        assert await kinds(store, manager) == ["job.submit"]

    async def test_many_who_ask_at_once_ask_once(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id = await compiled(store)
        await asyncio.gather(*(ask(store, job_id, "pause") for _ in range(10)))
        assert await kinds(store, manager) == ["job.submit", "job.pause"]

    async def test_several_orders_of_one_step_keep_their_order(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id = await compiled(store)
        wanted = {"priority": 1, "tag": "gpu"}
        await store.asks.change_job(job_id, lambda job: job_requests.change(job, ADA, wanted))
        assert await kinds(store, manager) == ["job.submit", "job.priority", "job.tag"]

    async def test_what_is_not_there_is_told_so(self, store: ServerStore) -> None:
        with pytest.raises(NoSuchJob):
            await ask(store, new_id(), "pause")

    async def test_a_deleted_job_stands_in_the_bin_and_in_no_other_list(self, store: ServerStore) -> None:
        gone, stays = await compiled(store), await compiled(store)
        await ask(store, gone, "delete")
        assert [job.id for job in (await store.reader.jobs(10, None, None)).items] == [stays]
        assert [job.id for job in (await store.reader.jobs(10, None, None, deleted=True)).items] == [gone]
        canceled = JobStatus.CANCELED
        assert (await store.reader.jobs(10, None, canceled)).items == []
        assert [job.id for job in (await store.reader.jobs(10, None, canceled, deleted=True)).items] == [gone]
        assert (await store.jobs.job(gone)).deleted_at == NOON
        await ask(store, gone, "undelete")
        assert [job.id for job in (await store.reader.jobs(10, None, None)).items] == [stays, gone]

    async def test_a_job_that_is_paused_while_it_compiles_is_compiled_and_issued_paused(
        self, store: ServerStore
    ) -> None:
        manager = await linked(store)
        job_id = await submitted(store)
        await ask(store, job_id, "pause")
        assert await store.compiles.uncompiled_jobs() == [job_id]
        await compiled_now(store, job_id)
        job = await store.jobs.job(job_id)
        assert (job.manager_id, job.status, job.start_paused) == (manager, JobStatus.PAUSE_REQUESTED, True)
        assert await kinds(store, manager) == ["job.submit"]

    @pytest.mark.parametrize("result", ["done", "dropped", "expired"])
    async def test_an_answer_settles_what_was_asked(self, store: ServerStore, result: str) -> None:
        manager = await linked(store)
        job_id, reporter = await compiled(store), Reporter()
        await ask(store, job_id, "pause")
        report = reporter.next(
            orders=[OrderResult(2, result, "because")], jobs=[job_report(job_id, reporter.rev(), JobStatus.QUEUED)]
        )
        changes = await store.reports.apply_report(manager, report, NOON)
        assert set(changes) == {Change("job", job_id)}
        job = await store.jobs.job(job_id)
        assert (job.status, job.asks) == (JobStatus.QUEUED, {})
        assert job.refused == ("" if result == "done" else "because")

    async def test_a_managers_priority_and_tag_are_mirrored(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id, reporter = await compiled(store), Reporter()
        said = job_report(job_id, reporter.rev(), priority=9, tag="gpu")
        await store.reports.apply_report(manager, reporter.next(jobs=[said]), NOON)
        job = await store.jobs.job(job_id)
        assert (job.priority, job.tag, job.rev) == (9, "gpu", Rev(1, 1))


class TaskAskContract(StoreContract):
    async def test_what_is_asked_of_a_task_is_kept_with_its_order(self, engine: Engine) -> None:
        async with engine() as store:
            manager = await linked(store)
            job_id, reporter = await compiled(store), Reporter()
            said = [task_report(job_id, 0, reporter.rev(), TaskStatus.FAILED)]
            await store.reports.apply_report(manager, reporter.next(tasks=said), NOON)

            def decide(task: Task, job: Job) -> Step[Task]:
                assert (task.status, job.id) == (TaskStatus.FAILED, job_id)
                return task_requests.requeue(task, job, ADA)

            await store.asks.change_task(task_id(job_id, 0), decide)
        async with engine() as store:
            task = await store.reader.task(task_id(job_id, 0))
            (order,) = await store.orders.orders_after(manager, 1, 10)
            assert (order.kind, order.id) == ("task.requeue", task.asks["state"].order)
            assert order.details == {"task": task.id, "rev": [1, 1]}
            report = reporter.next(orders=[OrderResult(2, "dropped", "requeued meanwhile")])
            assert await store.reports.apply_report(manager, report, NOON) == [Change("task", task.id, job_id)]
            task = await store.reader.task(task.id)
            assert (task.asks, task.refused) == ({}, "requeued meanwhile")

    async def test_a_report_of_a_task_leaves_what_is_asked(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id, reporter = await compiled(store), Reporter()
        await store.asks.change_task(task_id(job_id, 0), lambda task, job: task_requests.pause(task, job, ADA))
        said = [task_report(job_id, 0, reporter.rev())]
        await store.reports.apply_report(manager, reporter.next(tasks=said), NOON)
        task = await store.reader.task(task_id(job_id, 0))
        assert (task.status, list(task.asks)) == (TaskStatus.ACTIVE, ["state"])

    async def test_what_is_not_there_is_told_so(self, store: ServerStore) -> None:
        with pytest.raises(NoSuchTask):
            await store.asks.change_task(new_id(), lambda task, job: task_requests.pause(task, job, ADA))


class WorkerAskContract(StoreContract):
    async def test_what_is_asked_of_a_worker_is_kept_with_its_order(self, engine: Engine) -> None:
        reporter = Reporter()
        async with engine() as store:
            manager = await linked(store)
            worker_id = await a_worker(store, manager, reporter)

            def decide(worker: Worker) -> Step[Worker]:
                return worker_requests.set_tags(worker, ADA, ["gpu"])

            await store.asks.change_worker(worker_id, decide)
        async with engine() as store:
            worker = await store.reader.worker(worker_id)
            (order,) = await store.orders.orders_after(manager, 0, 10)
            assert (order.kind, order.id) == ("worker.tags", worker.asks["tags"].order)
            assert (worker.asks["tags"].value, worker.tags) == (["gpu"], [])
            said = worker_report(worker_id, reporter.rev(), tags=["gpu"])
            report = reporter.next(orders=[OrderResult(1, "done")], workers=[said])
            assert set(await store.reports.apply_report(manager, report, NOON)) == {Change("worker", worker_id)}
            worker = await store.reader.worker(worker_id)
            assert (worker.asks, worker.tags) == ({}, ["gpu"])

    async def test_a_report_of_a_worker_leaves_what_is_asked(self, store: ServerStore) -> None:
        manager, reporter = await linked(store), Reporter()
        worker_id = await a_worker(store, manager, reporter)
        await store.asks.change_worker(worker_id, lambda worker: worker_requests.approve(worker, ADA))
        said = worker_report(worker_id, reporter.rev(), status=WorkerStatus.ASLEEP)
        await store.reports.apply_report(manager, reporter.next(workers=[said]), at(1))
        worker = await store.reader.worker(worker_id)
        assert (worker.status, list(worker.asks)) == (WorkerStatus.ASLEEP, ["approved"])

    async def test_what_is_not_there_is_told_so(self, store: ServerStore) -> None:
        with pytest.raises(NoSuchWorker):
            await store.asks.change_worker(new_id(), lambda worker: worker_requests.approve(worker, ADA))


class AnswerContract(StoreContract):
    async def test_an_answer_can_be_looked_up_once_it_has_come(self, store: ServerStore) -> None:
        manager = await linked(store)
        order = ADA.order("task.why", {"task": new_id()})
        await store.orders.issue(manager, order)
        assert await store.orders.order_answer(order.id) is None
        answer = {"reasons": [{"code": "asleep", "text": "all sleep", "count": 3}]}
        result = OrderResult(1, "done", answer=answer)
        report = Reporter().next(orders=[result])
        assert await store.reports.apply_report(manager, report, NOON) == [Change("answer", order.id)]
        found = await store.orders.order_answer(order.id)
        assert found is not None
        assert (found.result, found.why, found.answer) == ("done", "", answer)

    async def test_a_manager_that_acknowledges_has_not_answered(self, store: ServerStore) -> None:
        manager = await linked(store)
        order = ADA.order("task.why", {"task": new_id()})
        await store.orders.issue(manager, order)
        await store.orders.acknowledge(manager, 1, NOON)
        assert await store.orders.order_answer(order.id) is None
        assert await store.orders.order_answer(new_id()) is None
