"""A Worker that is never out of work: what others do to the Manager shows in how soon it is answered."""

import asyncio
import random
import time
from typing import Any

from fake_server import FakeServer
from happenings import Happenings
from manager_process import ManagerProcess
from recorded_worker import RecordedWorker
from waits import eventually

DEADLINE_S = 150.0
"""It only ends a test in which nothing is done any more."""
ECHO = {"name": "echo", "parameters": {"message": "hello"}, "total_step_count": 0}
TASK: dict[str, Any] = {"name": "t", "type": "misc", "commands": [ECHO]}


async def keep_working(
    server: FakeServer, manager: ManagerProcess, record: Happenings, over: asyncio.Event, answers: list[float]
) -> None:
    """Be that Worker, until ``over``; notes the time from each answer to the next."""
    last_s = time.monotonic()

    async def note() -> None:
        nonlocal last_s
        now_s = time.monotonic()
        answers.append(now_s - last_s)
        last_s = now_s

    async def submit() -> None:
        while not over.is_set():
            due = record.tally["completed, acknowledged"] + 1000
            await server.submit([TASK] * 2000)
            await eventually(
                lambda: over.is_set() or record.tally["completed, acknowledged"] >= due,  # noqa: B023
                DEADLINE_S,
            )

    worker = RecordedWorker("w", random.Random(1), record, lambda: (manager.host, manager.port), note)
    await asyncio.gather(worker.run(over), submit())
