"""A farm of the pure rules that is kept on disk, and put together again from it as after a restart of the Manager."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from farm_builder import Site

from flamenco_core.identifiers import task_id
from flamenco_core.wire.definitions import JobDefinition, Needs, TaskDefinition
from flamenco_core.wire.worker_api import Command
from flamenco_manager.farm import Farm
from flamenco_manager.foreman import restore
from flamenco_manager.model import Job
from flamenco_manager.stores.arrivals import ArrivalStore
from flamenco_manager.stores.farm_store import FarmStore
from flamenco_manager.stores.outbox import prepare_link
from flamenco_runtime.journal import Journal
from flamenco_runtime.migrations import migrate

FEED = "00000000-0000-4000-8000-000000000000"
ONE_STEP = Command("echo", {"message": ""}, 1)


class StoredSite(Site):
    """Keeps what changed when it is told to; a restart forgets the rest."""

    def __init__(self, journal: Journal, **policy: float) -> None:
        super().__init__(**policy)
        self.store, self.arrivals = FarmStore(journal), ArrivalStore(journal)

    async def stored_job(
        self, waits_for: Sequence[Sequence[int]], *, needs: Needs | None = None, asked: dict[str, Any] | None = None
    ) -> Job:
        """Add a job of tasks of the type ``misc``, as if it had come from the Server."""
        job = self.announced()
        await self.keep()
        definition = JobDefinition(job.id, "shot", "test", 50, "admin", self.now.wall, len(waits_for), **(asked or {}))
        await self.arrivals.keep_definition(job, definition)
        own = {name: getattr(needs, name) for name in Needs.__slots__} if needs is not None else {}
        tasks = [
            TaskDefinition(index, task_id(job.id, index), f"t-{index}", "misc", [ONE_STEP], depends_on=indexes, **own)
            for index, indexes in enumerate(waits_for)
        ]
        await self.arrivals.keep_tasks(job, tasks)
        self.arrives(job, waits_for, needs=needs, asked=asked)
        await self.keep()
        return job

    async def keep(self) -> None:
        """Store what changed."""
        await self.store.save(self.farm.take_changes(), self.now)

    async def restart(self) -> None:
        """Let the Manager be killed and start again; Workers and jobs are other objects after that."""
        policy = self.farm.policy
        self.farm = Farm(policy, changes_so_far=await self.store.last_change())
        restore(self.farm, await self.store.load(self.farm, self.now), self.now)
        self.check()


@asynccontextmanager
async def stored_site(folder: Path, **policy: float) -> AsyncIterator[StoredSite]:
    """Keep a farm in this folder."""

    def prepare(connection: Any) -> None:
        migrate(connection, "flamenco_manager.stores.migrations")
        prepare_link(connection, FEED)

    journal = await Journal.open(folder / "manager.sqlite", prepare)
    try:
        yield StoredSite(journal, **policy)
    finally:
        await journal.close()
