"""A Server that was put back, or has forgotten its Managers: until the link is mended its answers mean nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import apsw
import pytest
from fake_server import FakeServer
from manager_world import World, a_task, manager_world

from flamenco_manager import job_arrival
from flamenco_manager.job_arrival import AT_ONCE

ANSWERS = [(409, "other-feed"), (401, "not-signed-in"), (403, "forbidden")]


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server) as running:
        yield running


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_job_that_cannot_be_fetched_for_the_links_sake_waits(world: World, answer: tuple[int, str]) -> None:
    world.server.refuses = ("/jobs/", *answer)
    job = await world.server.submit([a_task()])
    await world.server.until(lambda: world.server.refused)
    world.server.refuses = None
    await world.server.until_job(job, "queued")


async def test_a_job_that_waits_to_be_fetched_comes_once_also_after_a_new_hello(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.server.refuses = ("/jobs/", 503, "unavailable")
    jobs = [await world.server.submit([a_task()]) for _ in range(AT_ONCE + 2)]
    await world.server.until(lambda: world.server.refused >= AT_ONCE)
    await world.server.until(lambda: len(world.server.mirror["jobs"]) == len(jobs))
    world.server.manager_feed = "another"
    await world.server.issue("tag.put", name="gpu")
    await world.server.until(lambda: world.server.hellos == 2)
    world.server.refuses = None
    for job in jobs:
        await world.server.until_job(job, "queued")
    await world.server.until_job(await world.server.submit([a_task()]), "queued")
    assert capsys.readouterr().out.count("job ready") == len(jobs) + 1


@pytest.mark.parametrize("answer", ANSWERS)
async def test_logs_that_are_refused_for_the_links_sake_are_kept(world: World, answer: tuple[int, str]) -> None:
    worker = await world.worker()
    await world.server.submit([a_task()])
    task = await worker.task()
    world.server.refuses = ("/log", *answer)
    assert (await worker.update(task, seq=1, taskStatus="active", log="it works", log_at=0)).status == 204
    assert (await worker.update(task, seq=2, taskStatus="completed")).status == 204
    await world.server.until(lambda: world.server.refused)
    world.server.refuses = None
    await world.server.until(lambda: bytes(world.server.logs.get((task["uuid"], 1), b"")) == b"it works")


async def test_jobs_that_had_ended_before_the_store_was_lost_come_back_after_those_that_people_wait_for(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_arrival, "AT_ONCE", 1)
    async with manager_world(tmp_path, server):
        pass
    ended, waiting = (server.add_job([a_task()]) for _ in range(2))
    store = apsw.Connection(str(tmp_path / "manager.sqlite"))  # as a resync leaves it
    for key, job, finished_at in ((1, ended, 1.0), (2, waiting, None)):
        columns = "key, id, status, activity, counts, finished_at, rev, unreported"
        values = (key, UUID(job).bytes, "under-construction", "", "{}", finished_at, 0, 0)
        store.execute(f"INSERT INTO jobs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
    store.close()
    async with manager_world(tmp_path, server):
        await server.until(lambda: len(server.fetched) == 2)
    assert server.fetched == [waiting, ended]
