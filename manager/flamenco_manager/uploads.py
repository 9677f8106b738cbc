"""What goes up beside reports: logs of attempts that have ended or that somebody watches, thumbnails of frames."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from flamenco_core.errors import FlamencoError, NoSpace, Unavailable
from flamenco_core.identifiers import is_uuid
from flamenco_core.wire.manager_api import Order
from flamenco_manager.held_pieces import LogKey
from flamenco_manager.previews import Previews
from flamenco_manager.refusals import check_is_final
from flamenco_manager.room import NO_ROOM
from flamenco_manager.stores.outbox import LogUpload
from flamenco_manager.task_logs import LogSize, TaskLogs
from flamenco_runtime.http_client import pauses
from flamenco_runtime.leisure import RESTS, at_leisure

log = structlog.get_logger()

PIECE_BYTES = 1024 * 1024
FOLLOW_EVERY_S = 0.5
LONGEST_FOLLOW_S = 60.0


class Receiver(Protocol):
    """Who gets them."""

    async def put_log(self, task: str, attempt: int, piece: bytes, start: int, total: int | None) -> None:
        """Send a piece of a log; ``total`` is its whole size, or None while it grows."""

    async def put_frame(self, job: str, frame: int, image: bytes) -> None:
        """Send the thumbnail of a frame."""


class Store(Protocol):
    """Where it is written what is still to be sent."""

    async def log_uploads(self) -> Sequence[LogUpload]:
        """Return logs that the Server is to get."""

    async def log_uploaded(self, upload: LogUpload) -> None:
        """Note that the Server has a log."""

    async def preview_uploads(self) -> Sequence[tuple[str, int]]:
        """Return (job, frame) of thumbnails that the Server is to get."""

    async def preview_uploaded(self, job: str, frame: int) -> None:
        """Note that the Server has a thumbnail."""

    async def queue_log(self, task_key: int, attempt: int) -> None:
        """Note that a log is to be sent."""

    async def queue_preview(self, job: str, frame: int) -> None:
        """Note that the thumbnail of a frame is to be sent."""

    async def job_of(self, task_id: str) -> str | None:
        """Return the id of the job that a task belongs to."""


class Uploads:
    """Sends what is due, oldest first; what the Server refuses is dropped with a word in the log."""

    def __init__(self, store: Store, logs: TaskLogs, previews: Previews) -> None:
        self._store = store
        self._logs = logs
        self._previews = previews
        self._due = asyncio.Event()
        self._orders: asyncio.Queue[Order] = asyncio.Queue()
        self._followed: dict[tuple[str, int], float] = {}
        """Logs (task, attempt) that somebody watches, and until when (the loop's time)."""
        self._grown: set[tuple[int, int]] = set()
        """Logs (task's key, attempt) that were added to since they began to be sent."""
        self._newer: set[tuple[str, int]] = set()
        """Thumbnails (job, frame) of which a newer one came since they began to be sent."""

    def wake(self) -> None:
        """Look for something to send."""
        self._due.set()

    async def queue_log(self, task_key: int, attempt: int) -> None:
        """Let a log be sent again: something was added to it after its attempt had ended."""
        self._grown.add((task_key, attempt))
        await self._store.queue_log(task_key, attempt)
        self.wake()

    async def queue_preview(self, job: str, frame: int) -> None:
        """Let the thumbnail of a frame be sent, also if an older one is on its way just now."""
        self._newer.add((job, frame))
        await self._store.queue_preview(job, frame)
        self.wake()

    def follow(self, order: Order) -> None:
        """Send a log now, and what is added to it for some seconds (``task.log``)."""
        self._orders.put_nowait(order)

    async def run(self, receiver: Receiver) -> None:
        """Send for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_for_ever(receiver))
            while True:
                order = await self._orders.get()
                group.create_task(self._follow(receiver, order))

    async def _send_for_ever(self, receiver: Receiver) -> None:
        tries = pauses()
        self._due.set()
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._send_all(receiver)
                tries = pauses()
            except Unavailable as error:
                log.debug("uploads wait", error=str(error))
                self._due.set()
                await asyncio.sleep(next(tries))

    async def _send_all(self, receiver: Receiver) -> None:
        while True:
            frames, logs = await self._store.preview_uploads(), await self._store.log_uploads()
            if not frames and not logs:
                return
            for job, frame in frames:
                self._newer.discard((job, frame))
                await self._send_frame(receiver, job, frame)
                if (job, frame) not in self._newer:
                    await self._store.preview_uploaded(job, frame)
            await self._prepare(logs)
            # Logs are for people, and who looks at one gets it at once (``task.log``); Workers must not wait for them.
            rests = RESTS if len(logs) > 1 else 0.0
            for upload in logs:
                self._grown.discard((upload.task_key, upload.attempt))
                async with at_leisure(rests):
                    await self._send_log(receiver, upload)
                if (upload.task_key, upload.attempt) not in self._grown:  # else it is sent once more
                    await self._store.log_uploaded(upload)

    async def _prepare(self, uploads: Sequence[LogUpload]) -> None:
        """Have in their files what is held of logs, of all in one go; one that cannot be written is told of later."""
        with contextlib.suppress(OSError):
            await self._logs.put([LogKey(upload.job, upload.task, upload.attempt) for upload in uploads])

    async def _send_log(self, receiver: Receiver, upload: LogUpload) -> None:
        try:
            log_as_it_is = _Log(self._logs, upload.job, upload.task, upload.attempt)
            size = await log_as_it_is.size()
            await _send_span(receiver, log_as_it_is, 0, size.shown_bytes, is_whole=True)
        except FlamencoError as error:
            check_is_final(error)
            log.warning("the Server refused a log", task=upload.task, attempt=upload.attempt, error=str(error))
        except OSError as error:
            if error.errno in NO_ROOM:  # what is held of it cannot go into its file now; it is not lost
                raise NoSpace(f"No room on the disk for the log of task {upload.task}.") from error
            log.error("a log cannot be read", task=upload.task, attempt=upload.attempt, error=str(error))

    async def _send_frame(self, receiver: Receiver, job: str, frame: int) -> None:
        image = await self._previews.of_frame(job, frame)
        if image is None:
            return
        try:
            await receiver.put_frame(job, frame, image)
        except FlamencoError as error:
            check_is_final(error)
            log.warning("the Server refused a thumbnail", job=job, frame=frame, error=str(error))

    async def _follow(self, receiver: Receiver, order: Order) -> None:
        task, attempt, seconds = (order.details.get(key) for key in ("task", "attempt", "seconds"))
        if not isinstance(task, str) or not is_uuid(task) or not isinstance(attempt, int):
            return
        job = await self._store.job_of(task)
        if job is None:
            return
        patience_s = min(float(seconds), LONGEST_FOLLOW_S) if isinstance(seconds, int | float) else 0.0
        is_followed = (task, attempt) in self._followed
        self._followed[task, attempt] = asyncio.get_running_loop().time() + patience_s
        if is_followed:
            return
        try:
            await self._send_growing(receiver, _Log(self._logs, job, task, attempt))
        except (FlamencoError, OSError) as error:
            log.info("following a log ended", task=task, attempt=attempt, error=str(error))
        finally:
            del self._followed[task, attempt]

    async def _send_growing(self, receiver: Receiver, growing: "_Log") -> None:
        """Send what is added to a log, for as long as somebody watches.

        What is not here yet is not skipped: the Server gets a log without gaps. One that grew too long is sent once
        more from the cut on, as it is by then: behind the cut it changes faster than it could be sent.
        """
        sent = 0
        while True:
            size = await growing.size()
            if size.cut_at is not None:
                await _send_span(receiver, growing, min(sent, size.cut_at), size.shown_bytes, is_whole=False)
                return
            sent = await _send_span(receiver, growing, sent, size.arrived_bytes, is_whole=False)
            if asyncio.get_running_loop().time() >= self._followed[growing.task, growing.attempt]:
                return
            await asyncio.sleep(FOLLOW_EVERY_S)


@dataclass(frozen=True, slots=True)
class _Log:
    logs: TaskLogs
    job: str
    task: str
    attempt: int

    async def size(self) -> LogSize:
        return await self.logs.size(self.job, self.task, self.attempt)

    async def read(self, start: int, most: int) -> bytes:
        return await self.logs.read(self.job, self.task, self.attempt, start, most)


async def _send_span(receiver: Receiver, source: _Log, start: int, stop: int, *, is_whole: bool) -> int:
    """Send a log from one byte up to another; returns where it came to. An empty one is sent when it is whole."""
    total = stop if is_whole else None
    if is_whole and stop == 0:
        await receiver.put_log(source.task, source.attempt, b"", 0, 0)
    while start < stop:
        piece = await source.read(start, min(PIECE_BYTES, stop - start))
        if not piece:  # it was removed while we were sending it
            return start
        await receiver.put_log(source.task, source.attempt, piece, start, total)
        start += len(piece)
    return start
