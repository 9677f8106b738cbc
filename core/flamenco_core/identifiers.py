"""Identifiers: UUIDs for everything that travels, SHA-256 for file contents."""

import re
import uuid

_SHA256 = re.compile(r"[0-9a-f]{64}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def new_id() -> str:
    """Make a fresh random UUID in its 36-character form."""
    return str(uuid.uuid4())


def task_id(job_id: str, index: int) -> str:
    """Return the id of a job's task: the same however often the job is compiled (UUIDv5 of job and index)."""
    return str(uuid.uuid5(uuid.UUID(job_id), str(index)))


def is_uuid(text: str) -> bool:
    """Tell whether a text is a UUID in its hyphenated form, the only one the worker protocol knows."""
    return _UUID.fullmatch(text) is not None


def is_sha256(text: str) -> bool:
    """Tell whether a text is a SHA-256 in lower-case hexadecimal, as blobs are named."""
    return _SHA256.fullmatch(text) is not None
