"""What every engine promises of looking at the farm (``FarmReader``)."""

import pytest

from contracts.server_store import (
    NOON,
    Engine,
    Reporter,
    ServerStore,
    StoreContract,
    a_job,
    at,
    compiled,
    frame_report,
    linked,
    submitted,
    task_report,
    tasks_of,
    worker_report,
)
from flamenco_core.identifiers import new_id, task_id
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_server.compiling import Compiled
from flamenco_server.reading import NoSuchJob, NoSuchTask, NoSuchWorker


class FarmReaderContract(StoreContract):
    @pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 100])
    async def test_jobs_are_paged_newest_first_without_gaps_or_doubles(self, store: ServerStore, limit: int) -> None:
        jobs = [await submitted(store) for _ in range(6)]
        seen: list[str] = []
        after: int | None = None
        while True:
            page = await store.reader.jobs(limit, after, None)
            assert len(page.items) <= limit
            seen += [job.id for job in page.items]
            await submitted(store)  # what arrives meanwhile is above the first page
            if page.next is None:
                break
            assert page.next != after
            after = page.next
        assert seen == jobs[::-1]

    async def test_jobs_of_a_status_are_paged_too(self, store: ServerStore) -> None:
        waiting, failed = [], []
        for index in range(10):
            job_id = await submitted(store)
            if index % 2:
                await store.compiles.fail_compile(job_id, "no", NOON)
            (failed if index % 2 else waiting).append(job_id)
        for status, expected in ((JobStatus.FAILED, failed), (JobStatus.UNDER_CONSTRUCTION, waiting)):
            first = await store.reader.jobs(3, None, status)
            second = await store.reader.jobs(3, first.next, status)
            assert [job.id for job in [*first.items, *second.items]] == expected[::-1]
            assert second.next is None
        assert (await store.reader.jobs(3, None, JobStatus.COMPLETED)).items == []

    async def test_lists_of_jobs_leave_their_files_out(self, store: ServerStore) -> None:
        job = a_job(name="with files")
        await submitted(store, job)
        (listed,) = (await store.reader.jobs(1, None, None)).items
        (asked,) = await store.reader.jobs_by_id([job.id, new_id()])
        assert listed == asked
        assert (listed.name, listed.files) == ("with files", [])

    @pytest.mark.parametrize("limit", [1, 3, 7, 8])
    async def test_tasks_are_paged_by_their_index(self, store: ServerStore, limit: int) -> None:
        job_id = await compiled(store, tasks=7)
        await compiled(store, tasks=3)
        seen: list[int] = []
        page = await store.reader.tasks(job_id, limit, None, None)
        while True:
            seen += [task.index for task in page.items]
            if page.next is None:
                break
            page = await store.reader.tasks(job_id, limit, page.next, None)
        assert seen == list(range(7))

    async def test_tasks_of_a_status_are_paged_too(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id, reporter = await compiled(store, tasks=6), Reporter()
        done = [task_report(job_id, index, reporter.rev(), TaskStatus.COMPLETED) for index in (1, 3, 5)]
        await store.reports.apply_report(manager, reporter.next(tasks=done), NOON)
        first = await store.reader.tasks(job_id, 2, None, TaskStatus.COMPLETED)
        second = await store.reader.tasks(job_id, 2, first.next, TaskStatus.COMPLETED)
        assert [task.index for task in [*first.items, *second.items]] == [1, 3, 5]
        assert second.next is None
        waiting = await store.reader.tasks(job_id, 9, None, TaskStatus.QUEUED)
        assert [task.index for task in waiting.items] == [0, 2, 4]

    async def test_a_task_comes_with_its_commands_whichever_batch_it_was_stored_in(self, store: ServerStore) -> None:
        job_id = await submitted(store)
        await store.compiles.begin_compile(job_id)
        tasks = tasks_of(job_id, 5)
        for start, end in ((0, 2), (2, 5)):
            await store.compiles.add_tasks(job_id, tasks[start:end])
        await store.compiles.finish_compile(job_id, Compiled(5, 10), NOON)
        for task in tasks:
            found = await store.reader.task(task.id)
            assert (found.id, found.index, found.commands) == (task.id, task.index, task.commands)

    async def test_tasks_that_are_not_there_are_left_out_of_what_is_asked_by_id(self, store: ServerStore) -> None:
        job_id = await compiled(store)
        found = await store.reader.tasks_by_id([task_id(job_id, 1), new_id()])
        assert [(task.index, task.commands) for task in found] == [(1, ())]

    async def test_what_is_not_there_is_told_so(self, store: ServerStore) -> None:
        with pytest.raises(NoSuchJob):
            await store.reader.job(new_id())
        with pytest.raises(NoSuchJob):
            await store.reader.tasks(new_id(), 10, None, None)
        with pytest.raises(NoSuchJob):
            await store.reader.frames(new_id())
        with pytest.raises(NoSuchTask):
            await store.reader.task(new_id())
        with pytest.raises(NoSuchWorker):
            await store.reader.worker(new_id())

    async def test_every_frame_of_every_task_is_listed_by_its_number(self, store: ServerStore) -> None:
        manager = await linked(store)
        job_id, reporter = await compiled(store, frames=["20-30:5", "1-2", "7"]), Reporter()
        failed = task_report(job_id, 0, reporter.rev(), TaskStatus.FAILED)
        saved = frame_report(job_id, 1, 2, reporter.rev())
        await store.reports.apply_report(manager, reporter.next(tasks=[failed], frames=[saved]), NOON)
        frames = await store.reader.frames(job_id)
        assert [frame.frame for frame in frames] == [1, 2, 7, 20, 25, 30]
        assert [str(frame.status) for frame in frames] == ["queued", "completed", "queued", *["failed"] * 3]
        assert [frame.task for frame in frames[:3]] == [task_id(job_id, 1), task_id(job_id, 1), task_id(job_id, 2)]

    async def test_only_some_frames_can_be_asked_for(self, store: ServerStore) -> None:
        job_id = await compiled(store, frames=["1-9", "20"])
        for asked, expected in (({3, 20, 99}, [3, 20]), ({4}, [4]), (set(), []), ({15}, [])):
            assert [frame.frame for frame in await store.reader.frames(job_id, asked)] == expected

    async def test_a_job_without_frames_has_none(self, store: ServerStore) -> None:
        assert await store.reader.frames(await compiled(store)) == []

    async def test_workers_and_managers_are_listed_by_name_and_survive_a_restart(self, engine: Engine) -> None:
        async with engine() as store:
            manager, reporter = await linked(store, "site b"), Reporter()
            await linked(store, "site a")
            workers = [worker_report(new_id(), reporter.rev(), name=name) for name in ("node-2", "node-1", "node-3")]
            await store.reports.apply_report(manager, reporter.next(workers=workers), NOON)
        async with engine() as store:
            found = await store.reader.workers()
            assert [worker.name for worker in found] == ["node-1", "node-2", "node-3"]
            assert await store.reader.worker(workers[0].id) == found[1]
            assert [manager.name for manager in await store.reader.managers()] == ["site a", "site b"]

    async def test_a_manager_is_away_a_minute_after_it_was_seen(self, store: ServerStore) -> None:
        await store.managers.add_manager(new_id(), "new", "sha256", NOON)
        await linked(store, "seen")
        new, seen = await store.reader.managers()
        assert new.is_away(NOON)
        assert [seen.is_away(at(60)), seen.is_away(at(60.1))] == [False, True]
