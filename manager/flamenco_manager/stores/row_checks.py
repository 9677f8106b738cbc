"""Whether the rows of a store fit together; and the statements that mend what can be mended.

Called within a transaction, so that all of it is about one moment; read in slices, so that memory stays small.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import apsw
import orjson

from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_manager.checking import LOST, REPAIR, Finding, Statement, counts_in_words, end_of
from flamenco_manager.farm import Farm
from flamenco_manager.long_work import OnProgress
from flamenco_manager.model import Job, Moment, Policy
from flamenco_manager.stores import rows
from flamenco_manager.stores.references import check_references
from flamenco_manager.task_rules import link, take_over

JOBS_AT_ONCE = 200

_JOB_STATUSES = {str(status) for status in JobStatus}
_TASK_STATUSES = {str(status) for status in TaskStatus}
_ENDED = {str(status) for status in JobStatus if status.is_ended}

_CHANGE = "rev = (SELECT changes FROM link), unreported = 1"
_JOBS = """
SELECT key, id, status, is_cancelled, facts, counts, steps_completed, steps_total,
    json_extract(CAST(definition AS TEXT), '$.task_count')
FROM jobs WHERE key > ? ORDER BY key LIMIT ?
"""
_SUMS = """
SELECT key >> 20, status, count(*), sum(steps_completed), sum(steps_total), sum(failed_with_job)
FROM tasks WHERE key >= ? AND key < ? GROUP BY 1, 2
"""
_SLICES = "SELECT job, count(*) FROM command_slices WHERE job BETWEEN ? AND ? GROUP BY job"
_HELD = """
SELECT tasks.key, tasks.id, tasks.status, worker, is_held, is_reserved, tasks.rev, jobs.status
FROM tasks JOIN jobs ON jobs.key = tasks.key >> 20
WHERE is_held OR is_reserved OR tasks.status = 'active' ORDER BY tasks.rev DESC
"""
_LET_GO = f"""
UPDATE tasks SET is_held = 0, is_reserved = 0, status = iif(status = 'active', 'queued', status), {_CHANGE}
WHERE key = ?
"""  # noqa: S608 (constants)
_SET_COUNTS = f"UPDATE jobs SET counts = ?, steps_completed = ?, steps_total = ?, {_CHANGE} WHERE key = ?"  # noqa: S608
_SET_STATUS = f"UPDATE jobs SET status = ?, {_CHANGE} WHERE key = ?"  # noqa: S608
_SET_CURRENT = f"UPDATE workers SET current_task = ?, {_CHANGE} WHERE id = ?"  # noqa: S608
_OLD_ATTEMPTS = """
SELECT tasks.key, tasks.id, tasks.attempt, max(attempts.attempt) FROM attempts JOIN tasks ON tasks.key = attempts.task
WHERE attempts.attempt > tasks.attempt GROUP BY tasks.key
"""
_SET_ATTEMPT = f"UPDATE tasks SET attempt = ?, {_CHANGE} WHERE key = ?"  # noqa: S608
_NEWEST_REV = """
SELECT max((SELECT coalesce(max(rev), 0) FROM jobs), (SELECT coalesce(max(rev), 0) FROM tasks),
    (SELECT coalesce(max(rev), 0) FROM workers), (SELECT coalesce(max(rev), 0) FROM frames))
"""


@dataclass
class _Sums:
    """What the tasks of a job come to."""

    counts: Counter[str] = field(default_factory=Counter)
    steps_completed: int = 0
    steps_total: int = 0
    failed_with_job: int = 0


def check_rows(
    connection: apsw.Connection, slice_tasks: int, on_progress: OnProgress = lambda _: None
) -> Iterator[Finding]:
    """Look at all rows; commands are kept in slices of so many tasks."""
    yield from _check_link(connection)
    yield from check_references(connection)
    yield from _check_holders(connection)
    yield from _check_attempts(connection)
    yield from _check_jobs(connection, slice_tasks, on_progress)


def _check_link(connection: apsw.Connection) -> Iterator[Finding]:
    links = _all(connection, "SELECT changes, next_report, last_report_digest FROM link")
    if len(links) != 1:
        yield Finding("store", f"It must know one Server, and has {len(links)} rows that say how far both are.", LOST)
        return
    changes, next_report, digest = links[0]
    newest = connection.execute(_NEWEST_REV).get
    if newest > changes:
        yield Finding(
            "store",
            f"Change {newest} is in it, and {changes} is said to be the last.",
            f"{REPAIR}count from {newest} on.",
            [("UPDATE link SET changes = ?", (newest,))],
        )
    reports = _all(connection, "SELECT number, body FROM reports ORDER BY number")
    expected = list(range(next_report - len(reports), next_report))
    if [number for number, _ in reports] != expected:
        yield Finding("store", "Reports to the Server are missing among those that wait.", RESYNC)
    elif reports and hashlib.sha256(reports[-1][1]).hexdigest() != digest:
        yield Finding("store", f"Report {reports[-1][0]} is not the one that was frozen.", RESYNC)


RESYNC = "Nothing is to be done: Manager and Server notice, and begin anew with each other."


def _check_holders(connection: apsw.Connection) -> Iterator[Finding]:
    """Who holds which task: at most one each, and both know of it."""
    query = "SELECT id, current_task FROM workers WHERE NOT is_forgotten"
    current: dict[bytes, int | None] = {row[0]: row[1] for row in _all(connection, query)}
    held: dict[bytes, int] = {}
    for key, task_id, status, worker, is_held, is_reserved, _, job_status in _all(connection, _HELD):
        what = ""
        if not is_held and not is_reserved:
            what = "It is active, and no attempt holds it."
        elif worker not in current:
            what = "It is held by a Worker that is gone."
        elif status != "active" and job_status in _ENDED:
            what = f"A Worker has it, though its job is {job_status}."
        elif is_held and worker in held:
            what = f"Worker {rows.id_text(worker)} holds it, and another one which it was handed later."
        if what:
            advice = f"{REPAIR}{'queue it' if status == 'active' else 'take it back'}."
            yield Finding(f"task {rows.id_text(task_id)}", what, advice, [(_LET_GO, (key,))])
        elif is_held:
            held[worker] = key
    for worker, key in current.items():
        if held.get(worker) != key:
            what = f"It is said to run {_task(key)}, and holds {_task(held.get(worker))}."
            mending: list[Statement] = [(_SET_CURRENT, (held.get(worker), worker))]
            yield Finding(f"Worker {rows.id_text(worker)}", what, f"{REPAIR}note what it holds.", mending)


def _check_attempts(connection: apsw.Connection) -> Iterator[Finding]:
    for key, task_id, attempt, made in _all(connection, _OLD_ATTEMPTS):
        yield Finding(
            f"task {rows.id_text(task_id)}",
            f"Attempt {made} of it was made, and {attempt} is said to be its last.",
            f"{REPAIR}count on from {made}.",
            [(_SET_ATTEMPT, (made, key))],
        )


def _check_jobs(connection: apsw.Connection, slice_tasks: int, on_progress: OnProgress) -> Iterator[Finding]:
    total, done, last = connection.execute("SELECT count(*) FROM jobs").get, 0, 0
    while jobs := _all(connection, _JOBS, (last, JOBS_AT_ONCE)):
        first, last = jobs[0][0], jobs[-1][0]
        sums = _sums_of(connection, first, last)
        slices: dict[int, int] = dict(_all(connection, _SLICES, (first, last)))
        for row in jobs:
            yield from _check_job(connection, row, sums.get(row[0], _Sums()), slices.get(row[0], 0), slice_tasks)
        done += len(jobs)
        on_progress(done / total)


def _sums_of(connection: apsw.Connection, first: int, last: int) -> dict[int, _Sums]:
    found: dict[int, _Sums] = {}
    bounds = (rows.task_key(first, 0), rows.task_key(last + 1, 0))
    for job, status, count, completed, total, failed_with_job in connection.execute(_SUMS, bounds):
        sums = found.setdefault(job, _Sums())
        sums.counts[status] = count
        sums.steps_completed += completed
        sums.steps_total += total
        sums.failed_with_job += failed_with_job
    return found


def _check_job(
    connection: apsw.Connection, row: Sequence[Any], sums: _Sums, slices: int, slice_tasks: int
) -> Iterator[Finding]:
    """Look at a job all of whose tasks have come."""
    key, job_id, status, is_cancelled, facts, counts, steps_completed, steps_total, task_count = row
    about = f"job {rows.id_text(job_id)}"
    if not orjson.loads(facts).get("is_whole"):
        return
    if unheard_of := ({status} - _JOB_STATUSES) | (sums.counts.keys() - _TASK_STATUSES):
        yield Finding(
            about, f"It, or a task of it, is {', '.join(sorted(unheard_of))}, and there is no such status.", LOST
        )
        return
    total = sums.counts.total()
    if total != task_count:
        yield Finding(about, f"{total} of its {task_count} tasks are here.", LOST)
    if slices != -(-total // slice_tasks):
        yield Finding(about, "Commands of some of its tasks are missing.", LOST)
    stored = Counter(orjson.loads(counts))
    if stored != sums.counts or (steps_completed, steps_total) != (sums.steps_completed, sums.steps_total):
        here = f"{counts_in_words(sums.counts)}, {sums.steps_completed} of {sums.steps_total} steps"
        said = f"{counts_in_words(stored)}, {steps_completed} of {steps_total} steps"
        right = (orjson.dumps(dict(sums.counts)), sums.steps_completed, sums.steps_total, key)
        yield Finding(
            about, f"Its tasks are {here}; counted are {said}.", f"{REPAIR}count again.", [(_SET_COUNTS, right)]
        )
    if status in _ENDED:
        end = _end_by_tasks(connection, key, sums, is_cancelled=bool(is_cancelled))
        if end != status:
            must = end or JobStatus.ACTIVE
            what = f"It is {status}, and by its tasks it {'has not ended' if end is None else f'must be {end}'}."
            yield Finding(about, what, f"{REPAIR}note that it is {must}.", [(_SET_STATUS, (str(must), key))])


def _end_by_tasks(connection: apsw.Connection, job_key: int, sums: _Sums, *, is_cancelled: bool) -> JobStatus | None:
    """Apply the rule that ends a job to one that has left memory."""
    counts = {TaskStatus(status): count for status, count in sums.counts.items()}
    job = Job("", job_key, counts=counts, failed_with_job=sums.failed_with_job, is_cancelled=is_cancelled)
    if any(not status.is_ended for status in counts):  # then it depends on what waits for what
        query = f"SELECT {rows.TASK_COLUMNS} FROM tasks WHERE key >= ? AND key < ? ORDER BY key"  # noqa: S608
        read = rows.TaskReader(job, Farm(Policy()), Moment(datetime.now(UTC), 0.0))
        bounds = (rows.task_key(job_key, 0), rows.task_key(job_key + 1, 0))
        tasks = [read.task_of(row) for row in connection.execute(query, bounds)]
        take_over(job, tasks, link(tasks))
        job.tasks = ()
    return end_of(job)


def _all(connection: apsw.Connection, query: str, bindings: Sequence[Any] = ()) -> list[Any]:
    return connection.execute(query, tuple(bindings)).fetchall()


def _task(key: int | None) -> str:
    return "no task" if key is None else f"task {rows.job_key_of(key)}.{key % rows.TASKS_PER_JOB}"
