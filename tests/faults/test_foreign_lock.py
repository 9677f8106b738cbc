"""A foreign process locks the store for longer than a statement waits: nothing is lost, and work goes on after it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import apsw
import pytest
from fake_server import TOKEN, FakeServer
from foreign_lock import EXCLUSIVE, WHOLLY, locked
from manager_world import TestTime, World, a_task
from store_checks import NAME
from waits import eventually

from end_to_end.farm import free_port
from flamenco_manager.app import FOREMAN, TASK_LOGS, build_app
from flamenco_manager.serving import serve
from flamenco_manager.settings import Settings
from flamenco_runtime.journal import Journal, JournalClosed, StoreLocked
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address


class HastyJournal(Journal):
    """Notices a foreign lock soon."""

    busy_timeout_ms = 20


def prepare(connection: apsw.Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS note (text TEXT) STRICT")


def add(connection: apsw.Connection) -> None:
    connection.execute("INSERT INTO note VALUES ('a')")


def count(connection: apsw.Connection) -> int:
    found: int = connection.execute("SELECT count(*) FROM note").get
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "notes.sqlite"


@pytest.fixture
async def journal(file: Path) -> AsyncIterator[Journal]:
    journal = await HastyJournal.open(file, prepare)
    yield journal
    await journal.close()


def is_locked_out(journal: Journal) -> bool:
    try:
        journal.check_lock()
    except StoreLocked:
        return True
    return False


async def test_what_is_written_waits_as_long_as_the_lock_lasts(journal: Journal, file: Path) -> None:
    async with locked(file):
        writes = [journal.write(add) for _ in range(3)]
        await eventually(lambda: is_locked_out(journal))
        assert not any(write.done() for write in writes)
        assert await journal.read(count) == 0, "reading goes on"
    await asyncio.gather(*writes)
    assert await journal.read(count) == 3
    assert not is_locked_out(journal)


async def test_a_store_that_is_locked_cannot_be_opened(file: Path) -> None:
    await (await HastyJournal.open(file, prepare)).close()
    async with locked(file, WHOLLY):
        with pytest.raises(StoreLocked, match="Another program locks"):
            await HastyJournal.open(file, prepare)


async def test_a_journal_can_be_closed_while_the_file_is_locked(file: Path) -> None:
    failures: list[BaseException] = []
    journal = await HastyJournal.open(file, prepare, failures.append)
    async with locked(file, EXCLUSIVE):
        write = journal.write(add)
        await eventually(lambda: is_locked_out(journal))
        await journal.close()
        with pytest.raises(JournalClosed):
            await write
    assert failures == [], "that is no failure of the store"


async def test_a_manager_that_is_started_while_its_store_is_locked_says_so_and_works_once_it_is_not(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "busy_timeout_ms", 20)
    settings = Settings(server=server.url, data=tmp_path, token=TOKEN, listen=Address("127.0.0.1", 0), discovery="off")
    async with build_app(settings):
        pass
    async with locked(tmp_path / NAME, WHOLLY):
        port = free_port()
        settings = replace(settings, listen=Address("127.0.0.1", port))
        stop, ready = asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(serve(settings, stop=stop, ready=lambda _: ready.set()))
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            while "Another program locks" not in await _why_not_ready(session, port):
                assert not serving.done()
        assert not ready.is_set()
    async with asyncio.timeout(60):
        await ready.wait()
    stop.set()
    await serving


async def _why_not_ready(session: aiohttp.ClientSession, port: int) -> str:
    try:
        async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
            assert response.status == 503
            assert response.headers["Retry-After"]
            return await response.text()
    except aiohttp.ClientConnectionError:
        await asyncio.sleep(0.01)
        return ""


async def test_while_the_store_is_locked_workers_are_told_to_come_later_and_nothing_is_lost(
    server: FakeServer, tmp_path: Path
) -> None:
    settings = Settings(server=server.url, data=tmp_path, token=TOKEN, name="site")
    journals: list[Journal] = []

    class Noted(HastyJournal):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            journals.append(self)

    async with (
        build_app(settings, journals=Noted) as app,
        listening(app, Address("127.0.0.1", 0)) as address,
        aiohttp.ClientSession() as session,
    ):
        world = World(address.url, server, session, TestTime(), app[FOREMAN], app[TASK_LOGS])
        job = await server.submit([a_task(), a_task()])
        first, second = await world.worker("first"), await world.worker("second")
        tasks = await first.task(), await second.task()
        async with locked(tmp_path / NAME):
            said = asyncio.create_task(first.update(tasks[0], seq=1, taskStatus="completed"))
            await eventually(lambda: is_locked_out(journals[0]))
            reply = await second.update(tasks[1], seq=2, taskStatus="completed")
            assert reply.status == 503
            assert reply.headers["Retry-After"]
            assert b"Another program locks" in reply.body
            assert not said.done(), "it is answered once it is on disk"
        assert (await said).status == 204
        assert (await second.update(tasks[1], seq=2, taskStatus="completed")).status == 204
        await server.until_job(job, "completed")
