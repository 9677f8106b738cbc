"""SIGTERM to a Manager at work: what it answered is there after the restart, and Workers go on with what they hold."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from fake_server import FakeServer
from happenings import Happenings
from kills import LENIENT, _tasks
from manager_process import ManagerProcess, manager_process
from raw_link import Broken, RawLink
from recorded_worker import TYPES, RecordedWorker
from store_checks import check_acknowledged, check_logs, check_mirror, check_store, copy_of, until_all_is_told
from waits import eventually

STOPS = 4
TASKS = 200
WORKERS = 6


def where(manager: ManagerProcess) -> Callable[[], tuple[str, int]]:
    return lambda: (manager.host, manager.port)


async def test_a_manager_stopped_in_the_middle_of_updates_loses_nothing_that_it_answered(
    server: FakeServer, tmp_path: Path
) -> None:
    record, answered, over = Happenings(), asyncio.Condition(), asyncio.Event()
    answers = 0

    async def count() -> None:
        nonlocal answers
        async with answered:
            answers += 1
            answered.notify_all()

    async with manager_process(tmp_path / "manager", server.url, **LENIENT) as manager:
        await manager.start()
        job = await server.submit(_tasks(TASKS))
        crew = [
            RecordedWorker(f"w{n}", random.Random(n), record, where(manager), count, batches=n % 2 == 0)
            for n in range(WORKERS)
        ]
        async with asyncio.TaskGroup() as group:
            for worker in crew:
                group.create_task(worker.run(over))
            for stop in range(1, STOPS + 1):
                due = answers + TASKS * 3 // STOPS // 2
                async with asyncio.timeout(60), answered:
                    await answered.wait_for(lambda: answers >= due)  # noqa: B023 (awaited here)
                assert await manager.stop() == 0, f"stop {stop}"
                with copy_of(manager.data) as connection:
                    check_store(connection)
                    check_acknowledged(connection, record)
                await manager.start()
            await eventually(lambda: server.mirror["jobs"].get(job, {}).get("status") == "completed")
            over.set()
        await until_all_is_told(manager.data)
        assert await manager.stop() == 0
        with copy_of(manager.data) as connection:
            check_acknowledged(connection, record)
            check_mirror(connection, server)
        check_logs(record, server)
    assert record.breaks, "calls were under way when it was stopped"


async def holding(server: FakeServer, manager: ManagerProcess) -> tuple[RawLink, dict[str, Any]]:
    """Be a Worker that runs a task."""
    link = RawLink(where(manager))
    said = {"secret": "hush", "platform": "linux", "supported_task_types": TYPES, "name": "w"}
    registered: Any = (await link.call("POST", "register-worker", said)).json()
    link.sign(registered["uuid"], "hush")
    signing = {"name": "w", "supported_task_types": TYPES, "software_version": "4", "features": ["attempt", "wait"]}
    assert (await link.call("POST", "sign-on", signing)).status == 200
    assert (await link.call("POST", "state-changed", {"status": "awake"})).status == 204
    await server.submit(_tasks(2))
    task: Any = (await link.call("POST", "task", wait_s=30)).json()
    assert (await link.call("POST", f"task/{task['uuid']}", told(task, 1, taskStatus="active"))).status == 204
    return link, task


def told(task: dict[str, Any], seq: int, **said: Any) -> dict[str, Any]:
    return {"attempt": task["attempt"], "seq": seq, **said}


async def test_a_worker_goes_on_with_the_task_that_it_held_when_its_manager_was_stopped(
    server: FakeServer, tmp_path: Path
) -> None:
    async with manager_process(tmp_path / "manager", server.url) as manager:
        await manager.start()
        link, task = await holding(server, manager)
        assert (await link.call("POST", f"task/{task['uuid']}", told(task, 2, steps_completed=1))).status == 204
        assert await manager.stop() == 0
        await manager.start()
        await link.close()
        may: Any = (await link.call("GET", f"task/{task['uuid']}/may-i-run?attempt={task['attempt']}")).json()
        assert may["mayKeepRunning"]
        assert (await link.call("POST", f"task/{task['uuid']}", told(task, 3, taskStatus="completed"))).status == 204
        await eventually(lambda: server.mirror["tasks"].get(task["uuid"], {}).get("status") == "completed")
        mirrored = server.mirror["tasks"][task["uuid"]]
        assert (mirrored["attempt"], task["attempt"]) == (1, 1), "nobody began it anew"
        await link.close()


async def until_waiting(manager: ManagerProcess) -> None:
    """Wait until an ask for a task is held back."""
    url = f"http://{manager.host}:{manager.port}/metrics"
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        while True:
            async with session.get(url) as answer:
                if 'queue="asks"} 1.0' in await answer.text():
                    return


async def test_a_worker_that_waits_for_work_does_not_hold_up_a_stop_nor_gets_a_task_that_is_lost(
    server: FakeServer, tmp_path: Path
) -> None:
    async with manager_process(tmp_path / "manager", server.url) as manager:
        await manager.start()
        link, task = await holding(server, manager)
        await link.call("POST", f"task/{task['uuid']}", told(task, 2, taskStatus="completed"))
        first: Any = (await link.call("POST", "task", wait_s=30)).json()
        await link.call("POST", f"task/{first['uuid']}", told(first, 1, taskStatus="completed"))
        waiting = asyncio.create_task(link.call("POST", "task", wait_s=60))
        await until_waiting(manager)
        assert await manager.stop() == 0
        with contextlib.suppress(Broken):
            assert (await waiting).status == 204
        await link.close()
        await manager.start()
        await server.submit(_tasks(2))
        again: Any = (await link.call("POST", "task", wait_s=30)).json()
        assert again["attempt"] == 1
        await link.close()
