"""A disk that is full: nothing that was acknowledged is lost, nobody is told wrong, and work goes on by itself."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import apsw
import pytest
from fake_server import TOKEN, FakeServer
from manager_world import HttpWorker, Reply, TestTime, World, a_task

from flamenco_manager.serving import serve
from flamenco_manager.settings import Settings
from flamenco_runtime.settings import Address

DEADLINE_S = 60
LOG = "a line of a log that needs room\n" * 200


class Disk:
    """Lets SQLite find no room for another page, also in files that are opened later."""

    def __init__(self) -> None:
        self.is_full = False
        self.connections: list[apsw.Connection] = []

    def opened(self, connection: apsw.Connection) -> None:
        self.connections.append(connection)
        connection.set_profile(lambda statement, _: self._limit(connection) if statement == "BEGIN IMMEDIATE" else None)

    def _limit(self, connection: apsw.Connection) -> None:
        connection.pragma("max_page_count", 1 if self.is_full else 1_000_000)


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    apsw.connection_hooks.append(disk.opened)
    yield disk
    apsw.connection_hooks.remove(disk.opened)


@asynccontextmanager
async def served(data: Path, server: FakeServer) -> AsyncIterator[World]:
    """Run a Manager as its program does."""
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    settings = Settings(server=server.url, data=data, token=TOKEN, listen=Address("127.0.0.1", 0), name="site")
    serving = asyncio.create_task(serve(settings, stop=stop, ready=url.set_result))
    async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as session:
        try:
            yield World(await url, server, session, TestTime(), None, None)  # type: ignore[arg-type]
        finally:
            stop.set()
            await serving


async def fill(worker: HttpWorker, task: dict[str, str], disk: Disk) -> tuple[list[int], Reply | None]:
    """Say more and more until that is refused; returns what was accepted, and the answer (None: there was none)."""
    disk.is_full = True
    accepted: list[int] = []
    for number in range(1000):
        try:
            reply = await worker.update(task, seq=number + 2, log=LOG, log_at=number * len(LOG))
        except aiohttp.ClientError:
            return accepted, None
        if reply.status != 204:
            return accepted, reply
        accepted.append(number)
    raise AssertionError("the disk was never full")


async def repeat(worker: HttpWorker, task: dict[str, str], **said: object) -> None:
    """Say something until it is heard, as Workers do."""
    while True:
        try:
            if (await worker.update(task, **said)).status == 204:
                return
        except aiohttp.ClientError:
            continue


async def test_a_full_disk_is_told_to_those_who_understand_it_and_work_goes_on_when_there_is_room(
    server: FakeServer, tmp_path: Path, disk: Disk
) -> None:
    async with served(tmp_path, server) as world:
        worker = await world.worker()
        job = await server.submit([a_task() for _ in range(3)])
        task = await worker.task()
        assert (await worker.update(task, seq=1, taskStatus="active")).status == 204
        accepted, refusal = await fill(worker, task, disk)
        assert refusal is not None
        assert (refusal.status, refusal.headers["Retry-After"]) == (507, "2")
        assert b"is full: make room on it" in refusal.body

        while (told := await world.call("GET", "/api/v3/status")).json().get("type") != "store-full":
            pass  # the Manager has not ended what it was doing yet
        assert told.status == 507
        assert (await world.call("GET", "/healthz")).status == 200
        with pytest.raises(aiohttp.ClientError):  # who it is nobody can look up now, so it might be of Flamenco 3
            await worker.ask()

        disk.is_full = False
        await repeat(worker, task, seq=len(accepted) + 2, log=LOG, log_at=len(accepted) * len(LOG))
        await repeat(worker, task, seq=len(accepted) + 3, taskStatus="completed")
        for _ in range(2):
            other = await worker.task()
            await repeat(worker, other, seq=1, taskStatus="completed")
        await server.until_job(job, "completed")
        await server.until(lambda: len(server.logs.get((task["uuid"], 1), b"")) == len(LOG) * (len(accepted) + 1))


async def test_a_flamenco_3_worker_is_never_told_of_a_full_disk(server: FakeServer, tmp_path: Path, disk: Disk) -> None:
    async with served(tmp_path, server) as world:
        worker = await world.worker(ours=False)
        job = await server.submit([a_task()])
        task = await worker.task()
        assert (await worker.update(task, taskStatus="active")).status == 204
        _, refusal = await fill(worker, task, disk)
        assert refusal is None
        disk.is_full = False
        await repeat(worker, task, taskStatus="completed")
        await server.until_job(job, "completed")


async def test_it_stops_when_told_to_while_the_disk_is_full(server: FakeServer, tmp_path: Path, disk: Disk) -> None:
    async with served(tmp_path, server) as world:
        worker = await world.worker()
        await server.submit([a_task()])
        await fill(worker, await worker.task(), disk)
