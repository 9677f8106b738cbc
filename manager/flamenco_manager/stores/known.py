"""Rows of what the Server knew, and this store has lost: jobs, tasks and Workers that come back."""

import zlib
from array import array
from collections.abc import Iterable
from typing import Any

import apsw
import orjson

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.reports import (
    JobReport,
    Rev,
    SleepScheduleSchema,
    TaskReport,
    TaskReportSchema,
    WorkerReport,
)
from flamenco_manager.stores import rows

_TAKE_TASK = """
UPDATE tasks SET status = ?, attempt = ?, worker = (SELECT id FROM workers WHERE id = ?), activity = ?,
    steps_completed = ?, failed_by = ?, result = ?, started_at = ?, finished_at = ?, rev = ?, requeued_by = ?,
    failed_with_job = ?, is_held = 0, is_reserved = 0, is_pause_wanted = 0, seq = 0, marks = NULL, retry_at = NULL,
    unreported = 1
WHERE key = ?
"""
_TAKE_JOB = """
UPDATE jobs SET is_cancelled = ?, is_deleted = ?, facts = ?, started_at = ?, rev = ?,
    finished_at = CASE status WHEN 'under-construction' THEN ? END,
    status = CASE status WHEN 'under-construction' THEN status ELSE ? END
WHERE key = ?
"""
_END_JOB = """
UPDATE jobs SET status = ?, activity = ?, is_cancelled = ?, is_deleted = ?, facts = ?, finished_at = ?, rev = ?
WHERE key = ?
"""
_ADD_JOB = """
INSERT INTO jobs (key, id, status, activity, is_cancelled, is_deleted, facts, counts, started_at, rev, unreported)
SELECT max(erased_job_key, (SELECT coalesce(max(key), 0) FROM jobs)) + 1, ?, 'under-construction',
    'The Manager fetches the job', ?, ?, ?, '{}', ?, ?, 1
FROM link
"""
_ADD_WORKER = """
INSERT INTO workers (id, secret_sha256, profile, status, status_before_error, status_requested, is_approved,
    has_signed_on_since, lost_task, current_task, last_seen, rev, is_lazy, tags, schedule, schedule_at, is_forgotten,
    unreported)
VALUES (?, ?, ?, ?, NULL, NULL, ?, 1, NULL, NULL, ?, ?, 0, ?, ?, NULL, 0, 1)
"""
_DEFINED = """
SELECT id, name, type, priority, frames, depends_on, needs FROM tasks WHERE key >= ? AND key < ? ORDER BY key
"""
_PAUSED = (JobStatus.PAUSED, JobStatus.PAUSE_REQUESTED)
_AT_HAND = (WorkerStatus.AWAKE, WorkerStatus.ASLEEP)
_CANCELED = (JobStatus.CANCELED, JobStatus.CANCEL_REQUESTED)
_TASK = TaskReportSchema()
_SCHEDULE = SleepScheduleSchema()


def is_better(said: TaskReport, status: str, attempt: int, rev: Rev, *, is_told: bool) -> bool:
    """Tell whether what the Server knows of a task wins over what is here (manager-api.md, "When a store was lost").

    ``is_told``: what is here is older than what the Server knows, wherever the two differ, but for what happened since
    the store was restored; so the newer ``rev`` wins. Else the higher attempt, at equal attempts the ended one.
    """
    if is_told:
        return is_newer(said.rev, rev)
    if said.attempt != attempt:
        return said.attempt > attempt
    return said.status.is_ended and not TaskStatus(status).is_ended


def is_newer(one: Rev, other: Rev) -> bool:
    """Tell whether one ``rev`` is newer than another."""
    return (one.epoch, one.commit) > (other.epoch, other.commit)


def take_task(
    connection: apsw.Connection, key: int, said: TaskReport, rev: int, *, failed_with_job: bool = False
) -> None:
    """Let a task be what the Server knows; one that was active is to be done again.

    ``failed_with_job``: if it was canceled, that was because too many others of its job had failed.
    """
    status = TaskStatus.QUEUED if said.status is TaskStatus.ACTIVE else said.status
    failed_by = [(entry.worker, entry.reason) for entry in said.failed_by]
    connection.execute(
        _TAKE_TASK,
        (
            *(str(status), said.attempt, rows.id_bytes(said.worker) if said.worker else None, said.activity),
            *(said.steps_completed, orjson.dumps(failed_by) if failed_by else None),
            *(orjson.dumps(said.result) if said.result is not None else None, rows.seconds_of(said.started_at)),
            *(rows.seconds_of(said.finished_at), rev, said.rev.commit),
            *(failed_with_job and status is TaskStatus.CANCELED, key),
        ),
    )


def look_again(connection: apsw.Connection, job_key: int) -> None:
    """Let a job that has ended be looked at again, since one of its tasks is something else now."""
    statement = "UPDATE jobs SET status = 'queued', finished_at = NULL WHERE key = ? AND status IN"
    connection.execute(f"{statement} ('completed', 'failed', 'canceled')", (job_key,))


def keep_for_later(connection: apsw.Connection, said: TaskReport, *, failed_with_job: bool) -> None:
    """Keep what the Server knows of a task whose job has to be fetched again."""
    body = orjson.dumps(_TASK.dump(said))
    connection.execute(
        "INSERT OR REPLACE INTO known_tasks VALUES (?, ?, ?)", (rows.id_bytes(said.id), body, failed_with_job)
    )


def take_kept(connection: apsw.Connection, tasks: Iterable[tuple[int, bytes]]) -> None:
    """Let tasks (key, id) that were just fetched again be what was kept of them."""
    if connection.execute("SELECT 1 FROM known_tasks LIMIT 1").get is None:
        return
    changes = connection.execute("SELECT changes FROM link").get
    for key, task_id in tasks:
        row = connection.execute("SELECT said, failed_with_job FROM known_tasks WHERE id = ?", (task_id,)).fetchone()
        if row is not None:
            said: TaskReport = _TASK.load(orjson.loads(row[0]))
            # It is told under the newest rev that there is: that the two have begun anew was a change, too.
            take_task(connection, key, said, changes, failed_with_job=bool(row[1]))
            connection.execute("DELETE FROM known_tasks WHERE id = ?", (task_id,))


def take_job(connection: apsw.Connection, key: int, said: JobReport, rev: int) -> None:
    """Let a job be as people want it by what the Server knows. Its status follows from its tasks.

    But one that ended before it had any must not be begun: it has ended, and is not to be fetched again.
    """
    query = "SELECT facts, status FROM jobs WHERE key = ?"
    row = connection.execute(query, (key,)).fetchone()
    assert row is not None
    facts, was = orjson.loads(row[0]), row[1]
    facts |= {"priority": said.priority, "tag": said.tag, "asked": {**facts.get("asked", {}), **_asked(said)}}
    if was == JobStatus.UNDER_CONSTRUCTION and said.status.is_ended and not said.counts:
        ended = (str(said.status), said.activity, said.status in _CANCELED, said.deleted, orjson.dumps(facts))
        connection.execute(_END_JOB, (*ended, rows.seconds_of(said.finished_at), rev, key))
        return
    status = JobStatus.PAUSED if said.status in _PAUSED else JobStatus.QUEUED
    values = (
        said.status in _CANCELED,
        said.deleted,
        orjson.dumps(facts),
        rows.seconds_of(said.started_at),
        rev,
        rows.seconds_of(said.finished_at),
        str(status),
    )
    connection.execute(_TAKE_JOB, (*values, key))


def add_job(connection: apsw.Connection, said: JobReport, rev: int) -> None:
    """Add a job that has to be fetched again, if there is anything of it to fetch."""
    values = (said.status in _CANCELED, said.deleted, b"{}", rows.seconds_of(said.started_at), rev)
    connection.execute(_ADD_JOB, (rows.id_bytes(said.id), *values))
    key = connection.execute("SELECT key FROM jobs WHERE id = ?", (rows.id_bytes(said.id),)).get
    take_job(connection, key, said, rev)


def take_worker(connection: apsw.Connection, said: WorkerReport, rev: int) -> None:
    """Take back a Worker, or what people decided of it; one whose secret nobody kept cannot come back."""
    tags, schedule = orjson.dumps(sorted(said.tags)), said.schedule
    stored_schedule = orjson.dumps(_SCHEDULE.dump(schedule)) if schedule else None
    worker = rows.id_bytes(said.id)
    if connection.execute("SELECT 1 FROM workers WHERE id = ?", (worker,)).get is not None:
        statement = (
            "UPDATE workers SET is_approved = ?, tags = ?, schedule = ?, schedule_at = NULL, rev = ? WHERE id = ?"
        )
        connection.execute(statement, (said.approved, tags, stored_schedule, rev, worker))
    elif said.secret_sha256 is not None:
        status = said.status if said.status in _AT_HAND else WorkerStatus.OFFLINE
        values = (said.approved, rows.seconds_of(said.last_seen), rev, tags, stored_schedule)
        secret = bytes.fromhex(said.secret_sha256)
        connection.execute(_ADD_WORKER, (worker, secret, rows.profile_row(said), str(status), *values))


def whole_job(connection: apsw.Connection, job_id: bytes) -> bytes | None:
    """Return a job's definition and then its tasks, as JSON lines; None if not all of it ever came here."""
    row: Any = connection.execute("SELECT key, definition FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None or row[1] is None:
        return None
    key, definition = row
    lines = [definition]
    keys = (rows.task_key(key, 0), rows.task_key(key + 1, 0))
    commands: list[bytes] = []
    for index, task in enumerate(connection.execute(_DEFINED, keys)):
        if not index % rows.SLICE_TASKS:
            query = "SELECT body FROM command_slices WHERE job = ? AND first_index = ?"
            commands = zlib.decompress(connection.execute(query, (key, index)).get).split(b"\n")
        task_id, name, kind, priority, frames, depends_on, needs = task
        document = {
            "index": index,
            "id": rows.id_text(task_id),
            "name": name,
            "type": kind,
            "priority": priority,
            "commands": orjson.loads(commands[index % rows.SLICE_TASKS]),
            "depends_on": list(array("I", depends_on)),
            **({"frames": frames} if frames is not None else {}),
            **(orjson.loads(needs) if needs else {}),
        }
        lines.append(orjson.dumps(document))
    is_whole = len(lines) - 1 == orjson.loads(definition)["task_count"]
    return b"\n".join(lines) if is_whole else None


def recount(connection: apsw.Connection, found: Iterable[tuple[int, str, int, int]]) -> None:
    """Count the tasks of jobs anew. ``found``: job, status of tasks, how many, and their steps that are done."""
    counts: dict[int, dict[str, int]] = {}
    steps: dict[int, int] = {}
    for job, status, count, steps_completed in found:
        counts.setdefault(job, {})[status] = count
        steps[job] = steps.get(job, 0) + steps_completed
    for job, of_job in counts.items():
        statement = "UPDATE jobs SET counts = ?, steps_completed = ? WHERE key = ?"
        connection.execute(statement, (orjson.dumps(of_job), steps[job], job))
        if TaskStatus.ACTIVE in of_job:
            _count_active(connection, job)


def _count_active(connection: apsw.Connection, job: int) -> None:
    connection.execute(
        "UPDATE jobs SET status = CASE status WHEN 'queued' THEN 'active' WHEN 'paused' THEN 'pause-requested'"
        " ELSE status END WHERE key = ?",
        (job,),
    )


def _asked(said: JobReport) -> dict[str, object]:
    """Return what wins over the definition of a job that is fetched again; it began as that says, if it did not yet."""
    about = {} if said.priority is None else {"priority": said.priority, "tag": said.tag}
    begun = {} if said.status is JobStatus.UNDER_CONSTRUCTION else {"paused": said.status in _PAUSED}
    return {**about, **begun}
