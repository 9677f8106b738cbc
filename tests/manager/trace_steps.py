"""What traces are made of, over HTTP: orders that are carried out, and what is reported of jobs and tasks."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from manager_world import HttpWorker, World

UNREPORTED = "queued"
"""What a task is of which nothing was reported yet."""
GRACE_S = 121.0
"""The Manager's first two minutes, in which nothing times out."""


async def asked(world: World, kind: str, **details: Any) -> dict[str, Any]:
    """Let people ask for something; returns what became of it."""
    return await world.server.asked(kind, **details)


async def done(world: World, kind: str, **details: Any) -> None:
    """Let people ask for something that must be done."""
    result = await asked(world, kind, **details)
    assert result["result"] == "done", result


async def submitted(world: World, *tasks: dict[str, Any], **changes: Any) -> str:
    """Submit a job, and wait until the Manager has it."""
    job = await world.server.submit(list(tasks), **changes)
    status = "paused" if changes.get("start_paused") else "queued"
    await world.server.until_job(job, status)
    return job


def task_id(world: World, job: str, index: int) -> str:
    return str(world.server.tasks[job][index]["id"])


def reported(world: World, job: str, index: int) -> dict[str, Any]:
    return world.server.mirror["tasks"].get(task_id(world, job, index), {})


def statuses(world: World, job: str) -> list[str]:
    """What is reported of a job's tasks."""
    return [reported(world, job, index).get("status", UNREPORTED) for index in range(len(world.server.tasks[job]))]


async def until_tasks(world: World, job: str, *expected: str) -> None:
    """Wait until a job's tasks are reported so, in their order."""
    try:
        await world.server.until(lambda: statuses(world, job) == list(expected))
    except TimeoutError:
        raise AssertionError(f"{statuses(world, job)}, not {list(expected)}") from None


async def until_job(world: World, job: str, status: str) -> dict[str, Any]:
    """Wait until a job is reported so."""
    try:
        return await world.server.until_job(job, status)
    except TimeoutError:
        raise AssertionError(f"{world.server.mirror['jobs'].get(job)}, not {status}") from None


async def begun(worker: HttpWorker) -> dict[str, Any]:
    """Let a Worker take a task and say that it runs it."""
    task = await worker.task()
    assert (await worker.update(task, taskStatus="active", seq=1)).status == 204
    return task


async def completed(worker: HttpWorker) -> dict[str, Any]:
    """Let a Worker take a task and complete it."""
    task = await begun(worker)
    assert (await worker.update(task, taskStatus="completed", seq=2)).status == 204
    return task


async def failed(worker: HttpWorker, why: str = "no camera") -> dict[str, Any]:
    """Let a Worker take a task and fail it."""
    task = await begun(worker)
    assert (await worker.update(task, taskStatus="failed", activity=why, seq=2)).status == 204
    return task


async def starts_again(worker: HttpWorker) -> None:
    """Let a Worker that had died start again."""
    assert (await worker.sign_on()).status == 200
    assert (await worker.say_status("awake")).status == 204


async def passes(world: World, seconds: float, *in_touch: HttpWorker) -> None:
    """Let time pass; Workers that are ``in_touch`` are heard of every half minute."""
    while seconds > 0:
        step = min(seconds, 30.0)
        await world.passes(step)
        for worker in in_touch:
            assert (await worker.call("GET", "state")).status in (200, 204)
        seconds -= step


async def may_run(worker: HttpWorker, task: dict[str, Any]) -> bool:
    answer: bool = (await worker.may_i_run(task, attempt=task.get("attempt"))).json()["mayKeepRunning"]
    return answer


@contextmanager
def disk_held(world: World) -> Iterator[None]:
    """Let the Manager's disk take its time: nothing that is decided meanwhile is stored before the context ends."""
    may_go_on = threading.Event()
    journal = world.foreman._store._journal  # type: ignore[attr-defined]
    journal.write(lambda _: may_go_on.wait())
    try:
        yield
    finally:
        may_go_on.set()


async def until_in_memory(question: Callable[[], object], deadline_s: float = 20.0) -> None:
    """Wait for something that only the Manager's memory holds: its disk is waited for, or nobody is told of it."""
    async with asyncio.timeout(deadline_s):
        while not question():  # noqa: ASYNC110 (nobody tells us)
            await asyncio.sleep(0.001)
