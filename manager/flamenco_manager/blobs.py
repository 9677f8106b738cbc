"""File contents by SHA-256, fetched from the Server and kept for a while under ``FOLDER/ab/abcdef…``.

A job has copies of its own: blobs are here so that what jobs share is fetched once.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from flamenco_core.errors import Unavailable
from flamenco_core.identifiers import is_sha256, new_id
from flamenco_runtime.clock import Clock
from flamenco_runtime.durable_folders import make_folder, sync_folder

log = structlog.get_logger()

KEEP = timedelta(days=7)
"""So long after its last use a blob goes. A job that comes later fetches it anew."""
TIDY_EVERY_S = 3600.0


class WrongBlob(Unavailable):
    """What was sent is not what was asked for; the next try may be right."""

    type = "wrong-blob"


class Blobs:
    """A blob is under its name only when it is whole and on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, sha256: str) -> Path:
        """Return where a blob is, or would be."""
        assert is_sha256(sha256)
        return self._folder / sha256[:2] / sha256

    async def has(self, sha256: str) -> bool:
        """Tell whether a blob is here; that counts as a use of it."""
        return await asyncio.to_thread(_touched, self.file(sha256))

    async def tidy_for_ever(self, clock: Clock) -> None:
        """Remove every hour what nobody needed for long."""
        while True:
            try:
                await self.tidy(clock())
            except OSError as error:
                log.warning("old files of jobs cannot be removed", error=str(error))
            await asyncio.sleep(TIDY_EVERY_S)

    async def tidy(self, now: datetime) -> None:
        """Remove blobs that nobody needed for ``KEEP``, and what a process that was killed has left. Raises OSError."""
        await asyncio.to_thread(_remove_older, self._folder, (now - KEEP).timestamp())

    async def keep(self, sha256: str, contents: AsyncIterator[bytes]) -> None:
        """Store a blob as it comes. Raises WrongBlob, and keeps nothing, when its hash is another."""
        target = self.file(sha256)
        temporary = target.with_name(f"{sha256}.{new_id()}.new")
        try:
            digest = await _written(temporary, contents)
            if digest != sha256:
                raise WrongBlob(f"The Server sent something else for {sha256}: its hash is {digest}.")
            await asyncio.to_thread(_publish, temporary, target)
        finally:
            await asyncio.to_thread(temporary.unlink, missing_ok=True)


def _touched(file: Path) -> bool:
    try:
        os.utime(file)
    except FileNotFoundError:
        return False
    return True


def _remove_older(folder: Path, before_s: float) -> None:
    for file in folder.glob("??/*"):
        if file.stat().st_mtime < before_s:
            file.unlink(missing_ok=True)


async def _written(file: Path, contents: AsyncIterator[bytes]) -> str:
    digest = hashlib.sha256()
    await asyncio.to_thread(make_folder, file.parent)
    stream = await asyncio.to_thread(file.open, "wb")

    def append(piece: bytes) -> None:
        stream.write(piece)
        digest.update(piece)

    def finish() -> None:
        stream.flush()
        os.fsync(stream.fileno())

    try:
        async for piece in contents:
            await asyncio.to_thread(append, piece)
        await asyncio.to_thread(finish)
    finally:
        await asyncio.to_thread(stream.close)
    return digest.hexdigest()


def _publish(temporary: Path, target: Path) -> None:
    os.replace(temporary, target)  # noqa: PTH105 (atomic, which Path.rename only is on POSIX)
    sync_folder(target.parent)
