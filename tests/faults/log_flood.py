"""A task that writes far more log than anybody wants, in lines of any length; meanwhile another Worker works on."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from busy_worker import TASK, keep_working
from fake_server import FakeServer, fake_server
from happenings import Happenings
from manager_process import ManagerProcess, manager_process
from raw_link import RawLink
from recorded_worker import TYPES
from waits import eventually

MIB = 1024 * 1024
PIECE_BYTES = 2 * MIB
MOST_LOG_MIB = 8
MOST_MORE_MEMORY_MIB = 60
"""Pieces that are read, parsed and written at the moment; three times as much as is hoped for (quality.md, 4.3)."""


async def flood(folder: Path, *, mib: int, say: Callable[[str], None] = print) -> None:
    """Write so many MiB to the log of one task, without one end of line in them, then a few lines."""
    record, over, answers = Happenings(), asyncio.Event(), list[float]()
    async with (
        fake_server() as server,
        manager_process(folder / "manager", server.url, most_log_mib=MOST_LOG_MIB) as manager,
    ):
        await manager.start()
        link, task = await _begun(server, manager)
        other = asyncio.create_task(keep_working(server, manager, record, over, answers))
        await eventually(lambda: record.tally["completed, acknowledged"] > 20)
        process = psutil.Process(manager.pid)
        before, most, began = process.memory_info().rss, 0, time.monotonic()
        for number in range(mib * MIB // PIECE_BYTES):
            answer = await _say(link, task, number + 2, log="x" * PIECE_BYTES, log_at=number * PIECE_BYTES)
            assert answer == 204
            most = max(most, process.memory_info().rss - before)
        seconds = time.monotonic() - began
        end = "\nthe last line\n"
        assert await _say(link, task, 10**6, log=end, log_at=mib * MIB, taskStatus="completed") == 204
        on_disk = sum(file.stat().st_size for file in (manager.data / "task-logs").rglob("*") if file.is_file())
        await server.until(lambda: (task["uuid"], task["attempt"]) in server.whole_logs, 60)
        over.set()
        await other
        await link.close()
    shown = bytes(server.logs[task["uuid"], task["attempt"]])
    answers.sort()
    say(
        f"{mib:,} MiB of log in {seconds:.1f} s: {on_disk / MIB:.1f} MiB on disk, at most {most / MIB:.0f} MiB more "
        f"memory; p99 of another Worker's answers {1e3 * answers[len(answers) * 99 // 100]:.0f} ms"
    )
    assert on_disk <= (MOST_LOG_MIB + 1) * MIB
    assert len(shown) <= (MOST_LOG_MIB + 1) * MIB
    assert shown.startswith(b"xxx")
    assert shown.endswith(end.encode()), "the end is kept"
    assert len(shown.replace(b"x", b"")) > len(end) + 10, "it says that its middle is missing"
    assert most <= MOST_MORE_MEMORY_MIB * MIB


async def _begun(server: FakeServer, manager: ManagerProcess) -> tuple[RawLink, dict[str, Any]]:
    """Be a Worker that has begun a task."""
    link = RawLink(lambda: (manager.host, manager.port))
    said = {"secret": "hush", "platform": "linux", "supported_task_types": TYPES, "name": "flooding"}
    registered: Any = (await link.call("POST", "register-worker", said)).json()
    link.sign(registered["uuid"], "hush")
    signing = {"name": "flooding", "supported_task_types": TYPES, "software_version": "4", "features": ["attempt"]}
    await link.call("POST", "sign-on", signing)
    await link.call("POST", "state-changed", {"status": "awake"})
    await server.submit([TASK])
    task: Any = (await link.call("POST", "task", wait_s=30)).json()
    assert await _say(link, task, 1, taskStatus="active") == 204
    return link, task


async def _say(link: RawLink, task: dict[str, Any], seq: int, **said: Any) -> int:
    about = {"attempt": task["attempt"], "seq": seq}
    return (await link.call("POST", f"task/{task['uuid']}", {**about, **said})).status
