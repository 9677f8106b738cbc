"""The bin: jobs that were deleted are erased after a week, on their Manager first, then here (jobs.md, "delete")."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from flamenco_runtime.clock import Clock
from flamenco_server.events import Change
from flamenco_server.job_requests import BIN_LIFE, erase
from flamenco_server.reading import NoSuchJob
from flamenco_server.steering import Steering
from flamenco_server.task_logs import LogFolder
from flamenco_server.thumbnails import ThumbnailFolder

log = structlog.get_logger()

SWEEP_EVERY_S = 60.0
STATES_LIFE = timedelta(days=90)
"""How long it is remembered what a Worker was."""
TASKS_AT_ONCE = 1_000
"""Tasks that are erased in one transaction: others want to write, too."""


class BinStore(Protocol):
    """Deleted jobs, on disk. What is erased twice is erased once."""

    async def deleted_before(self, moment: datetime) -> Sequence[str]:
        """Return the jobs that were deleted then or earlier, also those that are being erased."""

    async def tasks_of(self, job_id: str, limit: int) -> Sequence[str]:
        """Return some tasks of a job that are still here, by their ids."""

    async def erase_tasks(self, task_ids: Sequence[str]) -> None:
        """Erase tasks, and the notes of their logs."""

    async def erase_job(self, job_id: str) -> None:
        """Erase what is left of a job."""

    async def forget_states(self, before: datetime) -> None:
        """Forget what Workers were before then."""


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Takes away what is too old."""

    bin: BinStore
    steering: Steering
    logs: LogFolder
    thumbnails: ThumbnailFolder
    clock: Clock

    async def run(self) -> None:
        """Sweep now and then, for as long as this runs."""
        while True:
            await self.sweep(self.clock())
            await asyncio.sleep(SWEEP_EVERY_S)

    async def sweep(self, now: datetime) -> None:
        """Have the jobs erased that are due, and erase here what Managers have erased; forget old states of Workers."""
        for job_id in await self.bin.deleted_before(now - BIN_LIFE):
            try:
                job = await self.steering.job(job_id, lambda found: erase(found, now))
            except NoSuchJob:  # another process was quicker
                continue
            if job.erased:
                await self._erase(job_id)
        await self.bin.forget_states(now - STATES_LIFE)

    async def _erase(self, job_id: str) -> None:
        """Erase files before the rows that name them, so that none is left when this is cut short."""
        while tasks := await self.bin.tasks_of(job_id, TASKS_AT_ONCE):
            await self.logs.remove(tasks)
            await self.bin.erase_tasks(tasks)
        await self.thumbnails.remove(job_id)
        await self.bin.erase_job(job_id)
        self.steering.bus.publish([Change("job", job_id)])  # so that it goes from whatever shows it
        log.info("job erased", job=job_id)
