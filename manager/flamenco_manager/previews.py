"""Previews of frames, as Workers make them: one per frame, and the newest of each job."""

import asyncio
import os
from pathlib import Path

JPEG = "image/jpeg"
MOST_THUMBNAIL_BYTES = 256 * 1024
"""What the Server takes as a thumbnail; a preview that is larger stays here (manager-api.md)."""


class Previews:
    """Files ``FOLDER/JOB/FRAME`` and ``FOLDER/JOB/newest``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, job: str, frame: int | None, image: bytes) -> None:
        """Store an image; one without a frame is only the newest of its job."""
        await asyncio.to_thread(self._keep, job, frame, image)

    async def of_frame(self, job: str, frame: int) -> bytes | None:
        """Return the image of a frame, if there is one."""
        return await asyncio.to_thread(_read, self._folder / job / str(frame))

    def _keep(self, job: str, frame: int | None, image: bytes) -> None:
        folder = self._folder / job
        folder.mkdir(parents=True, exist_ok=True)
        if frame is not None:
            _replace(folder / str(frame), image)
        _replace(folder / "newest", image)


def is_thumbnail(image: bytes, content_type: str) -> bool:
    """Tell whether the Server takes an image as it is."""
    return content_type == JPEG and image.startswith(b"\xff\xd8\xff") and len(image) <= MOST_THUMBNAIL_BYTES


def _replace(file: Path, data: bytes) -> None:
    temporary = file.with_name(f".{file.name}.new")
    temporary.write_bytes(data)
    os.replace(temporary, file)  # noqa: PTH105 (the same, and says what it does)


def _read(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None
