"""Jobs that ended long ago leave the Manager altogether, where its settings say so: rows, logs, previews, files.

The Server keeps its mirror of them. They can be deleted there, and not be requeued any more.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from flamenco_manager.foreman import Foreman
from flamenco_manager.stores.farm_store import Also

log = structlog.get_logger()

SWEEP_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class OldJob:
    """A job that has ended."""

    key: int
    id: str


class Store(Protocol):
    """Where jobs are that have ended."""

    async def old_jobs(self, before: datetime, after_key: int) -> Sequence[OldJob]:
        """Return some jobs with higher keys that ended before then, and of which the Server knows all."""


class Eraser(Protocol):
    """Who removes jobs for good."""

    def erasure(self, job_key: int, job_id: str) -> Also:
        """Make the part of a transaction that erases a job."""

    def wake(self) -> None:
        """Begin to remove what is left of erased jobs."""


class JobKeeper:
    """Keeps ended jobs for some time. ``turn``: whoever has it changes jobs that have left memory, and nobody else."""

    def __init__(
        self, foreman: Foreman, store: Store, eraser: Eraser, turn: asyncio.Lock, keep_days: float | None
    ) -> None:
        self._foreman = foreman
        self._store = store
        self._eraser = eraser
        self._turn = turn
        self._keep = None if keep_days is None else timedelta(days=keep_days)

    async def run(self) -> None:
        """Look every hour, if jobs are not kept for ever."""
        while self._keep is not None:
            await self.sweep(self._foreman.now().wall - self._keep)
            await asyncio.sleep(SWEEP_EVERY_S)

    async def sweep(self, before: datetime) -> None:
        """Erase the jobs that ended before then and are of no use any more."""
        key = 0
        while found := await self._store.old_jobs(before, key):
            for job in found:
                async with self._turn:
                    await self._erase(job)
            key = found[-1].key

    async def _erase(self, job: OldJob) -> None:
        """Erase a job, unless it is back in memory, or another one still waits for it: that one would wait for ever."""
        farm = self._foreman.farm
        if job.id in farm.jobs or farm.waiting_for.get(job.id):
            return
        await self._foreman.settle(also=self._eraser.erasure(job.key, job.id))
        self._eraser.wake()
        log.info("job is not kept any longer", job=job.id)
