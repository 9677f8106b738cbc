"""File contents by SHA-256, fetched from the Server and kept under ``FOLDER/ab/abcdef…``."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from flamenco_core.errors import Unavailable
from flamenco_core.identifiers import is_sha256, new_id
from flamenco_runtime.durable_folders import make_folder, sync_folder


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
        """Tell whether a blob is here."""
        return await asyncio.to_thread(self.file(sha256).exists)

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
