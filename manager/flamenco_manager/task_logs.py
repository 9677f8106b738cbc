"""The logs of tasks: one file per attempt, each piece at its offset, so that repeats and disorder do no harm.

While a job runs its logs are plain files; when it has ended they are compressed, and after some time removed.
"""

import asyncio
import shutil
from collections import OrderedDict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from flamenco_manager.job_folders import job_folders, newest_change, set_aside
from flamenco_manager.log_extent import LogLimits
from flamenco_manager.log_file import (
    LogFile,
    PendingSync,
    ReadOnlyLog,
    adopt_archive,
    shown_bytes,
    sync_data,
    sync_names,
    write_archive,
)
from flamenco_runtime.lane import Lane

log = structlog.get_logger()

MOST_OPEN = 256
"""So many logs are kept open."""
SYNC_EVERY_S = 1.0
"""What was written to a log is on disk after so long at the latest (quality.md 2.3)."""
SYNC_LANES = 4
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
        self._writing, self._tidying = Lane("task-logs"), Lane("task-logs-tidy")
        self._syncing = [Lane(f"task-logs-sync-{number}") for number in range(SYNC_LANES)]
        self._to_sync: set[Path] = set()
        """Logs that the next round brings to the disk."""
        self._next_round: asyncio.Task[None] | None = None
        self._last_round: asyncio.Task[None] | None = None

    async def place(self, job: str, task: str, attempt: int, text: str, at: int | None) -> None:
        """Write ``text`` at byte ``at`` of an attempt's log; at its end, as lines of their own, if that is None.

        Bytes that are here already stay as they are. Raises OSError.
        """
        data = text.encode("utf-8", "replace")
        path = self._file(job, task, attempt)
        await self._writing.run(lambda: self._opened(path).place(data, at))

    async def sync(self, job: str, task: str, attempt: int) -> None:
        """Wait until an attempt's log is on disk. Raises OSError.

        Logs that wait while the disk is busy go to it together, and the folder that they share goes once.
        """
        self._to_sync.add(self._file(job, task, attempt))
        if self._next_round is None:
            self._next_round = self._last_round = asyncio.create_task(self._sync_round(self._last_round))
        await asyncio.shield(self._next_round)

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
        await self._sync(await self._writing.run(self._begin_all_syncs))

    async def size(self, job: str, task: str, attempt: int) -> LogSize:
        """Return how long a log is. Raises OSError."""
        return await self._writing.run(lambda: self._size(self._file(job, task, attempt)))

    async def read(self, job: str, task: str, attempt: int, start: int, most: int) -> bytes:
        """Return up to ``most`` bytes of what people see of a log, from ``start`` on. Raises OSError."""
        path = self._file(job, task, attempt)
        return await self._writing.run(lambda: shown_bytes(self._looked_at(path), start, start + most))

    async def compress(self, job: str) -> None:
        """Compress the logs of a job, each wholly or not at all; one that is added to meanwhile stays as it is.

        Raises OSError.
        """
        paths = await self._tidying.run(lambda: sorted((self._folder / job).glob("*.log")))
        for path in paths:
            if await self._writing.run(partial(self._begin_compressing, path)):
                draft = await self._tidying.run(partial(write_archive, path))
                await self._writing.run(partial(self._end_compressing, path, draft))

    async def erase(self, job: str) -> None:
        """Remove the logs of a job. Raises OSError."""
        doomed = await self._writing.run(lambda: self._set_aside(self._folder / job))
        await self._tidying.run(partial(shutil.rmtree, doomed, ignore_errors=True))

    async def sweep(self, now: datetime, keep: timedelta, in_use: AbstractSet[str]) -> None:
        """Remove logs to which nothing was added for so long, and compress what was left plain.

        Those of jobs ``in_use`` stay as they are. Raises OSError.
        """
        for job in await self._tidying.run(partial(job_folders, self._folder)):
            if job in in_use:
                continue
            if now - await self._tidying.run(partial(newest_change, self._folder / job)) > keep:
                await self.erase(job)
                log.info("old logs removed", job=job)
            else:
                await self.compress(job)

    def close(self) -> None:
        """Finish what is being written."""
        for lane in (self._tidying, *self._syncing):
            lane.close()
        self._writing.close(self._close_all)

    async def _sync_round(self, before: "asyncio.Task[None] | None") -> None:
        """Bring all logs that wait for it to the disk, after the round ``before``."""
        if before is not None:
            await asyncio.wait({before})
        paths, self._to_sync, self._next_round = self._to_sync, set(), None
        await self._sync(await self._writing.run(partial(self._begin_syncs, paths)))

    async def _sync(self, pending: Sequence[PendingSync]) -> None:
        shares = [share for number in range(SYNC_LANES) if (share := pending[number::SYNC_LANES])]
        await asyncio.gather(
            *[lane.run(partial(sync_data, share)) for lane, share in zip(self._syncing, shares, strict=False)]
        )
        if names := {name for one in pending for name in one.names}:
            await self._syncing[0].run(partial(sync_names, names))

    def _begin_syncs(self, paths: AbstractSet[Path]) -> list[PendingSync]:
        """Begin with those that are open; the others were never written to, or were on disk when they were closed."""
        return [self._open[path].begin_sync() for path in paths if path in self._open]

    def _begin_all_syncs(self) -> list[PendingSync]:
        return [one.begin_sync() for one in self._open.values() if one.is_dirty]

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
