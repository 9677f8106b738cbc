"""What becomes of logs and previews once their job has ended: logs are compressed, and both are removed in time."""

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from flamenco_manager.farm import Changes
from flamenco_manager.previews import Previews
from flamenco_manager.task_logs import TaskLogs
from flamenco_runtime.clock import Clock

log = structlog.get_logger()

SWEEP_EVERY_S = 3600.0


class Store(Protocol):
    """Who knows what is still needed."""

    async def jobs_not_sent(self) -> set[str]:
        """Return the jobs of which the Server is still to get logs or thumbnails."""


class MediaKeeper:
    """Tidies up behind jobs. ``live_jobs`` tells which jobs have not ended."""

    def __init__(
        self,
        logs: TaskLogs,
        previews: Previews,
        store: Store,
        live_jobs: Callable[[], AbstractSet[str]],
        *,
        keep_logs: timedelta,
        keep_previews: timedelta,
    ) -> None:
        self._logs = logs
        self._previews = previews
        self._store = store
        self._live_jobs = live_jobs
        self._keep_logs = keep_logs
        self._keep_previews = keep_previews
        self._ended: asyncio.Queue[str] = asyncio.Queue()

    def note(self, changes: Changes) -> None:
        """Take notice of jobs that have ended."""
        for job in changes.jobs.values():
            if job.status.is_ended:
                self._ended.put_nowait(job.id)

    async def run(self, clock: Clock) -> None:
        """Compress the logs of jobs as they end, and sweep every hour; for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._compress_for_ever())
            group.create_task(self._sweep_for_ever(clock))

    async def sweep(self, now: datetime) -> None:
        """Remove what is too old, and compress what an earlier run left."""
        in_use = self._live_jobs() | await self._store.jobs_not_sent()
        try:
            await self._logs.sweep(now, self._keep_logs, in_use)
            await self._previews.sweep(now, self._keep_previews, in_use)
        except OSError as error:
            log.warning("old logs and previews cannot be removed", error=str(error))

    async def _compress_for_ever(self) -> None:
        while True:
            job = await self._ended.get()
            if job in self._live_jobs():  # it was requeued
                continue
            try:
                await self._logs.compress(job)
            except OSError as error:
                log.warning("logs stay uncompressed", job=job, error=str(error))

    async def _sweep_for_ever(self, clock: Clock) -> None:
        while True:
            await self.sweep(clock())
            await asyncio.sleep(SWEEP_EVERY_S)
