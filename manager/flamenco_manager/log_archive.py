"""Compressed logs that can be read from any place on.

An archive is a gzip file, so that ``zcat`` reads it. It is made of members of 1 MiB of text, and the header of each
says how long the member is (RFC 1952, "extra field"), so that a reader skips from one to the next.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PIECE_BYTES = 1024 * 1024
"""How much text a member holds; the last one may hold less."""

_HEADER = struct.Struct("<4sIBBH2sHI")
"""Magic, method and flags; time; two bytes that say nothing; the extra field: length, name, length, the member's."""
_TRAILER = struct.Struct("<II")
_MAGIC = b"\x1f\x8b\x08\x04"
_NAME = b"FL"


class BrokenArchive(OSError):
    """A file that is no archive of ours, or was cut off."""


def compress(source: Path, target: Path) -> None:
    """Compress a file into another, which is on disk when this returns. Raises OSError."""
    with source.open("rb") as plain, target.open("wb") as archive:
        while piece := plain.read(PIECE_BYTES):
            archive.write(_member(piece))
        archive.flush()
        os.fsync(archive.fileno())


class Archive:
    """An archive that is read. ``size`` is that of the text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self._members = list(_members(file))
        self.size = sum(length for _, _, length in self._members)
        self._unpacked = (-1, b"")
        """The member that was read last, and its text: the next call is often for what follows."""

    def read(self, at: int, length: int) -> bytes:
        """Return so many bytes of the text from one on. Raises BrokenArchive."""
        found: list[bytes] = []
        for index in range(at // PIECE_BYTES, len(self._members)):
            if length <= 0:
                break
            skip = max(0, at - index * PIECE_BYTES)
            found.append(self._member(index)[skip : skip + length])
            length -= len(found[-1])
        return b"".join(found)

    def _member(self, index: int) -> bytes:
        if self._unpacked[0] != index:
            with self._path.open("rb") as file:
                self._unpacked = (index, _text(file, *self._members[index][:2]))
        return self._unpacked[1]


def _member(piece: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = packer.compress(piece) + packer.flush()
    whole = _HEADER.size + len(body) + _TRAILER.size
    header = _HEADER.pack(_MAGIC, 0, 0, 255, 8, _NAME, 4, whole)
    return header + body + _TRAILER.pack(zlib.crc32(piece), len(piece))


def _members(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Yield of each member where its body begins, how long that is, and how long its text."""
    at = 0
    while header := file.read(_HEADER.size):
        if len(header) < _HEADER.size or header[:4] != _MAGIC or header[12:14] != _NAME:
            raise BrokenArchive(f"{file.name} is no archive of a log")
        whole: int = _HEADER.unpack(header)[-1]
        file.seek(at + whole - _TRAILER.size)
        trailer = file.read(_TRAILER.size)
        if len(trailer) < _TRAILER.size:
            raise BrokenArchive(f"{file.name} was cut off")
        yield at + _HEADER.size, whole - _HEADER.size - _TRAILER.size, _TRAILER.unpack(trailer)[1]
        at += whole


def _text(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    try:
        return zlib.decompress(file.read(length), wbits=-zlib.MAX_WBITS)
    except zlib.error as error:
        raise BrokenArchive(f"{file.name} is damaged: {error}") from error
