"""Files on their way to the Server: hashed, compared, and only what is missing is sent."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from flamenco_cli.client import Client
from flamenco_core.errors import BadInput, Unavailable
from flamenco_runtime.http_client import pauses

PIECE_BYTES = 1024 * 1024
MOST_TRIES = 5
"""How often a call is made while the Server cannot be reached."""

OnBytes = Callable[[int], None]
"""Told how many bytes more were handled."""


class ChangedFile(BadInput):
    """A file changed while it was being sent."""

    type = "changed-file"


@dataclass(frozen=True)
class Blob:
    """A file to send: its path in the job's manifest, where it is here, and its contents by name and size."""

    path: str
    file: Path
    sha256: str
    size_bytes: int

    @property
    def entry(self) -> dict[str, object]:
        """Its line in a submission's manifest."""
        return {"path": self.path, "sha256": self.sha256, "size_bytes": self.size_bytes}


async def hashed(file: Path, path: str, on_bytes: OnBytes) -> Blob:
    """Read a file and name its contents. Raises OSError."""
    digest, size_bytes = await asyncio.to_thread(_hash, file, on_bytes)
    return Blob(path, file, digest, size_bytes)


async def missing_of(client: Client, blobs: list[Blob]) -> list[Blob]:
    """Return those whose contents the Server lacks."""
    named = [{"sha256": blob.sha256, "size_bytes": blob.size_bytes} for blob in blobs]
    missing = set(await client.missing_blobs(named))
    return [blob for blob in blobs if blob.sha256 in missing]


async def upload(client: Client, blob: Blob, on_bytes: OnBytes) -> None:
    """Send a file's contents; the Server checks the hash. Raises ChangedFile, Unreachable."""
    sent = 0

    def count(more: int) -> None:
        nonlocal sent
        sent += more
        on_bytes(more)

    waits = pauses()
    for tries_left in reversed(range(MOST_TRIES)):
        try:
            await client.call("PUT", f"blobs/{blob.sha256}", data=_pieces(blob.file, count), headers=_headers(blob))
        except Unavailable:
            if not tries_left:
                raise
            on_bytes(-sent)  # the next try begins at the beginning
            sent = 0
            await asyncio.sleep(next(waits))
        except BadInput as error:
            raise ChangedFile(f"{blob.file} changed while it was sent. Save it, then submit again.") from error
        else:
            return


def _headers(blob: Blob) -> dict[str, str]:
    return {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size_bytes)}


def _hash(file: Path, on_bytes: OnBytes) -> tuple[str, int]:
    digest, size_bytes = hashlib.sha256(), 0
    with file.open("rb") as stream:
        while piece := stream.read(PIECE_BYTES):
            digest.update(piece)
            size_bytes += len(piece)
            on_bytes(len(piece))
    return digest.hexdigest(), size_bytes


async def _pieces(file: Path, on_bytes: OnBytes) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(file.open, "rb") as stream:
        while piece := await asyncio.to_thread(stream.read, PIECE_BYTES):
            yield piece
            on_bytes(len(piece))
