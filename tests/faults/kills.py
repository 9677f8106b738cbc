"""``kill -9`` of a Manager at random instants while Workers are at work, and what must be so after it."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_server import FakeServer, fake_server
from happenings import Happenings
from manager_process import ManagerProcess, manager_process
from recorded_worker import RecordedWorker
from store_checks import (
    NAME,
    check_acknowledged,
    check_farm_comes_back,
    check_logs,
    check_mirror,
    check_store,
    copy_of,
    until_all_is_told,
)
from waits import eventually

from flamenco_core.identifiers import task_id

JOBS = 4
CALLS_PER_TASK = 5
"""So many answers a Worker gets about one task, on average."""
LENIENT = {"lost_attempts": 10_000, "failed_attempts": 10_000, "job_failed_tasks": 10**6, "worker_timeout_s": 600.0}
"""The Manager's settings: no task is given up, so that every job reaches its end as completed."""
SAY_EVERY = 20
LONGEST_S = 3600.0


@dataclass
class Killing:
    """A Manager that is killed again and again, each time after a random number of answers."""

    manager: ManagerProcess
    record: Happenings
    rng: random.Random
    kills_left: int
    every: int
    say: Callable[[str], None]
    _left: int = 0
    _due: asyncio.Event = field(default_factory=asyncio.Event)

    async def note_answer(self) -> None:
        """Count an answer that a Worker got."""
        self._left -= 1
        if self._left <= 0 and self.kills_left:
            self._due.set()

    async def run(self) -> None:
        """Start it, kill it, look at what it left, and start it again."""
        await self.manager.start()
        self._aim()
        while self.kills_left:
            await self._due.wait()
            await self._kill()
            while self.kills_left and self.rng.random() < 0.25:  # once more, in the middle of its start
                self.manager.begin()
                await asyncio.sleep(self.rng.uniform(0, 0.08))
                self.record.tally["kills during a start"] += 1
                await self._kill()
            await self.manager.start()
            self._aim()

    def _aim(self) -> None:
        self._due.clear()
        self._left = self.rng.randrange(1, 2 * self.every)

    async def _kill(self) -> None:
        """Kill it at whatever it does just now, also between two answers."""
        await asyncio.sleep(self.rng.uniform(0, 0.01))
        await self.manager.kill()
        self.kills_left -= 1
        self.record.tally["kills"] += 1
        with copy_of(self.manager.data) as connection:
            if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'link'").get:
                check_store(connection)
                check_acknowledged(connection, self.record)
        if self.record.tally["kills"] % SAY_EVERY == 0:
            self.say(f"{self.record.tally['kills']} kills, {self.record.tally['completed, acknowledged']} tasks done")


async def survive_kills(
    folder: Path, *, kills: int, tasks: int, workers: int, seed: int, say: Callable[[str], None] = print
) -> Happenings:
    """Kill so many times while so many Workers do so many tasks. Raises AssertionError when anything is lost."""
    record, rng = Happenings(), random.Random(seed)
    say(f"kills: {kills} over {tasks} tasks, {workers} Workers, seed {seed}")
    began = time.monotonic()
    async with fake_server() as server, manager_process(folder / "manager", server.url, **LENIENT) as manager:
        every = max(1, int(0.8 * tasks * CALLS_PER_TASK / kills))
        killing = Killing(manager, record, rng, kills, every, say)
        people = _People(server, record, random.Random(seed + 1), tasks)
        over = asyncio.Event()
        crew = [
            RecordedWorker(
                f"w{n}", random.Random(seed + 2 + n), record, _where(manager), killing.note_answer, batches=n % 2 == 0
            )
            for n in range(workers)
        ]
        async with asyncio.TaskGroup() as group:
            killer = group.create_task(killing.run())
            for worker in crew:
                group.create_task(worker.run(over))
            await people.run(killer)
            over.set()
        await until_all_is_told(manager.data, LONGEST_S)
        assert await manager.stop() == 0
        await _check_end(manager.data, record, server)
    say(f"{_told(record)}; {time.monotonic() - began:.0f} s, seed {seed}: nothing lost, nothing done twice")
    return record


def _where(manager: ManagerProcess) -> Callable[[], tuple[str, int]]:
    return lambda: (manager.host, manager.port)


class _People:
    """They submit jobs one after the other, and now and then want something done again."""

    def __init__(self, server: FakeServer, record: Happenings, rng: random.Random, tasks: int) -> None:
        self._server, self._record, self._rng = server, record, rng
        self._per_job = max(2, tasks // JOBS)
        self.jobs: list[str] = []

    async def run(self, killer: "asyncio.Task[None]") -> None:
        """Submit everything, and go on asking until the last kill; return when all jobs are completed."""
        for number in range(JOBS):
            self.jobs.append(await self._server.submit(_tasks(self._per_job)))
            await self._until_done(killer, self._per_job * (number + 1) // 2)
        while not killer.done():
            await self._requeue()
            await eventually(lambda: killer.done() or self._are_completed(), LONGEST_S)
        await eventually(self._are_completed, LONGEST_S)

    async def _until_done(self, killer: "asyncio.Task[None]", tasks: int) -> None:
        """Wait until so many tasks are done; meanwhile ask for some of them once more."""
        while not killer.done() and self._record.tally["completed, acknowledged"] < tasks:
            await asyncio.sleep(0.05)
            if self._rng.random() < 0.2:
                await self._requeue(most=1)

    async def _requeue(self, most: int = 20) -> None:
        done = sorted(self._record.acknowledged_completed())
        for task in self._rng.sample(done, min(most, len(done))):
            job, index = self._place(task)
            await self._record.requeue(self._server, task, *([task_id(job, index + 1)] if index % 2 == 0 else []))

    def _place(self, task: str) -> tuple[str, int]:
        for job in self.jobs:
            for item in self._server.tasks[job]:
                if item["id"] == task:
                    return job, item["index"]
        raise KeyError(task)

    def _are_completed(self) -> bool:
        mirrored = self._server.mirror["jobs"]
        return len(self._server.results) == len(self._server.orders) and all(
            mirrored.get(job, {}).get("status") == "completed" for job in self.jobs
        )


def _tasks(count: int) -> list[dict[str, Any]]:
    """Make tasks in pairs: each odd one waits for the one before it."""
    command = {"name": "echo", "parameters": {"message": "hello"}, "total_step_count": 0}
    return [
        {
            "name": f"task-{number}",
            "type": "misc",
            "commands": [command],
            "steps_total": 3,
            "depends_on": [number - 1] if number % 2 else [],
        }
        for number in range(count - count % 2)
    ]


async def _check_end(data: Path, record: Happenings, server: FakeServer) -> None:
    with copy_of(data) as connection:
        check_store(connection)
        check_acknowledged(connection, record)
        assert connection.execute("SELECT count(*) FROM tasks WHERE status != 'completed'").get == 0
        assert connection.execute("SELECT count(*) FROM jobs WHERE status != 'completed'").get == 0
        ended = {(end.task, end.attempt) for ends in record.acknowledged_completed().values() for end in ends}
        for task, attempt in connection.execute("SELECT lower(hex(id)), attempt FROM tasks"):
            key = f"{task[:8]}-{task[8:12]}-{task[12:16]}-{task[16:20]}-{task[20:]}"
            assert (key, attempt) in ended, f"{key}: nobody completed attempt {attempt}"
        check_mirror(connection, server)
    check_logs(record, server)
    await check_farm_comes_back(data)
    assert (data / NAME).exists()


def _told(record: Happenings) -> str:
    tally = {**record.tally, "broken calls": record.breaks}
    return ", ".join(f"{number:,} {what}" for what, number in sorted(tally.items()))
