"""Looking at the farm, in SQLite: every list is paged by key."""

import zlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import apsw
import orjson

from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_core.wire.worker_api import Command
from flamenco_runtime.journal import Journal
from flamenco_server.reading import NoSuchJob, NoSuchTask, NoSuchWorker
from flamenco_server.records import Frame, Job, Manager, Page, Task, Worker, WorkerState
from flamenco_server.stores.sqlite.frames import read_frames
from flamenco_server.stores.sqlite.rows import as_json, first, job_of, manager_of, rows, state_of, task_of, worker_of

_BEYOND = 2**62
"""Greater than any number of a job, or of a state."""


class SqliteReader:
    """Implements ``FarmReader``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def job(self, job_id: str) -> Job:
        """Return one job. Raises NoSuchJob."""
        return await self._journal.read(lambda db: read_job(db, job_id))

    async def jobs(
        self, limit: int, after: int | None, status: JobStatus | None, *, deleted: bool = False
    ) -> Page[Job]:
        """Return jobs, newest first, beginning below the number ``after``; ``deleted``: those in the bin."""
        before = _BEYOND if after is None else after

        def work(db: apsw.Connection) -> Page[Job]:
            values: tuple[Any, ...] = (deleted, before, limit + 1)
            query = "SELECT * FROM job_rows WHERE (deleted_at IS NOT NULL) = ? AND number < ?"
            if status is not None:
                query = "SELECT * FROM job_rows WHERE status = ? AND (deleted_at IS NOT NULL) = ? AND number < ?"
                values = (str(status), *values)
            query += " ORDER BY number DESC LIMIT ?"
            found = [job_of(row) for row in rows(db.execute(query, values))]
            return Page(found[:limit], found[limit - 1].number if len(found) > limit else None)

        return await self._journal.read(work)

    async def jobs_by_id(self, job_ids: Collection[str]) -> Sequence[Job]:
        """Return those of the jobs that exist, in any order."""

        def work(db: apsw.Connection) -> Sequence[Job]:
            query = "SELECT * FROM job_rows WHERE id IN (SELECT value FROM json_each(?))"
            return [job_of(row) for row in rows(db.execute(query, (as_json(list(job_ids)),)))]

        return await self._journal.read(work)

    async def task(self, task_id: str) -> Task:
        """Return one task with its commands. Raises NoSuchTask."""
        return await self._journal.read(lambda db: _task(db, task_id))

    async def tasks(self, job_id: str, limit: int, after: int | None, status: TaskStatus | None) -> Page[Task]:
        """Return tasks of a job by index, beginning behind the index ``after``. Raises NoSuchJob."""
        behind = -1 if after is None else after

        def work(db: apsw.Connection) -> Page[Task]:
            check_job(db, job_id)
            if status is None:
                query = "SELECT * FROM tasks WHERE job = ? AND position > ? ORDER BY position LIMIT ?"
                values: tuple[Any, ...] = (job_id, behind, limit + 1)
            else:
                query = "SELECT * FROM tasks WHERE job = ? AND status = ? AND position > ? ORDER BY position LIMIT ?"
                values = (job_id, str(status), behind, limit + 1)
            found = [task_of(row) for row in rows(db.execute(query, values))]
            return Page(found[:limit], found[limit - 1].index if len(found) > limit else None)

        return await self._journal.read(work)

    async def tasks_by_id(self, task_ids: Collection[str]) -> Sequence[Task]:
        """Return those of the tasks that exist, without commands, in any order."""

        def work(db: apsw.Connection) -> Sequence[Task]:
            query = "SELECT * FROM tasks WHERE id IN (SELECT value FROM json_each(?))"
            return [task_of(row) for row in rows(db.execute(query, (as_json(list(task_ids)),)))]

        return await self._journal.read(work)

    async def frames(self, job_id: str, only: Collection[int] | None = None) -> Sequence[Frame]:
        """Return each frame that a job is to render, or ``only`` these of them, by number. Raises NoSuchJob."""

        def work(db: apsw.Connection) -> Sequence[Frame]:
            check_job(db, job_id)
            return read_frames(db, job_id, only)

        return await self._journal.read(work)

    async def worker(self, worker_id: str) -> Worker:
        """Return one Worker. Raises NoSuchWorker."""

        def work(db: apsw.Connection) -> Worker:
            row = first(db.execute("SELECT * FROM worker_rows WHERE id = ?", (worker_id,)))
            if row is None:
                raise NoSuchWorker(worker_id)
            return worker_of(row)

        return await self._journal.read(work)

    async def workers(self) -> Sequence[Worker]:
        """Return all Workers by name."""
        query = "SELECT * FROM worker_rows ORDER BY name, id"
        return await self._journal.read(lambda db: [worker_of(row) for row in rows(db.execute(query))])

    async def worker_states(self, worker_id: str, limit: int, after: int | None) -> Page[WorkerState]:
        """Return what a Worker was, the newest first, beginning below the number ``after``. Raises NoSuchWorker."""
        before = _BEYOND if after is None else after

        def work(db: apsw.Connection) -> Page[WorkerState]:
            if first(db.execute("SELECT 1 FROM workers WHERE id = ?", (worker_id,))) is None:
                raise NoSuchWorker(worker_id)
            query = "SELECT * FROM worker_states WHERE worker = ? AND number < ? ORDER BY number DESC LIMIT ?"
            found = [state_of(row) for row in rows(db.execute(query, (worker_id, before, limit + 1)))]
            return Page(found[:limit], found[limit - 1].number if len(found) > limit else None)

        return await self._journal.read(work)

    async def managers(self) -> Sequence[Manager]:
        """Return all Managers by name."""
        query = "SELECT * FROM managers ORDER BY name"
        return await self._journal.read(lambda db: [manager_of(row) for row in rows(db.execute(query))])


def read_job(db: apsw.Connection, job_id: str) -> Job:
    """Return one job with its files. Raises NoSuchJob."""
    row = first(db.execute("SELECT * FROM job_rows WHERE id = ?", (job_id,)))
    files = first(db.execute("SELECT files FROM jobs WHERE id = ?", (job_id,)))
    if row is None or files is None:
        raise NoSuchJob(job_id)
    return job_of(row, files["files"])


def check_job(db: apsw.Connection, job_id: str, manager_id: str | None = None) -> None:
    """Check that a job exists and, if one is given, that the Manager has it. Raises NoSuchJob."""
    row = first(db.execute("SELECT manager FROM jobs WHERE id = ?", (job_id,)))
    if row is None or manager_id not in (None, row["manager"]):
        raise NoSuchJob(job_id)


def _task(db: apsw.Connection, task_id: str) -> Task:
    row = first(db.execute("SELECT * FROM tasks WHERE id = ?", (task_id,)))
    if row is None:
        raise NoSuchTask(task_id)
    task = task_of(row)
    return replace(task, commands=_commands(db, task))


def _commands(db: apsw.Connection, task: Task) -> Sequence[Command]:
    row = first(
        db.execute(
            "SELECT first, lines FROM task_slices WHERE job = ? AND first <= ? ORDER BY first DESC LIMIT 1",
            (task.job, task.index),
        )
    )
    if row is None:
        return []
    line = zlib.decompress(row["lines"]).splitlines()[task.index - row["first"]]
    return [Command(**command) for command in orjson.loads(line)["commands"]]
