"""Previews of saved frames: made and sent beside the rendering, newest first, and never waited for."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import structlog

from flamenco_core.errors import FlamencoError
from flamenco_core.wire.worker_api import SavedFrame
from flamenco_worker.images import BrokenImage, make_preview
from flamenco_worker.manager_link import ManagerLink

log = structlog.get_logger()

MOST_WAITING = 500
"""Frames that wait for their preview; when more come, the oldest goes without."""


@dataclass(frozen=True)
class _Wanted:
    task_id: str
    frame: SavedFrame


class PreviewQueue:
    """The frames of one slot that shall get a preview, and the loop that makes them."""

    def __init__(self, link: ManagerLink, scratch: Path) -> None:
        self._link = link
        self._scratch = scratch
        self._waiting: list[_Wanted] = []
        self._has_some = asyncio.Event()

    def add(self, task_id: str, frame: SavedFrame) -> None:
        """Have a preview of this frame made, before those that wait already."""
        self._waiting = [*self._waiting[-MOST_WAITING + 1 :], _Wanted(task_id, frame)]
        self._has_some.set()

    async def run(self) -> None:
        """Make and send previews, for ever. One that fails is logged and left: it is no loss worth a retry."""
        while True:
            await self._has_some.wait()
            wanted = self._waiting.pop()
            if not self._waiting:
                self._has_some.clear()
            try:
                jpeg = await asyncio.to_thread(make_preview, Path(wanted.frame.path), self._scratch)
                await self._link.send_preview(wanted.task_id, wanted.frame.frame, wanted.frame.layer, jpeg)
            except (BrokenImage, OSError, FlamencoError) as error:
                log.info("no preview", task=wanted.task_id, frame=wanted.frame.frame, why=str(error))


@dataclass(frozen=True)
class TaskPreviews:
    """The queue as a command of one task sees it."""

    queue: PreviewQueue
    task_id: str

    def offer(self, frame: SavedFrame) -> None:
        """Have a preview of this frame made and sent, when there is time."""
        self.queue.add(self.task_id, frame)
