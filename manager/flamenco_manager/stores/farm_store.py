"""The farm on disk: every step's changes in one transaction, and the whole farm back after a restart."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import apsw

from flamenco_core.statuses import JobStatus
from flamenco_core.wire.worker_api import SavedFrame
from flamenco_manager.farm import Changes, Farm
from flamenco_manager.model import Job, Moment, Task, Worker
from flamenco_manager.stores import rows
from flamenco_manager.stores.farm_batch import SAVE_FRAME, FarmBatch
from flamenco_manager.waiting import JobState
from flamenco_runtime import garbage
from flamenco_runtime.journal import Journal

Also = Callable[[apsw.Connection], None]

LONGEST_WAIT_S = 120.0
"""No retry or mark is further away than this after a restart, whatever the clock did in between."""

FIRST_TASKS = 100_000
"""So many tasks are read before a Manager that starts serves its Workers; the others come later."""

KEPT_AT_ONCE = 2_000
"""After so many tasks of a job the garbage collector is told that they stay; fewer are not worth it."""

_LATE = "SELECT fresh_after, marks FROM tasks WHERE key = ?"
_SAVE_MARKS = "UPDATE tasks SET marks = ? WHERE key = ?"


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """What the store knows of an attempt: of which task and job, by whom, and how far it was heard of."""

    job: str
    task_key: int
    attempt: int
    seq: int
    task_status: str
    is_newest: bool
    """No later attempt was handed out."""


@dataclass(frozen=True, slots=True)
class LateWord:
    """What a Worker says of an attempt whose job has left memory. ``marks``: the Worker, and until when (wall time)."""

    past: PastAttempt
    frames: Sequence[SavedFrame]
    marks: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job with its tasks, as they were stored, and how the jobs stand that it waits for."""

    job: Job
    tasks: list[Task]
    others: dict[str, JobState]
    wakes_s: Sequence[float] = ()
    """When something that keeps one of its tasks from Workers is over (monotonic)."""


class FarmStore:
    """Keeps the farm in SQLite. Reads see what is committed."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._batch = FarmBatch()
        """What grows while an earlier transaction is on its way."""
        self._commit: asyncio.Future[None] | None = None

    def save(self, changes: Changes, now: Moment, also: Also | None = None) -> "asyncio.Future[None]":
        """Store what a step changed, and what ``also`` writes, in one transaction; the future waits for the disk.

        Steps may share a transaction, and then the future. One with ``also`` has its own part of it: should that fail,
        the step is undone alone.
        """
        if also is not None:
            self._commit = None  # whatever comes after it is written after it
            return self._journal.write(_writing(changes, now, also))
        if self._commit is None or not self._batch.add(changes, now):
            self._commit = None  # should the journal be closed, nobody may take the last commit for this one's
            self._batch = FarmBatch()
            self._batch.add(changes, now)
            self._commit = self._journal.write(self._batch.write)
        return self._commit

    async def last_change(self) -> int:
        """Return the number of the last change that was stored."""
        return await self._journal.read(lambda connection: int(connection.execute("SELECT changes FROM link").get))

    async def past(self) -> tuple[int, bool]:
        """Return above what attempts are counted, and whether the store was restored and waits for the Server."""
        query = "SELECT attempts_above, is_restored FROM link"
        attempts_above, is_restored = await self._journal.read(lambda connection: connection.execute(query).get)
        return attempts_above, bool(is_restored)

    async def load(self, farm: Farm, now: Moment) -> "list[StoredJob]":
        """Read Workers into the farm, and return all its unfinished jobs with their tasks.

        A job whose tasks are not all here yet comes without any. Times of waiting go on from where they were.
        """
        return (await self.load_first(farm, now, None))[0]

    async def load_first(
        self, farm: Farm, now: Moment, most_tasks: int | None = FIRST_TASKS
    ) -> "tuple[list[StoredJob], list[str]]":
        """Read Workers into the farm; return some unfinished jobs with their tasks, and the ids of the others.

        Those come first on which somebody is at work, and those that are still on their way; then, by priority and
        age, so many more that there are some ``most_tasks`` (None: all).
        """
        return await self._journal.read(lambda connection: _load_first(connection, farm, now, most_tasks), is_long=True)

    async def load_job(self, job_id: str, farm: Farm, now: Moment) -> "StoredJob | None":
        """Read a job that has left memory, or return None if there is none."""
        return await self._journal.read(lambda connection: _load_job(connection, job_id, farm, now), is_long=True)

    async def tasks_of(self, job: Job, farm: Farm, now: Moment) -> list[Task]:
        """Read all tasks of a job, in order."""
        return await self._journal.read(lambda connection: _tasks(connection, job, farm, now), is_long=True)

    async def job_of_task(self, task_id: str) -> str | None:
        """Return the id of the job that a task belongs to, or None if there is no such task."""
        return await self._journal.read(lambda connection: _job_of_task(connection, task_id))

    async def states_of(self, job_ids: Sequence[str]) -> dict[str, JobState]:
        """Return how jobs stand that have left memory; those that are gone are left out."""
        return await self._journal.read(lambda connection: _states(connection, job_ids))

    async def frames_done(self, task: Task) -> list[SavedFrame]:
        """Return what attempts of a task have saved."""
        query = "SELECT frame, layer, path, size_bytes, sha256, width, height, seconds FROM frames WHERE task = ?"
        return await self._journal.read(
            lambda connection: [rows.frame_of(row) for row in connection.execute(query, (task.key,))]
        )

    async def past_attempts(
        self, worker_id: str, asked: Sequence[tuple[str, int | None]]
    ) -> Sequence[PastAttempt | None]:
        """Find attempts that a Worker made, each by its task and number (None: its last one of that task)."""
        return await self._journal.read(
            lambda connection: [_past_attempt(connection, task_id, worker_id, number) for task_id, number in asked]
        )

    async def known_tasks(self, task_ids: Sequence[str]) -> set[str]:
        """Return those of these tasks that there are, also in jobs that have ended."""
        return await self._journal.read(
            lambda connection: {task_id for task_id in set(task_ids) if _job_of_task(connection, task_id) is not None}
        )

    @staticmethod
    def late_words(late: Sequence[LateWord]) -> Also:
        """Make the part of a transaction that stores what Workers say of attempts whose jobs have left memory."""

        def work(connection: apsw.Connection) -> None:
            rev = connection.execute("SELECT changes FROM link").get
            for word in late:
                key, attempt = word.past.task_key, word.past.attempt
                found: list[Any] = connection.execute(_LATE, (key,)).fetchall()
                for fresh_after, marks in found:  # none, if it was just erased
                    frames = [rows.frame_row(key, attempt, frame, rev) for frame in word.frames]
                    if attempt > fresh_after:  # else a person has queued the task since: all is rendered again
                        connection.executemany(SAVE_FRAME, frames)
                    if word.marks:
                        connection.execute(_SAVE_MARKS, (rows.more_marks(marks, word.marks), key))

        return work


def _writing(changes: Changes, now: Moment, also: Also) -> Also:
    batch = FarmBatch()
    batch.add(changes, now)

    def work(connection: apsw.Connection) -> None:
        batch.write(connection)
        also(connection)

    return work


def load_farm(connection: apsw.Connection, farm: Farm, now: Moment) -> list[StoredJob]:
    """Read Workers into the farm, and return all its unfinished jobs with their tasks."""
    return _load_first(connection, farm, now, None)[0]


def _load_first(
    connection: apsw.Connection, farm: Farm, now: Moment, most_tasks: int | None
) -> tuple[list[StoredJob], list[str]]:
    lost: dict[int, Worker] = {}
    query = f"SELECT {rows.WORKER_COLUMNS} FROM workers WHERE NOT is_forgotten"  # noqa: S608 (constants)
    for row in connection.execute(query):
        worker = rows.worker_of(row, now)
        farm.workers[worker.id] = worker
        if row[8] is not None:
            lost[row[8]] = worker
    loaded: list[StoredJob] = []
    later: list[str] = []
    left = most_tasks
    for *job_row, is_needed in _unfinished(connection):
        if left is not None and left <= 0 and not is_needed:
            later.append(rows.id_text(job_row[1]))
            continue
        loaded.append(_stored(connection, tuple(job_row), farm, now))
        left = None if left is None else left - len(loaded[-1].tasks)
    for stored in loaded:
        for task in stored.tasks:
            if task.key in lost:
                lost[task.key].lost_task = task
    return loaded, later


def _unfinished(connection: apsw.Connection) -> list[rows.Row]:
    """Return the rows of unfinished jobs, each with whether the farm needs it at once; those come first."""
    query = f"""
    WITH at_work (job) AS (
        SELECT key >> 20 FROM tasks WHERE is_held OR is_reserved
        UNION SELECT lost_task >> 20 FROM workers WHERE lost_task IS NOT NULL
    )
    SELECT {rows.JOB_COLUMNS}, status = 'under-construction' OR key IN (SELECT job FROM at_work) AS is_needed
    FROM jobs WHERE status NOT IN ('completed', 'failed', 'canceled')
    ORDER BY is_needed DESC, facts ->> 'priority' DESC, key
    """  # noqa: S608 (constants)
    found: Any = connection.execute(query).fetchall()
    return list(found)


def _load_job(connection: apsw.Connection, job_id: str, farm: Farm, now: Moment) -> StoredJob | None:
    query = f"SELECT {rows.JOB_COLUMNS} FROM jobs WHERE id = ?"  # noqa: S608 (constants)
    found = connection.execute(query, (rows.id_bytes(job_id),)).fetchall()
    return _stored(connection, found[0], farm, now) if found else None


def _stored(connection: apsw.Connection, row: rows.Row, farm: Farm, now: Moment) -> StoredJob:
    job = rows.job_of(row)
    others = _states(connection, [needed.id for needed in job.needs_jobs])
    tasks = _tasks(connection, job, farm, now)
    wakes_s = [moment_s for task in tasks for moment_s in (task.retry_at_s, *(task.marks or {}).values())]
    return StoredJob(job, tasks, others, [moment_s for moment_s in wakes_s if moment_s > now.monotonic_s])


def _states(connection: apsw.Connection, job_ids: Sequence[str]) -> dict[str, JobState]:
    query = "SELECT status, is_deleted FROM jobs WHERE id = ?"
    found = {job_id: connection.execute(query, (rows.id_bytes(job_id),)).fetchall() for job_id in job_ids}
    return {job_id: JobState(JobStatus(row[0][0]), bool(row[0][1])) for job_id, row in found.items() if row}


def _job_of_task(connection: apsw.Connection, task_id: str) -> str | None:
    query = "SELECT jobs.id FROM tasks JOIN jobs ON jobs.key = tasks.key >> 20 WHERE tasks.id = ?"
    found = connection.execute(query, (rows.id_bytes(task_id),)).get
    return rows.id_text(found) if found is not None else None


def _tasks(connection: apsw.Connection, job: Job, farm: Farm, now: Moment) -> list[Task]:
    keys = (rows.task_key(job.key, 0), rows.task_key(job.key + 1, 0))
    query = f"SELECT {rows.TASK_COLUMNS} FROM tasks WHERE key >= ? AND key < ? ORDER BY key"  # noqa: S608
    read = rows.TaskReader(job, farm, now)
    tasks: list[Task] = []
    for number, row in enumerate(connection.execute(query, keys), start=1):
        tasks.append(read.task_of(row))
        if number % KEPT_AT_ONCE == 0:
            garbage.keep()
    latest_s = now.monotonic_s + LONGEST_WAIT_S
    for task in tasks:
        if task.retry_at_s > latest_s:
            task.retry_at_s = latest_s
        if task.marks:
            task.marks = {worker: min(until_s, latest_s) for worker, until_s in task.marks.items()}
        if task.is_held and task.worker is not None:
            task.worker.task = task
        if task.is_reserved and task.worker is not None:
            task.worker.reserved.append(task)
    saved = "SELECT task, frame FROM frames WHERE task >= ? AND task < ?"
    first = rows.task_key(job.key, 0)
    for key, frame in connection.execute(saved, keys):
        task = tasks[key - first]
        task.saved_frames = task.saved_frames or set()
        task.saved_frames.add(frame)
    return tasks


def _past_attempt(connection: apsw.Connection, task_id: str, worker_id: str, attempt: int | None) -> PastAttempt | None:
    query = """
    SELECT jobs.id, tasks.key, attempts.attempt, attempts.seq, tasks.status, attempts.attempt = tasks.attempt
    FROM tasks JOIN attempts ON attempts.task = tasks.key JOIN jobs ON jobs.key = tasks.key >> 20
    WHERE tasks.id = :task AND attempts.worker = :worker AND (:attempt IS NULL OR attempts.attempt = :attempt)
    ORDER BY attempts.attempt DESC LIMIT 1
    """
    bindings = {"task": rows.id_bytes(task_id), "worker": rows.id_bytes(worker_id), "attempt": attempt}
    with contextlib.closing(connection.execute(query, bindings)) as found:
        row = found.fetchone()
    if row is None:
        return None
    job, key, number, seq, status, is_newest = row
    return PastAttempt(rows.id_text(job), key, number, seq, status, bool(is_newest))
