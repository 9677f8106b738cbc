"""The logs of tasks: one file per attempt, each piece at its offset, so that repeats and disorder do no harm."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

MOST_BYTES = 64 * 1024 * 1024
"""What a log holds; text beyond that is dropped."""


class TaskLogs:
    """Files ``FOLDER/JOB/TASK/ATTEMPT.log``, written by one thread of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="task-logs")

    async def place(self, job: str, task: str, attempt: int, text: str, at: int | None) -> None:
        """Write ``text`` at byte ``at`` of an attempt's log; at its end, as lines of their own, if that is None."""
        await self._run(lambda: _place(self._file(job, task, attempt), text, at))

    async def sync(self, job: str, task: str, attempt: int) -> None:
        """Wait until an attempt's log is on disk."""
        await self._run(lambda: _sync(self._file(job, task, attempt)))

    async def size(self, job: str, task: str, attempt: int) -> int:
        """Return how many bytes a log has."""
        return await self._run(lambda: _size(self._file(job, task, attempt)))

    async def read(self, job: str, task: str, attempt: int, start: int, most: int) -> bytes:
        """Return up to ``most`` bytes of a log, from ``start`` on."""
        return await self._run(lambda: _read(self._file(job, task, attempt), start, most))

    def close(self) -> None:
        """Finish what is being written."""
        self._thread.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _file(self, job: str, task: str, attempt: int) -> Path:
        return self._folder / job / task / f"{attempt}.log"


def _place(file: Path, text: str, at: int | None) -> None:
    data = text.encode("utf-8", "replace")
    if at is None and not data.endswith(b"\n"):
        data += b"\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        offset = os.fstat(descriptor).st_size if at is None else at
        data = data[: max(0, MOST_BYTES - offset)]
        while data:
            written = os.pwrite(descriptor, data, offset)
            data, offset = data[written:], offset + written
    finally:
        os.close(descriptor)


def _sync(file: Path) -> None:
    if not file.exists():
        return
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _read(file: Path, start: int, most: int) -> bytes:
    with file.open("rb") as stream:
        stream.seek(start)
        return stream.read(most)
