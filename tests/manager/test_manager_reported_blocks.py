"""What the Server hears of Workers that are blocked from tasks of a job (manager-api.md, "Reports")."""

from pathlib import Path
from typing import Any

import apsw
from fake_server import FakeServer
from manager_world import HttpWorker, World, a_task, manager_world

from flamenco_manager.stores import reports


async def blocked_in(world: World, worker: HttpWorker, job: str) -> None:
    """Let a Worker fail three tasks of a job that has more."""
    for _ in range(3):
        task = await worker.task()
        assert task["job"] == job
        await worker.update(task, taskStatus="failed", activity="no Blender here", seq=1)


async def told(server: FakeServer, worker: HttpWorker, *blocks: dict[str, Any]) -> None:
    """Wait until the Server has heard that a Worker is blocked from just this."""
    await server.until(lambda: server.mirror["workers"].get(worker.id, {}).get("blocked") == list(blocks))


async def test_a_block_is_reported_with_its_worker_until_it_is_lifted(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        broken, other = await world.worker("broken"), await world.worker("other")
        job = await server.submit([a_task() for _ in range(6)])
        await blocked_in(world, broken, job)
        await told(server, broken, {"job": job, "task_type": "misc"})
        await told(server, other)
        assert (await server.asked("worker.unblock", worker=broken.id))["result"] == "done"
        await told(server, broken)


async def test_a_block_ends_with_its_job_and_comes_back_with_it(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        broken, _ = await world.worker("broken"), await world.worker("other")
        job = await server.submit([a_task() for _ in range(6)])
        await blocked_in(world, broken, job)
        await told(server, broken, {"job": job, "task_type": "misc"})
        await server.asked("job.cancel", job=job)
        await told(server, broken)
        await server.asked("job.requeue", job=job, which="all")
        await told(server, broken, {"job": job, "task_type": "misc"})


async def test_a_block_is_reported_after_a_restart_too(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        broken, _ = await world.worker("broken"), await world.worker("other")
        job = await server.submit([a_task() for _ in range(6)])
        await blocked_in(world, broken, job)
        await told(server, broken, {"job": job, "task_type": "misc"})
    server.mirror["workers"].clear()
    async with manager_world(tmp_path, server) as world:
        broken.world = world
        await broken.sign_on()
        await told(server, broken, {"job": job, "task_type": "misc"})


async def test_jobs_without_blocks_are_not_looked_at(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server):
        pass
    connection = apsw.Connection(str(tmp_path / "manager.sqlite"))
    [plan] = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {reports._BLOCKING}")]
    connection.close()
    assert "USING INDEX jobs_with_blocks" in plan
