"""The farm on disk: every step's changes in one transaction, and the whole farm back after a restart."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import apsw

from flamenco_core.statuses import JobStatus
from flamenco_core.wire.worker_api import SavedFrame
from flamenco_manager.farm import Changes, Farm
from flamenco_manager.model import Job, Moment, Task, Worker
from flamenco_manager.stores import rows
from flamenco_manager.waiting import JobState
from flamenco_runtime.journal import Journal

Also = Callable[[apsw.Connection], None]

LONGEST_WAIT_S = 120.0
"""No retry or mark is further away than this after a restart, whatever the clock did in between."""

_SAVE_WORKER = (
    f"INSERT OR REPLACE INTO workers ({rows.WORKER_COLUMNS}, unreported) "  # noqa: S608 (constants)
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)"
)
_SAVE_STATE = "INSERT INTO worker_states (worker, status, at, why) VALUES (?, ?, ?, ?)"
STATES_KEPT = timedelta(days=30)
_SAVE_JOB = """
INSERT INTO jobs (id, key, status, activity, is_cancelled, is_deleted, facts, counts, steps_completed, steps_total,
                  started_at, finished_at, rev, unreported)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (key) DO UPDATE SET
    status = excluded.status, activity = excluded.activity, is_cancelled = excluded.is_cancelled,
    is_deleted = excluded.is_deleted, facts = excluded.facts, counts = excluded.counts,
    steps_completed = excluded.steps_completed, steps_total = excluded.steps_total,
    started_at = excluded.started_at, finished_at = excluded.finished_at, rev = excluded.rev, unreported = 1
"""
_SAVE_TASK = """
UPDATE tasks SET status = ?, attempt = ?, worker = ?, is_held = ?, has_begun = ?, seq = ?, activity = ?,
    steps_completed = ?, lost = ?, failed_by = ?, retry_at = ?, marks = ?, failed_with_job = ?, result = ?,
    started_at = ?, finished_at = ?, rev = ?, is_reserved = ?, is_pause_wanted = ?, requeued_by = ?, fresh_after = ?,
    unreported = 1
WHERE key = ?
"""
_SAVE_ATTEMPT = """
INSERT INTO attempts (task, attempt, worker, seq) VALUES (?, ?, ?, ?)
ON CONFLICT (task, attempt) DO UPDATE SET seq = excluded.seq
"""
_SAVE_FRAME = """
INSERT INTO frames (task, frame, layer, attempt, path, size_bytes, sha256, width, height, seconds, rev, unreported)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (task, frame, layer) DO UPDATE SET
    attempt = excluded.attempt, path = excluded.path, size_bytes = excluded.size_bytes, sha256 = excluded.sha256,
    width = excluded.width, height = excluded.height, seconds = excluded.seconds, rev = excluded.rev, unreported = 1
WHERE excluded.attempt >= attempt
"""
"""What a later attempt saved stays, in whatever order the two are told of."""


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
class StoredJob:
    """A job with its tasks, as they were stored, and how the jobs stand that it waits for."""

    job: Job
    tasks: list[Task]
    others: dict[str, JobState]


class FarmStore:
    """Keeps the farm in SQLite. Reads see what is committed."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def save(self, changes: Changes, now: Moment, also: Also | None = None) -> "asyncio.Future[None]":
        """Store what a step changed, and what ``also`` writes, in one transaction; the future waits for the disk."""
        work = _saving(changes, now, also)
        return self._journal.write(work)

    async def last_change(self) -> int:
        """Return the number of the last change that was stored."""
        return await self._journal.read(lambda connection: int(connection.execute("SELECT changes FROM link").get))

    async def load(self, farm: Farm, now: Moment) -> "list[StoredJob]":
        """Read Workers into the farm, and return its unfinished jobs with their tasks.

        A job whose tasks are not all here yet comes without any. Times of waiting go on from where they were.
        """
        return await self._journal.read(lambda connection: _load(connection, farm, now))

    async def load_job(self, job_id: str, farm: Farm, now: Moment) -> "StoredJob | None":
        """Read a job that has left memory, or return None if there is none."""
        return await self._journal.read(lambda connection: _load_job(connection, job_id, farm, now))

    async def tasks_of(self, job: Job, farm: Farm, now: Moment) -> list[Task]:
        """Read all tasks of a job, in order."""
        return await self._journal.read(lambda connection: _tasks(connection, job, farm, now))

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
    def late_frames(late: Sequence[tuple[PastAttempt, Sequence[SavedFrame]]]) -> Also:
        """Make the part of a transaction that stores frames of which attempts tell after their jobs left memory."""

        def work(connection: apsw.Connection) -> None:
            rev = connection.execute("SELECT changes FROM link").get
            for past, frames in late:
                fresh_after = connection.execute("SELECT fresh_after FROM tasks WHERE key = ?", (past.task_key,)).get
                if past.attempt > fresh_after:  # else a person has queued the task since: all of it is rendered again
                    connection.executemany(
                        _SAVE_FRAME, [rows.frame_row(past.task_key, past.attempt, frame, rev) for frame in frames]
                    )

        return work


def _saving(changes: Changes, now: Moment, also: Also | None) -> Also:
    workers = [rows.worker_row(worker) for worker in changes.workers.values()]
    states = [rows.worker_state_row(state) for state in changes.worker_states]
    too_old = [((now.wall - STATES_KEPT).timestamp(),)] if states else []
    jobs = [rows.job_row(job) for job in changes.jobs.values()]
    tasks = [rows.task_row(task, now) for task in changes.tasks.values()]
    attempts = [
        (task.key, task.attempt, rows.id_bytes(task.worker.id), task.seq)
        for task in changes.tasks.values()
        if task.worker is not None
    ]
    forgotten = [(task.key, task.fresh_after) for task in changes.forgotten_frames]
    frames = [rows.frame_row(task.key, attempt, frame, changes.number) for task, attempt, frame in changes.frames]
    ended = [(task.key, attempt) for task, attempt in changes.ended_attempts]

    def work(connection: apsw.Connection) -> None:
        for statement, bindings in (
            (_SAVE_WORKER, workers),
            (_SAVE_STATE, states),
            ("DELETE FROM worker_states WHERE at < ?", too_old),
            (_SAVE_JOB, jobs),
            (_SAVE_TASK, tasks),
            (_SAVE_ATTEMPT, attempts),
            ("DELETE FROM frames WHERE task = ? AND attempt <= ?", forgotten),
            (_SAVE_FRAME, frames),
            ("INSERT OR IGNORE INTO log_uploads (task, attempt) VALUES (?, ?)", ended),
        ):
            if bindings:
                connection.executemany(statement, bindings)
        if changes.number:
            connection.execute("UPDATE link SET changes = ?", (changes.number,))
        if also is not None:
            also(connection)

    return work


def _load(connection: apsw.Connection, farm: Farm, now: Moment) -> list[StoredJob]:
    lost: dict[int, Worker] = {}
    query = f"SELECT {rows.WORKER_COLUMNS} FROM workers WHERE NOT is_forgotten"  # noqa: S608 (constants)
    for row in connection.execute(query):
        worker = rows.worker_of(row, now)
        farm.workers[worker.id] = worker
        if row[8] is not None:
            lost[row[8]] = worker
    query = f"SELECT {rows.JOB_COLUMNS} FROM jobs WHERE status NOT IN ('completed', 'failed', 'canceled')"  # noqa: S608
    loaded = [_stored(connection, row, farm, now) for row in connection.execute(query).fetchall()]
    for stored in loaded:
        for task in stored.tasks:
            if task.key in lost:
                lost[task.key].lost_task = task
    return loaded


def _load_job(connection: apsw.Connection, job_id: str, farm: Farm, now: Moment) -> StoredJob | None:
    query = f"SELECT {rows.JOB_COLUMNS} FROM jobs WHERE id = ?"  # noqa: S608 (constants)
    found = connection.execute(query, (rows.id_bytes(job_id),)).fetchall()
    return _stored(connection, found[0], farm, now) if found else None


def _stored(connection: apsw.Connection, row: rows.Row, farm: Farm, now: Moment) -> StoredJob:
    job = rows.job_of(row)
    others = _states(connection, [needed.id for needed in job.needs_jobs])
    return StoredJob(job, _tasks(connection, job, farm, now), others)


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
    tasks = [rows.task_of(row, job, farm, now) for row in connection.execute(query, keys)]
    for task in tasks:
        task.retry_at_s = min(task.retry_at_s, now.monotonic_s + LONGEST_WAIT_S)
        task.marks = {
            worker: min(until_s, now.monotonic_s + LONGEST_WAIT_S) for worker, until_s in (task.marks or {}).items()
        } or None
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
