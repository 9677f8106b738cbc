"""What belongs to the farm as a whole, in SQLite: tags and settings. Changes go to all Managers."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import apsw
import orjson

from flamenco_core.wire.farm_settings import FarmSettings, FarmSettingsSchema, change_between, changed_from_default
from flamenco_runtime.journal import Journal
from flamenco_server.asking import Asker
from flamenco_server.events import Change
from flamenco_server.job_requests import change
from flamenco_server.orders import NewOrder
from flamenco_server.records import Job, Tag, Worker
from flamenco_server.stores.sqlite.asking import take_job_step, take_worker_step
from flamenco_server.stores.sqlite.orders import issue
from flamenco_server.stores.sqlite.rows import as_json, first, job_of, rows, worker_of
from flamenco_server.tags import NoSuchTag, TagInUse, Told, put_tag_order
from flamenco_server.worker_requests import set_tags

_SETTINGS = FarmSettingsSchema()


class SqliteFarm:
    """Implements ``TagStore`` and ``SettingsStore``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def tags(self) -> Sequence[Tag]:
        """Return all tags, by name."""
        return await self._journal.read(read_tags)

    async def put_tag(self, tag: Tag, by: Asker) -> Told:
        """Make a tag, or describe it anew."""

        def work(db: apsw.Connection) -> Told:
            db.execute(
                "INSERT INTO tags (name, description) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET description = excluded.description",
                (tag.name, tag.description),
            )
            return Told(_issue_to_all(db, lambda: put_tag_order(tag, by)))

        return await self._journal.write(work)

    async def delete_tag(self, name: str, by: Asker, *, force: bool) -> Told:
        """Delete a tag; by force also from the jobs and Workers that use it. Raises NoSuchTag, TagInUse."""

        def work(db: apsw.Connection) -> Told:
            if first(db.execute("DELETE FROM tags WHERE name = ? RETURNING name", (name,))) is None:
                raise NoSuchTag(name)
            jobs, workers = _jobs_with(db, name), _workers_with(db, name)
            if (jobs or workers) and not force:
                raise TagInUse(name, len(jobs), len(workers))
            for job in jobs:
                take_job_step(db, change(job, by, {"tag": None}))
            for worker in workers:
                take_worker_step(db, set_tags(worker, by, [tag for tag in worker.tags if tag != name]))
            changes = [*(Change("job", job.id) for job in jobs), *(Change("worker", worker.id) for worker in workers)]
            return Told(_issue_to_all(db, lambda: by.order("tag.delete", {"name": name})), changes)

        return await self._journal.write(work)

    async def farm_settings(self) -> FarmSettings:
        """Return the farm's settings."""
        return await self._journal.read(read_settings)

    async def put_farm_settings(self, settings: FarmSettings, by: Asker) -> Told:
        """Keep them, and tell all Managers by an order, in one step."""

        def work(db: apsw.Connection) -> Told:
            before = read_settings(db)
            db.execute(
                "INSERT INTO facts (name, value) VALUES ('farm-settings', ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (as_json(changed_from_default(settings)),),
            )
            news = change_between(before, settings)
            return Told(_issue_to_all(db, lambda: by.order("settings", news)) if before != settings else ())

        return await self._journal.write(work)


def read_tags(db: apsw.Connection) -> Sequence[Tag]:
    """Return all tags, by name."""
    return [Tag(**row) for row in rows(db.execute("SELECT name, description FROM tags ORDER BY name"))]


def read_settings(db: apsw.Connection) -> FarmSettings:
    """Return the farm's settings; what nobody changed is at its default."""
    row = first(db.execute("SELECT value FROM facts WHERE name = 'farm-settings'"))
    settings: FarmSettings = _SETTINGS.load(orjson.loads(row["value"]) if row else {})
    return settings


def _issue_to_all(db: apsw.Connection, make: Callable[[], NewOrder]) -> Sequence[str]:
    """Issue an order of its own to each Manager; returns their ids."""
    managers = [str(row["id"]) for row in rows(db.execute("SELECT id FROM managers ORDER BY id"))]
    for manager in managers:
        issue(db, manager, make())
    return managers


def _jobs_with(db: apsw.Connection, tag: str) -> Sequence[Job]:
    """Return the unfinished jobs that ask for a tag, or are asked to."""
    found = db.execute(
        "SELECT * FROM job_rows WHERE (tag = ?1 OR asks ->> '$.tag.value' = ?1) AND deleted_at IS NULL"
        " AND reported_status NOT IN ('completed', 'failed', 'canceled') ORDER BY number",
        (tag,),
    )
    return [job_of(row) for row in rows(found)]


def _workers_with(db: apsw.Connection, tag: str) -> Sequence[Worker]:
    """Return the Workers that have a tag, or are asked to have it, with the tags that they will have."""
    everyone = [worker_of(row) for row in rows(db.execute("SELECT * FROM worker_rows ORDER BY name, id"))]
    asked = [replace(each, tags=each.asks["tags"].value) if "tags" in each.asks else each for each in everyone]
    return [worker for worker in asked if tag in worker.tags]
