"""Deleted jobs are erased when a week has passed: on their Manager first, then here, with their files."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from contracts.server_store import (
    ADA,
    NOON,
    Reporter,
    ServerStore,
    at,
    compiled,
    linked,
    worker_report,
)
from flamenco_core.identifiers import new_id, task_id
from flamenco_core.statuses import WorkerStatus
from flamenco_core.wire.manager_api import OrderResult, WorkerState
from flamenco_server import erasing, job_requests
from flamenco_server.erasing import STATES_LIFE, Sweeper
from flamenco_server.events import Change, InProcessBus
from flamenco_server.job_requests import BIN_LIFE, JobIsErased
from flamenco_server.reading import NoSuchJob
from flamenco_server.steering import Steering
from flamenco_server.stores.sqlite.store import open_store
from flamenco_server.task_logs import Attempt, LogFolder, Piece
from flamenco_server.thumbnails import ThumbnailFolder

pytestmark = pytest.mark.asyncio(loop_scope="module")

A_WEEK_LATER = NOON + timedelta(days=7)


@dataclass
class Stage:
    """A store with its folders, and a sweeper that is told what time it is."""

    store: ServerStore
    folder: Path
    bus: InProcessBus = field(default_factory=InProcessBus)

    @property
    def logs(self) -> LogFolder:
        return LogFolder(self.folder / "logs")

    @property
    def thumbnails(self) -> ThumbnailFolder:
        return ThumbnailFolder(self.folder / "thumbnails")

    async def sweep(self, now: datetime) -> list[Change]:
        """Sweep; returns what changed."""
        changes: list[Change] = []
        sweeper = Sweeper(self.store.bin, Steering(self.store.asks, self.bus), self.logs, self.thumbnails, lambda: NOON)
        with self.bus.listening(changes.append):
            await sweeper.sweep(now)
        return changes

    async def delete(self, job_id: str) -> None:
        await self.store.asks.change_job(job_id, lambda job: job_requests.delete(job, ADA))

    async def with_files(self, job_id: str) -> None:
        """Keep a log of each task, and a thumbnail."""
        for index in range(2):
            attempt = Attempt(task_id(job_id, index), 1)
            await self.logs.write(attempt, Piece(0, b"log", 3))
            await self.store.logs.note_log(attempt, 3, 3)
        await self.thumbnails.keep(job_id, 1, b"\xff\xd8\xff")
        await self.store.thumbnails.note_thumbnail(job_id, 1, NOON)

    def files_of(self, job_id: str) -> list[Path]:
        """Return the files of a job and its tasks that are on disk."""
        names = {job_id, task_id(job_id, 0), task_id(job_id, 1)}
        return [path for path in self.folder.rglob("*") if path.is_file() and names & {*path.parts}]


@pytest_asyncio.fixture(loop_scope="module")
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    failures: list[BaseException] = []
    async with open_store(tmp_path / "store", failures.append) as store:
        yield Stage(store, tmp_path / "files")
    assert failures == []


async def exists(store: ServerStore, job_id: str) -> bool:
    return bool(await store.reader.jobs_by_id([job_id]))


async def test_a_job_that_no_manager_has_is_erased_with_its_files_after_a_week(stage: Stage) -> None:
    job_id, stays = await compiled(stage.store, frames=["1", "2"]), await compiled(stage.store)
    for each in (job_id, stays):
        await stage.with_files(each)
    await stage.delete(job_id)
    await stage.sweep(A_WEEK_LATER - timedelta(milliseconds=1))
    assert await exists(stage.store, job_id)
    assert len(stage.files_of(job_id)) == 3
    assert Change("job", job_id) in await stage.sweep(A_WEEK_LATER)
    assert not await exists(stage.store, job_id)
    assert stage.files_of(job_id) == []
    assert await stage.store.reader.tasks_by_id([task_id(job_id, 0), task_id(job_id, 1)]) == []
    with pytest.raises(NoSuchJob):
        await stage.store.reader.tasks(job_id, 10, None, None)
    assert await exists(stage.store, stays)
    assert len(stage.files_of(stays)) == 3


@pytest.mark.parametrize("result", ["done", "dropped"])
async def test_a_managers_job_is_erased_once_its_manager_has_answered(stage: Stage, result: str) -> None:
    manager, reporter = await linked(stage.store), Reporter()
    job_id = await compiled(stage.store)
    await stage.with_files(job_id)
    await stage.delete(job_id)
    for _ in range(2):  # it is asked for once
        await stage.sweep(A_WEEK_LATER)
        kinds = [order.kind for order in await stage.store.orders.orders_after(manager, 0, 10)]
        assert kinds == ["job.submit", "job.delete", "job.erase"]
        assert await exists(stage.store, job_id)
    with pytest.raises(JobIsErased):
        await stage.store.asks.change_job(job_id, lambda job: job_requests.undelete(job, ADA))
    report = reporter.next(orders=[OrderResult(number, result) for number in (1, 2, 3)])
    await stage.store.reports.apply_report(manager, report, NOON)
    await stage.sweep(A_WEEK_LATER)
    assert not await exists(stage.store, job_id)
    assert stage.files_of(job_id) == []


async def test_a_job_that_was_undeleted_in_time_stays(stage: Stage) -> None:
    job_id = await compiled(stage.store)
    await stage.delete(job_id)
    await stage.store.asks.change_job(job_id, lambda job: job_requests.undelete(job, ADA))
    await stage.sweep(NOON + 10 * BIN_LIFE)
    assert await exists(stage.store, job_id)


async def test_a_job_of_very_many_tasks_is_erased_piece_by_piece(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "TASKS_AT_ONCE", 2)
    job_id = await compiled(stage.store, tasks=5)
    await stage.delete(job_id)
    await stage.sweep(A_WEEK_LATER)
    assert not await exists(stage.store, job_id)
    assert await stage.store.bin.tasks_of(job_id, 10) == []


async def test_what_was_cut_short_is_finished_the_next_time(stage: Stage) -> None:
    job_id = await compiled(stage.store)
    await stage.with_files(job_id)
    await stage.delete(job_id)
    await stage.store.asks.change_job(job_id, lambda job: job_requests.erase(job, A_WEEK_LATER))
    await stage.store.bin.erase_tasks([task_id(job_id, 0)])
    await stage.logs.remove([task_id(job_id, 0)])
    await stage.sweep(A_WEEK_LATER)
    assert not await exists(stage.store, job_id)
    assert stage.files_of(job_id) == []


async def test_what_workers_were_is_forgotten_after_three_months(stage: Stage) -> None:
    manager, reporter, worker = await linked(stage.store), Reporter(), new_id()
    states = [WorkerState(worker, WorkerStatus.AWAKE, at(second)) for second in (0, 1)]
    report = reporter.next(workers=[worker_report(worker, reporter.rev())], worker_states=states)
    await stage.store.reports.apply_report(manager, report, NOON)
    await stage.sweep(at(1) + STATES_LIFE)
    page = await stage.store.reader.worker_states(worker, 10, None)
    assert [state.at for state in page.items] == [at(1)]
    assert timedelta(days=90) == STATES_LIFE
