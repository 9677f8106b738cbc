"""Processes that stand still (SIGSTOP) for longer than anybody waits for them, and clocks that jump."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cable import Cable, cable
from fake_server import FakeServer
from manager_process import manager_process
from manager_world import TestTime, a_task, manager_world
from raw_link import RawLink
from recorded_worker import TYPES
from waits import eventually

from end_to_end.farm import is_alive

SUSPENDED_S = 7.5
"""The Manager takes a tick that comes more than 5 s late for a sign that it stood still itself."""
PATIENCE_S = 2.0
RENDERER = """
import os, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
with (folder / "begun").open("a") as begun:
    begun.write(f"{os.getpid()}\\n")
if (folder / "begun").read_text().count("\\n") == 1:
    time.sleep(3600)
(folder / "frame").write_text("by the second")
"""
"""The first time it takes for ever, the second time it is quick."""


class Jumping(TestTime):
    """A clock on the wall that jumps when it is told to; what measures time goes on as ever."""

    def __init__(self) -> None:
        super().__init__()
        self.jumped_s = 0.0

    def wall(self) -> Any:
        return super().wall() + timedelta(seconds=self.jumped_s)


async def test_a_manager_that_stood_still_for_longer_than_its_leases_times_nobody_out(
    server: FakeServer, tmp_path: Path
) -> None:
    names = ("worker_timeout_s", "idle_worker_timeout_s", "starting_worker_timeout_s", "task_timeout_s")
    settings = dict.fromkeys(names, 3.0)
    async with manager_process(tmp_path / "m", server.url, **settings, start_up_grace_s=0.0) as manager:
        await manager.start()
        job = await server.submit([a_task()])
        link = await signed_on(manager.host, manager.port)
        task: Any = (await link.call("POST", "task", wait_s=10)).json()
        path, attempt = f"task/{task['uuid']}", task["attempt"]
        assert (await link.call("POST", path, {"attempt": attempt, "seq": 1, "taskStatus": "active"})).status == 204
        manager.suspend()
        await asyncio.sleep(SUSPENDED_S)
        manager.wake()
        assert (await link.call("GET", f"{path}/may-i-run?attempt={attempt}", wait_s=2)).json() == {
            "mayKeepRunning": True,
            "reason": "",
            "statusChangeRequested": False,
        }
        assert (await link.call("POST", path, {"attempt": attempt, "seq": 2, "taskStatus": "completed"})).status == 204
        await server.until_job(job, "completed")
        assert server.mirror["tasks"][task["uuid"]]["attempt"] == attempt
        assert not [state for state in server.worker_states if state["status"] == "error"]
        await link.close()


async def signed_on(host: str, port: int) -> RawLink:
    """Make a Worker that is awake."""
    link = RawLink(lambda: (host, port))
    said = {"name": "w", "supported_task_types": TYPES}
    secret = "s" * 64
    answer = await link.call("POST", "register-worker", {**said, "secret": secret, "platform": "linux"})
    registered: Any = answer.json()
    link.sign(registered["uuid"], secret)
    await link.call("POST", "sign-on", {**said, "software_version": "4", "features": ["attempt", "wait"]})
    await link.call("POST", "state-changed", {"status": "awake"})
    return link


@pytest.mark.timeout(180)
async def test_a_worker_that_stood_still_wakes_when_its_task_is_done_by_another_and_spoils_nothing(
    server: FakeServer, tmp_path: Path
) -> None:
    begun, frame = tmp_path / "begun", tmp_path / "frame"
    settings = {"worker_timeout_s": PATIENCE_S, "starting_worker_timeout_s": PATIENCE_S, "start_up_grace_s": 0.0}
    async with manager_process(tmp_path / "m", server.url, **settings) as manager:
        await manager.start()
        url = f"http://{manager.host}:{manager.port}"
        parameters = {"exe": sys.executable, "args": ["-c", RENDERER, str(tmp_path)]}
        command = {"name": "exec", "parameters": parameters, "total_step_count": 1}
        job = await server.submit([a_task(commands=[command])])
        async with cable(url) as wire, worker(wire.url, tmp_path / "first") as first:
            await eventually(lambda: begun.exists() and begun.read_text().endswith("\n"))
            child = int(begun.read_text())
            await stands_still(first, child, wire)
            async with worker(url, tmp_path / "second"):
                await server.until_job(job, "completed")
                assert frame.read_text() == "by the second"
                changed = frame.stat().st_mtime_ns
                wire.mend()
                for process in (child, first.pid):
                    os.kill(process, signal.SIGCONT)
                await eventually(lambda: not is_alive(child))
                (task,) = server.mirror["tasks"].values()
                assert (task["status"], task["worker_name"]) == ("completed", "second")
                assert server.mirror["jobs"][job]["status"] == "completed"
                assert (frame.read_text(), frame.stat().st_mtime_ns) == ("by the second", changed)


async def stands_still(process: asyncio.subprocess.Process, child: int, wire: Cable) -> None:
    """Stop a Worker and what it runs; the network notices that nobody is there."""
    for one in (process.pid, child):
        os.kill(one, signal.SIGSTOP)
    wire.cut()


@asynccontextmanager
async def worker(url: str, data: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run ``flamenco worker`` while the context lasts."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLAMENCO_")}
    arguments = ("worker", "--manager", url, "--data", str(data), "--slots", "1", "--name", data.name)
    with data.with_suffix(".log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "flamenco_cli", *arguments, env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
            process.terminate()
        await process.wait()


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0], ids=["ahead", "back"])
async def test_a_clock_that_jumps_by_an_hour_times_nobody_out(
    server: FakeServer, tmp_path: Path, jump_s: float
) -> None:
    time = Jumping()
    async with manager_world(tmp_path, server, time=time, start_up_grace_s=0.0) as world:
        job = await server.submit([a_task(), a_task()])
        one, other = await world.worker("one"), await world.worker("other")
        task = await one.task()
        assert (await one.update(task, seq=1, taskStatus="active")).status == 204
        time.jumped_s = jump_s
        await world.passes(2)
        assert (await one.may_i_run(task)).json()["mayKeepRunning"]
        waiting = await other.task()
        for worker_, held, seq in ((one, task, 2), (other, waiting, 1)):
            assert (await worker_.update(held, seq=seq, taskStatus="completed")).status == 204
        await server.until_job(job, "completed")
        assert {state["status"] for state in server.worker_states} <= {"starting", "awake"}
        assert [server.mirror["tasks"][held["uuid"]]["attempt"] for held in (task, waiting)] == [1, 1]
