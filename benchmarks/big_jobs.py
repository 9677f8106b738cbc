"""B1 and B9 of quality.md 3.1: a very large job comes, and is changed, while others go on."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from farm_processes import Manager
from raw_worker import RawWorker
from workloads import Figures, a_task, fresh_manager, opened

LOOK_S = 0.002
CHANGES = (
    ("priority", "job.priority", {"priority": 70}, ""),
    ("pause", "job.pause", {}, "paused"),
    ("resume", "job.resume", {}, "active"),
    ("cancel", "job.cancel", {}, "canceled"),
    ("requeue", "job.requeue", {"which": "all"}, "active"),
    ("delete", "job.delete", {}, "canceled"),
)
"""What is done to the job: its name, its order, and the status that the job has then."""


class Others:
    """Those who go on meanwhile: how long the slowest of their calls took."""

    def __init__(self) -> None:
        self.worst_s = 0.0

    async def go_on(self, worker: RawWorker) -> None:
        """Run tasks, one after the other; ask again when there are none."""
        while True:
            began_s = time.perf_counter()
            tasks = await worker.tasks()
            self.worst_s = max(self.worst_s, time.perf_counter() - began_s)
            if tasks:
                began_s = time.perf_counter()
                await worker.run(tasks[0])
                self.worst_s = max(self.worst_s, (time.perf_counter() - began_s) / 3)
            await asyncio.sleep(LOOK_S)

    def since_last(self) -> float:
        """Return the slowest call since this was asked last, in milliseconds."""
        worst_s, self.worst_s = self.worst_s, 0.0
        return 1e3 * worst_s


def arriving(tasks: int) -> Figures:
    """B1: a job of so many tasks is ordered; how soon it can run, and how long others wait meanwhile."""
    with fresh_manager() as running:
        running.server.until(running.server.submit([a_task() for _ in range(20_000)]), "queued")
        return asyncio.run(_arriving(running, tasks))


def changing(tasks: int) -> Figures:
    """B9: such a job is changed in every way; how long others wait meanwhile."""
    with fresh_manager() as running:
        running.server.submit([a_task() for _ in range(20_000)], priority=90)
        job = running.server.submit([a_task() for _ in range(tasks)])
        running.server.until(job, "queued")
        return asyncio.run(_changing(running, job))


async def _arriving(running: Manager, tasks: int) -> Figures:
    async with _others(running) as others:
        began_s = time.perf_counter()
        job = await asyncio.to_thread(running.server.submit, [a_task() for _ in range(tasks)], tag="nobody")
        ordered_s = time.perf_counter() - began_s
        others.since_last()
        await asyncio.to_thread(running.server.until, job, "queued")
        figures = {"ordered after s": ordered_s, "stored after s": time.perf_counter() - began_s}
        figures["others waited at most ms"] = others.since_last()
    figures["memory MiB"] = running.memory_bytes() / 2**20
    figures["database MiB"] = running.database_bytes() / 2**20
    return figures


async def _changing(running: Manager, job: str) -> Figures:
    figures: Figures = {}
    async with _others(running) as others:
        for name, kind, details, status in CHANGES:
            others.since_last()
            began_s = time.perf_counter()
            await asyncio.to_thread(running.server.order, kind, job=job, **details)
            if status:
                await asyncio.to_thread(running.server.until, job, status)
                figures[f"{name} s"] = time.perf_counter() - began_s
            await asyncio.sleep(1.0)  # what follows from it may be what keeps others waiting
            figures[f"{name}: others waited at most ms"] = others.since_last()
    return figures


@contextlib.asynccontextmanager
async def _others(running: Manager) -> AsyncIterator[Others]:
    others, raw = Others(), await opened(running, 4)
    going_on = [asyncio.create_task(others.go_on(worker)) for worker in raw]
    await asyncio.sleep(0.5)
    try:
        yield others
    finally:
        for task in going_on:
            task.cancel()
        await asyncio.wait(going_on)
