"""What a lost store, or one that was put back, must not undo: what ended, what was erased, what people asked."""

from pathlib import Path

import apsw
import pytest
from manager_world import HttpWorker
from test_restored_stores import again
from two_sides import TwoSides, do_task, two_sides, worker_task

from flamenco_core.wire.resync import ResyncReply, ResyncRequest
from flamenco_manager.resync import begin_anew
from flamenco_manager.server_client import ServerClient
from flamenco_manager.server_link import Introduction
from flamenco_manager.stores.outbox import Outbox
from flamenco_manager.stores.resync import ResyncStore
from flamenco_runtime.clock import utc_now
from flamenco_runtime.http_client import Unreachable
from flamenco_runtime.journal import Journal


class LosesTheAnswer(ServerClient):
    """The Server begins anew, and its Manager never hears of it."""

    async def resync(self, request: ResyncRequest) -> ResyncReply:
        await super().resync(request)
        raise Unreachable("The line was cut.")


async def begin_anew_in_vain(sides: TwoSides) -> None:
    """Let a Manager that does not run ask its Server to begin anew, and die before it has the answer."""
    assert sides.server is not None
    assert sides.token is not None
    journal = await Journal.open(sides.folder / "manager" / "manager.sqlite", lambda _: None)
    try:
        server = LosesTheAnswer(sides.session, sides.server.url, sides.token)
        with pytest.raises(Unreachable):
            await begin_anew(
                ResyncStore(journal), Outbox(journal), server, Introduction("site", "/jobs"), now=utc_now()
            )
    finally:
        await journal.close()


def lose(sides: TwoSides) -> None:
    """Let the Manager's store be gone."""
    for file in (sides.folder / "manager").glob("manager.sqlite*"):
        file.unlink()


async def test_a_job_that_ended_before_it_began_does_not_run_after_its_manager_lost_its_store(tmp_path: Path) -> None:
    async with two_sides(tmp_path) as sides:
        await sides.start_server()
        worker = await (await sides.start_manager()).worker()
        await sides.stop_manager()
        canceled = await sides.submit()
        await sides.until(canceled, lambda job: "fetches it" in job["activity"])
        await sides.call("POST", f"jobs/{canceled}/cancel")
        await sides.start_manager()
        await sides.until_status(canceled, "canceled")
        await sides.stop_manager()
        lose(sides)
        worker = again(worker, await sides.start_manager())
        fresh = await sides.submit()
        assert {(await do_task(worker))["job"], (await do_task(worker))["job"]} == {fresh}
        await sides.until_status(fresh, "completed")
        assert (await worker.ask()).status == 204
        assert (await sides.job(canceled))["status"] == "canceled"


async def test_a_job_that_was_resumed_stays_so_after_its_manager_lost_its_store(tmp_path: Path) -> None:
    async with two_sides(tmp_path) as sides:
        await sides.start_server()
        worker = await (await sides.start_manager()).worker()
        job = await sides.submit(start_paused=True)
        await sides.until_status(job, "paused")
        await sides.call("POST", f"jobs/{job}/resume")
        await do_task(worker)
        await sides.until(job, lambda job: job["task_counts"].get("completed") == 1)
        await sides.stop_manager()
        lose(sides)
        await do_task(again(worker, await sides.start_manager()))
        await sides.until_status(job, "completed")


async def test_a_job_finished_when_it_did_also_after_its_manager_lost_its_store(tmp_path: Path) -> None:
    async with two_sides(tmp_path) as sides:
        await sides.start_server()
        worker = await (await sides.start_manager()).worker()
        job = await sides.submit()
        await do_task(worker)
        await do_task(worker)
        finished = (await sides.until_status(job, "completed"))["finished_at"]
        await sides.stop_manager()
        lose(sides)
        worker = again(worker, await sides.start_manager())
        fresh = await sides.submit()
        await do_task(worker)
        await do_task(worker)
        await sides.until_status(fresh, "completed")
        assert (await sides.until_status(job, "completed"))["finished_at"] == finished


async def test_tasks_that_were_active_are_shown_as_queued_after_their_manager_lost_its_store(tmp_path: Path) -> None:
    async with two_sides(tmp_path) as sides:
        await sides.start_server()
        worker = await (await sides.start_manager()).worker()
        job = await sides.submit()
        held = await worker_task(worker)
        assert (await worker.update(held, seq=1, taskStatus="active")).status == 204
        await sides.until_statuses(job, ["active", "queued"])
        await sides.stop_manager()
        lose(sides)
        await sides.start_manager()
        await sides.until_statuses(job, ["queued", "queued"])


async def test_a_job_that_was_erased_does_not_run_after_its_manager_was_restored(tmp_path: Path) -> None:
    async with two_sides(tmp_path) as sides:
        await sides.start_server()
        worker = await (await sides.start_manager()).worker()
        erased = await sides.submit()
        await sides.until_status(erased, "queued")
        await sides.stop_manager()
        sides.copy("manager")
        await sides.start_manager()
        await sides.call("POST", f"jobs/{erased}/delete")
        await sides.until_status(erased, "canceled")
        for _ in range(2):  # its Manager erases it; then the Server does
            await sides.stop_server()
            server = apsw.Connection(str(tmp_path / "server" / "server.sqlite"))
            server.execute("UPDATE jobs SET deleted_at = '2020-01-01T00:00:00.000Z'")
            server.close()
            await sides.start_server()
            await sides.until_all_is_answered()
        await sides.stop_manager()
        sides.put_back("manager")
        sides.restored()
        worker = again(worker, await sides.start_manager())
        fresh = await sides.submit()
        assert {(await do_task(worker))["job"], (await do_task(worker))["job"]} == {fresh}


async def changed_after_a_copy_of_the_server(sides: TwoSides) -> tuple[HttpWorker, str, str]:
    """Requeue a job and delete another after the Server's store was copied; then put that back. Neither runs."""
    await sides.start_server()
    world = await sides.start_manager()
    worker = await world.worker()
    requeued = await sides.submit()
    await do_task(worker)
    await do_task(worker)
    await sides.until_status(requeued, "completed")
    deleted = await sides.submit()
    await sides.until_status(deleted, "queued")
    await sides.stop_server()
    sides.copy("server")
    await sides.start_server()
    await sides.call("POST", f"jobs/{requeued}/requeue", json={"which": "all"})
    await sides.call("POST", f"jobs/{deleted}/delete")
    await sides.until(requeued, lambda job: job["task_counts"] == {"queued": 2})
    await sides.until_all_is_answered()
    await sides.stop_manager()
    await sides.stop_server()
    sides.put_back("server")
    return worker, requeued, deleted


@pytest.mark.parametrize("is_answer_lost", [False, True])
async def test_what_a_server_has_lost_is_not_lost_at_its_manager(tmp_path: Path, is_answer_lost: bool) -> None:
    async with two_sides(tmp_path) as sides:
        _, requeued, deleted = await changed_after_a_copy_of_the_server(sides)
        await sides.start_server()
        if is_answer_lost:
            await begin_anew_in_vain(sides)
        await sides.start_manager()
        await sides.until(requeued, lambda job: job["task_counts"] == {"queued": 2})
        assert (await sides.until(deleted, lambda job: job["deleted_at"]))["status"] == "canceled"
        await sides.call("POST", f"jobs/{deleted}/undelete")
        await sides.call("POST", f"jobs/{deleted}/requeue", json={"which": "all"})
        await sides.until(deleted, lambda job: job["task_counts"] == {"queued": 2})


async def test_a_manager_put_back_to_where_the_two_began_anew_is_the_older_side_then(tmp_path: Path) -> None:
    async with two_sides(tmp_path) as sides:
        worker, requeued, _ = await changed_after_a_copy_of_the_server(sides)
        sides.copy("manager")
        await sides.start_server()
        worker = again(worker, await sides.start_manager())
        await sides.until(requeued, lambda job: job["task_counts"] == {"queued": 2})
        await do_task(worker)
        await do_task(worker)
        await sides.until_status(requeued, "completed")
        await sides.stop_manager()
        sides.put_back("manager")
        worker = again(worker, await sides.start_manager())
        await sides.until_epoch(3)
        fresh = await sides.submit()
        assert {(await do_task(worker))["job"], (await do_task(worker))["job"]} == {fresh}
        assert (await sides.job(requeued))["status"] == "completed"
