"""Either side's store is lost, or put back from an old copy: traces 28 to 32, and what quality.md 2.3 promises."""

from pathlib import Path

import pytest
from manager_world import HttpWorker, World
from two_sides import TwoSides, do_task, two_sides, worker_task


def again(worker: HttpWorker, world: World) -> HttpWorker:
    """The same Worker, at the Manager as it runs now."""
    return HttpWorker(world, worker.id, worker.secret, worker.name, worker.ours)


async def cancelled_and_requeued_after_a_copy(sides: TwoSides) -> tuple[HttpWorker, dict[str, str]]:
    """Let a Manager do much, copy its store half-way, go on, and stop it. Returns a Worker and jobs by their fate."""
    await sides.start_server()
    world = await sides.start_manager()
    worker = await world.worker()
    jobs = {"completed": await sides.submit(), "canceled": "", "requeued": "", "new": ""}
    await do_task(worker)
    await sides.until(jobs["completed"], lambda job: job["task_counts"].get("completed") == 1)
    jobs["requeued"] = await sides.submit()
    await do_task(worker)
    await do_task(worker)
    await do_task(worker)
    await sides.until_status(jobs["requeued"], "completed")
    jobs["canceled"] = await sides.submit()
    await sides.until_status(jobs["canceled"], "queued")
    await sides.stop_manager()
    sides.copy("manager")
    worker = again(worker, await sides.start_manager())
    await sides.call("POST", f"jobs/{jobs['canceled']}/cancel")
    await sides.until_status(jobs["canceled"], "canceled")
    await sides.call("POST", f"jobs/{jobs['requeued']}/requeue", json={"which": "all"})
    await do_task(worker)
    await do_task(worker)
    await sides.until_status(jobs["requeued"], "completed")
    jobs["new"] = await sides.submit()
    await do_task(worker)
    await sides.until(jobs["new"], lambda job: job["task_counts"].get("completed") == 1)
    await sides.stop_manager()
    return worker, jobs


async def all_is_as_it_was(sides: TwoSides, worker: HttpWorker, jobs: dict[str, str]) -> None:
    """See that nothing which people were told is undone, and nothing is done twice."""
    task = await do_task(worker)
    assert task["job"] == jobs["new"], "the only task that is left"
    assert task["attempt"] > 1000
    await sides.until_status(jobs["new"], "completed")
    assert (await worker.ask()).status == 204
    for name in ("completed", "requeued"):
        assert (await sides.job(jobs[name]))["status"] == "completed", name
        assert await sides.statuses(jobs[name]) == ["completed", "completed"]
    assert (await sides.job(jobs["canceled"]))["status"] == "canceled"
    fresh = await sides.submit()
    await do_task(worker)
    await do_task(worker)
    await sides.until_status(fresh, "completed")


async def test_a_manager_restored_from_an_old_backup_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    """Trace 28."""
    async with two_sides(tmp_path) as sides:
        worker, jobs = await cancelled_and_requeued_after_a_copy(sides)
        sides.put_back("manager")
        sides.restored()
        await all_is_as_it_was(sides, again(worker, await sides.start_manager()), jobs)


async def test_a_managers_store_that_was_put_back_in_silence_is_noticed(tmp_path: Path) -> None:
    """Trace 30."""
    async with two_sides(tmp_path) as sides:
        worker, jobs = await cancelled_and_requeued_after_a_copy(sides)
        sides.put_back("manager")
        world = await sides.start_manager()
        await sides.until_epoch(2)
        await all_is_as_it_was(sides, again(worker, world), jobs)


async def test_a_manager_that_lost_its_store_gets_back_what_the_server_knows_and_knows_its_workers(
    tmp_path: Path,
) -> None:
    async with two_sides(tmp_path) as sides:
        worker, jobs = await cancelled_and_requeued_after_a_copy(sides)
        for file in (tmp_path / "manager").glob("manager.sqlite*"):
            file.unlink()
        worker = again(worker, await sides.start_manager())
        await all_is_as_it_was(sides, worker, jobs)
        requeued = jobs["completed"]
        await sides.call("POST", f"jobs/{requeued}/requeue", json={"which": "all"})
        await do_task(worker)
        await do_task(worker)
        await sides.until_status(requeued, "completed")


async def test_a_restored_manager_hands_out_nothing_before_it_has_heard_of_the_server(tmp_path: Path) -> None:
    """Trace 32."""
    async with two_sides(tmp_path) as sides:
        worker, jobs = await cancelled_and_requeued_after_a_copy(sides)
        await sides.stop_server()
        sides.put_back("manager")
        sides.restored()
        world = await sides.start_manager()
        worker = again(worker, world)
        assert (await worker.ask()).status == 204
        await sides.start_server()
        await all_is_as_it_was(sides, worker, jobs)


@pytest.mark.parametrize("is_noticed_by", ["numbers", "digests"])
async def test_a_server_put_back_from_an_old_copy_learns_what_it_lost(tmp_path: Path, is_noticed_by: str) -> None:
    """Traces 29 and 30."""
    async with two_sides(tmp_path) as sides:
        await sides.start_server()
        worker = await (await sides.start_manager()).worker()
        done, canceled = await sides.submit(), await sides.submit()
        await sides.until_status(canceled, "queued")
        held = await worker_task(worker)
        await sides.until_status(held["job"], "active")
        await sides.stop_server()
        sides.copy("server")
        await sides.start_server()
        await sides.call("POST", f"jobs/{canceled}/cancel")
        await sides.until_status(canceled, "canceled")
        await sides.stop_server()
        assert (await worker.update(held, seq=1, taskStatus="active")).status == 204
        sides.put_back("server")
        await sides.start_server()
        if is_noticed_by == "digests":  # as many orders as there were, but others
            await sides.call("PATCH", f"jobs/{canceled}", json={"priority": 70})
        assert (await sides.until_status(canceled, "canceled"))["task_counts"] == {"canceled": 2}
        while (await worker.update(held, seq=2, taskStatus="completed")).status != 204:
            pass  # the attempt that was under way goes on
        other = await do_task(worker)
        assert other["attempt"] > 1000
        await sides.until_status(done, "completed")
        assert (await worker.ask()).status == 204


async def test_a_job_that_a_server_put_back_has_lost_comes_back_from_its_manager(tmp_path: Path) -> None:
    async with two_sides(tmp_path) as sides:
        await sides.start_server()
        worker = await (await sides.start_manager()).worker()
        await do_task_of(worker, await sides.submit(sleeps=0))
        await sides.stop_server()
        sides.copy("server")
        await sides.start_server()
        lost = await sides.submit(sleeps=2)
        await do_task_of(worker, lost)
        before = await sides.until(lost, lambda job: job["task_counts"].get("completed") == 1)
        await sides.stop_server()
        sides.put_back("server")
        await sides.start_server()
        await sides.until_epoch(2)
        after = await sides.until(lost, lambda job: job["task_counts"].get("completed") == 1)
        for name in ("name", "type", "priority", "owner", "created_at", "settings", "task_count"):
            assert after[name] == before[name], name
        await do_task_of(worker, lost)
        await do_task_of(worker, lost)
        await sides.until_status(lost, "completed")
        await sides.call("POST", f"jobs/{lost}/requeue", json={"which": "all"})
        await do_task_of(worker, lost)
        await sides.until(lost, lambda job: job["task_counts"].get("completed") == 1)


async def do_task_of(worker: HttpWorker, job: str) -> None:
    assert (await do_task(worker))["job"] == job
