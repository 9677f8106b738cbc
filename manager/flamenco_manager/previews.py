"""Previews of frames: a small JPEG per frame, and the newest of each job."""

import asyncio
import os
import shutil
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from flamenco_core.identifiers import new_id
from flamenco_manager.job_folders import job_folders, newest_change, set_aside

log = structlog.get_logger()

JPEG = "image/jpeg"
MOST_THUMBNAIL_BYTES = 256 * 1024
"""What the Server takes as a thumbnail (manager-api.md)."""
MOST_SIDE = 1024
"""The longer side of a preview, in pixels (worker-api.md 15.4)."""
NEWEST = "newest"

_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""The segments of a JPEG that tell its size (ITU-T T.81, table B.1: start of frame)."""


class Previews:
    """Files ``FOLDER/JOB/FRAME`` and ``FOLDER/JOB/newest``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, job: str, frame: int | None, image: bytes) -> None:
        """Store a preview; one without a frame is only the newest of its job. Raises OSError."""
        await asyncio.to_thread(self._keep, job, frame, image)

    async def of_frame(self, job: str, frame: int) -> bytes | None:
        """Return the preview of a frame, if there is one."""
        return await asyncio.to_thread(_read, self._folder / job / str(frame))

    async def newest(self, job: str) -> bytes | None:
        """Return the preview of a job that came last, if there is one."""
        return await asyncio.to_thread(_read, self._folder / job / NEWEST)

    async def erase(self, job: str) -> None:
        """Remove the previews of a job. Raises OSError."""
        doomed = await asyncio.to_thread(set_aside, self._folder / job)
        await asyncio.to_thread(shutil.rmtree, doomed, ignore_errors=True)

    async def sweep(self, now: datetime, keep: timedelta, in_use: AbstractSet[str]) -> None:
        """Remove previews of jobs to which none was added for so long, unless they are ``in_use``. Raises OSError."""
        for job in await asyncio.to_thread(job_folders, self._folder):
            if job not in in_use and now - await asyncio.to_thread(newest_change, self._folder / job) > keep:
                await self.erase(job)
                log.info("old previews removed", job=job)

    def _keep(self, job: str, frame: int | None, image: bytes) -> None:
        folder = self._folder / job
        folder.mkdir(parents=True, exist_ok=True)
        if frame is not None:
            _replace(folder / str(frame), image)
        _replace(folder / NEWEST, image)


def is_small_jpeg(image: bytes) -> bool:
    """Tell whether an image can be kept, shown, and sent to the Server as it is."""
    size = jpeg_size(image) if len(image) <= MOST_THUMBNAIL_BYTES else None
    return size is not None and min(size) > 0 and max(size) <= MOST_SIDE


def jpeg_size(image: bytes) -> tuple[int, int] | None:
    """Read width and height from the header of a JPEG; None when it is none. Nothing is decoded."""
    if not image.startswith(b"\xff\xd8\xff"):
        return None
    at = 2
    while at + 9 <= len(image) and image[at] == 0xFF:
        if image[at + 1] == 0xFF:  # a filling byte
            at += 1
        elif image[at + 1] in _SIZES:
            height, width = (int.from_bytes(image[at + place : at + place + 2], "big") for place in (5, 7))
            return width, height
        else:
            at += 2 + int.from_bytes(image[at + 2 : at + 4], "big")
    return None


def _replace(file: Path, data: bytes) -> None:
    draft = file.with_name(f".{new_id()}")
    with draft.open("xb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())  # else a power cut may leave an empty file under the name
    draft.replace(file)


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
