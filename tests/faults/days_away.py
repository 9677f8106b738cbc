"""The Server is away for days while the site works on: what waits for it does not grow, and it catches up."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apsw
import psutil
from cable import Cable, cable
from fake_server import FakeServer, fake_server
from manager_world import TestTime, World, a_task, manager_world
from raw_link import RawLink
from recorded_worker import TYPES
from store_checks import NAME, check_mirror, check_store, copy_of, until_all_is_told

DAYS = 3
HOUR_S = 3600.0
TASKS_EACH = 5
"""So many tasks each Worker does."""
MIB = 1024 * 1024


async def survive_days_away(
    folder: Path, *, changes: int, workers: int, say: Callable[[str], None] = print
) -> dict[str, float]:
    """Let so many changes happen while the Server is away. Raises AssertionError if it does not catch up."""
    began, moment, process = time.monotonic(), TestTime(), psutil.Process()
    async with (
        fake_server() as server,
        _before(server) as wire,
        manager_world(folder / "manager", server, time=moment) as world,
    ):
        job = await server.submit([a_task(steps_total=10**9) for _ in range(TASKS_EACH * workers)])
        await server.until(lambda: job in server.mirror["jobs"])
        links = [await _awake(world, number) for number in range(workers)]
        wire.cut()
        each = max(1, changes // (workers * TASKS_EACH))
        sizes = [process.memory_info().rss]
        for round_ in range(TASKS_EACH):
            await asyncio.gather(*[_work(link, each) for link in links])
            await _let_pass(world, DAYS * 24 / TASKS_EACH)
            sizes.append(process.memory_info().rss)
            waiting = _reports_waiting(folder / "manager" / NAME)
            assert waiting <= 1, "what changes again and again waits once"
            say(f"{(round_ + 1) * each * workers:,} changes, {waiting} reports wait, {sizes[-1] // MIB} MiB")
        assert server.mirror["jobs"][job]["status"] != "completed", "nothing of it was told"
        wire.mend()
        catching_up = time.monotonic()
        last = await server.submit([a_task()])
        await asyncio.gather(_serve_meanwhile(links[0]), server.until_job(job, "completed"))
        await server.until_job(last, "completed")
        await until_all_is_told(folder / "manager", 600)
        caught_up_s = time.monotonic() - catching_up
        for link in links:
            await link.close()
    with copy_of(folder / "manager") as connection:
        check_store(connection)
        check_mirror(connection, server)
    grown = (max(sizes[2:]) - sizes[1]) / MIB
    say(
        f"away: {DAYS} days, {each * workers * TASKS_EACH:,} changes, {len(server.received)} reports, caught up in"
        f" {caught_up_s:.1f} s, memory grew by {grown:.0f} MiB, {time.monotonic() - began:.0f} s"
    )
    return {"reports": len(server.received), "grown_mib": grown}


@asynccontextmanager
async def _before(server: FakeServer) -> AsyncIterator[Cable]:
    """Lay a cable to a Server; the Manager knows no other address of it."""
    async with cable(server.url) as wire:
        server.url = wire.url
        yield wire


async def _awake(world: World, number: int) -> RawLink:
    parts = urlsplit(world.url)
    link = RawLink(lambda: (parts.hostname or "", parts.port or 0))
    said = {"name": f"w{number}", "supported_task_types": TYPES}
    secret = "s" * 64
    answer: Any = await link.call("POST", "register-worker", {**said, "secret": secret, "platform": "linux"})
    link.sign(answer.json()["uuid"], secret)
    await link.call("POST", "sign-on", {**said, "software_version": "4", "features": ["attempt", "wait"]})
    await link.call("POST", "state-changed", {"status": "awake"})
    return link


async def _work(link: RawLink, changes: int) -> None:
    """Do one task, and say so many things about it."""
    answer = await link.call("POST", "task", wait_s=30)
    assert answer.status == 200, answer
    task: Any = answer.json()
    path, attempt = f"task/{task['uuid']}", task["attempt"]
    for seq in range(1, changes + 1):
        said = {"taskStatus": "active", "activity": f"step {seq}", "steps_completed": seq}
        assert (await link.call("POST", path, {"attempt": attempt, "seq": seq, **said})).status == 204
    ended = {"attempt": attempt, "seq": changes + 1, "taskStatus": "completed"}
    assert (await link.call("POST", path, ended)).status == 204


async def _let_pass(world: World, hours: float) -> None:
    """Let hours pass; a Manager that gets no tick for so long takes itself for one that stood still."""
    for _ in range(int(hours)):
        world.time.passed_s += HOUR_S
        await world.foreman.tick()


async def _serve_meanwhile(link: RawLink) -> None:
    """Work on while the Server catches up."""
    await _work(link, 20)


def _reports_waiting(file: Path) -> int:
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.set_busy_timeout(5000)
        found: int = connection.execute("SELECT count(*) FROM reports").get
    finally:
        connection.close()
    return found
