"""Handing a job over: hash the copy of the blend file, upload what the Server lacks, create the job.

A ``Sending`` runs on a background thread as a series of small steps; between any two it can be stopped. What it is
doing is one value, replaced whole, that the panel reads at any time.
"""

import hashlib
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .job_types import JobType, Value
from .problems import CannotConnect, Problem, Stopped
from .server_client import SentFile
from .words import bytes_in_words, seconds_in_words

CHUNK_BYTES = 1024 * 1024
TRIES_TO_START = 3
"""How often an answer to the submission may be lost; the idempotency key makes repeating harmless."""
MEASURED_AFTER_S = 1.0
"""A speed is told once this much time has passed; before that it says nothing."""


class Receiver(Protocol):
    """Whom a job is sent to: the Server's client."""

    def missing(self, files: "list[SentFile]") -> "set[str]":
        """Tell which contents are lacking."""

    def upload(self, file: SentFile, chunks: Iterator[bytes]) -> None:
        """Take the contents of a file."""

    def submit(self, submission: Mapping[str, Any], idempotency_key: str) -> "dict[str, Any]":
        """Create the job."""


@dataclass(frozen=True)
class Doing:
    """What is being done, in words; ``fraction`` of it (0 to 1) is done, None if nobody knows."""

    words: str
    fraction: "float | None" = None


@dataclass(frozen=True)
class Copy:
    """A copy of the artist's file, alone in a folder that is removed once it was sent."""

    file: Path
    manifest_path: str

    def remove(self) -> None:
        """Delete the copy and its folder."""
        shutil.rmtree(self.file.parent, ignore_errors=True)


@dataclass(frozen=True)
class JobToSend:
    """All that a submission is made of."""

    name: str
    job_type: JobType
    settings: Mapping[str, Value]
    copy: "Copy | None" = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def submission(self, files: "list[SentFile]") -> "dict[str, Any]":
        """Write it as the API has it."""
        return {
            "name": self.name,
            "type": self.job_type.name,
            "type_etag": self.job_type.etag,
            "settings": dict(self.settings),
            "metadata": dict(self.metadata),
            "files": [file.as_json() for file in files],
        }


class Sending:
    """One job on its way to the Server."""

    def __init__(self, receiver: Receiver, job: JobToSend, clock: Callable[[], float] = time.monotonic) -> None:
        self.doing = Doing("Comparing…")
        self._receiver = receiver
        self._job = job
        self._clock = clock
        self._stop = threading.Event()
        self._key = str(uuid.uuid4())

    def stop(self) -> None:
        """Ask it to end at its next step."""
        self._stop.set()

    def run(self) -> "dict[str, Any]":
        """Do it all, and remove the copy in any case. Returns the job as the Server has it. Raises Problem."""
        try:
            files = self._compare()
            return self._start(files)
        finally:
            if self._job.copy is not None:
                self._job.copy.remove()

    def _compare(self) -> "list[SentFile]":
        if self._job.copy is None:
            return []
        file = self._hashed(self._job.copy)
        self._say(Doing("Comparing… 1 file found"))
        if file.sha256 in self._receiver.missing([file]):
            self._say(Doing("Comparing… 1 of 1 to send"))
            self._receiver.upload(file, self._chunks(self._job.copy.file, file.size_bytes))
        return [file]

    def _hashed(self, copy: Copy) -> SentFile:
        digest, size_bytes = hashlib.sha256(), copy.file.stat().st_size
        with copy.file.open("rb") as opened:
            while chunk := opened.read(CHUNK_BYTES):
                digest.update(chunk)
                self._say(Doing("Comparing…", opened.tell() / size_bytes))
        return SentFile(copy.manifest_path, digest.hexdigest(), size_bytes)

    def _chunks(self, file: Path, size_bytes: int) -> Iterator[bytes]:
        began, sent = self._clock(), 0
        with file.open("rb") as opened:
            while chunk := opened.read(CHUNK_BYTES):
                self._say(Doing(upload_in_words(sent, size_bytes, self._clock() - began), sent / size_bytes))
                yield chunk
                sent += len(chunk)

    def _start(self, files: "list[SentFile]") -> "dict[str, Any]":
        submission = self._job.submission(files)
        for _ in range(TRIES_TO_START - 1):
            self._say(Doing("Starting job…"))
            try:
                return self._receiver.submit(submission, self._key)
            except CannotConnect:
                if self._stop.wait(1.0):
                    raise
        return self._receiver.submit(submission, self._key)

    def _say(self, doing: Doing) -> None:
        """Set what is being done. Raises Stopped if the artist wants no more of it."""
        if self._stop.is_set():
            raise Stopped("Sending was stopped; no job was made.")
        self.doing = doing


def upload_in_words(sent_bytes: int, size_bytes: int, seconds: float) -> str:
    """Tell how an upload goes: ``Sending 412 MB of 1.3 GB, 58 MB/s, 16 s left``."""
    words = f"Sending {bytes_in_words(sent_bytes)} of {bytes_in_words(size_bytes)}"
    if seconds < MEASURED_AFTER_S or not sent_bytes:
        return words
    speed = sent_bytes / seconds
    left = seconds_in_words((size_bytes - sent_bytes) / speed)
    return f"{words}, {bytes_in_words(speed)}/s, {left} left"


def check_copy(file: Path) -> None:
    """See that Blender wrote the copy. Raises Problem."""
    if not file.is_file() or not file.stat().st_size:
        raise Problem(
            f"Blender wrote no copy of the file to {file.parent}. See whether that disk is full, "
            "or set another folder for temporary files in Blender's preferences."
        )
