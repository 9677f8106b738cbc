"""Jobs that end, and leave memory, just while somebody waits for the disk to speak about them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest
from farm_builder import a_saved_frame, needed
from stored_site import StoredSite, stored_site

from flamenco_core.identifiers import new_id, task_id
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_core.wire.definitions import JobDefinition, TaskDefinition
from flamenco_core.wire.manager_api import Order
from flamenco_core.wire.worker_api import TaskUpdate
from flamenco_manager import job_rules
from flamenco_manager.blobs import Blobs
from flamenco_manager.farm import Farm
from flamenco_manager.farm_variables import FarmVariables
from flamenco_manager.foreman import Foreman
from flamenco_manager.job_arrival import Arrivals
from flamenco_manager.model import Job, Moment, Task, Worker
from flamenco_manager.order_acts import OrderActs
from flamenco_manager.stores.farm_store import Also, StoredJob
from flamenco_manager.task_logs import TaskLogs
from flamenco_manager.task_updates import AttemptOver, TaskUpdates
from flamenco_manager.waiting import JobState
from flamenco_runtime.free_space import FreeSpace

Deed = Callable[[], Awaitable[None]]


class ToldLate:
    """A store whose answers are on their way for a while: after the first one was read, something happens."""

    def __init__(self, site: StoredSite, meanwhile: Deed) -> None:
        self._site = site
        self._meanwhile: list[Deed] = [meanwhile]

    async def tasks_of(self, job: Job, farm: Farm, now: Moment) -> list[Task]:
        return await self._site.store.tasks_of(job, farm, now)

    async def states_of(self, job_ids: Sequence[str]) -> dict[str, JobState]:
        states = await self._site.store.states_of(job_ids)
        await self._passes()
        return states

    async def load_job(self, job_id: str, farm: Farm, now: Moment) -> StoredJob | None:
        stored = await self._site.store.load_job(job_id, farm, now)
        await self._passes()
        return stored

    async def job_of_task(self, task_id: str) -> str | None:
        return await self._site.store.job_of_task(task_id)

    async def _passes(self) -> None:
        while self._meanwhile:
            await self._meanwhile.pop()()


class NobodyAsks:
    """Notes nothing: no order brought the job."""

    def submission_result(self, job: str, result: str, why: str = "") -> Also:
        assert (result, why) == ("done", "")

        def work(_: apsw.Connection) -> None:
            pass

        return work


def foreman_of(site: StoredSite) -> Foreman:
    return Foreman(site.farm, site.store, lambda: site.now.wall, lambda: site.now.monotonic_s)


def completing(site: StoredSite, foreman: Foreman, worker: Worker, job: Job) -> Deed:
    """Return a deed: the job's only task is completed, that is stored, and the job leaves memory."""

    async def complete() -> None:
        site.says(worker, job.tasks[0], "completed")
        await foreman.settle()
        assert job.id not in site.farm.jobs

    return complete


class SlowLogs(TaskLogs):
    """Logs on a slow disk: after the first piece was placed, something happens."""

    def __init__(self, folder: Path, meanwhile: Deed) -> None:
        super().__init__(folder)
        self._meanwhile: list[Deed] = [meanwhile]

    async def place(self, job: str, task: str, attempt: int, text: str, at: int | None) -> None:
        await super().place(job, task, attempt, text, at)
        while self._meanwhile:
            await self._meanwhile.pop()()


class Uploads:
    """Notes which logs are to be sent."""

    def __init__(self) -> None:
        self.queued: list[tuple[int, int]] = []

    async def queue_log(self, task_key: int, attempt: int) -> None:
        self.queued.append((task_key, attempt))


def acts_of(site: StoredSite, foreman: Foreman, archive: Any) -> OrderActs:
    no_eraser: Any = None
    no_settings: Any = None
    return OrderActs(foreman, site.arrivals, archive, no_eraser, no_settings, print)


def requeue(site: StoredSite, job: Job) -> Order:
    details = {"job": job.id, "which": "all"}
    return Order(1, new_id(), "job.requeue", details, asked_by="admin", asked_at=site.now.wall)


async def test_what_is_said_while_a_job_ends_and_is_requeued_changes_nothing_of_its_new_run(tmp_path: Path) -> None:
    async with stored_site(tmp_path) as site:
        job, worker, foreman = await site.stored_job([()]), site.worker(), foreman_of(site)
        task = site.takes(worker)
        await foreman.settle()

        async def cancel_and_requeue() -> None:
            job_rules.cancel(site.farm, job, site.now)
            await foreman.settle()
            assert job.id not in site.farm.jobs
            await acts_of(site, foreman, site.store).carry_out(requeue(site, job))
            await foreman.settle()

        logs, uploads = SlowLogs(tmp_path / "logs", cancel_and_requeue), Uploads()
        updates = TaskUpdates(foreman, site.store, logs, uploads)
        said = TaskUpdate(log="a line\n", attempt=1, seq=2, frames=[a_saved_frame(1)])
        with pytest.raises(AttemptOver):
            await updates.take(worker, task.id, said)
        again = site.farm.tasks[task.id]
        assert again is not task
        assert (again.status, again.saved_frames) == (TaskStatus.QUEUED, None)
        assert await site.store.frames_done(again) == []
        assert await logs.read(job.id, task.id, 1, 0, 100) == b"a line\n"
        assert uploads.queued == [(task.key, 1)]
        await asyncio.to_thread(logs.close)


async def test_a_job_that_comes_while_the_one_it_waits_for_ends_does_not_wait_for_ever(tmp_path: Path) -> None:
    async with stored_site(tmp_path) as site:
        first, worker, foreman = await site.stored_job([()]), site.worker(), foreman_of(site)
        site.takes(worker)
        job = site.announced()
        await site.keep()
        definition = JobDefinition(job.id, "b", "test", 50, "admin", site.now.wall, 1, needs_jobs=[needed(first)])
        await site.arrivals.keep_definition(job, definition)
        await site.arrivals.keep_tasks(job, [TaskDefinition(0, task_id(job.id, 0), "task", "misc", [])])
        arrivals = Arrivals(
            foreman,
            site.arrivals,
            ToldLate(site, completing(site, foreman, worker, first)),
            NobodyAsks(),
            Blobs(tmp_path / "blobs"),
            tmp_path / "jobs",
            FarmVariables({}, "/jobs", "linux"),
            250,
            FreeSpace(tmp_path, 0),
        )
        source: Any = None  # all of it is here
        bringing = asyncio.create_task(arrivals.run(source))
        async with asyncio.timeout(20):
            while job.status is JobStatus.UNDER_CONSTRUCTION:
                await site.store.last_change()
        bringing.cancel()
        await asyncio.wait({bringing})
        assert not job.is_held_back
        assert site.takes(worker) is job.tasks[0]


async def test_a_job_that_is_requeued_while_the_one_it_waits_for_ends_does_not_wait_for_ever(tmp_path: Path) -> None:
    async with stored_site(tmp_path) as site:
        first, worker, foreman = await site.stored_job([()]), site.worker(), foreman_of(site)
        site.takes(worker)
        job = await site.stored_job([()], asked={"needs_jobs": [needed(first)]})
        job_rules.cancel(site.farm, job, site.now)
        await foreman.settle()
        assert job.id not in site.farm.jobs
        archive = ToldLate(site, completing(site, foreman, worker, first))
        acts = acts_of(site, foreman, archive)
        assert (await acts.carry_out(requeue(site, job))).result == "done"
        again = site.farm.jobs[job.id]
        assert not again.is_held_back
        assert site.takes(worker) is again.tasks[0]
