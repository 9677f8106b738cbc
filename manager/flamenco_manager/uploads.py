"""What goes up beside reports: logs of attempts that have ended or that somebody watches, thumbnails of frames."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from flamenco_core.errors import FlamencoError, Unavailable
from flamenco_core.identifiers import is_uuid
from flamenco_core.wire.manager_api import Order
from flamenco_manager.previews import Previews
from flamenco_manager.stores.outbox import LogUpload
from flamenco_manager.task_logs import TaskLogs
from flamenco_runtime.http_client import pauses

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
        self._followed: asyncio.Queue[Order] = asyncio.Queue()

    def wake(self) -> None:
        """Look for something to send."""
        self._due.set()

    async def queue_log(self, task_key: int, attempt: int) -> None:
        """Let a log be sent again: something was added to it after its attempt had ended."""
        await self._store.queue_log(task_key, attempt)
        self.wake()

    async def queue_preview(self, job: str, frame: int) -> None:
        """Let the thumbnail of a frame be sent."""
        await self._store.queue_preview(job, frame)
        self.wake()

    def follow(self, order: Order) -> None:
        """Send a log now, and what is added to it for some seconds (``task.log``)."""
        self._followed.put_nowait(order)

    async def run(self, receiver: Receiver) -> None:
        """Send for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_for_ever(receiver))
            while True:
                order = await self._followed.get()
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
        while (logs := await self._store.log_uploads()) or (frames := await self._store.preview_uploads()):
            for upload in logs:
                await self._send_log(receiver, upload)
                await self._store.log_uploaded(upload)
            for job, frame in frames if not logs else ():
                await self._send_frame(receiver, job, frame)
                await self._store.preview_uploaded(job, frame)

    async def _send_log(self, receiver: Receiver, upload: LogUpload) -> None:
        try:
            await self._send_pieces(receiver, upload.job, upload.task, upload.attempt, 0, is_whole=True)
        except Unavailable:
            raise
        except FlamencoError as error:
            log.warning("the Server refused a log", task=upload.task, attempt=upload.attempt, error=str(error))

    async def _send_frame(self, receiver: Receiver, job: str, frame: int) -> None:
        image = await self._previews.of_frame(job, frame)
        if image is None:
            return
        try:
            await receiver.put_frame(job, frame, image)
        except Unavailable:
            raise
        except FlamencoError as error:
            log.warning("the Server refused a thumbnail", job=job, frame=frame, error=str(error))

    async def _send_pieces(
        self, receiver: Receiver, job: str, task: str, attempt: int, start: int, *, is_whole: bool
    ) -> int:
        """Send a log from a byte on; returns where it ends now. An empty one is sent when it is whole."""
        total = await self._logs.size(job, task, attempt)
        if is_whole and total == 0:
            await receiver.put_log(task, attempt, b"", 0, 0)
        while start < total:
            piece = await self._logs.read(job, task, attempt, start, min(PIECE_BYTES, total - start))
            await receiver.put_log(task, attempt, piece, start, total if is_whole else None)
            start += len(piece)
        return start

    async def _follow(self, receiver: Receiver, order: Order) -> None:
        task, attempt, seconds = (order.details.get(key) for key in ("task", "attempt", "seconds"))
        if not isinstance(task, str) or not is_uuid(task) or not isinstance(attempt, int):
            return
        job = await self._store.job_of(task)
        if job is None:
            return
        patience_s = min(float(seconds), LONGEST_FOLLOW_S) if isinstance(seconds, int | float) else 0.0
        deadline = asyncio.get_running_loop().time() + patience_s
        sent = 0
        try:
            while True:
                sent = await self._send_pieces(receiver, job, task, attempt, sent, is_whole=False)
                if asyncio.get_running_loop().time() >= deadline:
                    return
                await asyncio.sleep(FOLLOW_EVERY_S)
        except FlamencoError as error:
            log.info("following a log ended", task=task, attempt=attempt, error=str(error))
