"""B11 of quality.md 3.1: a Manager starts with very many tasks in its store, and after it was killed at work."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from farm_processes import Manager, manager_process, server_process
from raw_worker import RawWorker
from stored_history import store_history
from workloads import Figures, a_task, opened


def starting(finished: int, waiting: int) -> Figures:
    """A Manager starts on a store with so many tasks; how soon it hands one out, if any waits, or answers at all."""
    with TemporaryDirectory(prefix="flamenco-bench-") as folder, server_process() as server:
        store_history(Path(folder), finished=finished, waiting=waiting)
        began_s = time.perf_counter()
        with manager_process(Path(folder), server) as running:
            figures = {"first answer s": time.perf_counter() - began_s}
            asyncio.run(_first_ask(running))
            figures["first ask answered s"] = time.perf_counter() - began_s
            figures["memory MiB"] = running.memory_bytes() / 2**20
            return figures


def killed_at_work(workers: int, tasks: int, seconds: float) -> Figures:
    """A Manager is killed while Workers are at work; what is lost, and what is done again."""
    with TemporaryDirectory(prefix="flamenco-bench-") as folder, server_process() as server:
        with manager_process(Path(folder), server) as running:
            job = server.submit([a_task() for _ in range(tasks)])
            server.until(job, "queued")
            acknowledged, raw = asyncio.run(_work_until_killed(running, workers, seconds))
        began_s = time.perf_counter()
        with manager_process(Path(folder), server) as running:
            asyncio.run(_first_ask(running))
            back_s = time.perf_counter() - began_s
            asyncio.run(_work_off(running, raw))
            server.until(job, "completed")
            attempts = [attempt for _, attempt in server.statuses(job).values()]
        return {
            "acknowledged before the kill": len(acknowledged),
            "first ask answered s": back_s,
            "tasks handed out again": sum(attempt > 1 for attempt in attempts),
            "tasks lost": tasks - len(attempts),
            "done again though acknowledged": sum(
                server.statuses(job)[task] != ("completed", 1) for task in acknowledged
            ),
        }


async def _first_ask(running: Manager) -> None:
    worker = RawWorker(running.host, running.port, 99_999)
    await worker.open()
    await worker.tasks()
    await worker.call("sign off", "sign-off")
    await worker.close()


async def _work_until_killed(
    running: Manager, workers: int, seconds: float
) -> tuple[Sequence[str], Sequence[RawWorker]]:
    """Return the tasks whose completion was acknowledged, and the Workers."""
    acknowledged: list[str] = []

    async def work(worker: RawWorker) -> None:
        with contextlib.suppress(OSError, EOFError):
            while tasks := await worker.tasks():
                await worker.run(tasks[0])
                acknowledged.append(tasks[0]["uuid"])

    raw = await opened(running, workers)
    at_work = [asyncio.create_task(work(worker)) for worker in raw]
    await asyncio.sleep(seconds)
    running.kill()
    await asyncio.gather(*at_work)
    return acknowledged, raw


async def _work_off(running: Manager, raw: Sequence[RawWorker]) -> None:
    async def work(worker: RawWorker) -> None:
        await worker.come_back(running.host, running.port)
        while tasks := await worker.tasks(wait_s=5):
            await worker.run(tasks[0])

    await asyncio.gather(*(work(worker) for worker in raw))
