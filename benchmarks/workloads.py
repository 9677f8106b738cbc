"""The workloads of quality.md 3.1 about Workers at work: B2, B3, B4, B6, B7. Others: ``big_jobs`` and ``restarts``.

Each takes sizes, and returns figures by name. Throughput is measured in a closed loop, client and Manager on different
cores; latencies are those of the same calls.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from farm_processes import Manager, manager
from raw_worker import LOG, STARTED, Latencies, RawWorker
from stored_history import store_history

Figures = dict[str, float]
AT_ONCE = 16
"""Tasks asked for at once with batches: the most that the protocol allows."""


@contextmanager
def fresh_manager(profile: Path | None = None, *, history: int = 0) -> Iterator[Manager]:
    """Run a Manager on an empty folder, or on one with so many tasks that have been finished."""
    with TemporaryDirectory(prefix="flamenco-bench-") as folder:
        if history:
            store_history(Path(folder), finished=history)
        with manager(Path(folder), profile=profile) as running:
            yield running


def a_task(**changes: Any) -> dict[str, Any]:
    """Describe a task that costs nothing to run."""
    command = {"name": "echo", "parameters": {"message": "hello"}, "total_step_count": 0}
    return {"name": "echo", "type": "misc", "commands": [command], **changes}


def drain(
    workers: int,
    tasks: int,
    seconds: float,
    *,
    batches: bool = False,
    history: int = 0,
    profile: Path | None = None,
) -> Figures:
    """B2 and B3: so many Workers run so many tasks as fast as they can, for so many seconds at most.

    ``history``: beside so many that have been finished.
    """
    with fresh_manager(profile, history=history) as running:
        began_s = time.perf_counter()
        job = running.server.submit([a_task() for _ in range(tasks)])
        running.server.until(job, "queued")
        figures = {
            "stored after s": time.perf_counter() - began_s,
            "memory MiB": running.memory_bytes() / 2**20,
            "database MiB": running.database_bytes() / 2**20,
        }
        return figures | asyncio.run(_drained(running, workers, seconds, batches=batches))


def steady(workers: int, tasks: int, cycles_per_s: float, seconds: float) -> Figures:
    """B2 in an open loop: Workers begin at set times, whether the Manager keeps up or not; how long calls take then.

    A Worker that is late begins at once, and what it waited counts as time that its ask took.
    """
    with fresh_manager() as running:
        running.server.until(running.server.submit([a_task() for _ in range(tasks)]), "queued")
        return asyncio.run(_steady(running, workers, cycles_per_s, seconds))


def wide_graph(workers: int, tasks: int, seconds: float) -> Figures:
    """B7: so many tasks, and one that waits for them all."""
    return _graph([a_task() for _ in range(tasks)] + [a_task(depends_on=list(range(tasks)))], workers, seconds)


def chains(workers: int, number: int, length: int, seconds: float) -> Figures:
    """B7: so many chains of so many tasks."""
    tasks = [a_task(depends_on=[index - 1] if index % length else []) for index in range(number * length)]
    return _graph(tasks, workers, seconds)


def many_jobs(workers: int, jobs: int, tasks: int, seconds: float) -> Figures:
    """B7: so many jobs of so many tasks."""
    with fresh_manager() as running:
        submitted = [running.server.submit([a_task() for _ in range(tasks)]) for _ in range(jobs)]
        for job in submitted:
            running.server.until(job, "queued")
        return asyncio.run(_drained(running, workers, seconds))


def updates(workers: int, log_bytes: int, seconds: float) -> Figures:
    """B6: each Worker holds a task and says something of it again and again, as Flamenco 3's stresser does."""
    with fresh_manager() as running:
        job = running.server.submit([a_task() for _ in range(workers)])
        running.server.until(job, "queued")
        return asyncio.run(_updated(running, workers, log_bytes, seconds))


def waiting(workers: int, seconds: float) -> Figures:
    """B4: so many Workers wait for work; what that costs, and how soon the first and the last get some."""
    with fresh_manager() as running:
        return asyncio.run(_waited(running, workers, seconds))


async def opened(running: Manager, workers: int) -> list[RawWorker]:
    """Connect Workers, one after the other: they do not all start in the same moment."""
    raw = [RawWorker(running.host, running.port, number) for number in range(workers)]
    for worker in raw:
        await worker.open()
    return raw


def _graph(tasks: list[dict[str, Any]], workers: int, seconds: float) -> Figures:
    with fresh_manager() as running:
        running.server.until(running.server.submit(tasks), "queued")
        return asyncio.run(_drained(running, workers, seconds))


async def _drained(running: Manager, workers: int, seconds: float, *, batches: bool = False) -> Figures:
    raw = await opened(running, workers)
    work = _work_in_batches if batches else _work
    done, took_s, cpu_s = await _timed(running, [work(worker, time.perf_counter() + seconds) for worker in raw])
    return {
        "life cycles/s": done / took_s,
        "CPU ms each": 1e3 * cpu_s / max(1, done),
        **_latencies(raw, ("ask", "started", "log and step", "completed", "batch")),
    }


async def _steady(running: Manager, workers: int, cycles_per_s: float, seconds: float) -> Figures:
    raw = await opened(running, workers)
    began_s, every_s = time.perf_counter(), workers / cycles_per_s

    async def work(worker: RawWorker, begin_s: float) -> int:
        done = 0
        while begin_s < began_s + seconds:
            await asyncio.sleep(max(0.0, begin_s - time.perf_counter()))
            tasks = await worker.tasks(due_s=begin_s)
            await worker.run(tasks[0])
            done, begin_s = done + 1, begin_s + every_s
        return done

    starts = [began_s + 0.1 + every_s * number / workers for number in range(workers)]
    done, took_s, cpu_s = await _timed(
        running, [work(worker, start) for worker, start in zip(raw, starts, strict=True)]
    )
    calls = ("ask", "started", "log and step", "completed")
    return {"life cycles/s": done / took_s, "CPU ms each": 1e3 * cpu_s / max(1, done), **_latencies(raw, calls)}


async def _work(worker: RawWorker, until_s: float) -> int:
    done = 0
    while time.perf_counter() < until_s and (tasks := await worker.tasks()):
        await worker.run(tasks[0])
        done += 1
    return done


async def _work_in_batches(worker: RawWorker, until_s: float) -> int:
    done = 0
    while time.perf_counter() < until_s and (tasks := await worker.tasks(most=AT_ONCE)):
        await worker.run_batch(tasks)
        done += len(tasks)
    return done


async def _updated(running: Manager, workers: int, log_bytes: int, seconds: float) -> Figures:
    raw = await opened(running, workers)
    log = (LOG * (log_bytes // len(LOG) + 1))[:log_bytes]

    async def update(worker: RawWorker, until_s: float) -> int:
        task = (await worker.tasks())[0]
        path, said = f"task/{task['uuid']}", {"attempt": task["attempt"]}
        await worker.call("started", path, {**said, "seq": 1, **STARTED})
        seq = 1
        while time.perf_counter() < until_s:
            seq += 1
            update = {**said, "seq": seq, "log": log, "log_at": (seq - 2) * log_bytes, "activity": f"update {seq}"}
            status, body = await worker.call("update", path, update)
            assert status == 204, (status, body)
        return seq - 1

    done, took_s, cpu_s = await _timed(running, [update(worker, time.perf_counter() + seconds) for worker in raw])
    return {
        "updates/s": done / took_s,
        "log MB/s": done * log_bytes / took_s / 1e6,
        "CPU ms each": 1e3 * cpu_s / max(1, done),
        **_latencies(raw, ("update",)),
    }


async def _waited(running: Manager, workers: int, seconds: float) -> Figures:
    raw = await opened(running, workers)
    taken_s: list[float] = []

    async def wait(worker: RawWorker) -> None:
        while not (tasks := await worker.tasks(wait_s=60)):
            pass
        taken_s.append(time.perf_counter())
        await worker.run(tasks[0])

    waits = [asyncio.create_task(wait(worker)) for worker in raw]
    await asyncio.sleep(1.0)
    cpu_s, began_s = running.cpu_s(), time.perf_counter()
    await asyncio.sleep(seconds)
    share = (running.cpu_s() - cpu_s) / (time.perf_counter() - began_s)
    submitted_s = time.perf_counter()
    await asyncio.to_thread(running.server.submit, [a_task() for _ in range(workers)])
    await asyncio.gather(*waits)
    return {
        "waiting: % of a core": 100 * share,
        "submit to first ms": 1e3 * (min(taken_s) - submitted_s),
        "submit to last ms": 1e3 * (max(taken_s) - submitted_s),
    }


async def _timed(running: Manager, work: Sequence[Awaitable[int]]) -> tuple[int, float, float]:
    """Return how much was done, how long it took, and what it cost the Manager."""
    cpu_s, began_s = running.cpu_s(), time.perf_counter()
    done = sum(await asyncio.gather(*work))
    return done, time.perf_counter() - began_s, running.cpu_s() - cpu_s


def _latencies(raw: Sequence[RawWorker], names: Sequence[str]) -> Figures:
    all_of_them = Latencies()
    for worker in raw:
        all_of_them.merge(worker.latencies)
    figures: Figures = {}
    for name in names:
        if (quantiles := all_of_them.quantiles_ms(name)) is not None:
            figures |= dict(zip((f"{name} p50 ms", f"{name} p99 ms", f"{name} max ms"), quantiles, strict=True))
    return figures


Workload = Callable[[], Figures]
