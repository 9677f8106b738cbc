"""What every engine promises of what is too old (``BinStore``)."""

from contracts.server_store import (
    ADA,
    HELLO_TYPE,
    NOON,
    Reporter,
    ServerStore,
    StoreContract,
    a_job,
    at,
    compiled,
    frame_report,
    linked,
    tasks_of,
    worker_report,
)
from flamenco_core.identifiers import new_id, task_id
from flamenco_core.statuses import WorkerStatus
from flamenco_core.wire.manager_api import Block, Rev, SleepSchedule, SleepWindow, WorkerState
from flamenco_server import job_requests
from flamenco_server.asking import Asker
from flamenco_server.compiling import Compiled
from flamenco_server.jobs import SubmissionKey
from flamenco_server.task_logs import Attempt


class BinStoreContract(StoreContract):
    async def test_jobs_are_found_by_when_they_were_deleted(self, store: ServerStore) -> None:
        first, second, third = [await compiled(store) for _ in range(3)]
        await store.asks.change_job(first, lambda job: job_requests.delete(job, Asker("ada", at(10))))
        await store.asks.change_job(second, lambda job: job_requests.delete(job, ADA))
        assert await store.bin.deleted_before(at(-1)) == []
        assert await store.bin.deleted_before(at(0)) == [second]
        assert await store.bin.deleted_before(at(9.9)) == [second]
        assert await store.bin.deleted_before(at(10)) == [first, second]
        assert third not in await store.bin.deleted_before(at(99))

    async def test_an_erased_job_leaves_nothing_behind_and_others_alone(self, store: ServerStore) -> None:
        manager, reporter = await linked(store), Reporter()
        key = SubmissionKey.of("key", b"body")
        gone, stays = a_job(), await compiled(store, frames=["1", "2"])
        await store.jobs.add_job(gone, HELLO_TYPE, key)
        await store.compiles.begin_compile(gone.id)
        await store.compiles.add_tasks(gone.id, tasks_of(gone.id, 2, frames="1"))
        await store.compiles.finish_compile(gone.id, Compiled(2, 4), NOON)
        for job_id in (gone.id, stays):
            await store.reports.apply_report(
                manager, reporter.next(frames=[frame_report(job_id, 0, 1, reporter.rev())]), NOON
            )
            await store.thumbnails.note_thumbnail(job_id, 1, NOON)
            await store.logs.note_log(Attempt(task_id(job_id, 0), 1), 5, 5)
        assert len(await store.bin.tasks_of(gone.id, 1)) == 1
        tasks = await store.bin.tasks_of(gone.id, 10)
        assert tasks == [task_id(gone.id, 0), task_id(gone.id, 1)]
        for _ in range(2):  # erasing twice is erasing once
            await store.bin.erase_tasks(tasks)
            assert await store.bin.tasks_of(gone.id, 10) == []
            await store.bin.erase_job(gone.id)
        assert await store.logs.log_state(tasks[0], None) is None
        assert await store.jobs.submitted_with("ada", key) is None
        assert await store.jobs.task_lines(gone.id, -1) == b""
        assert [job.id for job in (await store.reader.jobs(10, None, None)).items] == [stays]
        assert await store.logs.log_state(task_id(stays, 0), None) is not None
        first, second = await store.reader.frames(stays)
        assert (first.path, first.has_thumbnail, second.path) == ("/out/000001.png", True, None)
        assert len(await store.bin.tasks_of(stays, 10)) == 2

    async def test_a_report_about_an_erased_job_brings_nothing_back(self, store: ServerStore) -> None:
        manager, reporter = await linked(store), Reporter()
        job_id = await compiled(store, frames=["1"])
        await store.bin.erase_tasks(await store.bin.tasks_of(job_id, 10))
        await store.bin.erase_job(job_id)
        report = reporter.next(frames=[frame_report(job_id, 0, 1, reporter.rev())])
        assert await store.reports.apply_report(manager, report, NOON) == []

    async def test_old_states_of_workers_are_forgotten(self, store: ServerStore) -> None:
        manager, reporter, worker = await linked(store), Reporter(), new_id()
        states = [WorkerState(worker, WorkerStatus.AWAKE, at(seconds), str(seconds)) for seconds in range(4)]
        report = reporter.next(workers=[worker_report(worker, reporter.rev())], worker_states=states)
        await store.reports.apply_report(manager, report, NOON)
        await store.bin.forget_states(at(2))
        page = await store.reader.worker_states(worker, 10, None)
        assert [state.why for state in page.items] == ["3", "2"]


class WorkerHistoryContract(StoreContract):
    async def test_what_a_worker_was_comes_newest_first_page_by_page(self, store: ServerStore) -> None:
        manager, reporter = await linked(store), Reporter()
        worker, other = new_id(), new_id()
        words = [WorkerStatus.STARTING, WorkerStatus.AWAKE, WorkerStatus.ASLEEP]
        for second, status in enumerate(words):
            states = [WorkerState(each, status, at(second), f"why {second}") for each in (worker, other)]
            said = [worker_report(each, reporter.rev(), status=status) for each in (worker, other)]
            await store.reports.apply_report(manager, reporter.next(workers=said, worker_states=states), NOON)
        first = await store.reader.worker_states(worker, 2, None)
        assert [(state.status, state.at, state.why) for state in first.items] == [
            (WorkerStatus.ASLEEP, at(2), "why 2"),
            (WorkerStatus.AWAKE, at(1), "why 1"),
        ]
        second = await store.reader.worker_states(worker, 2, first.next)
        assert [state.status for state in second.items] == [WorkerStatus.STARTING]
        assert second.next is None

    async def test_a_stranger_tells_nothing_of_a_worker(self, store: ServerStore) -> None:
        manager, reporter, worker = await linked(store, "mine"), Reporter(), new_id()
        await store.reports.apply_report(manager, reporter.next(workers=[worker_report(worker, reporter.rev())]), NOON)
        stranger, theirs = await linked(store, "stranger"), Reporter()
        lie = WorkerState(worker, WorkerStatus.ERROR, NOON)
        unknown = WorkerState(new_id(), WorkerStatus.ERROR, NOON)
        await store.reports.apply_report(stranger, theirs.next(worker_states=[lie, unknown]), NOON)
        assert (await store.reader.worker_states(worker, 10, None)).items == []

    async def test_a_stranger_cannot_have_a_worker_forgotten(self, store: ServerStore) -> None:
        manager, reporter, worker = await linked(store, "mine"), Reporter(), new_id()
        await store.reports.apply_report(manager, reporter.next(workers=[worker_report(worker, reporter.rev())]), NOON)
        stranger, theirs = await linked(store, "stranger"), Reporter()
        lie = worker_report(worker, Rev(9, 9), forgotten=True)
        assert await store.reports.apply_report(stranger, theirs.next(workers=[lie]), NOON) == []
        assert [each.id for each in await store.reader.workers()] == [worker]

    async def test_all_that_is_said_of_a_worker_comes_back(self, store: ServerStore) -> None:
        manager, reporter, worker = await linked(store), Reporter(), new_id()
        said = worker_report(
            worker,
            reporter.rev(),
            tags=["gpu"],
            lazy=True,
            schedule=SleepSchedule(True, "Europe/Amsterdam", [SleepWindow(["mon"], "22:00", "07:00")]),
            can_restart=True,
            blocked=[Block(new_id(), "blender")],
        )
        await store.reports.apply_report(manager, reporter.next(workers=[said]), NOON)
        found = await store.reader.worker(worker)
        for name in ("tags", "lazy", "schedule", "can_restart", "blocked"):
            assert getattr(found, name) == getattr(said, name), name

    async def test_a_forgotten_worker_goes_with_its_past(self, store: ServerStore) -> None:
        manager, reporter, worker = await linked(store), Reporter(), new_id()
        states = [WorkerState(worker, WorkerStatus.AWAKE, NOON)]
        old = reporter.rev()
        report = reporter.next(workers=[worker_report(worker, reporter.rev())], worker_states=states)
        await store.reports.apply_report(manager, report, NOON)
        late = reporter.next(workers=[worker_report(worker, old, forgotten=True)])
        assert await store.reports.apply_report(manager, late, NOON) == []
        gone = reporter.next(workers=[worker_report(worker, reporter.rev(), forgotten=True)])
        assert len(await store.reports.apply_report(manager, gone, NOON)) == 1
        assert await store.reader.workers() == []
        again = reporter.next(workers=[worker_report(worker, reporter.rev())])
        await store.reports.apply_report(manager, again, NOON)
        assert (await store.reader.worker_states(worker, 10, None)).items == []
