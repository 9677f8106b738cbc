"""Jobs that ended long ago leave the Manager, where its settings say so."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from fake_server import FakeServer
from manager_world import TestTime, World, a_task, manager_world

from flamenco_manager import job_keeping
from flamenco_manager.stores.old_jobs import OldJobs
from flamenco_runtime.journal import Journal, executing

DAY_S = 24 * 3600


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_keeping, "SWEEP_EVERY_S", 0.02)


def stored(data: Path, what: str = "count(*) FROM jobs") -> Any:
    connection = apsw.Connection(str(data / "manager.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return connection.execute(f"SELECT {what}").get
    finally:
        connection.close()


async def until(world: World, condition: Callable[[], bool]) -> None:
    """Wait until something is so at the Manager, of which nobody is told."""
    async with asyncio.timeout(20):
        while not condition():
            await world.call("GET", "/healthz")


async def a_done_job(world: World, **details: Any) -> str:
    job = await world.server.submit([a_task()], files={"a.blend": b"BLENDER"}, **details)
    worker = await world.worker(f"for {job}")
    task = await worker.task()
    await worker.update(task, taskStatus="active", log="a line\n", seq=1)
    await worker.update(task, taskStatus="completed", seq=2)
    await worker.sign_off()
    await world.server.until_job(job, "completed")
    return job


async def test_a_job_that_ended_long_ago_goes_with_its_files_and_one_that_did_not_stays(
    server: FakeServer, tmp_path: Path
) -> None:
    time = TestTime()
    async with manager_world(tmp_path, server, time=time, keep_jobs_days=30.0) as world:
        old = await a_done_job(world)
        await until(world, lambda: stored(tmp_path, "count(*) FROM log_uploads") == 0)
        time.passed_s += 29 * DAY_S
        young = await a_done_job(world)
        assert stored(tmp_path) == 2
        time.passed_s += 2 * DAY_S
        await until(
            world, lambda: not (tmp_path / "jobs" / old).exists() and stored(tmp_path, "count(*) FROM tasks") == 1
        )
        assert stored(tmp_path) == 1
        assert list((tmp_path / "task-logs").rglob(f"*{old}*")) == []
        assert (tmp_path / "jobs" / young / "a.blend").exists()
        assert (await server.asked("job.requeue", job=old, which="all"))["result"] == "dropped"


async def test_without_that_setting_jobs_are_kept_for_ever(server: FakeServer, tmp_path: Path) -> None:
    time = TestTime()
    async with manager_world(tmp_path, server, time=time) as world:
        await a_done_job(world)
        time.passed_s += 4000 * DAY_S
    async with manager_world(tmp_path, server, time=time):
        assert stored(tmp_path) == 1


async def test_a_job_that_another_one_waits_for_stays(server: FakeServer, tmp_path: Path) -> None:
    time = TestTime()
    async with manager_world(tmp_path, server, time=time, keep_jobs_days=30.0) as world:
        old = await a_done_job(world)
        other = await a_done_job(world)
        await server.submit([a_task()], needs_jobs=[{"job": old}], start_paused=True)
        await until(world, lambda: old in world.foreman.farm.waiting_for)
        time.passed_s += 31 * DAY_S
        await until(world, lambda: not (tmp_path / "jobs" / other).exists())
        assert (tmp_path / "jobs" / old).exists()
        assert stored(tmp_path) == 2


@pytest.mark.parametrize(
    "untold",
    [
        "UPDATE jobs SET unreported = 1",
        "UPDATE tasks SET unreported = 1",
        "INSERT INTO log_uploads SELECT key, 1 FROM tasks",
        "INSERT INTO preview_uploads SELECT id, 1 FROM jobs",
        "INSERT INTO frames SELECT key, 1, '', 1, '/out', 1, x'', 1, 1, 1.0, 1, 1 FROM tasks",
        "UPDATE orders SET result = NULL",
        "UPDATE jobs SET status = 'active'",
        "UPDATE jobs SET finished_at = finished_at + 1",
    ],
)
async def test_a_job_that_has_not_ended_long_ago_or_of_which_the_server_does_not_know_all_stays(
    server: FakeServer, tmp_path: Path, untold: str
) -> None:
    async with manager_world(tmp_path, server) as world:
        job = await a_done_job(world)
        await until(world, lambda: stored(tmp_path, "count(*) FROM log_uploads") == 0)
    journal = await Journal.open(tmp_path / "manager.sqlite", lambda _: None)
    try:
        ended_at = TestTime().wall() + timedelta(milliseconds=1)
        assert [found.id for found in await OldJobs(journal).old_jobs(ended_at, 0)] == [job]
        assert await OldJobs(journal).old_jobs(ended_at, 1) == []
        await journal.write(executing(untold, [()]))
        assert await OldJobs(journal).old_jobs(ended_at, 0) == []
    finally:
        await journal.close()
