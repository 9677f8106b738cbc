"""The logs of tasks: one file per attempt, each piece at its offset, so that repeats and disorder do no harm.

Small pieces are held by the journal for a moment, and put into their files together (``held_pieces``). While a job runs
its logs are plain files; when it has ended they are compressed, and after some time removed.
"""

import asyncio
import shutil
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from flamenco_core.errors import NoSpace, Unavailable
from flamenco_manager.held_pieces import HeldPiece, HeldPieces, LogKey
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
from flamenco_manager.room import NO_ROOM
from flamenco_runtime.lane import Lane
from flamenco_runtime.leisure import RESTS, at_leisure

log = structlog.get_logger()

MOST_OPEN = 256
"""So many logs are kept open."""
SYNC_EVERY_S = 1.0
"""What was written to a log is on disk after so long at the latest (quality.md 2.3)."""
SYNC_LANES = 4
"""Logs that wait for the disk at a time, so that the file system can put them into one commit."""
WORTH_COMPRESSING_BYTES = 4096
"""A smaller log takes a block on disk anyway."""
PUT_AWAY_AT_ONCE = 128
"""So many logs get what is held of them together."""


class Journal(Protocol):
    """Who holds small pieces; a step of the farm puts them in."""

    async def held(self) -> Sequence[HeldPiece]:
        """Return all pieces, oldest first."""

    async def drop(self, numbers: Sequence[int]) -> None:
        """Forget pieces: they are in their files, and these on disk."""


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

    def __init__(
        self,
        folder: Path,
        limits: LogLimits | None = None,
        *,
        most_open: int = MOST_OPEN,
        journal: Journal | None = None,
    ) -> None:
        self._folder = folder
        self._journal = journal
        self._held = HeldPieces()
        self._put: dict[int, Path] = {}
        """Pieces (by number) that are in their files, which may not be on disk."""
        self._unsynced: set[Path] = set()
        """Logs to which pieces were added that nobody holds, and that may not be on disk."""
        self._being_synced: set[Path] = set()
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

    @property
    def logs_held(self) -> int:
        """How many logs have pieces that are not in their files yet."""
        return self._held.logs

    @property
    def writes_waiting(self) -> int:
        """How many works wait for the thread that writes."""
        return self._writing.waiting

    async def place(self, job: str, task: str, attempt: int, text: str, at: int | None) -> None:
        """Write ``text`` at byte ``at`` of an attempt's log; at its end, as lines of their own, if that is None.

        Bytes that are here already stay as they are. Raises OSError, and NoSpace where the disk is full.
        """
        data = text.encode("utf-8", "replace")
        path = self._file(job, task, attempt)
        try:
            await self.put([LogKey(job, task, attempt)])
            self._unsynced.add(path)
            await self._writing.run(lambda: self._opened(path).place(data, at))
        except OSError as error:
            if error.errno in NO_ROOM:
                raise NoSpace(f"The disk of {self._folder} is full: make room on it.") from error
            raise

    def holds(self, text: str, at: int | None) -> bool:
        """Tell whether ``hold`` takes such a piece; if not, it is to be placed."""
        return self._journal is not None and self._held.takes(text, at)

    def hold(self, job: str, task: str, attempt: int, text: str, at: int) -> HeldPiece:
        """Take a piece that whoever calls puts into the journal in this same step; it comes into its file later."""
        return self._held.hold(LogKey(job, task, attempt), at, text.encode("utf-8", "replace"))

    def is_on_disk(self, job: str, task: str, attempt: int) -> bool:
        """Tell whether all that was placed of an attempt's log is on disk; if not, ``sync`` brings it there."""
        path = self._file(job, task, attempt)
        return path not in self._unsynced and path not in self._being_synced

    async def restore(self) -> None:
        """Put what the journal still holds into its files; call it before anything else."""
        if self._journal is None:
            return
        for piece in await self._journal.held():
            self._held.restore(piece)
        try:
            await self._put_away(rests=0.0)
        except OSError as error:  # it is held further on, and tried again
            log.error("logs of tasks cannot be written", error=str(error))

    async def put(self, logs: Iterable[LogKey]) -> None:
        """Put what is held of logs into their files. Raises OSError, once all that can be put there is."""
        pieces = self._held.of(logs)
        if not pieces:
            return
        done, error = await self._writing.run(partial(self._place_all, pieces))
        self._held.release(done)
        self._put |= {piece.number: self._file_of(piece.log) for piece in done}
        if error is not None:
            raise error

    async def put_away(self) -> None:
        """Put what is held into its files, oldest first, and let the journal forget it.

        Raises OSError, and Unavailable once the journal takes nothing more.
        """
        await self._put_away(rests=RESTS)

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

    async def put_away_for_ever(self) -> None:
        """Put what is held into its files every second; what does not work now is tried again."""
        while True:
            await asyncio.sleep(SYNC_EVERY_S)
            try:
                await self.put_away()
            except OSError as error:
                log.error("logs of tasks cannot be written", error=str(error))
            except Unavailable:  # the store has stopped; whoever runs us is told by it
                log.debug("logs stay in the journal")

    async def sync_all(self) -> None:
        """Wait until everything that was written is on disk. Raises OSError."""
        self._being_synced, self._unsynced = self._being_synced | self._unsynced, set()
        begun = self._being_synced
        await self._sync(await self._writing.run(partial(self._begin_all_syncs, begun)))
        self._being_synced = self._being_synced - begun

    async def size(self, job: str, task: str, attempt: int) -> LogSize:
        """Return how long a log is. Raises OSError."""
        await self.put([LogKey(job, task, attempt)])
        return await self._writing.run(lambda: self._size(self._file(job, task, attempt)))

    async def read(self, job: str, task: str, attempt: int, start: int, most: int) -> bytes:
        """Return up to ``most`` bytes of what people see of a log, from ``start`` on. Raises OSError."""
        await self.put([LogKey(job, task, attempt)])
        path = self._file(job, task, attempt)
        return await self._writing.run(lambda: shown_bytes(self._looked_at(path), start, start + most))

    async def compress(self, job: str) -> None:
        """Compress the logs of a job, each wholly or not at all; one that is added to meanwhile stays as it is.

        Raises OSError.
        """
        await self.put(dict.fromkeys(piece.log for piece in self._held.of_job(job)))
        paths = await self._tidying.run(lambda: sorted((self._folder / job).glob("*.log")))
        for path in paths:
            if await self._writing.run(partial(self._begin_compressing, path)):
                draft = await self._tidying.run(partial(write_archive, path))
                await self._writing.run(partial(self._end_compressing, path, draft))

    async def erase(self, job: str) -> None:
        """Remove the logs of a job. Raises OSError."""
        held = self._held.of_job(job)
        self._held.release(held)
        self._put |= {piece.number: self._file_of(piece.log) for piece in held}
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

    async def _put_away(self, *, rests: float) -> None:
        logs, wrong = self._held.waiting(), None
        for first in range(0, len(logs), PUT_AWAY_AT_ONCE):
            async with at_leisure(rests):
                try:
                    await self.put(logs[first : first + PUT_AWAY_AT_ONCE])
                except OSError as error:  # one log may be out of order, and the others are not
                    wrong = error
                await self._forget_put()
        await self._forget_put()
        if wrong is not None:
            raise wrong

    async def _forget_put(self) -> None:
        """Bring files to the disk into which pieces were put, and let the journal forget these."""
        put, self._put = self._put, {}
        if not put or self._journal is None:
            return
        try:
            await self._sync(await self._writing.run(partial(self._begin_syncs, set(put.values()))))
            await self._journal.drop(list(put))
        except BaseException:
            self._put = {**put, **self._put}
            raise

    def _place_all(self, pieces: Sequence[HeldPiece]) -> tuple[list[HeldPiece], OSError | None]:
        """Write pieces; returns those that are in their files now, and what went wrong with the last of the others."""
        done, wrong = [], None
        for piece in pieces:
            try:
                self._opened(self._file_of(piece.log)).place(piece.data, piece.at)
            except OSError as error:
                wrong = error
            else:
                done.append(piece)
        return done, wrong

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

    def _begin_all_syncs(self, paths: AbstractSet[Path]) -> list[PendingSync]:
        """Begin with all that were written to, and with ``paths``: others may be about that, or have failed at it."""
        return [one.begin_sync() for path, one in self._open.items() if one.is_dirty or path in paths]

    def _file(self, job: str, task: str, attempt: int) -> Path:
        return self._folder / job / f"{task}.{attempt}.log"

    def _file_of(self, log: LogKey) -> Path:
        return self._file(log.job, log.task, log.attempt)

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
