"""A disk whose free space is what a test says."""

import asyncio
import threading
from pathlib import Path

from flamenco_runtime.free_space import MIB


class Disk:
    """A disk with so many MiB free."""

    free_mib = 5000

    def __init__(self) -> None:
        self._looks = threading.Semaphore(0)

    def measure(self, _: Path) -> int:
        self._looks.release()
        return self.free_mib * MIB

    async def becomes(self, free_mib: int) -> None:
        """Wait until the service knows of it: when it looks for the third time, it has done with the second look."""
        self.free_mib = free_mib
        while self._looks.acquire(blocking=False):
            pass
        for _ in range(3):
            assert await asyncio.to_thread(self._looks.acquire, timeout=20)
