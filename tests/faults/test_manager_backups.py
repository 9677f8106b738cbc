"""``flamenco manager backup`` of a Manager at work, and ``restore`` when much has happened since: on real services."""

import contextlib
from pathlib import Path
from typing import Any

import aiohttp
from manager_world import HttpWorker, World
from two_sides import TwoSides, do_task, two_sides, worker_task

from flamenco_manager import upkeep


async def silent(_doing: str, _share: float) -> None:
    """Say nothing."""


def again(worker: HttpWorker, world: World) -> HttpWorker:
    """The same Worker, at the Manager as it runs now."""
    return HttpWorker(world, worker.id, worker.secret, worker.name, worker.ours)


async def late_word(worker: HttpWorker, task: dict[str, Any]) -> int:
    """Let a Worker say that it has done a task, as often as it takes: the Manager begins anew meanwhile."""
    while True:
        with contextlib.suppress(aiohttp.ClientError):
            status = (await worker.update(task, taskStatus="completed", seq=3)).status
            if status < 500:
                return status


async def check(sides: TwoSides) -> None:
    """See that all that the Manager keeps fits together."""
    assert (await upkeep.check(sides.folder / "manager", silent))["findings"] == []


async def test_what_happened_after_a_backup_comes_back_from_the_server_and_all_that_is_kept_fits_together(
    tmp_path: Path,
) -> None:
    data, backup = tmp_path / "manager", tmp_path / "backup.sqlite"
    async with two_sides(tmp_path) as sides:
        await sides.start_server()
        world = await sides.start_manager()
        worker, other = await world.worker(), await world.worker("other")
        job = await sides.submit(sleeps=3)
        await do_task(worker)
        held = await worker_task(worker)
        await worker.update(held, taskStatus="active", seq=1)
        await sides.until(job, lambda found: found["task_counts"] == {"completed": 1, "active": 1, "queued": 2})
        await upkeep.back_up(data, backup, silent)
        await check(sides)

        # What the backup does not know of.
        assert (await worker.update(held, taskStatus="completed", seq=2)).status == 204
        lost = await worker_task(other)
        await other.update(lost, taskStatus="active", seq=1)
        await sides.until(job, lambda found: found["task_counts"] == {"completed": 2, "active": 1, "queued": 1})
        new = await sides.submit()
        await sides.until_status(new, "queued")
        await sides.stop_manager()
        await upkeep.restore(data, backup, silent)
        assert (await upkeep.check(data, silent))["findings"] == []

        world = await sides.start_manager()
        worker, other = again(worker, world), again(other, world)
        await sides.until_epoch(2)
        for attempt_of, task in ((worker, held), (other, lost)):
            assert await late_word(attempt_of, task) in (204, 409)
        await check(sides)
        done = [await do_task(other) for _ in range(4)]
        assert all(task["attempt"] > 1000 for task in done)
        assert held["uuid"] not in [task["uuid"] for task in done], "it was completed"
        await sides.until_status(job, "completed")
        await sides.until_status(new, "completed")
        await check(sides)
