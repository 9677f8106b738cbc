"""Erasing jobs for good: files first, then rows in slices; what was begun goes on after a restart."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from flamenco_manager.stores.farm_store import Also

log = structlog.get_logger()

TRY_AGAIN_S = 60.0
"""How long to wait when files cannot be removed."""


class Store(Protocol):
    """Where erased jobs leave rows behind."""

    def erasure(self, job_key: int, job_id: str) -> Also:
        """Make the part of a transaction that erases a job."""

    async def next_erased(self) -> str | None:
        """Return the id of an erased job of which something is left."""

    async def erase_some(self, job_id: str) -> bool:
        """Remove some of its rows; tells whether that was all."""


class Erasing:
    """Removes what is left of erased jobs, one after the other."""

    def __init__(self, store: Store, remove_files: Callable[[str], Awaitable[None]]) -> None:
        self._store = store
        self._remove_files = remove_files
        """Removes all files of a job. Raises OSError."""
        self._woken = asyncio.Event()
        self._woken.set()

    def erasure(self, job_key: int, job_id: str) -> Also:
        """Make the part of a transaction that erases a job: it is gone at once; call ``wake`` after the commit."""
        return self._store.erasure(job_key, job_id)

    def wake(self) -> None:
        """Look for erased jobs: there is a new one."""
        self._woken.set()

    async def run(self) -> None:
        """Remove them for ever."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while (job_id := await self._store.next_erased()) is not None:
                try:
                    await self._remove_files(job_id)
                except OSError as error:
                    log.warning("files of an erased job cannot be removed yet", job=job_id, error=str(error))
                    await asyncio.sleep(TRY_AGAIN_S)
                    continue
                while not await self._store.erase_some(job_id):
                    pass
                log.info("job erased", job=job_id)
