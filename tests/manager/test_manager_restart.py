"""A Manager that is stopped and started again: everything is rebuilt from its disk."""

import asyncio
from pathlib import Path

from fake_server import FakeServer
from manager_world import TestTime, a_frame, a_frame_task, a_task, manager_world

from flamenco_manager import job_arrival


async def test_a_running_attempt_goes_on_after_a_restart(server: FakeServer, tmp_path: Path) -> None:
    time = TestTime()
    async with manager_world(tmp_path, server, time=time) as world:
        worker = await world.worker()
        job = await server.submit([a_frame_task("1-2"), a_task(depends_on=[0])])
        task = await worker.task()
        await worker.update(task, taskStatus="active", seq=1)
        await worker.update(task, frames=[a_frame(1)], steps_completed=1, seq=2)
    time.passed_s += 3600  # and the Manager was away for an hour
    async with manager_world(tmp_path, server, time=time) as world:
        worker.world = world
        assert (await worker.may_i_run(task)).json()["mayKeepRunning"] is True
        assert (await worker.update(task, taskStatus="active", seq=1)).status == 204
        assert (await worker.update(task, taskStatus="completed", seq=3)).status == 204
        last = await worker.task()
        assert last["name"] == "echo"
        await worker.update(last, taskStatus="completed", seq=1)
        assert (await server.until_job(job, "completed"))["counts"] == {"completed": 2}
        assert len([one for one in server.mirror["tasks"].values() if one["status"] == "completed"]) == 2


async def test_attempts_failures_and_pauses_survive(server: FakeServer, tmp_path: Path) -> None:
    time = TestTime()
    async with manager_world(tmp_path, server, time=time) as world:
        worker = await world.worker()
        await server.submit([a_task()])
        await worker.update(await worker.task(), taskStatus="failed", activity="no camera", seq=1)
    async with manager_world(tmp_path, server, time=time) as world:
        worker.world = world
        assert (await worker.ask()).status == 204  # it waits for its turn to try again
        time.passed_s += 6
        task = await worker.task()
        assert task["attempt"] == 2
        await server.until(lambda: server.mirror["tasks"].get(task["uuid"], {}).get("attempt") == 2)
        assert server.mirror["tasks"][task["uuid"]]["failed_by"] == [{"worker": worker.id, "reason": "no camera"}]


async def test_saved_frames_are_known_after_a_restart(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        await server.submit([a_frame_task("1-3")])
        task = await worker.task()
        await worker.update(task, frames=[a_frame(2)], seq=1)
    async with manager_world(tmp_path, server) as world:
        worker.world = world
        assert [frame["frame"] for frame in (await worker.task())["frames_done"]] == [2]


async def test_trace_18_the_mark_on_a_task_survives_a_restart(server: FakeServer, tmp_path: Path) -> None:
    time = TestTime()
    async with manager_world(tmp_path, server, time=time) as world:
        old = await world.worker(ours=False)
        await server.submit([a_task()])
        task = await old.task()
        await old.update(task, taskStatus="active")
        await old.sign_off()
    async with manager_world(tmp_path, server, time=time) as world:
        old.world = world
        await old.sign_on()
        await old.say_status("awake")
        assert (await old.ask()).status == 204
        assert (await old.update(task, taskStatus="completed")).status == 409
        time.passed_s += 61
        assert (await old.task())["attempt"] == 2


async def test_a_job_that_was_being_fetched_goes_on_where_it_stopped(server: FakeServer, tmp_path: Path) -> None:
    server.refuse_tasks = True
    tasks = [a_task(name=f"task-{number}") for number in range(1100)]
    async with manager_world(tmp_path, server):
        job = await server.submit(tasks, files={"a.blend": b"BLENDER"})
        await server.until(lambda: "does not work yet" in server.mirror["jobs"].get(job, {}).get("activity", ""))
    server.refuse_tasks = False
    async with manager_world(tmp_path, server) as world:
        report = await server.until_job(job, "queued")
        assert report["counts"] == {"queued": 1100}
        assert (tmp_path / "jobs" / job / "a.blend").read_bytes() == b"BLENDER"
        worker = await world.worker()
        assert (await worker.task())["name"] == "task-0"


async def test_the_last_task_of_a_long_job_is_handed_out_as_well(server: FakeServer, tmp_path: Path) -> None:
    """They become ready by and by, and whoever waits for one that is late gets it."""
    tasks = [a_task(type="blender") for _ in range(job_arrival.LISTED_AT_ONCE)]
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        assert (await worker.sign_on(supported_task_types=["misc"])).status == 200
        assert (await worker.say_status("awake")).status == 204
        waiting = asyncio.create_task(worker.task())
        await world.until_present(worker)
        await server.submit([*tasks, a_task(name="last", priority=90)])
        assert (await waiting)["name"] == "last"


async def test_the_link_needs_its_token_only_once(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server):
        pass
    assert (tmp_path / "link.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "manager.sqlite").stat().st_mode & 0o777 == 0o600
    async with manager_world(tmp_path, server, token=None):
        await server.issue("job.cancel", job="nonsense")
        await server.until(lambda: 1 in server.results)
