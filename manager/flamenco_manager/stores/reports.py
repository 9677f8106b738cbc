"""What a report says: the rows that the Server has not heard of, as they travel.

They are written as ``ReportSchema`` writes its records, but without making records of them: a busy farm reports a
thousand objects a second. A test holds what is written here to the schema.
"""

from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import apsw
import orjson

from flamenco_core.statuses import JobStatus, WorkerStatus
from flamenco_core.wire.schema import LARGEST_INTEGER, rfc3339
from flamenco_manager.stores import rows
from flamenco_manager.stores.rows import Row

Document = dict[str, Any]
"""An object of a report."""
_Told = tuple[tuple[Any, ...], Document]
"""The key and rev of a row, and what is told of it."""

_Blocks = dict[str, list[Document]]

_PROFILE = (
    "name",
    "address",
    "platform",
    "software",
    "task_types",
    "node",
    "slot",
    "hardware",
    "programs",
    "can_restart",
    "features",
)
"""Of what a Worker said of itself, the Server hears this."""

_ORDERS = """
SELECT number, result, why, answer FROM orders WHERE unreported = 1 AND change <= ? ORDER BY number LIMIT ?
"""
_JOBS = """
SELECT key, id, rev, status, activity, counts, steps_completed, steps_total, started_at, finished_at, facts,
    is_deleted
FROM jobs WHERE unreported = 1 ORDER BY rev LIMIT ?
"""
_TASKS = """
SELECT tasks.key, tasks.id, jobs.id, tasks.rev, tasks.status, attempt, tasks.activity, tasks.steps_completed,
    tasks.steps_total, worker, workers.profile, failed_by, result, tasks.started_at, tasks.finished_at
FROM tasks JOIN jobs ON jobs.key = tasks.key >> 20 LEFT JOIN workers ON workers.id = worker
WHERE tasks.unreported = 1 ORDER BY tasks.rev LIMIT ?
"""
_FRAMES = """
SELECT frames.task, frames.frame, frames.layer, jobs.id, tasks.id, frames.attempt, frames.rev, path, size_bytes, sha256,
    width, height, seconds
FROM frames JOIN tasks ON tasks.key = frames.task JOIN jobs ON jobs.key = frames.task >> 20
WHERE frames.unreported = 1 LIMIT ?
"""
_WORKERS = """
SELECT workers.id, workers.rev, profile, workers.status, is_approved, status_requested, tasks.id, last_seen, is_lazy,
    tags, schedule, is_forgotten, secret_sha256
FROM workers LEFT JOIN tasks ON tasks.key = current_task WHERE workers.unreported = 1 ORDER BY workers.rev LIMIT ?
"""
_BLOCKING = """SELECT id, status, facts FROM jobs WHERE instr(facts, '"blocked"') > 0"""
"""An index holds these jobs: there are few, however many others there are."""
_IN_ORDER = ("jobs", "tasks", "workers")
"""Kinds that are read in the order of their changes."""
_WORKER_STATES = """
SELECT number, worker, status, at, why FROM worker_states WHERE unreported = 1 ORDER BY number LIMIT ?
"""


@dataclass
class Gathered:
    """Objects for a report by their kinds, and the keys and revs of the rows that they were made of."""

    objects: dict[str, list[Document]] = field(default_factory=dict)
    keys: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """There is nothing to tell."""
        return not any(self.objects.values())


def gather(connection: apsw.Connection, most: int) -> Gathered:
    """Read what was not reported yet, at most so many rows of each kind.

    Jobs, tasks and Workers come in the order of their changes, and what became of an order when all that it changed is
    in this report or an earlier one: should our store be lost then, the Server has either both or neither.
    """
    found, blocks, epoch = Gathered(), _blocks(connection), connection.execute("SELECT epoch FROM link").get
    told_up_to = LARGEST_INTEGER
    for kind, query, read in (
        ("jobs", _JOBS, _job),
        ("tasks", _TASKS, _task),
        ("frames", _FRAMES, _frame),
        ("workers", _WORKERS, partial(_worker, blocks)),
        ("worker_states", _WORKER_STATES, _worker_state),
    ):
        pairs = [read(row) for row in connection.execute(query, (most,))]
        if kind in _IN_ORDER and len(pairs) == most:
            told_up_to = min(told_up_to, pairs[-1][1]["rev"] - 1)
        _add(found, kind, pairs, epoch)
    _add(found, "orders", [_order(row) for row in connection.execute(_ORDERS, (told_up_to, most))], epoch)
    return found


def _add(found: Gathered, kind: str, pairs: list[_Told], epoch: int) -> None:
    found.keys[kind] = [key for key, _ in pairs]
    found.objects[kind] = documents = [document for _, document in pairs]
    for document in documents:
        if "rev" in document:
            document["rev"] = [epoch, document["rev"]]


def mark_reported(connection: apsw.Connection, gathered: Gathered) -> None:
    """Note that these rows are in a report, unless they have changed since they were read."""
    for kind, condition in (
        ("orders", "number = ?"),
        ("jobs", "key = ? AND rev = ?"),
        ("tasks", "key = ? AND rev = ?"),
        ("frames", "task = ? AND frame = ? AND layer = ? AND rev = ?"),
        ("workers", "id = ? AND rev = ?"),
        ("worker_states", "number = ?"),
    ):
        statement = f"UPDATE {kind} SET unreported = 0 WHERE {condition}"  # noqa: S608 (constants)
        if gathered.keys[kind]:
            connection.executemany(statement, gathered.keys[kind])
    connection.execute("DELETE FROM workers WHERE is_forgotten = 1 AND unreported = 0")


def _order(row: Row) -> _Told:
    number, result, why, answer = row
    return (number,), _said({"order": number, "result": result, "why": why, "answer": _json(answer)})


def _job(row: Row) -> _Told:
    key, job, rev, status, activity, counts, steps_completed, steps_total, started_at, finished_at = row[:10]
    facts, is_deleted = orjson.loads(row[10]), row[11]
    document = {
        "id": rows.id_text(job),
        "rev": rev,
        "status": status,
        "activity": activity,
        "counts": orjson.loads(counts),
        "steps_completed": steps_completed,
        "steps_total": steps_total,
        "started_at": _time(started_at),
        "finished_at": _time(finished_at),
        "priority": facts.get("priority"),
        "tag": facts.get("tag"),
        "project": facts.get("project", ""),
        "deleted": bool(is_deleted),
    }
    return (key, rev), _said(document)


def _task(row: Row) -> _Told:
    key, task, job, rev, status, attempt, activity, steps_completed, steps_total, worker, profile = row[:11]
    failed_by, result, started_at, finished_at = row[11:]
    document = {
        "id": rows.id_text(task),
        "job": rows.id_text(job),
        "rev": rev,
        "status": status,
        "attempt": attempt,
        "activity": activity,
        "steps_completed": steps_completed,
        "steps_total": steps_total,
        "worker": rows.id_text(worker) if worker else None,
        "worker_name": _name_in(profile) if profile else "",
        "failed_by": [{"worker": by, "reason": reason} for by, reason in _json(failed_by) or ()],
        "result": _json(result),
        "started_at": _time(started_at),
        "finished_at": _time(finished_at),
    }
    return (key, rev), _said(document)


def _frame(row: Row) -> _Told:
    key, frame, layer, job, task, attempt, rev, path, size_bytes, sha256, width, height, seconds = row
    document = {
        "job": rows.id_text(job),
        "task": rows.id_text(task),
        "attempt": attempt,
        "frame": frame,
        "rev": rev,
        "path": path,
        "size_bytes": size_bytes,
        "sha256": sha256.hex(),
        "layer": layer,
        "width": width,
        "height": height,
        "seconds": seconds,
    }
    return (key, frame, layer, rev), document


def _worker_state(row: Row) -> _Told:
    number, worker, status, at, why = row
    return (number,), {"worker": rows.id_text(worker), "status": status, "at": _time(at), "why": why}


def _blocks(connection: apsw.Connection) -> _Blocks:
    """Return which Worker is blocked from what, by its id, in jobs that have not ended."""
    blocks: _Blocks = {}
    for job, status, facts in connection.execute(_BLOCKING):
        for worker, task_type in orjson.loads(facts).get("blocked", ()) if not JobStatus(status).is_ended else ():
            blocks.setdefault(worker, []).append({"job": rows.id_text(job), "task_type": task_type})
    return blocks


def _worker(blocks: _Blocks, row: Row) -> _Told:
    worker, rev, profile, status, is_approved, status_requested, current_task, last_seen = row[:8]
    is_lazy, tags, schedule, is_forgotten, secret_sha256 = row[8:]
    profile_said = orjson.loads(profile)
    document = {
        "id": rows.id_text(worker),
        "rev": rev,
        **{name: profile_said[name] for name in _PROFILE},
        "status": status or str(WorkerStatus.OFFLINE),
        "approved": bool(is_approved),
        "status_requested": status_requested,
        "current_task": rows.id_text(current_task) if current_task else None,
        "last_seen": _time(last_seen),
        "tags": orjson.loads(tags),
        "lazy": bool(is_lazy),
        "schedule": _json(schedule),
        "blocked": blocks.get(rows.id_text(worker), []),
        "forgotten": bool(is_forgotten),
        "secret_sha256": secret_sha256.hex(),
    }
    return (worker, rev), _said(document)


def _said(document: Document) -> Document:
    """Leave out what there is nothing to say of, as a schema does."""
    return {key: value for key, value in document.items() if value is not None}


def _json(stored: bytes | None) -> Any:
    return orjson.loads(stored) if stored else None


def _time(seconds: float | None) -> str | None:
    moment = rows.moment_of(seconds)
    return None if moment is None else rfc3339(moment)


@lru_cache(maxsize=256)
def _name_in(profile: bytes) -> str:
    """Return a Worker's name: a thousand tasks in a report may be of the same few."""
    name: str = orjson.loads(profile)["name"]
    return name
