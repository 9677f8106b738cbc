"""A Manager that starts with very many tasks serves its Workers before all are in memory."""

import asyncio
from pathlib import Path

import pytest
from fake_server import FakeServer
from manager_world import a_task, manager_world

from flamenco_manager.farm import Farm
from flamenco_manager.model import Moment, Policy
from flamenco_manager.stores import farm_store
from flamenco_runtime.clock import utc_now
from flamenco_runtime.journal import Journal


@pytest.fixture(autouse=True)
def _few_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one small job be as much as is read before the start."""
    monkeypatch.setattr(farm_store.FarmStore.load_first, "__defaults__", (1,))


async def first_and_later(data: Path) -> tuple[list[str], list[str]]:
    """Return the jobs that a Manager reads before it serves anybody, and those after that."""
    journal = await Journal.open(data / "manager.sqlite", lambda _: None)
    first, later = await farm_store.FarmStore(journal).load_first(Farm(Policy()), Moment(utc_now(), 1000.0))
    await journal.close()
    return [stored.job.id for stored in first], later


async def test_all_jobs_come_back_and_are_worked_off_by_priority(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        jobs = [await server.submit([a_task(), a_task()], priority=priority) for priority in (10, 30, 20)]
        for job in jobs:
            await server.until_job(job, "queued")
    assert await first_and_later(tmp_path) == ([jobs[1]], [jobs[2], jobs[0]])
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        done = []
        for _ in range(6):
            task = await worker.task()
            done.append(task["job"])
            await worker.update(task, seq=1, taskStatus="completed")
        assert done[:2] == [jobs[1], jobs[1]]
        for job in jobs:
            await server.until_job(job, "completed")
        assert world.foreman.farm.is_whole


async def test_what_somebody_works_on_is_there_from_the_beginning(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        held_job = await server.submit([a_task(), a_task()], priority=10)
        held = await worker.task()
        await worker.update(held, seq=1, taskStatus="active")
        for priority in (20, 30):
            await server.until_job(await server.submit([a_task()], priority=priority), "queued")
    assert (await first_and_later(tmp_path))[0] == [held_job]
    async with manager_world(tmp_path, server) as world:
        worker.world = world
        assert (await worker.update(held, seq=2, taskStatus="completed")).status == 204
        await server.until(lambda: server.mirror["tasks"][held["uuid"]]["status"] == "completed")
        await server.until(lambda: world.foreman.farm.is_whole)
        assert len(world.foreman.farm.jobs) == 3


async def test_a_job_that_waits_for_one_that_comes_later_goes_on_when_that_has_ended(
    server: FakeServer, tmp_path: Path
) -> None:
    async with manager_world(tmp_path, server) as world:
        first = await server.submit([a_task()], priority=10)
        waiting = await server.submit([a_task()], priority=90, needs_jobs=[{"job": first}])
        await server.until_job(first, "queued")
        await server.until_job(waiting, "queued")
    assert await first_and_later(tmp_path) == ([waiting], [first])
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        for job in (first, waiting):
            task = await worker.task()
            assert task["job"] == job
            await worker.update(task, seq=1, taskStatus="completed")
        await server.until_job(waiting, "completed")


async def test_a_worker_that_waits_gets_what_comes_later(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        idle = await server.submit([a_task()], priority=90, tag="nobody")
        late = await server.submit([a_task()], priority=10)
        await server.until_job(idle, "queued")
        await server.until_job(late, "queued")
    async with manager_world(tmp_path, server) as world:
        worker.world = world
        async with asyncio.timeout(20):
            assert (await worker.task())["job"] == late
