"""The power fails at random points of a farm's work; what was acknowledged by then must be on the disk."""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from fake_server import TOKEN, FakeServer
from happenings import Happenings
from recorded_disk import OneConnectionJournal, RecordedDisk, Replay, put, recording
from recorded_worker import RecordedWorker
from store_checks import NAME, check_acknowledged, check_restored, check_store

from flamenco_manager import app as manager_app
from flamenco_manager.app import build_app
from flamenco_manager.settings import Settings
from flamenco_manager.stores.log_pieces import LogPieceStore
from flamenco_manager.task_logs import TaskLogs
from flamenco_runtime.journal import Journal
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address

FILES = {"scene.blend": b"a scene" * 100, "textures/wood.png": b"wood" * 1000}
CUTS_PER_ROUND = 100
IN_MEMORY = Path("/dev/shm")
"""Where there is such a folder, what a crash left is looked at there: nobody waits for its disk."""


class NotingServer(FakeServer):
    """Notes what the Manager told it, and when: that must have been on the Manager's disk."""

    def __init__(self, moment: Callable[[], int]) -> None:
        super().__init__()
        self._moment = moment
        self.reports: list[tuple[int, bytes]] = []
        self.orders_asked: list[tuple[int, int]] = []
        self.logs_got: list[tuple[int, str, int]] = []

    async def _reports(self, request: web.Request) -> web.Response:
        self.reports.append((self._moment(), await request.read()))
        return await super()._reports(request)

    async def _orders(self, request: web.Request) -> web.Response:
        self.orders_asked.append((self._moment(), int(request.query["after"])))
        return await super()._orders(request)


@dataclass
class Round:
    """A farm's work that was recorded from its beginning to its end."""

    disk: RecordedDisk
    record: Happenings
    server: NotingServer
    erased: dict[str, int] = field(default_factory=dict)
    """Jobs that people wanted erased, and since when."""

    def images(self, points: list[int], rng: random.Random, *, power: bool) -> Iterator[tuple[int, dict[str, bytes]]]:
        """Yield what is on the disk after so many steps (rising): after a power cut, or after a kill."""
        replay = Replay(self.disk.root)
        for before, point in pairwise([0, *points]):
            for step in self.disk.steps[before:point]:
                replay.take(step)
            yield point, replay.cut(rng) if power else replay.killed()


@asynccontextmanager
async def recorded_farm(folder: Path, **settings: Any) -> AsyncIterator[tuple[Round, Callable[[], tuple[str, int]]]]:
    """Run a Manager on a recorded disk, with a Server; yields where Workers find it, too."""
    with recording(folder) as disk:
        record = Happenings(moment=disk.mark)
        server = NotingServer(disk.mark)
        async with listening(server.app(), Address("127.0.0.1", 0)) as address:
            server.url = address.url
            chosen = Settings(server=server.url, data=folder, token=TOKEN, name="site", **settings)
            async with (
                build_app(chosen, journals=OneConnectionJournal) as app,
                listening(app, Address("127.0.0.1", 0)) as found,
            ):
                yield Round(disk, record, server), lambda: (found.host, found.port)


async def survive_cuts(
    folder: Path, *, cuts: int, tasks: int, workers: int, seed: int, say: Callable[[str], None] = print
) -> int:
    """Cut the power so often. Raises AssertionError when anything is lost. Returns the number of steps recorded."""
    say(f"cuts: {cuts} of farms with {tasks} tasks, {workers} Workers, seed {seed}")
    began, tried, steps = time.monotonic(), 0, 0
    for number, first in enumerate(range(0, cuts, CUTS_PER_ROUND)):
        rng = random.Random(seed + number)
        round_ = await worked_round(folder / f"round-{number}", rng, tasks, workers)
        end = len(round_.disk.steps)
        points = sorted(rng.randrange(1, end + 1) for _ in range(min(CUTS_PER_ROUND, cuts - first)))
        for point, image in round_.images(points, rng, power=True):
            await check_image(image, folder / "image", round_, point)
            tried += 1
        steps += end
        say(f"{tried} cuts among {steps:,} steps, {time.monotonic() - began:.0f} s")
    return steps


async def worked_round(folder: Path, rng: random.Random, tasks: int, workers: int) -> Round:
    """Let a farm do some jobs while people steer it, and record it all."""
    async with recorded_farm(folder, lost_attempts=10_000) as (round_, where):
        over = asyncio.Event()
        crew = [
            RecordedWorker(f"w{n}", random.Random(seed), round_.record, where, batches=n % 2 == 0, longest_log=9_000)
            for n, seed in enumerate(rng.choices(range(10**9), k=workers))
        ]
        async with asyncio.TaskGroup() as group:
            for worker in crew:
                group.create_task(worker.run(over))
            await _steer(round_, rng, tasks)
            over.set()
    return round_


async def _steer(round_: Round, rng: random.Random, tasks: int) -> None:
    """Submit jobs; requeue, cancel, pause and erase some."""
    server, record = round_.server, round_.record
    jobs = [await server.submit(a_graph(tasks // 3), files=FILES) for _ in range(3)]
    await server.until(lambda: record.tally["completed, acknowledged"] > tasks // 4, 60)
    await server.asked("job.pause", job=jobs[1])
    await server.asked("job.resume", job=jobs[1])
    first = [item["id"] for item in server.tasks[jobs[0]]]
    for task in rng.sample(sorted(record.acknowledged_completed().keys() & set(first)), 3):
        index = first.index(task)
        await record.requeue(server, task, *(first[index + 1 : index + 2] if index % 3 == 1 else []))
    await server.asked("job.cancel", job=jobs[2])
    await server.until(lambda: all(has_ended(server, job) for job in jobs), 60)
    round_.erased[jobs[2]] = round_.disk.mark()
    await server.asked("job.delete", job=jobs[2])
    await server.asked("job.erase", job=jobs[2])
    await server.until(lambda: len(server.results) == len(server.orders))


def has_ended(server: FakeServer, job: str) -> bool:
    """The Server was told that a job is over."""
    return server.mirror["jobs"].get(job, {}).get("status") in ("completed", "canceled")


def a_graph(count: int) -> list[dict[str, Any]]:
    """Make tasks of which each third waits for the one before it."""
    command = {"name": "echo", "parameters": {"message": "hello"}, "total_step_count": 0}
    return [
        {
            "name": f"task-{number}",
            "type": "misc",
            "commands": [command],
            "steps_total": 3,
            "depends_on": [number - 1] if number % 3 == 2 else [],
        }
        for number in range(count)
    ]


async def check_image(image: dict[str, bytes], folder: Path, round_: Round, point: int) -> None:
    """Start from what is on the disk after so many steps: everything acknowledged is there, nothing is half done."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as name:
        try:
            put(image, Path(name))
            await _check_folder(Path(name), round_, point)
        except BaseException as error:
            put(image, folder)
            error.add_note(f"cut after step {point} of {len(round_.disk.steps)}; what was on the disk is in {folder}")
            raise


async def _check_folder(folder: Path, round_: Round, point: int) -> None:
    journal = await Journal.open(folder / NAME, manager_app._prepare)
    logs = TaskLogs(folder / "task-logs", journal=LogPieceStore(journal))
    record = round_.record.until(point)
    gone = {task["id"] for job, since in round_.erased.items() if since <= point for task in round_.server.tasks[job]}
    try:
        await logs.restore()
        await journal.read(check_store)
        await journal.read(lambda connection: check_acknowledged(connection, record, gone))
        await journal.read(lambda connection: _check_link(connection, round_, point))
        await check_restored(journal)
        await _check_logs(logs, record, round_, gone)
        _check_checkouts(folder, round_, point)
    finally:
        await asyncio.to_thread(logs.close)
        await journal.close()


def _check_link(connection: Any, round_: Round, point: int) -> None:
    """What the Server was told, and what it was told to forget, is on the disk."""
    row = connection.execute("SELECT last_order, next_report, server_feed FROM link").fetchone()
    last_order, next_report, _ = row
    asked = [after for at, after in round_.server.orders_asked if at <= point]
    assert last_order >= max(asked, default=0), "an order that was acknowledged"
    kept = dict(connection.execute("SELECT number, body FROM reports").fetchall())
    for at, body in round_.server.reports:
        if at <= point:
            number = orjson.loads(body)["report"]
            assert next_report > number, "a report is frozen before it is sent"
            assert kept.get(number, body) == body, "and stays as it is"


async def _check_logs(logs: TaskLogs, record: Happenings, round_: Round, gone: set[str]) -> None:
    """All that was printed by an attempt whose end was acknowledged is there, in its order."""
    jobs = {task["id"]: job for job, tasks in round_.server.tasks.items() for task in tasks}
    for (task, attempt), text in record.logs_of_ended().items():
        if task not in gone:
            found = await logs.read(jobs[task], task, attempt, 0, len(text) + 1)
            assert found[: len(text)] == text, (task, attempt, "its log")


def _check_checkouts(folder: Path, round_: Round, point: int) -> None:
    """The files of jobs that were reported to be ready are there."""
    done = {
        result["order"]
        for at, body in round_.server.reports
        if at <= point
        for result in orjson.loads(body).get("orders", ())
        if result["result"] == "done"
    }
    for order in round_.server.orders:
        job = order["details"].get("job")
        is_erased = round_.erased.get(job, point + 1) <= point
        if order["kind"] == "job.submit" and order["order"] in done and not is_erased:
            for file in round_.server.jobs[job]["files"]:
                found = folder / "jobs" / job / file["path"]
                assert found.read_bytes() == FILES[file["path"]], "a file of the job"
