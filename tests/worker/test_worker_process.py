"""The Worker as a process: killed, stopped, started again."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from fake_manager import FakeManager
from worker_world import a_command, a_render, is_running, until_gone

Process = asyncio.subprocess.Process
Start = Callable[[], Awaitable[Process]]


@pytest.fixture
async def start(manager: FakeManager, tmp_path: Path, blender: str) -> AsyncIterator[Start]:
    """Start a Worker process, always with the same data; whatever is left is killed at the end."""
    started: list[Process] = []

    async def run() -> Process:
        script = Path(__file__).with_name("worker_process.py")
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), manager.url, str(tmp_path / "data"), blender
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until_rendering(manager: FakeManager, task: str) -> int:
    """Wait until Blender is in the middle of a frame; returns its process id."""
    await manager.until(lambda: "Sample" in manager.log_of(task), "it renders")
    pid = int(manager.log_of(task).partition("pid=")[2].split()[0])
    assert is_running(pid)
    return pid


async def test_a_killed_worker_takes_its_blender_along(
    manager: FakeManager, start: Start, scenes: Path, tmp_path: Path
) -> None:
    process = await start()
    task = await manager.hand_out(a_render(scenes / "slow.blend", tmp_path / "out", "1-3"))
    blender = await until_rendering(manager, task)
    process.kill()
    await process.wait()
    await until_gone(blender)
    assert list((tmp_path / "out").glob("*.png")) == []
    await start()
    again = await manager.hand_out(a_render(scenes / "scene.blend", tmp_path / "out", "1-3"), task_id=task, attempt=2)
    assert await manager.until_ended(again) == "completed"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["000001.png", "000002.png", "000003.png"]
    assert len(manager.registrations) == 1


async def test_a_stopped_worker_ends_its_blender_signs_off_and_exits_with_0(
    manager: FakeManager, start: Start, scenes: Path, tmp_path: Path
) -> None:
    process = await start()
    task = await manager.hand_out(a_render(scenes / "slow.blend", tmp_path / "out", "1-3"))
    blender = await until_rendering(manager, task)
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert not is_running(blender)
    assert manager.sign_offs == 1
    assert manager.ended_as(task) is None
    assert list((tmp_path / "out").iterdir()) == []


async def test_what_a_killed_worker_had_not_delivered_is_delivered_by_the_next(
    manager: FakeManager, start: Start, tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    process = await start()
    script = f"while [ ! -e {go_on} ]; do sleep 0.05; done; echo the end"
    task = await manager.hand_out(a_command("exec", exe="sh", args=["-c", script]))
    await manager.until(lambda: manager.log_of(task), "it begins")
    manager.outage = 503
    turned_away = manager.turned_away
    go_on.touch()
    await manager.until(lambda: manager.turned_away > turned_away, "it tries to tell the end")
    process.kill()
    await process.wait()
    manager.outage = None
    await start()
    assert await manager.until_ended(task) == "completed"
    assert "the end\n" in manager.log_of(task)
