"""What an update does, part by part, and what is said when the Manager cannot (worker-api.md 6.7 and 14)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import apsw
import pytest
from fake_server import FakeServer
from manager_world import HttpWorker, World, a_task, manager_world
from trace_steps import begun, reported, submitted, until_job, until_tasks

from flamenco_manager.held_pieces import MOST_PIECE_BYTES


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server) as running:
        yield running


async def test_the_newest_activity_is_shown_and_an_absent_one_changes_nothing(world: World) -> None:
    worker, job = await world.worker(), await submitted(world, a_task())
    task = await begun(worker)
    for activity in ("Rendering", "Saving"):
        assert (await worker.update(task, activity=activity)).status == 204
    assert (await worker.update(task, log="x\n")).status == 204
    assert (await worker.update(task, steps_completed=1)).status == 204
    await world.server.until(lambda: reported(world, job, 0).get("steps_completed") == 1)
    assert reported(world, job, 0)["activity"] == "Saving"


@pytest.mark.parametrize(("said", "kept"), [(10**15, 3), (2, 2), (-7, 0)])
async def test_steps_are_cut_to_those_that_there_are_and_the_job_sums_them_up(
    world: World, said: int, kept: int
) -> None:
    worker = await world.worker()
    command = {"name": "blender-render", "parameters": {}, "total_step_count": 3}
    job = await submitted(world, a_task(commands=[command]), a_task())
    task = await begun(worker)
    assert task["steps_total"] == 3
    assert (await worker.update(task, steps_completed=1)).status == 204
    assert (await worker.update(task, steps_completed=said)).status == 204
    await world.server.until(lambda: reported(world, job, 0).get("steps_completed") == kept)
    await world.server.until(lambda: world.server.mirror["jobs"][job]["steps_completed"] == kept)
    assert world.server.mirror["jobs"][job]["steps_total"] == 4


async def test_what_is_completed_has_all_its_steps(world: World) -> None:
    worker = await world.worker()
    command = {"name": "blender-render", "parameters": {}, "total_step_count": 3}
    job = await submitted(world, a_task(commands=[command]))
    task = await begun(worker)
    assert (await worker.update(task, taskStatus="completed", steps_completed=1)).status == 204
    await until_job(world, job, "completed")
    assert (reported(world, job, 0)["steps_completed"], reported(world, job, 0)["steps_total"]) == (3, 3)


async def test_a_log_without_a_newline_gets_one_from_a_flamenco_3_worker(world: World) -> None:
    worker, job = await world.worker(ours=False), await submitted(world, a_task())
    task = await begun(worker)
    for log in ("one", "two\n", "three"):
        assert (await worker.update(task, log=log)).status == 204
    assert (await worker.update(task, taskStatus="completed")).status == 204
    await until_job(world, job, "completed")
    await world.server.until(lambda: world.server.logs.get((task["uuid"], 1)) == b"one\ntwo\nthree\n")


async def test_the_log_of_a_result_is_there_when_the_result_is_seen(world: World) -> None:
    worker, job = await world.worker(), await submitted(world, a_task())
    task = await begun(worker)
    said = {"taskStatus": "completed", "log": "the end\n", "log_at": 0, "seq": 2}
    assert (await worker.update(task, **said)).status == 204
    await until_job(world, job, "completed")
    await world.server.until(lambda: (task["uuid"], 1) in world.server.whole_logs)
    assert world.server.logs[task["uuid"], 1] == b"the end\n"  # whole as soon as it is called whole


async def test_may_i_run_names_what_became_of_a_task(world: World) -> None:
    worker, job = await world.worker(), await submitted(world, a_task(), a_task(type="nobody-has-this"))
    task = await begun(worker)
    assert (await worker.update(task, taskStatus="completed", seq=2)).status == 204
    answer = (await worker.may_i_run(task)).json()
    assert (answer["mayKeepRunning"], "completed" in answer["reason"]) == (False, True)
    await until_tasks(world, job, "completed", "queued")


async def test_an_answer_of_204_is_on_disk(world: World, tmp_path: Path) -> None:
    worker, _ = await world.worker(), await submitted(world, a_task(), a_task())
    task = await begun(worker)
    assert (await worker.update(task, taskStatus="completed", seq=7, result={"device": "CPU"})).status == 204
    reader = apsw.Connection(str(tmp_path / "manager.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
    row = reader.execute("SELECT status, seq, result FROM tasks WHERE attempt = 1").fetchone()
    reader.close()
    assert row == ("completed", 7, b'{"device":"CPU"}')


async def test_a_secret_is_kept_as_its_sha256_alone(world: World, tmp_path: Path) -> None:
    worker = await world.worker()
    reader = apsw.Connection(str(tmp_path / "manager.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
    kept = reader.execute("SELECT secret_sha256 FROM workers").get
    reader.close()
    assert kept == hashlib.sha256(worker.secret.encode()).digest()
    files = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(worker.secret.encode() in data for data in files)


async def is_dropped(worker: HttpWorker, path: str, document: object) -> bool:
    """Tell whether a call is left without an answer."""
    try:
        await worker.call("POST", path, json=document)
    except aiohttp.ServerDisconnectedError:
        return True
    return False
    return False


async def test_an_update_that_cannot_be_kept_is_answered_503_to_ours_and_not_at_all_to_others(
    world: World, tmp_path: Path
) -> None:
    job = await submitted(world, a_task(), a_task())
    ours, old = await world.worker("ours"), await world.worker("old", ours=False)
    task, other = await begun(ours), await begun(old)
    logs = tmp_path / "task-logs"
    assert not logs.exists()
    logs.write_bytes(b"")  # so no folder can be made here
    long = "x" * MOST_PIECE_BYTES + "\n"
    refused = await ours.update(task, log=long, log_at=0, seq=2, taskStatus="completed")
    assert (refused.status, int(refused.headers["Retry-After"]) > 0) == (503, True)
    said = {"log": "y", "taskStatus": "completed"}
    assert await is_dropped(old, f"task/{other['uuid']}", said)
    assert (await ours.may_i_run(task)).json()["mayKeepRunning"] is True  # nothing of it was applied
    logs.unlink()
    assert (await ours.update(task, log=long, log_at=0, seq=2, taskStatus="completed")).status == 204
    assert (await old.update(other, **said)).status == 204
    await until_job(world, job, "completed")
    await world.server.until(lambda: world.server.logs.get((task["uuid"], 1)) == long.encode())
    await world.server.until(lambda: world.server.logs.get((other["uuid"], 1)) == b"y\n")


async def all_is_reported(world: World, data: Path) -> None:
    """Wait until the Server has heard everything, and that is stored: then nothing is on its way to the store."""
    waiting = """
    SELECT (SELECT count(*) FROM reports) + (SELECT count(*) FROM workers WHERE unreported = 1)
        + (SELECT count(*) FROM worker_states WHERE unreported = 1)
    """
    reader = apsw.Connection(str(data / "manager.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
    async with asyncio.timeout(20):
        while reader.execute(waiting).get:
            await world.call("GET", "/healthz")
    reader.close()


async def test_while_the_store_is_closed_sign_on_and_registration_are_left_unanswered(
    world: World, tmp_path: Path
) -> None:
    ours, old = await world.worker("ours"), await world.worker("old", ours=False)
    await all_is_reported(world, tmp_path)
    journal = world.foreman._store._journal  # type: ignore[attr-defined]
    await journal.close()
    said = {"name": "n", "supported_task_types": ["misc"], "software_version": "3.9"}
    assert await is_dropped(old, "sign-on", said)
    registration = {"secret": "s", "platform": "linux", "supported_task_types": ["misc"], "name": "new"}
    assert await is_dropped(HttpWorker(world, "", "", "new"), "register-worker", registration)
    told = await ours.call("POST", "state-changed", json={"status": "asleep"})
    assert (told.status, int(told.headers["Retry-After"]) > 0) == (503, True)
