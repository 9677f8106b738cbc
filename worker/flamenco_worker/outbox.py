"""The Worker's update buffer: what the Manager has not acknowledged yet, in order, in an SQLite file.

Everything goes through it, also while the Manager answers, so a ``kill -9`` loses nothing and there is one way to send.
SQLite runs in a thread of its own; a render node installs no database driver, so this is the standard library's.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import starmap
from pathlib import Path
from typing import TypeVar

from flamenco_core.wire.schema import rfc3339

T = TypeVar("T")

MOST_DEAD_LETTERS = 1_000
"""Refused updates that are kept for a look; older ones go."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS item (
    id INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT NOT NULL, attempt INTEGER, body BLOB NOT NULL,
    added_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS dead_letter (
    id INTEGER PRIMARY KEY, task TEXT NOT NULL, attempt INTEGER, body BLOB NOT NULL, reason TEXT NOT NULL,
    refused_at TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class OutboxItem:
    """One update: ``body`` is the JSON to send for ``task``. ``attempt`` is None for a Flamenco 3 Manager.

    ``added_at`` is in UTC, as RFC 3339 writes it.
    """

    id: int
    task: str
    attempt: int | None
    body: bytes
    added_at: str


class Outbox:
    """The updates of one slot that wait to be acknowledged. Made by ``open_outbox``."""

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread

    async def add(self, task: str, attempt: int | None, body: bytes, now: datetime) -> None:
        """Append an update; when this returns, it survives the end of the process."""
        values = (task, attempt, body, rfc3339(now))
        await self._run(
            lambda sqlite: sqlite.execute(
                "INSERT INTO item (task, attempt, body, added_at) VALUES (?, ?, ?, ?)", values
            )
        )

    async def oldest(self, most: int = 1, most_bytes: int = 0) -> list[OutboxItem]:
        """Return the oldest updates, in order: at most so many and so large, but one if there is any."""
        query = "SELECT id, task, attempt, body, added_at FROM item ORDER BY id LIMIT ?"
        rows = await self._run(lambda sqlite: sqlite.execute(query, (most,)).fetchall())
        items: list[OutboxItem] = []
        for item in starmap(OutboxItem, rows):
            most_bytes -= len(item.body)
            if items and most_bytes < 0:
                break
            items.append(item)
        return items

    async def remove(self, items: Sequence[OutboxItem]) -> None:
        """Forget updates that were acknowledged."""
        ids = [(item.id,) for item in items]
        await self._run(lambda sqlite: sqlite.executemany("DELETE FROM item WHERE id = ?", ids))

    async def bury(self, items: Sequence[OutboxItem], reason: str, now: datetime) -> None:
        """Move updates that were refused to the dead letters."""
        ids = [(item.id,) for item in items]
        refused = [(reason, now.isoformat(), item.id) for item in items]

        def move(sqlite: sqlite3.Connection) -> None:
            sqlite.executemany(
                "INSERT INTO dead_letter SELECT id, task, attempt, body, ?, ? FROM item WHERE id = ?", refused
            )
            sqlite.executemany("DELETE FROM item WHERE id = ?", ids)
            sqlite.execute(
                "DELETE FROM dead_letter WHERE id <= (SELECT max(id) FROM dead_letter) - ?", (MOST_DEAD_LETTERS,)
            )

        await self._run(move)

    async def of_attempt(self, item: OutboxItem) -> list[OutboxItem]:
        """Return all updates of the attempt that one is about, in order."""
        query = "SELECT id, task, attempt, body, added_at FROM item WHERE task = ? AND attempt IS ? ORDER BY id"
        rows = await self._run(lambda sqlite: sqlite.execute(query, (item.task, item.attempt)).fetchall())
        return list(starmap(OutboxItem, rows))

    async def dead_letters(self) -> list[tuple[str, str]]:
        """Return task and reason of each refused update, oldest first."""
        return await self._run(
            lambda sqlite: sqlite.execute("SELECT task, reason FROM dead_letter ORDER BY id").fetchall()
        )

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something in one transaction, in the thread; it is carried out even if the caller goes away."""

        def transaction() -> T:
            with self._connection:
                return work(self._connection)

        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, transaction))


@asynccontextmanager
async def open_outbox(path: Path) -> AsyncIterator[Outbox]:
    """Open the file, made with mode 0600 if it is new."""
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
    loop = asyncio.get_running_loop()
    connection = await loop.run_in_executor(thread, _connect, path)
    try:
        yield Outbox(connection, thread)
    finally:
        await loop.run_in_executor(thread, connection.close)
        thread.shutdown(wait=False)  # it has nothing left to do


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    connection = sqlite3.connect(path, check_same_thread=False)
    # Without a flush to the disk at each commit: the end of the process loses nothing. The end of the machine may lose
    # the newest updates, but it ends the attempt that they are about as well.
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.executescript(_SCHEMA)
    return connection
