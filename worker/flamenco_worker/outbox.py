"""The Worker's update buffer: what the Manager has not acknowledged yet, in order, in an SQLite file.

Everything goes through it, also while the Manager answers, so a ``kill -9`` loses nothing and there is one way to send.
SQLite runs in a thread of its own; a render node installs no database driver, so this is the standard library's.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

MOST_DEAD_LETTERS = 1_000
"""Refused updates that are kept for a look; older ones go."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS item (
    id INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT NOT NULL, attempt INTEGER, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS dead_letter (
    id INTEGER PRIMARY KEY, task TEXT NOT NULL, attempt INTEGER, body BLOB NOT NULL, reason TEXT NOT NULL,
    refused_at TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class OutboxItem:
    """One update: ``body`` is the JSON to send for ``task``. ``attempt`` is None for a Flamenco 3 Manager."""

    id: int
    task: str
    attempt: int | None
    body: bytes


class Outbox:
    """The updates of one slot that wait to be acknowledged. Made by ``open_outbox``."""

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread

    async def add(self, task: str, attempt: int | None, body: bytes) -> None:
        """Append an update; when this returns, it survives the end of the process."""
        await self._run(
            lambda sqlite: sqlite.execute(
                "INSERT INTO item (task, attempt, body) VALUES (?, ?, ?)", (task, attempt, body)
            )
        )

    async def head(self) -> OutboxItem | None:
        """Return the oldest update."""
        row = await self._run(
            lambda sqlite: sqlite.execute("SELECT id, task, attempt, body FROM item ORDER BY id LIMIT 1").fetchone()
        )
        return OutboxItem(*row) if row else None

    async def remove(self, item: OutboxItem) -> None:
        """Forget an update that was acknowledged."""
        await self._run(lambda sqlite: sqlite.execute("DELETE FROM item WHERE id = ?", (item.id,)))

    async def bury(self, item: OutboxItem, reason: str, now: datetime) -> None:
        """Move an update that was refused, and all others of its attempt, to the dead letters."""

        def move(sqlite: sqlite3.Connection) -> None:
            sqlite.execute(
                "INSERT INTO dead_letter SELECT id, task, attempt, body, ?, ? FROM item"
                " WHERE task = ? AND attempt IS ?",
                (reason, now.isoformat(), item.task, item.attempt),
            )
            sqlite.execute("DELETE FROM item WHERE task = ? AND attempt IS ?", (item.task, item.attempt))
            sqlite.execute(
                "DELETE FROM dead_letter WHERE id <= (SELECT max(id) FROM dead_letter) - ?", (MOST_DEAD_LETTERS,)
            )

        await self._run(move)

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
