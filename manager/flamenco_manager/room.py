"""Disks that are full, and waiting until one has room again."""

import asyncio
import errno
import os
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of the system's errors that end once there is room."""
ROOM_BYTES = 4 * 1024 * 1024
"""So much must fit before it is worth going on: the first commits, with what SQLite needs beside them."""
LOOK_EVERY_S = 1.0
_NAME = ".room"


async def room_on_disk(folder: Path) -> None:
    """Return once ``ROOM_BYTES`` could be written to the disk of a folder."""
    while not await asyncio.to_thread(_has_room, folder):  # noqa: ASYNC110 (a disk tells nobody when it has room)
        await asyncio.sleep(LOOK_EVERY_S)


def _has_room(folder: Path) -> bool:
    """Try it: free space that the system tells of may not be ours, as with quotas."""
    file = folder / _NAME
    try:
        with file.open("wb") as stream:
            stream.write(bytes(ROOM_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        return False
    finally:
        file.unlink(missing_ok=True)
    return True
