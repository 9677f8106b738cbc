"""Farms whose links lose, double, delay and re-order messages: they end as they would have without that."""

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import apsw
from bad_line import bad_line
from cuts import a_graph
from fake_server import fake_server
from happenings import Happenings
from manager_process import manager_process
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
from two_sides import ANY, TwoSides, _started

from flamenco_manager import serving
from flamenco_manager.settings import Settings
from flamenco_manager.stores import rows
from flamenco_server.connection_file import read_connection

LENIENT = {"lost_attempts": 10_000, "failed_attempts": 10_000, "job_failed_tasks": 10**6}
ENDED = ("completed", "canceled")
SHARE = 0.2
"""Of so many messages something becomes that should not."""


async def survive_bad_lines_to_workers(
    folder: Path, *, tasks: int, workers: int, seed: int, say: Callable[[str], None] = print
) -> Happenings:
    """Let Workers do a job over bad lines. Raises AssertionError when it does not end as it should."""
    record, began = Happenings(), time.monotonic()
    async with fake_server() as server, manager_process(folder / "manager", server.url, **LENIENT) as manager:
        await manager.start()
        job = await server.submit(a_graph(tasks))
        over = asyncio.Event()
        async with (
            bad_line(lambda: f"http://{manager.host}:{manager.port}", seed, SHARE) as line,
            asyncio.TaskGroup() as group,
        ):
            for number in range(workers):
                rng, where = random.Random(seed + number), _where(line.url)
                worker = RecordedWorker(f"w{number}", rng, record, where, batches=True, longest_log=9_000)
                group.create_task(worker.run(over))
            await server.until(lambda: server.mirror["jobs"].get(job, {}).get("status") == "completed", 600)
            over.set()
        await until_all_is_told(manager.data, 600)
        assert await manager.stop() == 0
        with copy_of(manager.data) as connection:
            check_store(connection)
            check_acknowledged(connection, record)
            check_mirror(connection, server)
        check_logs(record, server)
        await check_farm_comes_back(manager.data)
    say(f"links to Workers: {tasks} tasks, {dict(line.tally)}, seed {seed}, {time.monotonic() - began:.0f} s: all done")
    record.tally.update(line.tally)
    return record


def _where(url: str) -> Callable[[], tuple[str, int]]:
    parts = urlsplit(url)
    return lambda: (parts.hostname or "", parts.port or 0)


async def survive_a_bad_line_to_the_server(
    folder: Path, *, jobs: int, workers: int, seed: int, say: Callable[[str], None] = print
) -> dict[str, int]:
    """Let a real Server and a real Manager speak over a bad line. Raises AssertionError when their views differ."""
    began, record, rng = time.monotonic(), Happenings(), random.Random(seed)
    async with aiohttp.ClientSession() as session:
        sides = TwoSides(folder, session)
        await sides.start_server()
        assert sides.server is not None
        server_url = sides.server.url
        over = asyncio.Event()
        async with bad_line(lambda: server_url, seed, SHARE) as line:
            settings = Settings(
                server=line.url, data=folder / "manager", listen=ANY, token=sides.token, name="site", discovery="off"
            )
            manager = await _started(lambda stop, ready: serving.serve(settings, stop=stop, ready=ready))
            try:
                async with asyncio.TaskGroup() as group:
                    for number in range(workers):
                        worker = RecordedWorker(f"w{number}", random.Random(seed + number), record, _where(manager.url))
                        group.create_task(worker.run(over))
                    submitted = [await sides.submit(sleeps=3) for _ in range(jobs)]
                    await _steer(sides, submitted, rng)
                    await _until_alike(sides, folder / "manager" / NAME, submitted)
                    over.set()
            finally:
                await manager.end()
        await sides.stop_server()
    say(f"link to the Server: {jobs} jobs, {dict(line.tally)}, seed {seed}, {time.monotonic() - began:.0f} s: alike")
    return dict(line.tally)


async def _steer(sides: TwoSides, jobs: list[str], rng: random.Random) -> None:
    """Ask for this and that while the jobs run."""
    for job in jobs:
        what = rng.choice(["cancel", "pause", "requeue", None, None])
        if what == "pause":
            await _ask(sides, f"jobs/{job}/pause")
            await _ask(sides, f"jobs/{job}/resume")
        elif what == "cancel":
            await _ask(sides, f"jobs/{job}/cancel")
        elif what == "requeue":
            await sides.until(job, lambda found: found["status"] == "completed")
            await _ask(sides, f"jobs/{job}/requeue", which="all")


async def _ask(sides: TwoSides, path: str, **details: str) -> None:
    """Ask for something of a job; it may have ended meanwhile."""
    connection = read_connection(sides.folder / "server")
    assert connection is not None
    assert sides.server is not None
    headers = {"Authorization": f"Bearer {connection.token}"}
    url = f"{sides.server.url}/api/v1/{path}"
    async with sides.session.post(url, headers=headers, json=details) as response:
        assert response.status < 300 or response.status == 409, await response.text()


async def _until_alike(sides: TwoSides, file: Path, jobs: list[str]) -> None:
    """Wait until every job has ended, and the Server shows what the Manager has."""
    differs: Any = None
    try:
        async with asyncio.timeout(60):
            while differs != ([], []):
                await asyncio.sleep(0.1)
                shown = {job: ((await sides.job(job))["status"], await sides.statuses(job)) for job in jobs}
                own = _in_store(file, jobs)
                # One that was cancelled before its Manager had said hello never comes there.
                going_on = [(job, own.get(job)) for job in jobs if own.get(job, shown[job])[0] not in ENDED]
                differs = going_on, [(job, shown[job], own[job]) for job in own if not _alike(shown[job], own[job])]
    except TimeoutError:
        raise AssertionError(f"jobs that do not end, and jobs that are not shown as they are: {differs}") from None


def _alike(shown: tuple[str, list[str]], own: tuple[str, list[str]]) -> bool:
    """Compare a job and its tasks; of one that was cancelled before its tasks came its Manager has none, or some."""
    tasks = own[1] or ["canceled"] * len(shown[1])
    return shown[0] == own[0] and (shown[1] == tasks or (own[0] == "canceled" and set(shown[1]) == {"canceled"}))


def _in_store(file: Path, jobs: list[str]) -> dict[str, tuple[str, list[str]]]:
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    query = "SELECT status FROM tasks WHERE key >> 20 = ? ORDER BY key"
    try:
        connection.set_busy_timeout(5000)
        found: Any = connection.execute("SELECT id, key, status FROM jobs").fetchall()
        return {
            rows.id_text(job): (status, [row[0] for row in connection.execute(query, (key,))])
            for job, key, status in found
            if rows.id_text(job) in jobs
        }
    finally:
        connection.close()
