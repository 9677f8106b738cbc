"""Identifiers: UUIDs for everything that travels, SHA-256 for file contents."""

import hashlib
import re
import uuid
from collections.abc import Callable

_SHA256 = re.compile(r"[0-9a-f]{64}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)

_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
"""RFC 9562, 4.1: the two highest bits of that digit say who made the rule."""


def new_id() -> str:
    """Make a fresh random UUID in its 36-character form."""
    return str(uuid.uuid4())


def task_id(job_id: str, index: int) -> str:
    """Return the id of a job's task: the same however often the job is compiled (UUIDv5 of job and index)."""
    return task_ids(job_id)(index)


def task_ids(job_id: str) -> Callable[[int], str]:
    """Return what tells the ids of a job's tasks: the same as ``task_id``, quicker for many."""
    # As uuid.uuid5 does, without making an object of each: a job may have a million tasks.
    job = hashlib.sha1(uuid.UUID(job_id).bytes, usedforsecurity=False)

    def id_of(index: int) -> str:
        digest = job.copy()
        digest.update(b"%d" % index)
        text = digest.hexdigest()
        return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"

    return id_of


def is_uuid(text: str) -> bool:
    """Tell whether a text is a UUID in its hyphenated form, the only one the worker protocol knows."""
    return _UUID.fullmatch(text) is not None


def is_sha256(text: str) -> bool:
    """Tell whether a text is a SHA-256 in lower-case hexadecimal, as blobs are named."""
    return _SHA256.fullmatch(text) is not None
