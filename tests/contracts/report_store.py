"""What every engine promises of reports (``ReportStore``; manager-api.md, "Reports")."""

import asyncio
from typing import Any

import pytest

from contracts.server_store import (
    NOON,
    Engine,
    Reporter,
    ServerStore,
    StoreContract,
    a_report,
    at,
    cancel,
    compiled,
    frame_report,
    job_report,
    linked,
    task_report,
    worker_report,
)
from flamenco_core.identifiers import new_id, task_id
from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.manager_api import FailedAttempt, OrderResult, Rev
from flamenco_core.wire.worker_api import Gpu, Hardware, Program
from flamenco_server.events import Change
from flamenco_server.reports import ReportGap, ReportsDiffer

BEYOND_64_BITS = 2**70
"""What no engine can store: it makes applying a report fail half-way."""


async def everything(store: ServerStore, job_id: str) -> Any:
    """Return all that reports change."""
    return (
        await store.reader.job(job_id),
        (await store.reader.tasks(job_id, 100, None, None)).items,
        await store.reader.frames(job_id),
        await store.reader.workers(),
    )


class ReportStoreContract(StoreContract):
    async def test_tasks_that_never_came_to_their_manager_end_with_their_job(self, store: ServerStore) -> None:
        manager = await linked(store, "site")
        job_id = await compiled(store, frames=["1-2", "3"])
        reporter = Reporter()
        report = job_report(job_id, reporter.rev(), status=JobStatus.CANCELED, counts={})
        await store.reports.apply_report(manager, reporter.next(jobs=[report]), at(5))
        tasks = (await store.reader.tasks(job_id, 100, None, None)).items
        assert {task.status for task in tasks} == {TaskStatus.CANCELED}
        assert (await store.reader.job(job_id)).counts == {"canceled": len(tasks)}

    async def test_a_report_changes_what_it_names_and_says_what_that_was(self, store: ServerStore) -> None:
        manager = await linked(store, "site")
        job_id = await compiled(store, frames=["1-2", "3"])
        worker_id, reporter = new_id(), Reporter()
        worker = worker_report(
            worker_id,
            reporter.rev(),
            status_requested=WorkerStatus.ASLEEP,
            current_task=task_id(job_id, 0),
            last_seen=at(3),
            node=new_id(),
            slot=1,
            hardware=Hardware(8, 2**34, [Gpu("CUDA", "RTX", 2**33)]),
            programs=[Program("blender", "4.5", "/opt/blender")],
        )
        task = task_report(
            job_id,
            0,
            reporter.rev(),
            attempt=3,
            worker=worker_id,
            worker_name="node-01",
            failed_by=[FailedAttempt("node-02", "no camera")],
            result={"device": "CPU", "seconds": 1.5},
            started_at=at(1),
        )
        counts = {"active": 1, "queued": 1}
        job = job_report(job_id, reporter.rev(), counts=counts, steps_completed=1, started_at=at(1), finished_at=at(9))
        frame = frame_report(job_id, 0, 2, reporter.rev(), width=64, height=36, seconds=0.5)
        report = reporter.next(jobs=[job], tasks=[task], frames=[frame], workers=[worker])
        changes = await store.reports.apply_report(manager, report, at(7))
        assert set(changes) == {
            Change("job", job_id),
            Change("task", task.id, job_id),
            Change("frame", "1", job_id),
            Change("frame", "2", job_id),
            Change("worker", worker_id),
        }

        seen = await store.reader.job(job_id)
        assert (seen.status, seen.activity, seen.counts) == (JobStatus.ACTIVE, "it is active", counts)
        assert (seen.steps_completed, seen.steps_total, seen.frames_done) == (1, 4, 1)
        assert (seen.started_at, seen.finished_at) == (at(1), at(9))
        told = await store.reader.task(task.id)
        for name in ("status", "attempt", "activity", "steps_completed", "worker", "failed_by", "result", "started_at"):
            assert getattr(told, name) == getattr(task, name), name
        first, second, third = await store.reader.frames(job_id)
        assert (second.status, second.path, second.size_bytes) == (TaskStatus.COMPLETED, "/out/000002.png", 1000)
        assert (second.sha256, second.width, second.height, second.seconds) == ("a" * 64, 64, 36, 0.5)
        assert (first.status, first.path) == (TaskStatus.ACTIVE, None)
        assert third.status is TaskStatus.QUEUED
        (met,) = await store.reader.workers()
        assert (met.id, met.manager_id, met.manager_name, met.approved) == (worker_id, manager, "site", True)
        assert (met.status, met.status_requested) == (WorkerStatus.AWAKE, WorkerStatus.ASLEEP)
        assert (met.hardware, met.programs, met.slot) == (worker.hardware, worker.programs, 1)
        assert met.current_task is not None
        assert (met.current_task.name, met.current_task.job_name) == ("task 0", "shot")
        assert (await store.reader.managers())[0].last_seen == at(7)

    async def test_a_number_is_applied_once(self, engine: Engine) -> None:
        reporter = Reporter()
        async with engine() as store:
            manager = await linked(store)
            job_id = await compiled(store)
            first = reporter.next(jobs=[job_report(job_id, reporter.rev())])
            second = reporter.next(jobs=[job_report(job_id, reporter.rev(), JobStatus.COMPLETED)])
            for report in (first, second):
                assert await store.reports.apply_report(manager, report, NOON) == [Change("job", job_id)]
        async with engine() as store:  # also when the process is another one
            before = await everything(store, job_id)
            for report in (second, first):
                assert await store.reports.apply_report(manager, report, at(1)) == []
            assert await everything(store, job_id) == before
            link = await store.managers.link(manager)
            assert (link.last_report, link.last_report_digest) == (2, second.sha256)

    async def test_a_gap_is_refused_with_the_number_that_is_expected(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id = await compiled(store)
        await store.reports.apply_report(manager, a_report(1), NOON)
        before = await everything(store, job_id)
        with pytest.raises(ReportGap) as refused:
            await store.reports.apply_report(manager, a_report(3, jobs=[job_report(job_id, Rev(1, 1))]), NOON)
        assert refused.value.members == {"expected": 2}
        assert await everything(store, job_id) == before
        assert (await store.managers.link(manager)).last_report == 1

    async def test_other_reports_than_those_that_were_applied_are_refused(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id = await compiled(store)
        first = a_report(1)
        await store.reports.apply_report(manager, first, NOON)
        content = {"jobs": [job_report(job_id, Rev(1, 1))]}
        before = await everything(store, job_id)
        for other in (a_report(1, salt="other bytes"), a_report(2, "f" * 64, **content), a_report(2, **content)):
            with pytest.raises(ReportsDiffer):
                await store.reports.apply_report(manager, other, NOON)
        assert await everything(store, job_id) == before
        assert (await store.managers.link(manager)).last_report == 1
        await store.reports.apply_report(manager, a_report(2, first.sha256, **content), NOON)

    async def test_numbers_are_counted_for_each_manager(self, store: ServerStore) -> None:
        one, other = await linked(store, "one"), await linked(store, "other")
        await store.reports.apply_report(one, a_report(1), NOON)
        with pytest.raises(ReportGap):
            await store.reports.apply_report(other, a_report(2), NOON)
        await store.reports.apply_report(other, a_report(1), NOON)

    @pytest.mark.parametrize(
        ("later", "is_newer"),
        [(Rev(1, 5), False), (Rev(1, 4), False), (Rev(1, 6), True), (Rev(2, 1), True), (Rev(0, 9), False)],
    )
    async def test_an_object_changes_only_where_its_rev_is_newer(
        self, store: ServerStore, later: Rev, is_newer: bool
    ) -> None:
        manager = await linked(store)
        job_id = await compiled(store, frames=["1"])
        worker_id, reporter = new_id(), Reporter()

        def content(rev: Rev, status: str, name: str) -> dict[str, Any]:
            return {
                "jobs": [job_report(job_id, rev, JobStatus(status))],
                "tasks": [task_report(job_id, 0, rev, TaskStatus(status))],
                "frames": [frame_report(job_id, 0, 1, rev, path=name)],
                "workers": [worker_report(worker_id, rev, name=name)],
            }

        await store.reports.apply_report(manager, reporter.next(**content(Rev(1, 5), "active", "before")), NOON)
        changes = await store.reports.apply_report(manager, reporter.next(**content(later, "completed", "after")), NOON)
        assert bool([change for change in changes if change.kind != "frame"]) is is_newer
        job, (task,), (frame,), (worker,) = await everything(store, job_id)
        expected = ("completed", "after") if is_newer else ("active", "before")
        assert (job.status, worker.name) == expected
        assert (task.status, frame.path) == expected
        assert (await store.managers.link(manager)).last_report == 2

    async def test_trace_33_a_report_creates_neither_jobs_nor_tasks(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id, unknown, reporter = await compiled(store, frames=["1"]), new_id(), Reporter()
        before = await everything(store, job_id)
        rev = reporter.rev()
        report = reporter.next(
            jobs=[job_report(unknown, rev)],
            tasks=[task_report(unknown, 0, rev), task_report(job_id, 7, rev)],
            frames=[frame_report(unknown, 0, 1, rev), frame_report(job_id, 7, 1, rev)],
        )
        assert await store.reports.apply_report(manager, report, NOON) == []
        assert await everything(store, job_id) == before
        assert len((await store.reader.jobs(10, None, None)).items) == 1
        assert await store.reader.tasks_by_id([task_id(unknown, 0), task_id(job_id, 7)]) == []
        assert (await store.managers.link(manager)).last_report == 1

    async def test_what_belongs_to_another_manager_is_left_alone(self, store: ServerStore) -> None:
        mine = await linked(store, "mine")
        job_id, worker_id, reporter = await compiled(store, frames=["1"]), new_id(), Reporter()
        await store.reports.apply_report(
            mine, reporter.next(workers=[worker_report(worker_id, reporter.rev(), name="mine")]), NOON
        )
        stranger = await linked(store, "stranger")
        before = await everything(store, job_id)
        rev = Rev(9, 9)
        report = a_report(
            1,
            jobs=[job_report(job_id, rev)],
            tasks=[task_report(job_id, 0, rev)],
            frames=[frame_report(job_id, 0, 1, rev)],
            workers=[worker_report(worker_id, rev, name="stolen")],
            orders=[OrderResult(1, "dropped", "mine now")],
        )
        assert await store.reports.apply_report(stranger, report, NOON) == []
        assert await everything(store, job_id) == before

    async def test_a_job_shows_what_was_asked_until_it_has_ended(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id, reporter = await compiled(store), Reporter()
        await cancel(store, job_id)
        for reported, shown in (
            (JobStatus.ACTIVE, JobStatus.CANCEL_REQUESTED),
            (JobStatus.CANCELED, JobStatus.CANCELED),
        ):
            report = reporter.next(jobs=[job_report(job_id, reporter.rev(), reported)])
            await store.reports.apply_report(manager, report, NOON)
            assert (await store.reader.job(job_id)).status is shown

    async def test_a_job_that_completes_although_it_was_canceled_is_completed(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id, reporter = await compiled(store), Reporter()
        await cancel(store, job_id)
        report = reporter.next(jobs=[job_report(job_id, reporter.rev(), JobStatus.COMPLETED)])
        await store.reports.apply_report(manager, report, NOON)
        assert (await store.reader.job(job_id)).status is JobStatus.COMPLETED

    async def test_a_frame_counts_once_however_often_it_is_saved(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id, reporter = await compiled(store, frames=["1-2"]), Reporter()
        for layer, frame in (("", 1), ("glow", 1), ("", 1), ("", 2)):
            report = reporter.next(frames=[frame_report(job_id, 0, frame, reporter.rev(), layer=layer)])
            await store.reports.apply_report(manager, report, NOON)
        assert (await store.reader.job(job_id)).frames_done == 2
        frames = await store.reader.frames(job_id)
        assert [(frame.frame, frame.layer) for frame in frames] == [(1, ""), (1, "glow"), (2, "")]


class OrderResultContract(StoreContract):
    @pytest.fixture
    async def manager(self, store: ServerStore) -> str:
        return await linked(store, "site")

    @pytest.fixture
    async def job_id(self, store: ServerStore, manager: str) -> str:
        return await compiled(store)

    async def test_a_job_that_its_manager_drops_has_failed_and_says_why(
        self, store: ServerStore, manager: str, job_id: str
    ) -> None:
        report = a_report(1, orders=[OrderResult(1, "dropped", "no room")])
        assert await store.reports.apply_report(manager, report, at(4)) == [Change("job", job_id)]
        job = await store.reader.job(job_id)
        assert (job.status, job.finished_at) == (JobStatus.FAILED, at(4))
        assert "no room" in job.activity

    async def test_a_cancel_that_was_dropped_is_taken_back(self, store: ServerStore, manager: str, job_id: str) -> None:
        reporter = Reporter()
        report = reporter.next(jobs=[job_report(job_id, reporter.rev(), JobStatus.ACTIVE)])
        await store.reports.apply_report(manager, report, NOON)
        await cancel(store, job_id)
        report = reporter.next(orders=[OrderResult(2, "dropped", "it is deleted")])
        assert await store.reports.apply_report(manager, report, NOON) == [Change("job", job_id)]
        job = await store.reader.job(job_id)
        assert (job.status, job.cancel_requested) == (JobStatus.ACTIVE, False)
        await cancel(store, job_id)  # and so it can be asked again
        assert len(await store.orders.orders_after(manager, 0, 10)) == 3

    async def test_what_was_done_is_asked_no_more_and_what_came_of_it_is_reported(
        self, store: ServerStore, manager: str, job_id: str
    ) -> None:
        await cancel(store, job_id)
        results = [OrderResult(number, "done") for number in (1, 2, 99)]
        assert await store.reports.apply_report(manager, a_report(1, orders=results), NOON) == [Change("job", job_id)]
        job = await store.reader.job(job_id)
        assert (job.status, job.asks, job.refused) == (JobStatus.UNDER_CONSTRUCTION, {}, "")

    async def test_a_result_is_taken_once(self, store: ServerStore, manager: str, job_id: str) -> None:
        reporter = Reporter()
        for results in ([OrderResult(1, "done")], [OrderResult(1, "dropped", "changed my mind")]):
            await store.reports.apply_report(manager, reporter.next(orders=results), NOON)
        assert (await store.reader.job(job_id)).status is JobStatus.UNDER_CONSTRUCTION


class ReportsAtOnceContract(StoreContract):
    """Several processes apply reports of one Manager, early, late and half."""

    async def test_a_report_that_fails_half_way_changes_nothing_and_can_be_sent_again(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id = await compiled(store)
        before, link = await everything(store, job_id), await store.managers.link(manager)
        rev = Rev(1, 1)
        good = {"jobs": [job_report(job_id, rev)], "tasks": [task_report(job_id, 0, rev)]}
        bad = {**good, "tasks": [*good["tasks"], task_report(job_id, 1, rev, attempt=BEYOND_64_BITS)]}
        with pytest.raises(OverflowError):
            await store.reports.apply_report(manager, a_report(1, **bad), at(5))
        assert await everything(store, job_id) == before
        assert await store.managers.link(manager) == link
        await store.reports.apply_report(manager, a_report(1, **good), at(6))
        assert (await store.reader.job(job_id)).status is JobStatus.ACTIVE

    async def test_trace_27_a_process_that_is_late_with_a_report_does_no_harm(self, engine: Engine) -> None:
        reporter = Reporter()
        async with engine() as slow, engine() as quick:
            manager = await linked(slow)
            job_id = await compiled(slow)
            first = reporter.next(jobs=[job_report(job_id, reporter.rev(), JobStatus.ACTIVE)])
            second = reporter.next(jobs=[job_report(job_id, reporter.rev(), JobStatus.COMPLETED)])
            for report in (first, second):
                await quick.reports.apply_report(manager, report, NOON)
            assert await slow.reports.apply_report(manager, first, at(60)) == []
            assert (await slow.reader.job(job_id)).status is JobStatus.COMPLETED
            assert (await slow.managers.link(manager)).last_report == 2

    async def test_two_processes_that_apply_the_same_reports_at_once_apply_each_once(self, engine: Engine) -> None:
        reporter, rounds = Reporter(), 10
        async with engine() as one, engine() as other:
            manager = await linked(one)
            job_id = await compiled(one, frames=[f"1-{rounds}"])
            for frame in range(1, rounds + 1):
                report = reporter.next(frames=[frame_report(job_id, 0, frame, reporter.rev())])
                both = [store.reports.apply_report(manager, report, NOON) for store in (one, other)]
                async with asyncio.timeout(60):
                    results = await asyncio.gather(*both)
                assert sorted(map(bool, results)) == [False, True]
            assert (await other.reader.job(job_id)).frames_done == rounds
