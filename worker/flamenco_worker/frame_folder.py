"""Frames on disk (``jobs.md``): an attempt writes into a folder of its own and publishes what is whole by rename.

The folder is ``.flamenco/TASK-ATTEMPT/`` inside the output folder: on the same file system, and out of sight of
``*.png``. So a file that exists under its final name is whole, and two attempts never write to one file.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

from flamenco_worker.failures import CommandFailed

HIDDEN_FOLDER = ".flamenco"
MOST_TRIES = 5
"""How often we make the folder anew when another task of this machine removes its parent at the same moment."""


class PublishPermit(Protocol):
    """Whether this attempt may still replace files that others may have written."""

    async def may_replace(self) -> bool:
        """Tell whether the attempt surely holds its task; asks the Manager if the lease has run out."""

    async def wait_until_known(self) -> None:
        """Wait until the Manager has said that the attempt holds its task."""


@asynccontextmanager
async def attempt_folder(output: Path, task_id: str, attempt_name: str) -> AsyncIterator[Path]:
    """Make the attempt's folder below ``output``, yield it, and remove it with all that was not published.

    What earlier attempts of the same task left behind (they were killed) is removed too: nobody may publish it any
    more. Raises CommandFailed when the folder cannot be made.
    """
    folder = output / HIDDEN_FOLDER / f"{task_id}-{attempt_name}"
    try:
        await asyncio.to_thread(_make, folder, task_id)
    except OSError as error:
        raise CommandFailed(
            f"Cannot write to the output folder {output}: {error.strerror}. Does it exist on this Worker?"
        ) from error
    try:
        yield folder
    finally:
        await asyncio.shield(asyncio.to_thread(_remove, folder))


async def publish(source: Path, target: Path, permit: PublishPermit) -> None:
    """Move a whole file to its final name, so that it survives a loss of power and is never seen in part.

    While the lease has run out and the Manager cannot be asked, a file of that name is not replaced: another attempt
    may have written it. Then this waits until the Manager answers.
    """
    await asyncio.to_thread(_flush_to_disk, source)
    if not await permit.may_replace():
        if await asyncio.to_thread(_moved_without_replacing, source, target):
            return
        await permit.wait_until_known()
    await asyncio.to_thread(_move, source, target)


def _make(folder: Path, task_id: str) -> None:
    for stale in folder.parent.glob(f"{task_id}-*"):
        shutil.rmtree(stale, ignore_errors=True)
    for _ in range(MOST_TRIES):
        with suppress(FileNotFoundError):  # the task before just removed the folder above
            folder.mkdir(parents=True)
            return
    folder.mkdir(parents=True)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # another task still uses the folder above
        folder.parent.rmdir()


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move(source: Path, target: Path) -> None:
    source.replace(target)
    _flush_to_disk(target.parent)


def _moved_without_replacing(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    source.unlink()
    _flush_to_disk(target.parent)
    return True
