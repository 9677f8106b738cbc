"""The files of a job: their paths, that they were uploaded, and that the blend file is one."""

import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from flamenco_core.errors import BadInput, Conflict
from flamenco_core.paths import BadPath, absolute_path, relative_path, shown
from flamenco_core.wire.manager_api import JobFile
from flamenco_server.blobs import BlobStore

BLEND_MAGIC = b"BLENDER"
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
HEAD_BYTES = 4096
"""How much of a blend file is looked at: more than one block of gzip's header and Blender's."""
MOST_NAMED = 5
"""How many missing files a message names."""


class BadManifest(BadInput):
    """Files of a job that cannot be laid out; ``errors`` has one message per file."""

    type = "bad-manifest"

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{key}: {message}" for key, message in list(errors.items())[:MOST_NAMED]), errors)


class NotABlendFile(BadInput):
    """The setting for the blend file names something else."""

    type = "not-a-blend-file"

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"settings.{key}: {message}", {f"settings.{key}": message})


class BlobsMissing(Conflict):
    """Files that were not uploaded."""

    type = "blobs-missing"

    def __init__(self, missing: Sequence[JobFile]) -> None:
        named = ", ".join(shown(file.path) for file in missing[:MOST_NAMED])
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        super().__init__(f"Upload these files first (PUT /api/v1/blobs/SHA256), then submit again: {named}{more}.")


def check_manifest(files: Sequence[JobFile]) -> None:
    """Refuse paths that leave the checkout or clash with each other on some platform. Raises BadManifest."""
    errors: dict[str, str] = {}
    taken: dict[str, str] = {}
    for position, file in enumerate(files):
        try:
            relative_path(file.path)
            _take(file.path, taken)
        except ValueError as error:
            errors[f"files.{position}.path"] = str(error)
    for position, file in enumerate(files):
        parent = next((taken[part] for part in _parents(file.path) if part in taken), None)
        if parent is not None:
            errors[f"files.{position}.path"] = f"{shown(file.path)} is inside {shown(parent)}, which is a file."
    if errors:
        raise BadManifest(errors)


async def check_blend_file(blobs: BlobStore, key: str, settings: Mapping[str, Any], files: Sequence[JobFile]) -> None:
    """Refuse a setting ``key`` with a value that is neither an uploaded blend file nor a path on the farm's storage.

    What is on the farm's storage only Workers can open. Raises NotABlendFile.
    """
    named = settings.get(key)
    if named is None:  # a job type that can do without
        return
    for file in files:
        if file.path == named:
            if not is_blend(await blobs.head(file.sha256, HEAD_BYTES)):
                raise NotABlendFile(key, f"{shown(named)} is not a blend file: save it with Blender first.")
            return
    try:
        absolute_path(named)
    except BadPath as error:
        raise NotABlendFile(key, f"{error} Or name one of the job's files: {_named(files)}.") from error


async def check_uploaded(blobs: BlobStore, files: Sequence[JobFile]) -> None:
    """Refuse files that are not here, or not as long as they are said to be. Raises BlobsMissing, BadManifest."""
    sizes = await blobs.sizes([file.sha256 for file in files])
    missing = [file for file in files if file.sha256 not in sizes]
    if missing:
        raise BlobsMissing(missing)
    errors = {
        f"files.{position}.size_bytes": f"{file.path} has {sizes[file.sha256]} bytes, not {file.size_bytes}."
        for position, file in enumerate(files)
        if file.size_bytes != sizes[file.sha256]
    }
    if errors:
        raise BadManifest(errors)


def is_blend(head: bytes) -> bool:
    """Tell by its first bytes whether a file is Blender's, plain or compressed with gzip or Zstandard.

    Of Zstandard only the frame's own mark is looked at, since Python 3.11 cannot read it.
    """
    if head.startswith(GZIP_MAGIC):
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, len(BLEND_MAGIC))
        except zlib.error:
            return False
    return head.startswith((BLEND_MAGIC, ZSTD_MAGIC))


def _take(path: str, taken: dict[str, str]) -> None:
    """Note a path as some file systems see it: without regard to case, or to how letters are composed."""
    name = _folded(path)
    if name in taken:
        raise BadPath(f"{shown(path)} and {shown(taken[name])} are one file on some platforms; rename one.")
    taken[name] = path


def _parents(path: str) -> list[str]:
    parts = _folded(path).split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _named(files: Sequence[JobFile]) -> str:
    return ", ".join(shown(file.path) for file in files[:MOST_NAMED]) or "it has none"
