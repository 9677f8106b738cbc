"""Compiles in SQLite: tasks as rows of what changes, and slices of what does not."""

import asyncio
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import apsw
import orjson

from flamenco_core.frames import parse_frames
from flamenco_core.wire.manager_api import TaskDefinition, TaskDefinitionSchema
from flamenco_core.wire.schema import rfc3339
from flamenco_runtime.journal import Journal
from flamenco_server.compiling import Compiled
from flamenco_server.records import Job
from flamenco_server.stores.sqlite.issuing import issue_followers, issue_if_possible
from flamenco_server.stores.sqlite.reading import read_job
from flamenco_server.stores.sqlite.rows import as_json, erase_tasks, first, rows

WAITING = "Waiting for a Manager"

_TASK = TaskDefinitionSchema()


@dataclass(frozen=True, slots=True)
class TaskSlice:
    """Consecutive tasks, ready to be inserted."""

    first: int
    lines: bytes
    rows: Sequence[tuple[Any, ...]]


class SqliteCompiles:
    """Implements ``CompileStore``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def uncompiled_jobs(self) -> Sequence[str]:
        """Return the jobs whose compile is not finished, oldest first."""

        def work(db: apsw.Connection) -> Sequence[str]:
            found = db.execute(
                "SELECT id FROM jobs WHERE manager IS NULL AND finished_at IS NULL AND NOT compiled ORDER BY number"
            )
            return [row["id"] for row in rows(found)]

        return await self._journal.read(work)

    async def begin_compile(self, job_id: str) -> Job | None:
        """Erase what an earlier compile stored; return the job, None if it is not to be compiled any more."""

        def work(db: apsw.Connection) -> Job | None:
            if not _is_compiling(db, job_id):
                return None
            erase_tasks(db, job_id)
            return read_job(db, job_id)

        return await self._journal.write(work)

    async def add_tasks(self, job_id: str, tasks: Sequence[TaskDefinition]) -> bool:
        """Store consecutive tasks."""
        piece = await asyncio.to_thread(slice_of, job_id, tasks)

        def work(db: apsw.Connection) -> bool:
            if not _is_compiling(db, job_id):
                return False
            insert_tasks(db, job_id, piece)
            return True

        return await self._journal.write(work)

    async def finish_compile(self, job_id: str, compiled: Compiled, now: datetime) -> str | None:
        """Issue the job to a Manager, or leave it waiting for one; returns the Manager's id, None without."""

        def work(db: apsw.Connection) -> str | None:
            if not _is_compiling(db, job_id):
                return None
            db.execute(
                "UPDATE jobs SET compiled = 1, activity = ?, task_count = ?, counts = ?, steps_total = ? WHERE id = ?",
                (
                    *(WAITING, compiled.task_count, as_json({"queued": compiled.task_count})),
                    *(compiled.steps_total, job_id),
                ),
            )
            return issue_if_possible(db, job_id, now)

        return await self._journal.write(work)

    async def fail_compile(self, job_id: str, activity: str, now: datetime) -> bool:
        """Erase what was stored of its tasks, and make the job ``failed``."""

        def work(db: apsw.Connection) -> bool:
            if not _is_compiling(db, job_id):
                return False
            erase_tasks(db, job_id)
            db.execute(
                "UPDATE jobs SET status = 'failed', reported_status = 'failed', asks = '{}', activity = ?,"
                " finished_at = ? WHERE id = ?",
                (activity, rfc3339(now), job_id),
            )
            issue_followers(db, job_id, now)
            return True

        return await self._journal.write(work)

    async def job_type_source(self, etag: str) -> tuple[str, str] | None:
        """Return the name and the source of a job type as it was submitted with."""

        def work(db: apsw.Connection) -> tuple[str, str] | None:
            row = first(db.execute("SELECT name, source FROM job_type_sources WHERE etag = ?", (etag,)))
            return (row["name"], row["source"]) if row else None

        return await self._journal.read(work)


def _is_compiling(db: apsw.Connection, job_id: str) -> bool:
    row = first(db.execute("SELECT 1 FROM jobs WHERE id = ? AND finished_at IS NULL AND NOT compiled", (job_id,)))
    return row is not None


def insert_tasks(db: apsw.Connection, job_id: str, piece: TaskSlice) -> None:
    """Insert consecutive tasks of a job."""
    db.execute("INSERT INTO task_slices (job, first, lines) VALUES (?, ?, ?)", (job_id, piece.first, piece.lines))
    db.executemany(
        "INSERT INTO tasks (job, position, id, name, type, status, priority, depends_on, frames, first_frame,"
        " last_frame, steps_total) VALUES (?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?)",
        piece.rows,
    )


def slice_of(job_id: str, tasks: Sequence[TaskDefinition]) -> TaskSlice:
    """Make consecutive tasks ready to be inserted; for many that takes a while."""
    lines = b"".join(orjson.dumps(_TASK.dump(task), option=orjson.OPT_APPEND_NEWLINE) for task in tasks)
    return TaskSlice(tasks[0].index, zlib.compress(lines), [_row(job_id, task) for task in tasks])


def _row(job_id: str, task: TaskDefinition) -> tuple[Any, ...]:
    frames = list(parse_frames(task.frames)) if task.frames else [None]
    return (
        *(job_id, task.index, task.id, task.name, task.type, task.priority, as_json(task.depends_on)),
        *(task.frames, frames[0], frames[-1], task.steps_total),
    )
