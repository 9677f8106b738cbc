"""File contents by SHA-256."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from flamenco_core.errors import BadInput, NotFound
from flamenco_core.identifiers import is_sha256, new_id
from flamenco_runtime.durable_folders import make_folder, sync_folder


class NoSuchBlob(NotFound):
    """No blob has this digest."""

    type = "no-such-blob"

    def __init__(self, sha256: str) -> None:
        super().__init__(f"No file with the SHA-256 {sha256} is here.")


class BadDigest(BadInput):
    """Not the name of any blob."""

    type = "bad-digest"

    def __init__(self) -> None:
        super().__init__("A blob is named by its SHA-256: 64 hexadecimal digits in lower case.")


class WrongContents(BadInput):
    """What was sent does not have the digest that it was announced with."""

    type = "wrong-contents"

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"What arrived has the SHA-256 {found}, not {expected}: nothing was kept. Send it again.")


class BlobStore(Protocol):
    """Blobs, wherever they are kept."""

    async def sizes(self, digests: Sequence[str]) -> Mapping[str, int]:
        """Return the size in bytes of those that are here."""

    async def receive(self, sha256: str, chunks: AsyncIterable[bytes]) -> bool:
        """Keep a blob; when this returns it survives a power cut. Tells whether it is new.

        Raises BadDigest, WrongContents, NoSpace; nothing is kept then.
        """

    async def head(self, sha256: str, length: int) -> bytes:
        """Return its first bytes. Raises NoSuchBlob."""

    async def file(self, sha256: str) -> Path:
        """Return a file with its contents, to be read only. Raises NoSuchBlob."""


class Space(Protocol):
    """How much room there is for new files."""

    def check(self) -> None:
        """Refuse what would take up space. Raises NoSpace."""


class BlobFolder:
    """Blobs in a directory: ``ab/abcdef…``; what is still arriving is in ``incoming/``."""

    def __init__(self, folder: Path, space: Space) -> None:
        self._folder = folder
        self._space = space
        self._incoming = folder / "incoming"

    async def prepare(self) -> None:
        """Make the directory, and remove what an earlier process left half-way."""
        await asyncio.to_thread(self._prepare)

    async def sizes(self, digests: Sequence[str]) -> Mapping[str, int]:
        """Return the size in bytes of those that are here."""
        return await asyncio.to_thread(self._sizes, digests)

    async def receive(self, sha256: str, chunks: AsyncIterable[bytes]) -> bool:
        """Keep a blob. One that is here already is not read again."""
        place = self._place(sha256)
        if await asyncio.to_thread(place.exists):
            return False
        self._space.check()
        draft = self._incoming / new_id()
        try:
            await _write(draft, chunks, sha256)
            return await asyncio.to_thread(_publish, draft, place)
        finally:
            await asyncio.shield(asyncio.to_thread(draft.unlink, missing_ok=True))

    async def head(self, sha256: str, length: int) -> bytes:
        """Return its first bytes. Raises NoSuchBlob."""
        return await asyncio.to_thread(_head, await self.file(sha256), length)

    async def file(self, sha256: str) -> Path:
        """Return its file, to be read only. Raises NoSuchBlob."""
        place = self._place(sha256)
        if not await asyncio.to_thread(place.is_file):
            raise NoSuchBlob(sha256)
        return place

    def _place(self, sha256: str) -> Path:
        if not is_sha256(sha256):
            raise BadDigest
        return self._folder / sha256[:2] / sha256

    def _prepare(self) -> None:
        make_folder(self._incoming)
        for leftover in self._incoming.iterdir():
            leftover.unlink()

    def _sizes(self, digests: Sequence[str]) -> Mapping[str, int]:
        sizes: dict[str, int] = {}
        for digest in digests:
            try:
                sizes[digest] = self._place(digest).stat().st_size
            except FileNotFoundError:
                continue
        return sizes


async def _write(draft: Path, chunks: AsyncIterable[bytes], sha256: str) -> None:
    """Write, hash and sync in threads, so that a big file holds up nobody. Raises WrongContents."""
    digest = hashlib.sha256()

    def take(file: BinaryIO, chunk: bytes) -> None:
        digest.update(chunk)
        file.write(chunk)

    file = await asyncio.to_thread(draft.open, "xb")
    try:
        async for chunk in chunks:
            await asyncio.to_thread(take, file, chunk)
        if digest.hexdigest() != sha256:
            raise WrongContents(sha256, digest.hexdigest())
        await asyncio.to_thread(_sync, file)
    finally:
        await asyncio.to_thread(file.close)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _publish(draft: Path, place: Path) -> bool:
    """Give a whole file its name; tells whether nobody else did meanwhile."""
    make_folder(place.parent)
    is_new = not place.exists()
    draft.chmod(0o400)
    draft.replace(place)
    sync_folder(place.parent)
    return is_new


def remove_folders(folders: Iterable[Path]) -> None:
    """Remove folders with all that is in them; one that is not there is no trouble."""
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)


def _head(file: Path, length: int) -> bytes:
    with file.open("rb") as opened:
        return opened.read(length)
