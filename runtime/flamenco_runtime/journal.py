"""SQLite with group commit: many requests share one transaction, and each waits until its own is on disk.

Design: quality.md 2.2. One thread owns the one writing connection. While it commits a batch, the next batch fills; so
the size of batches adapts by itself, with no timer.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import apsw
import structlog

from flamenco_core.errors import FlamencoError, NoSpace, Unavailable

log = structlog.get_logger()

T = TypeVar("T")
Work = Callable[[apsw.Connection], T]


class JournalClosed(Unavailable):
    """The store is shutting down, or had to stop after a failed commit."""

    type = "store-closed"


class StoreFull(NoSpace):
    """The disk is full: what was to be written is undone."""

    type = "store-full"


class StoreLocked(Unavailable):
    """A foreign process locks the file; what waits is written once it lets go."""

    type = "store-locked"


class MemoryAhead(Exception):
    """Raised by a work that memory has anticipated: to undo it alone would leave the two apart, so the store stops."""


@dataclass
class _Batch:
    works: list[tuple[Work[Any], asyncio.Future[Any]]] = field(default_factory=list)


class Journal:
    """The one writer of an SQLite file, and a reader beside it. Made by ``Journal.open``; belongs to one event loop.

    A foreign process that locks the file does no harm: what is to be read and written waits for as long as it takes.
    """

    busy_timeout_ms = 5_000
    """So long a foreign lock goes unnoticed."""

    def __init__(
        self,
        path: Path,
        connection: apsw.Connection,
        on_failure: Callable[[BaseException], None],
        *,
        is_anticipated: bool,
    ) -> None:
        self._path = path
        self._connection = connection
        self._on_failure = on_failure
        self._is_anticipated = is_anticipated
        self._loop = asyncio.get_running_loop()
        self._batch = _Batch()
        self._filled = threading.Condition()
        self._closing = False
        self._is_ending = False
        """What is written now is the last."""
        self._failure: BaseException | None = None
        self._is_locked_out = False
        self.on_commit: Callable[[int, float], None] = lambda _works, _seconds: None
        """Told of each transaction, in the writer's thread: how many works it held, how many seconds it took."""
        self._reader = _Reader(path, self.busy_timeout_ms, "sqlite-reader")
        self._long_reader = _Reader(path, self.busy_timeout_ms, "sqlite-long-reader")
        self._thread = threading.Thread(target=self._write_batches, name="sqlite-writer", daemon=True)

    @classmethod
    async def open(
        cls,
        path: Path,
        prepare: Work[None],
        on_failure: Callable[[BaseException], None] = lambda _: None,
        *,
        is_anticipated: bool = True,
    ) -> "Journal":
        """Open the file, run ``prepare`` (migrations: it makes its own transactions) on it, and start the writer.

        ``on_failure`` is called once, in the event loop, when a commit fails: memory may then be ahead of the disk, so
        the service must stop. After that every call raises JournalClosed. A full disk undoes the transaction. Where
        memory has anticipated it (``is_anticipated``), that is such a failure too, a StoreFull: what is in memory must
        be read anew. Else only those who wait for it are told, by StoreFull, and the store goes on.
        Raises StoreLocked when a foreign process locks the file.
        """
        try:
            connection = await asyncio.to_thread(_open_for_writing, path, prepare, cls.busy_timeout_ms)
        except apsw.BusyError as error:
            raise StoreLocked(_lock_on(path)) from error
        except apsw.FullError as error:
            raise StoreFull(_no_room_for(path)) from error
        journal = cls(path, connection, on_failure, is_anticipated=is_anticipated)
        journal._thread.start()
        return journal

    def write(self, work: Work[T]) -> "asyncio.Future[T]":
        """Run ``work`` on the writing connection; the future holds what it returned once that is on disk.

        Works run in the order of their calls, each in a savepoint: one that raises is undone alone and its future holds
        the exception; only one that raises ``MemoryAhead`` stops the store. Do not await in between what must stay in
        order: call, then await. Cancelling the future does not undo the work.
        """
        self._check_open()
        future: asyncio.Future[T] = self._loop.create_future()
        with self._filled:
            self._batch.works.append((work, future))
            self._filled.notify()
        return future

    @property
    def waiting(self) -> int:
        """How many works wait for a transaction that has not begun."""
        return len(self._batch.works)

    @property
    def is_open(self) -> bool:
        """It can be read and written."""
        return self._failure is None and not self._closing

    def check_lock(self) -> None:
        """Raise StoreLocked while a foreign process locks the file: what is written now waits for it."""
        if self._is_locked_out:
            raise StoreLocked(_lock_on(self._path))

    async def durable(self) -> None:
        """Wait until everything written so far is on disk."""
        await asyncio.shield(self.write(lambda _: None))

    async def read(self, work: Work[T], *, is_long: bool = False) -> T:
        """Run ``work`` on a reading connection, in a thread: it sees what is committed.

        ``is_long``: it reads very much, and others need not wait for it.
        """
        self._check_open()
        reader = self._long_reader if is_long else self._reader
        return await self._loop.run_in_executor(
            reader.thread, lambda: self._patiently(lambda: work(reader.connection()))
        )

    async def close(self) -> None:
        """Commit what is written, then close the file. Closing it again does nothing."""
        if self._closing:
            return
        self._closing = True
        # First: only whoever may write, and is the last, leaves one file behind and no log beside it.
        for reader in (self._reader, self._long_reader):
            await self._loop.run_in_executor(reader.thread, reader.close)
        with self._filled:
            self._is_ending = True
            self._filled.notify()
        await asyncio.to_thread(self._thread.join)
        for reader in (self._reader, self._long_reader):
            reader.thread.shutdown()

    def _check_open(self) -> None:
        if isinstance(self._failure, StoreFull):
            raise StoreFull(str(self._failure))
        if self._failure is not None or self._closing:
            raise JournalClosed("The store is closed; try again in a moment.")

    def _write_batches(self) -> None:
        while True:
            with self._filled:
                while not self._batch.works and not self._is_ending:
                    self._filled.wait()
                batch = self._batch
                if not batch.works:
                    break
                self._batch = _Batch()
            try:
                outcomes = self._committed(batch)
            except apsw.FullError as error:
                self._undo()
                full = StoreFull(_no_room_for(self._path))
                full.__cause__ = error
                if self._is_anticipated:
                    self._loop.call_soon_threadsafe(self._fail, batch, full)
                    break
                outcomes = [_Raised(full)] * len(batch.works)
            except BaseException as error:  # noqa: BLE001 (whatever it was, nobody may believe this batch)
                self._let_go()
                self._loop.call_soon_threadsafe(self._fail, batch, error)
                return
            self._loop.call_soon_threadsafe(_resolve, batch, outcomes)
        with contextlib.suppress(apsw.FullError):  # there is no room to tidy up in; the next who opens it does
            self._connection.close()

    def _let_go(self) -> None:
        """Close the file after a failure as it is: after a failed sync a second one may succeed, and mean nothing."""
        with contextlib.suppress(apsw.Error):
            self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self._connection.close()

    def _undo(self) -> None:
        """Undo the open transaction; SQLite may have done so already."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _committed(self, batch: _Batch) -> list[Any]:
        connection, began_s = self._connection, time.perf_counter()
        self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
        outcomes = [_outcome(work, connection) for work, _ in batch.works]
        connection.execute("COMMIT")
        self.on_commit(len(batch.works), time.perf_counter() - began_s)
        return outcomes

    def _patiently(self, begin: Callable[[], T]) -> T:
        """Do what may find the file locked by a foreign process, until it does not: begin a transaction, or read."""
        is_told = False
        while True:
            try:
                done = begin()
                break
            except apsw.BusyError:
                if self._closing:
                    raise
                if not is_told:
                    log.warning("another program locks the store; waiting until it lets go", file=str(self._path))
                is_told = self._is_locked_out = True
        if is_told:
            self._is_locked_out = False
            log.info("the store is not locked any more", file=str(self._path))
        return done

    def _fail(self, batch: _Batch, error: BaseException) -> None:
        self._failure = error
        with self._filled:
            late, self._batch = self._batch, _Batch()
        for _, future in batch.works + late.works:
            if not future.done():
                future.set_exception(_told(error))
                future.exception()  # noted: a request that went away does not ask
        if not (self._closing and isinstance(error, apsw.BusyError)):
            self._on_failure(error)


class _Reader:
    """A thread with a connection that only reads, opened when it is first needed."""

    def __init__(self, path: Path, busy_timeout_ms: int, name: str) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._path = path
        self._busy_timeout_ms = busy_timeout_ms
        self._connection: apsw.Connection | None = None

    def connection(self) -> apsw.Connection:
        """Return the connection; call it in the thread."""
        if self._connection is None:
            self._connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
            self._connection.set_busy_timeout(self._busy_timeout_ms)
        return self._connection

    def close(self) -> None:
        """Close the connection, if there is one; call it in the thread."""
        if self._connection is not None:
            self._connection.close()


def executing(statement: str, rows: Iterable[Sequence[Any]]) -> Work[None]:
    """Make a work that runs one statement for each row of bindings."""

    def work(connection: apsw.Connection) -> None:
        connection.executemany(statement, rows)

    return work


def _no_room_for(path: Path) -> str:
    return f"The disk of {path} is full: make room on it."


def _open_for_writing(path: Path, prepare: Work[None], busy_timeout_ms: int) -> apsw.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = apsw.Connection(str(path))
    try:
        path.chmod(0o600)
        connection.set_busy_timeout(busy_timeout_ms)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _outcome(work: Work[Any], connection: apsw.Connection) -> Any:
    """Run one work in its savepoint; an exception of its own is its outcome, SQLite's I/O trouble is everybody's.

    So is what memory is ahead of.
    """
    connection.execute("SAVEPOINT work")
    try:
        outcome = work(connection)
    except (MemoryAhead, apsw.IOError, apsw.FullError, apsw.CorruptError, apsw.ReadOnlyError):
        raise
    except Exception as error:
        if not connection.in_transaction:  # SQLite has rolled the whole batch back, not this work alone
            raise
        connection.execute("ROLLBACK TO work")
        outcome = _Raised(error)
    connection.execute("RELEASE work")
    return outcome


def _lock_on(path: Path) -> str:
    return f"Another program locks {path}. Close it; until then nothing can be stored."


def _told(error: BaseException) -> FlamencoError:
    if isinstance(error, StoreFull):
        return StoreFull(str(error))
    return JournalClosed(f"The store could not be written: {error}.")


@dataclass
class _Raised:
    error: Exception


def _resolve(batch: _Batch, outcomes: list[Any]) -> None:
    for (_, future), outcome in zip(batch.works, outcomes, strict=True):
        if future.done():
            continue
        if isinstance(outcome, _Raised):
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome)
