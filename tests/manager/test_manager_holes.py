"""Holes that Flamenco 3's Manager has, tried on ours (quality.md 4.2); H5 and H6: ``test_manager_hostile_input``."""

from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest
from fake_server import FakeServer
from manager_world import World, a_task, manager_world
from trace_steps import begun, done, may_run, passes, reported, submitted, task_id, until_job, until_tasks

from flamenco_manager import upkeep

BOTH = pytest.mark.parametrize("ours", [True, False], ids=["our Worker", "a Flamenco 3 Worker"])


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server) as running:
        yield running


@BOTH
async def test_h1_a_worker_cannot_revive_a_cancelled_job(world: World, *, ours: bool) -> None:
    worker, job = await world.worker(ours=ours), await submitted(world, a_task(), a_task())
    task = await begun(worker)
    await done(world, "job.cancel", job=job)
    await until_job(world, job, "canceled")
    for status in ("active", "completed", "failed"):
        assert (await worker.update(task, taskStatus=status)).status == 409
    assert not await may_run(worker, task)
    await until_tasks(world, job, "canceled", "canceled")
    assert (await worker.ask()).status == 204


@BOTH
async def test_h2_the_result_of_run_1_does_not_complete_the_run_that_a_person_asked_for(
    world: World, *, ours: bool
) -> None:
    worker, job = await world.worker(ours=ours), await submitted(world, a_task())
    task = await begun(worker)
    await done(world, "task.requeue", task=task["uuid"])
    if not ours:
        assert (await worker.ask()).status == 204  # it may still say something of run 1
        await passes(world, 61, worker)
    again = await worker.task()
    assert (again["uuid"], again["attempt"]) == (task["uuid"], 2)
    assert (await worker.update(task, taskStatus="completed")).status == 409
    await until_tasks(world, job, "active")
    assert await may_run(worker, again)


@BOTH
async def test_h3_a_task_that_was_put_back_is_not_completed_by_the_worker_that_had_it(
    world: World, *, ours: bool
) -> None:
    worker, job = await world.worker(ours=ours), await submitted(world, a_task())
    task = await begun(worker)
    assert (await worker.say_status("asleep")).status == 204
    await until_tasks(world, job, "queued")
    assert (await worker.update(task, taskStatus="completed")).status == 409
    await done(world, "job.priority", job=job, priority=60)  # so that there is a later report to look at
    await world.server.until(lambda: world.server.mirror["jobs"][job]["priority"] == 60)
    assert reported(world, job, 0)["status"] == "queued"
    other = await world.worker("other")
    assert (await other.task())["uuid"] == task_id(world, job, 0)


@BOTH
async def test_h4_a_job_all_of_whose_tasks_were_stored_as_completed_ends_at_the_next_start(
    server: FakeServer, tmp_path: Path, *, ours: bool
) -> None:
    """As if the process had died between the last task and its job; here both are one transaction, so SQL does it."""
    async with manager_world(tmp_path, server) as world:
        worker, job = await world.worker(ours=ours), await submitted(world, a_task())
        task = await begun(worker)
    connection = apsw.Connection(str(tmp_path / "manager.sqlite"))
    connection.execute("UPDATE tasks SET status = 'completed', is_held = 0; UPDATE workers SET current_task = NULL")
    assert connection.execute("SELECT status FROM jobs").get == "active"
    connection.close()
    async with manager_world(tmp_path, server) as world:
        worker.world = world
        await until_job(world, job, "completed")
        assert (await worker.update(task, taskStatus="completed", seq=9)).status in (204, 409)
        await until_job(world, job, "completed")
        assert (await worker.ask()).status == 204
    async with manager_world(tmp_path, server):
        assert (await upkeep.check(tmp_path, silent))["findings"] == []


async def silent(_doing: str, _share: float) -> None:
    """Say nothing."""
