"""Thumbnails of frames, as their Managers send them: small JPEG or WebP images in a directory."""

import asyncio
import os
from datetime import datetime
from pathlib import Path
from typing import Protocol

from flamenco_core.errors import BadInput, NotFound
from flamenco_core.identifiers import new_id
from flamenco_runtime.durable_folders import make_folder, sync_folder
from flamenco_server.blobs import remove_folders
from flamenco_server.events import Change, EventBus

LARGEST_BYTES = 256 * 1024
MEDIA_TYPES = {".jpg": "image/jpeg", ".webp": "image/webp"}
"""Of the files that hold thumbnails, by suffix."""


class NotAThumbnail(BadInput):
    """A thumbnail in another format."""

    type = "not-a-thumbnail"

    def __init__(self) -> None:
        super().__init__("A thumbnail must be a JPEG or WebP image.")


class NoThumbnail(NotFound):
    """None came for this frame, so far."""

    type = "no-thumbnail"

    def __init__(self, frame: int) -> None:
        super().__init__(f"There is no thumbnail of frame {frame}, at least not yet.")


class ThumbnailStore(Protocol):
    """Notes of what thumbnails there are."""

    async def check_job_of(self, manager_id: str, job_id: str) -> None:
        """Check that a job belongs to the Manager. Raises NoSuchJob."""

    async def note_thumbnail(self, job_id: str, frame: int, now: datetime) -> None:
        """Note that a frame's thumbnail is on disk, as the job's newest."""


class ThumbnailFolder:
    """The images: ``JOB/FRAME.jpg`` or ``JOB/FRAME.webp``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, job_id: str, frame: int, image: bytes) -> None:
        """Write an image in place of the one before, durably. Raises NotAThumbnail."""
        await asyncio.to_thread(_write, self._folder / job_id / f"{frame}{suffix_of(image)}", image)

    async def file(self, job_id: str, frame: int) -> Path:
        """Return the file of an image; its suffix tells which kind it is. Raises NoThumbnail."""
        for suffix in MEDIA_TYPES:
            place = self._folder / job_id / f"{frame}{suffix}"
            if await asyncio.to_thread(place.is_file):
                return place
        raise NoThumbnail(frame)

    async def remove(self, job_id: str) -> None:
        """Remove all images of a job; it is no trouble if there are none."""
        await asyncio.to_thread(remove_folders, [self._folder / job_id])


async def receive_thumbnail(
    store: ThumbnailStore,
    folder: ThumbnailFolder,
    bus: EventBus,
    place: tuple[str, str, int],
    image: bytes,
    *,
    now: datetime,
) -> None:
    """Keep the thumbnail of a frame; ``place`` is (Manager, job, frame). Raises NotAThumbnail, NoSuchJob."""
    manager_id, job_id, frame = place
    suffix_of(image)
    await store.check_job_of(manager_id, job_id)
    await folder.keep(job_id, frame, image)
    await store.note_thumbnail(job_id, frame, now)
    bus.publish([Change("frame", str(frame), job_id), Change("job", job_id)])


def suffix_of(image: bytes) -> str:
    """Tell by its first bytes which of ``MEDIA_TYPES`` an image has. Raises NotAThumbnail."""
    if image.startswith(b"\xff\xd8\xff"):
        return ".jpg"
    if image.startswith(b"RIFF") and image[8:12] == b"WEBP":
        return ".webp"
    raise NotAThumbnail


def _write(place: Path, image: bytes) -> None:
    make_folder(place.parent)
    draft = place.with_name(f".{new_id()}")
    with draft.open("xb") as file:
        file.write(image)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(place)
    for suffix in MEDIA_TYPES.keys() - {place.suffix}:
        place.with_suffix(suffix).unlink(missing_ok=True)
    sync_folder(place.parent)
