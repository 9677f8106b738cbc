"""What is told of one attempt of a task: gathered here, sent as numbered updates (``worker-api.md`` 9.2, 15.2).

Each update says all that is known by then: activity and steps stand in every one. So the newest that has arrived is
enough, in whatever order they come.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from flamenco_core.statuses import TaskStatus
from flamenco_core.wire.worker_api import SavedFrame, TaskUpdate
from flamenco_worker.timing import Timing

MUCH_LOG_BYTES = 64 * 1024
"""So much gathered log is sent without waiting for more."""
MOST_LOG_BYTES = 256 * 1024 * 1024
"""Where the log of one attempt is cut: a program that prints without end must not fill the disk."""
CUT = "The log ends here: it has grown too long.\n"

Post = Callable[[TaskUpdate], Awaitable[None]]


class TaskReporter:
    """Gathers log lines, steps, activity and frames, and hands them over now and then, in order, each byte once."""

    def __init__(
        self, attempt: int | None, post: Post, timing: Timing, *, most_log_bytes: int = MOST_LOG_BYTES
    ) -> None:
        self._attempt = attempt
        self._post = post
        self._timing = timing
        self._most_log_bytes = most_log_bytes
        self._seq = 0
        self._log: list[bytes] = []
        self._log_bytes = 0
        self._log_sent_bytes = 0
        self._log_is_cut = False
        self._activity: str | None = None
        self._steps = 0
        self._told: tuple[str | None, int] = (None, 0)
        self._frames: list[SavedFrame] = []
        self._has_some = asyncio.Event()
        self._is_urgent = asyncio.Event()
        self._turn = asyncio.Lock()

    def log(self, line: str) -> None:
        """Add a line to the task's log; once it is too long, nothing but a note that it was cut."""
        if self._log_is_cut:
            return
        self._log_is_cut = self._log_sent_bytes + self._log_bytes > self._most_log_bytes
        text = (CUT if self._log_is_cut else f"{line}\n").encode("utf-8", "replace")
        self._log.append(text)
        self._log_bytes += len(text)
        self._has_some.set()

    def tell(self, activity: str) -> None:
        """Say what is going on; only the newest is sent."""
        self._activity = activity
        self._has_some.set()

    def count_steps(self, steps: int) -> None:
        """Count steps that are finished."""
        self._steps += steps
        self._hurry()

    def add_frame(self, frame: SavedFrame) -> None:
        """Report a frame that is on disk."""
        self._frames.append(frame)
        self._hurry()

    async def relieve(self) -> None:
        """Hand the log over if it has grown; slows down whoever prints faster than we can write."""
        if self._log_bytes >= MUCH_LOG_BYTES:
            await self._flush()

    async def begin(self) -> None:
        """Say that the attempt has begun."""
        self._activity = "Started"
        await self._flush(TaskStatus.ACTIVE)

    async def end(self, status: TaskStatus, activity: str, result: Mapping[str, Any]) -> None:
        """Say how the attempt ended, with everything that was not sent yet."""
        self._activity = activity
        await self._flush(status, result)

    async def hand_over(self) -> None:
        """Hand over what has gathered."""
        await self._flush()

    async def run(self) -> None:
        """Hand over what gathers, soon when a frame or a step is done, later when it is only log; for ever."""
        while True:
            await self._has_some.wait()
            await asyncio.sleep(self._timing.frame_flush_s)
            # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the event.
            with suppress(TimeoutError):  # nothing urgent came: what gathered goes now
                async with asyncio.timeout(self._timing.log_flush_s):
                    await self._is_urgent.wait()
            await self._flush()

    def _hurry(self) -> None:
        self._has_some.set()
        self._is_urgent.set()

    async def _flush(self, status: TaskStatus | None = None, result: Mapping[str, Any] | None = None) -> None:
        async with self._turn:
            update = self._next_update(status, result)
            if update is not None:
                await self._post(update)

    def _next_update(self, status: TaskStatus | None, result: Mapping[str, Any] | None) -> TaskUpdate | None:
        self._has_some.clear()
        self._is_urgent.clear()
        state = (self._activity, self._steps)
        if status is None and not (self._log or self._frames or state != self._told):
            return None
        text = b"".join(self._log).decode("utf-8")
        self._seq += 1
        update = TaskUpdate(
            task_status=status,
            activity=self._activity,
            log=text or None,
            steps_completed=self._steps,
            attempt=self._attempt,
            seq=self._seq,
            log_at=self._log_sent_bytes if text else None,
            frames=tuple(self._frames),
            result=result,
        )
        self._log_sent_bytes += self._log_bytes
        self._log, self._log_bytes, self._frames = [], 0, []
        self._told = state
        return update
