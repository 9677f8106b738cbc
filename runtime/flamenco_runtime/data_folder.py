"""The data folder of a service, kept to one process."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from flamenco_core.errors import Conflict

LOCK_NAME = "lock"


class DataInUse(Conflict):
    """Another process runs on the same data folder."""

    type = "data-in-use"


@asynccontextmanager
async def held_folder(folder: Path, service: str, *, mode: int = 0o777) -> AsyncIterator[None]:
    """Keep a data folder, made if missing, to ourselves: two processes on one store would undo each other's work.

    ``service`` is its name for people, ``mode`` that of a folder that is made (less the umask). The lock goes with the
    process, however it ends. Raises DataInUse.
    """
    descriptor = await asyncio.to_thread(_locked, folder, service, mode)
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(folder: Path, service: str, mode: int) -> int:
    """Make and lock the folder; the lock lasts until the file that is returned is closed, or we die."""
    folder.mkdir(parents=True, exist_ok=True, mode=mode)
    descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise DataInUse(f"Another {service} uses {folder}. Stop it, or choose another folder with --data.") from error
    return descriptor
