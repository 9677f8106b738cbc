"""Logs of tasks: pieces of them come from Managers, whole ones go to people."""

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from flamenco_core.errors import BadInput, Conflict, TooLarge
from flamenco_core.statuses import TaskStatus
from flamenco_runtime.durable_folders import make_folder, sync_folder
from flamenco_server.accounts import Caller
from flamenco_server.blobs import remove_folders
from flamenco_server.events import Change, EventBus
from flamenco_server.orders import LOG_ORDER_SECONDS, OrderStore, log_order
from flamenco_server.records import Job, Task

LARGEST_LOG_BYTES = 64 * 1024 * 1024
"""Of one attempt (quality.md 2.5)."""
LARGEST_PIECE_BYTES = 8 * 1024 * 1024
"""Of one request."""
ASK_AGAIN_AFTER = timedelta(seconds=LOG_ORDER_SECONDS * 2 / 3)
"""How soon a Manager is asked again for a log that somebody goes on looking at."""

_RANGE = re.compile(r"bytes (?:(?P<first>\d{1,18})-(?P<last>\d{1,18})|\*)/(?P<total>\d{1,18}|\*)")


class BadRange(BadInput):
    """A Content-Range that says nothing, or not what came."""

    type = "bad-range"

    def __init__(self) -> None:
        super().__init__("Send Content-Range: bytes FIRST-LAST/TOTAL (or /* while more may come), fitting the body.")


class LogGap(Conflict):
    """A piece of a log that begins behind the end of what is here."""

    type = "log-gap"

    def __init__(self, stored_bytes: int) -> None:
        super().__init__(f"Of this log {stored_bytes} bytes are here: send what follows them first.")
        self.members = {"expected": stored_bytes}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One hand-out of a task."""

    task_id: str
    number: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a log: ``data`` begins ``first`` bytes into it. ``total`` is its whole length, None: more may come."""

    first: int
    data: bytes
    total: int | None


@dataclass(frozen=True, slots=True)
class LogState:
    """How much of an attempt's log is here."""

    attempt: int
    stored_bytes: int
    total_bytes: int | None

    @property
    def is_complete(self) -> bool:
        """All of it is here, and nothing will follow."""
        return self.total_bytes is not None and self.stored_bytes >= self.total_bytes


class LogStore(Protocol):
    """Notes of how much of which log is on disk."""

    async def check_task_of(self, manager_id: str, task_id: str) -> None:
        """Check that a task belongs to a job of the Manager. Raises NoSuchTask."""

    async def log_state(self, task_id: str, attempt: int | None) -> LogState | None:
        """Return the state of an attempt's log, or of the newest; None if there is none."""

    async def note_log(self, attempt: Attempt, stored_bytes: int, total_bytes: int | None) -> None:
        """Note how much of a log is on disk; it never shrinks."""


class TaskReader(Protocol):
    """Jobs and tasks, as Managers reported them."""

    async def task(self, task_id: str) -> Task:
        """Return one task. Raises NoSuchTask."""

    async def job(self, job_id: str) -> Job:
        """Return one job. Raises NoSuchJob."""


@dataclass(frozen=True, slots=True)
class LogDesk:
    """What showing a log needs."""

    tasks: TaskReader
    logs: LogStore
    orders: OrderStore
    bus: EventBus


class LogFolder:
    """The logs: ``TA/TASK/ATTEMPT.log``, where TA are the first letters of the task's id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, attempt: Attempt) -> Path:
        """Return where the log of an attempt is, or will be."""
        return self._folder / attempt.task_id[:2] / attempt.task_id / f"{attempt.number}.log"

    async def write(self, attempt: Attempt, piece: Piece) -> None:
        """Put a piece in its place, durably."""
        await asyncio.to_thread(_write, self.file(attempt), piece)

    async def remove(self, task_ids: Sequence[str]) -> None:
        """Remove all logs of these tasks; it is no trouble if there are none."""
        folders = [self.file(Attempt(task_id, 1)).parent for task_id in task_ids]
        await asyncio.to_thread(remove_folders, folders)


def parse_piece(content_range: str | None, body: bytes) -> Piece:
    """Read a request with part of a log; without Content-Range it is the whole. Raises BadRange, TooLarge."""
    if content_range is None:
        return Piece(0, body, len(body))
    match = _RANGE.fullmatch(content_range)
    if match is None:
        raise BadRange
    total = None if match["total"] == "*" else int(match["total"])
    first = int(match["first"] or 0)
    length = int(match["last"]) + 1 - first if match["last"] else 0
    if length != len(body) or (total is not None and first + length > total):
        raise BadRange
    if max(first + length, total or 0) > LARGEST_LOG_BYTES:
        raise TooLarge(f"A log may have {LARGEST_LOG_BYTES} bytes; cut the rest, and say so in it.")
    return Piece(first, body, total)


async def receive_log(store: LogStore, folder: LogFolder, manager_id: str, attempt: Attempt, piece: Piece) -> None:
    """Keep part of a log; pieces that come twice do no harm. Raises NoSuchTask, LogGap."""
    await store.check_task_of(manager_id, attempt.task_id)
    state = await store.log_state(attempt.task_id, attempt.number)
    stored = state.stored_bytes if state else 0
    if piece.first > stored:
        raise LogGap(stored)
    await folder.write(attempt, piece)
    await store.note_log(attempt, piece.first + len(piece.data), piece.total)


async def log_to_show(
    desk: LogDesk, task_id: str, attempt: int | None, caller: Caller, *, now: datetime
) -> LogState | None:
    """Tell how much of a log is here; ``attempt`` None: of the newest attempt that has one. None: nothing is.

    While the task is active its Manager is also asked for what is added. Raises NoSuchTask.
    """
    task = await desk.tasks.task(task_id)
    if task.status is TaskStatus.ACTIVE and attempt in (None, task.attempt):
        await _ask_for_log(desk, task, caller, now)
    return await desk.logs.log_state(task_id, attempt)


async def _ask_for_log(desk: LogDesk, task: Task, caller: Caller, now: datetime) -> None:
    manager_id = (await desk.tasks.job(task.job)).manager_id
    if manager_id is None:
        return
    order = log_order(task.id, task.attempt, caller.name, now)
    if await desk.orders.issue_unless_recent(manager_id, order, now - ASK_AGAIN_AFTER):
        desk.bus.publish([Change("order", manager_id)])


def _write(file: Path, piece: Piece) -> None:
    make_folder(file.parent)
    is_new = not file.exists()
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, piece.data, piece.first)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        sync_folder(file.parent)
