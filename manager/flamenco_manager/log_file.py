"""The files of one attempt's log: its text, compressed or not, and beside it what is known of text that is not whole.

``ATTEMPT.log`` holds the text, ``ATTEMPT.log.gz`` the same, compressed (both: we died in between, and the first one
counts), ``ATTEMPT.parts`` which bytes are there; without it the file is the log from its beginning to its end. All
calls block.
"""

import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from flamenco_manager.log_archive import PIECE_BYTES, Archive, compress
from flamenco_manager.log_extent import NOTE_BYTES, InFile, LogExtent, LogLimits
from flamenco_runtime.durable_folders import make_folder

_sync_data = getattr(os, "fdatasync", os.fsync)


@dataclass(frozen=True, slots=True)
class PendingSync:
    """What must reach the disk: the data of a log (``descriptor`` is ours), then the files and folders ``names``."""

    descriptor: int
    names: Sequence[Path]


class LogFile:
    """A log that is open for writing; it is made, or made plain again, by opening it. Raises OSError."""

    def __init__(self, path: Path, limits: LogLimits) -> None:
        self.path = path
        make_folder(path.parent)  # at once: other logs in it do not know that its own name is not on disk
        self._new_in: list[Path] = [path.parent]
        """Folders whose list of names may not be on disk."""
        _make_plain(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        self.extent = read_extent(path, os.fstat(self._descriptor).st_size, limits)
        self._noted = self.extent.copy() if parts_file(path).exists() else None
        """What the file of parts says."""
        self.is_dirty = False
        """Something was written that may not be on disk."""

    def place(self, data: bytes, at: int | None) -> None:
        """Write ``data`` at a log offset; at the end, as lines of their own, if that is None.

        What is here already stays as it is. We may be killed at any moment, so what the file of parts says is true
        before, during and after. Raises OSError.
        """
        if at is None:
            at, data = self.extent.end, data if data.endswith(b"\n") else data + b"\n"
        grown = self.extent.copy()
        new = grown.take(at, len(data))
        if not new:
            return
        self.is_dirty = True
        self.extent = self.extent.surviving(grown)
        if not grown.is_plain:
            self._note(self.extent)
        for start, stop in new:
            self._write(data[start - at : stop - at], grown.file_spans(start, stop))
        self.extent = grown
        if not grown.is_plain:
            self._note(grown)
        elif self._noted is not None:
            parts_file(self.path).unlink()
            self._noted = None

    def read(self, at: int, length: int) -> bytes:
        """Return bytes of the file."""
        return os.pread(self._descriptor, length, at)

    def begin_sync(self) -> "PendingSync":
        """Return what must still reach the disk of all that was written so far; another thread may wait for it."""
        self.is_dirty = False
        names, self._new_in = self._new_in, []
        if self._noted is not None:
            names = [parts_file(self.path), *names]
        return PendingSync(os.dup(self._descriptor), names)

    def close(self) -> None:
        """Let go of the file; what was written is on disk then."""
        try:
            if self.is_dirty:
                pending = self.begin_sync()
                sync_data([pending])
                sync_names(pending.names)
        finally:
            os.close(self._descriptor)

    def _write(self, data: bytes, spans: Iterable[InFile]) -> None:
        for span in spans:
            piece, data = data[: span.length], data[span.length :]
            at = span.at
            while piece:
                written = os.pwrite(self._descriptor, piece, at)
                piece, at = piece[written:], at + written

    def _note(self, extent: LogExtent) -> None:
        if extent == self._noted:
            return
        limits = extent.limits
        document = {"end": extent.end, "parts": extent.parts, "most": limits.most_bytes, "head": limits.head_bytes}
        draft = self.path.with_suffix(".parts.new")
        draft.write_bytes(orjson.dumps(document))
        draft.replace(parts_file(self.path))
        self._noted = extent.copy()


class ReadOnlyLog:
    """A log that is only looked at; it may be compressed. Raises FileNotFoundError."""

    def __init__(self, path: Path, limits: LogLimits) -> None:
        self._path = path
        self._archive = None if path.exists() else Archive(archive_file(path))
        size = path.stat().st_size if self._archive is None else self._archive.size
        self.extent = read_extent(path, size, limits)

    def read(self, at: int, length: int) -> bytes:
        """Return bytes of the text."""
        if self._archive is not None:
            return self._archive.read(at, length)
        with self._path.open("rb") as file:
            file.seek(at)
            return file.read(length)


def shown_bytes(log: LogFile | ReadOnlyLog, start: int, stop: int) -> bytes:
    """Return what people see of a log from one shown offset to another."""
    pieces = log.extent.shown(start, stop)
    return b"".join(log.read(piece.at, piece.length) if isinstance(piece, InFile) else piece for piece in pieces)


def read_extent(path: Path, size: int, limits: LogLimits) -> LogExtent:
    """Find out which bytes of a log are here; its file has ``size`` bytes. A log that was cut keeps its limits."""
    try:
        noted: Any = orjson.loads(parts_file(path).read_bytes())
        parts = [(int(first), int(last)) for first, last in noted["parts"]]
        return LogExtent(LogLimits(noted["most"], noted["head"]), noted["end"], parts)
    except FileNotFoundError:
        pass
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        size = min(size, limits.head_bytes)  # the power failed: the rest may be in any order
    most = max(limits.most_bytes, size + NOTE_BYTES)  # it may have begun when the limit was higher
    return LogExtent(LogLimits(most, limits.head_bytes), size, [(0, size)] if size else [])


def parts_file(path: Path) -> Path:
    """Return where it is noted which bytes of a log are here, if not all."""
    return path.with_suffix(".parts")


def archive_file(path: Path) -> Path:
    """Return where a log is when it is compressed."""
    return path.with_suffix(".log.gz")


def write_archive(path: Path) -> Path:
    """Compress a log into a draft, and return that."""
    draft = path.with_suffix(".log.gz.new")
    compress(path, draft)
    return draft


def adopt_archive(path: Path, draft: Path) -> None:
    """Put a draft in the log's place: from now on it is compressed."""
    draft.replace(archive_file(path))
    _sync_path(path.parent)
    path.unlink()


def _make_plain(path: Path) -> None:
    """Have the log in its plain form, and in no other."""
    archive = archive_file(path)
    if not path.exists() and archive.exists():
        draft = path.with_suffix(".log.new")
        packed = Archive(archive)
        with draft.open("wb") as plain:
            for at in range(0, packed.size, PIECE_BYTES):
                plain.write(packed.read(at, PIECE_BYTES))
            plain.flush()
            os.fsync(plain.fileno())
        draft.replace(path)
        _sync_path(path.parent)
    archive.unlink(missing_ok=True)


def sync_data(pending: Sequence[PendingSync]) -> None:
    """Wait until the data of logs is on disk. Raises OSError, and lets go of every descriptor all the same."""
    with contextlib.ExitStack() as stack:
        for one in pending:
            stack.callback(os.close, one.descriptor)
        for one in pending:
            _sync_data(one.descriptor)


def sync_names(names: Iterable[Path]) -> None:
    """Wait until files, and the names in folders, are on disk. Raises OSError."""
    for name in names:
        _sync_path(name)


def _sync_path(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk; one that is gone meanwhile needs nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
