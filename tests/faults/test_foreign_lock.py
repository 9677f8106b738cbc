"""A foreign process locks the store for longer than a statement waits: nothing is lost, and work goes on after it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest
from foreign_lock import EXCLUSIVE, WHOLLY, locked
from waits import eventually

from flamenco_runtime.journal import Journal, JournalClosed, StoreLocked


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


async def test_opening_waits_for_a_lock_that_lets_nobody_in(file: Path) -> None:
    journal = await HastyJournal.open(file, prepare)
    await journal.write(add)
    await journal.close()
    async with locked(file, WHOLLY):
        opening = asyncio.create_task(HastyJournal.open(file, prepare))
        await asyncio.wait({opening}, timeout=0.2)
        assert not opening.done(), "nobody can look into it"
    journal = await opening
    assert await journal.read(count) == 1
    await journal.close()


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
