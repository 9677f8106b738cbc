"""A floor of free disk space: below it nothing new is taken in, so that what is at work can still be stored.

Free space is looked at every few seconds, in a thread, never for a request.
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

from flamenco_core.errors import NoSpace

log = structlog.get_logger()

LOOK_EVERY_S = 5.0
MIB = 1024 * 1024

Measure = Callable[[Path], int]
"""Returns how many bytes we may still write to the file system of a folder. Raises OSError."""


def free_bytes(folder: Path) -> int:
    """Return how much this user may still write to the file system of a folder. Raises OSError."""
    return shutil.disk_usage(folder).free


class FreeSpace:
    """Whether as much is free, where a folder is, as must stay so. ``least_mib``: the floor, 0 for none."""

    def __init__(self, folder: Path, least_mib: int, measure: Measure = free_bytes) -> None:
        self._folder = folder
        self._least_mib = least_mib
        self._measure = measure
        self._missing: str | None = None
        self._looked = asyncio.Condition()

    @property
    def missing(self) -> str | None:
        """Say what is missing, as ``300 MiB free on /data, 1,024 needed``; None: there is enough."""
        return self._missing

    def check(self) -> None:
        """Refuse what would take up space, for whoever comes with it. Raises NoSpace."""
        if self._missing is not None:
            raise NoSpace(f"Too little disk space: {self._missing}. Make room there, or lower least_free_mib.")

    async def look(self) -> None:
        """Look how much is free now."""
        try:
            free_mib = await asyncio.to_thread(self._measure, self._folder) // MIB
        except OSError as error:  # whoever writes there is told of it
            log.warning("free space cannot be told", folder=str(self._folder), error=str(error))
            free_mib = self._least_mib
        was, is_short = self._missing, free_mib < self._least_mib
        self._missing = f"{free_mib:,} MiB free on {self._folder}, {self._least_mib:,} needed" if is_short else None
        if self._missing and not was:
            log.warning("too little disk space: nothing new is taken in", missing=self._missing)
        elif was and not self._missing:
            log.info("there is enough disk space again", folder=str(self._folder), free_mib=free_mib)
        async with self._looked:
            self._looked.notify_all()

    async def look_for_ever(self) -> None:
        """Look every few seconds."""
        while self._least_mib:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def looked(self) -> None:
        """Wait until somebody has looked again."""
        async with self._looked:
            await self._looked.wait()
