"""The logs of tasks: one file per attempt, each piece at its offset, so that repeats and disorder do no harm.

While a job runs its logs are plain files; when it has ended they are compressed, and after some time removed.
"""

import asyncio
import shutil
from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from flamenco_manager.job_folders import job_folders, newest_change, set_aside
from flamenco_manager.log_extent import LogLimits
from flamenco_manager.log_file import LogFile, ReadOnlyLog, adopt_archive, shown_bytes, write_archive

log = structlog.get_logger()
T = TypeVar("T")

MOST_OPEN = 256
"""So many logs are kept open."""
SYNC_EVERY_S = 1.0
"""What was written to a log is on disk after so long at the latest (quality.md 2.3)."""
SYNC_THREADS = 4
"""Logs that wait for the disk at a time, so that the file system can put them into one commit."""
WORTH_COMPRESSING_BYTES = 4096
"""A smaller log takes a block on disk anyway."""


@dataclass(frozen=True, slots=True)
class LogSize:
    """How long a log is, as people see it; ``arrived_bytes`` of it are here without a gap.

    ``cut_at``: it grew too long, so its middle is missing there, and what comes behind changes while it grows.
    """

    shown_bytes: int = 0
    arrived_bytes: int = 0
    cut_at: int | None = None


class TaskLogs:
    """Files ``FOLDER/JOB/TASK.ATTEMPT.log``. One thread writes; others wait for the disk, and compress."""

    def __init__(self, folder: Path, limits: LogLimits | None = None, *, most_open: int = MOST_OPEN) -> None:
        self._folder = folder
        self._limits = limits or LogLimits()
        self._most_open = most_open
        self._open: OrderedDict[Path, LogFile] = OrderedDict()
        """The one used last is at the end. Only the writing thread looks at this and the next."""
        self._compressing: set[Path] = set()
        """Logs that were not touched since their compression began."""
        self._writing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="task-logs")
        self._syncing = ThreadPoolExecutor(max_workers=SYNC_THREADS, thread_name_prefix="task-logs-sync")
        self._tidying = ThreadPoolExecutor(max_workers=1, thread_name_prefix="task-logs-tidy")

    async def place(self, job: str, task: str, attempt: int, text: str, at: int | None) -> None:
        """Write ``text`` at byte ``at`` of an attempt's log; at its end, as lines of their own, if that is None.

        Bytes that are here already stay as they are. Raises OSError.
        """
        data = text.encode("utf-8", "replace")
        path = self._file(job, task, attempt)
        await _run(self._writing, lambda: self._opened(path).place(data, at))

    async def sync(self, job: str, task: str, attempt: int) -> None:
        """Wait until an attempt's log is on disk. Raises OSError."""
        path = self._file(job, task, attempt)
        wait = await _run(self._writing, lambda: self._open[path].begin_sync() if path in self._open else None)
        if wait is not None:  # else it was never written to, or was on disk when it was closed
            await _run(self._syncing, wait)

    async def sync_for_ever(self) -> None:
        """Have what was written on disk every second."""
        while True:
            await asyncio.sleep(SYNC_EVERY_S)
            try:
                await self.sync_all()
            except OSError as error:
                log.error("logs of tasks cannot be written", error=str(error))

    async def sync_all(self) -> None:
        """Wait until everything that was written is on disk. Raises OSError."""
        waits = await _run(self._writing, lambda: [one.begin_sync() for one in self._open.values() if one.is_dirty])
        await asyncio.gather(*(_run(self._syncing, wait) for wait in waits))

    async def size(self, job: str, task: str, attempt: int) -> LogSize:
        """Return how long a log is. Raises OSError."""
        return await _run(self._writing, lambda: self._size(self._file(job, task, attempt)))

    async def read(self, job: str, task: str, attempt: int, start: int, most: int) -> bytes:
        """Return up to ``most`` bytes of what people see of a log, from ``start`` on. Raises OSError."""
        path = self._file(job, task, attempt)
        return await _run(self._writing, lambda: shown_bytes(self._looked_at(path), start, start + most))

    async def compress(self, job: str) -> None:
        """Compress the logs of a job, each wholly or not at all; one that is added to meanwhile stays as it is.

        Raises OSError.
        """
        paths = await _run(self._tidying, lambda: sorted((self._folder / job).glob("*.log")))
        for path in paths:
            if await _run(self._writing, partial(self._begin_compressing, path)):
                draft = await _run(self._tidying, partial(write_archive, path))
                await _run(self._writing, partial(self._end_compressing, path, draft))

    async def erase(self, job: str) -> None:
        """Remove the logs of a job. Raises OSError."""
        doomed = await _run(self._writing, lambda: self._set_aside(self._folder / job))
        await _run(self._tidying, partial(shutil.rmtree, doomed, ignore_errors=True))

    async def sweep(self, now: datetime, keep: timedelta, in_use: AbstractSet[str]) -> None:
        """Remove logs to which nothing was added for so long, and compress what was left plain.

        Those of jobs ``in_use`` stay as they are. Raises OSError.
        """
        for job in await _run(self._tidying, partial(job_folders, self._folder)):
            if job in in_use:
                continue
            if now - await _run(self._tidying, partial(newest_change, self._folder / job)) > keep:
                await self.erase(job)
                log.info("old logs removed", job=job)
            else:
                await self.compress(job)

    def close(self) -> None:
        """Finish what is being written."""
        for threads in (self._tidying, self._syncing):
            threads.shutdown()
        self._writing.submit(self._close_all).result()
        self._writing.shutdown()

    def _file(self, job: str, task: str, attempt: int) -> Path:
        return self._folder / job / f"{task}.{attempt}.log"

    def _opened(self, path: Path) -> LogFile:
        self._compressing.discard(path)
        if path not in self._open:
            self._open[path] = LogFile(path, self._limits)
        self._open.move_to_end(path)
        while len(self._open) > self._most_open:
            self._open.popitem(last=False)[1].close()
        return self._open[path]

    def _looked_at(self, path: Path) -> LogFile | ReadOnlyLog:
        return self._open.get(path) or ReadOnlyLog(path, self._limits)

    def _size(self, path: Path) -> LogSize:
        try:
            extent = self._looked_at(path).extent
        except FileNotFoundError:
            return LogSize()
        return LogSize(extent.shown_bytes, extent.arrived_bytes, extent.cut_at)

    def _begin_compressing(self, path: Path) -> bool:
        if path in self._open:
            self._open.pop(path).close()
        if not path.exists() or path.stat().st_size < WORTH_COMPRESSING_BYTES:
            return False
        self._compressing.add(path)
        return True

    def _end_compressing(self, path: Path, draft: Path) -> None:
        if path in self._compressing and path.exists():
            adopt_archive(path, draft)
        else:
            draft.unlink(missing_ok=True)
        self._compressing.discard(path)

    def _set_aside(self, folder: Path) -> Path:
        """Let a job's logs disappear at once; returns where they are removed from at leisure."""
        for path in [path for path in self._open if path.parent == folder]:
            self._open.pop(path).close()
        return set_aside(folder)

    def _close_all(self) -> None:
        while self._open:
            self._open.popitem()[1].close()


async def _run(threads: Executor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, work)
