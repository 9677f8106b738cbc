"""Jobs that come back into memory after the start: of very many tasks, most can wait until Workers are served.

Those on which somebody is at work are there from the beginning. Until all are there, only Workers are served: people's
orders, reports, and whoever looks through all jobs wait.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from flamenco_manager import job_rules
from flamenco_manager.farm import Farm
from flamenco_manager.foreman import Foreman, put_back
from flamenco_manager.model import Moment
from flamenco_manager.pieces import list_again
from flamenco_manager.stores.farm_store import StoredJob
from flamenco_manager.task_rules import link
from flamenco_runtime import garbage

log = structlog.get_logger()


class Store(Protocol):
    """Where the jobs are."""

    async def load_job(self, job_id: str, farm: Farm, now: Moment) -> StoredJob | None:
        """Read a job with its tasks."""


class Latecomers:
    """Brings jobs (by their ids) back into memory, one after the other."""

    def __init__(self, foreman: Foreman, store: Store, job_ids: Sequence[str]) -> None:
        self._foreman = foreman
        self._store = store
        self._job_ids = job_ids
        self._all_here = asyncio.Event()
        foreman.farm.is_whole = not job_ids

    async def run(self) -> None:
        """Bring them all back."""
        for job_id in self._job_ids:
            await self._bring_back(job_id)
        if self._job_ids:
            log.info("all jobs are in memory", late=len(self._job_ids), tasks=len(self._foreman.farm.tasks))
        self._foreman.farm.is_whole = True
        self._all_here.set()

    async def then(self, run: Callable[[], Awaitable[None]]) -> None:
        """Run something once they are all here."""
        await self._all_here.wait()
        await run()

    async def _bring_back(self, job_id: str) -> None:
        farm = self._foreman.farm
        stored = await self._store.load_job(job_id, farm, self._foreman.now())
        if stored is None:
            return
        job = stored.job
        links = await asyncio.to_thread(link, stored.tasks)
        job.is_changing = True  # nothing is listed yet
        put_back(farm, stored, self._foreman.now(), links)
        garbage.keep()
        job.is_changing = False
        for _ in list_again(farm, stored.tasks):
            await self._foreman.settle()
            await asyncio.sleep(0)
        job_rules.look_at_end(farm, job, self._foreman.now())
        await self._foreman.settle()
