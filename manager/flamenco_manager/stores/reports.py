"""What a report says: the rows that the Server has not heard of, as records of the wire."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw
import orjson

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.manager_api import (
    FrameReport,
    JobReport,
    OrderResult,
    Rev,
    TaskReport,
    WorkerReport,
    WorkerState,
)
from flamenco_core.wire.worker_api import HardwareSchema, ProgramSchema
from flamenco_manager.stores import rows

EPOCH = 1
"""Raised when a store is put back from a backup, which nothing does yet."""

_HARDWARE = HardwareSchema()
_PROGRAM = ProgramSchema()

_ORDERS = "SELECT number, result, why, answer FROM orders WHERE unreported = 1 LIMIT ?"
_JOBS = """
SELECT key, id, rev, status, activity, counts, steps_completed, steps_total, started_at, finished_at, facts,
    is_deleted
FROM jobs WHERE unreported = 1 LIMIT ?
"""
_TASKS = """
SELECT tasks.key, tasks.id, jobs.id, tasks.rev, tasks.status, attempt, tasks.activity, tasks.steps_completed,
    tasks.steps_total, worker, workers.profile, failed_by, result, tasks.started_at, tasks.finished_at
FROM tasks JOIN jobs ON jobs.key = tasks.key >> 20 LEFT JOIN workers ON workers.id = worker
WHERE tasks.unreported = 1 LIMIT ?
"""
_FRAMES = """
SELECT frames.task, frames.frame, frames.layer, jobs.id, tasks.id, frames.attempt, frames.rev, path, size_bytes, sha256,
    width, height, seconds
FROM frames JOIN tasks ON tasks.key = frames.task JOIN jobs ON jobs.key = frames.task >> 20
WHERE frames.unreported = 1 LIMIT ?
"""
_WORKERS = """
SELECT workers.id, workers.rev, profile, workers.status, is_approved, status_requested, tasks.id, last_seen, is_lazy,
    tags, schedule, is_forgotten
FROM workers LEFT JOIN tasks ON tasks.key = current_task WHERE workers.unreported = 1 LIMIT ?
"""
_WORKER_STATES = """
SELECT number, worker, status, at, why FROM worker_states WHERE unreported = 1 ORDER BY number LIMIT ?
"""


@dataclass
class Gathered:
    """Records for a report, and the keys and revs of the rows that they were made of."""

    records: dict[str, list[Any]] = field(default_factory=dict)
    keys: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """There is nothing to tell."""
        return not any(self.records.values())


def gather(connection: apsw.Connection, most: int) -> Gathered:
    """Read what was not reported yet, at most so many rows of each kind."""
    found = Gathered()
    for kind, query, read in (
        ("orders", _ORDERS, _order),
        ("jobs", _JOBS, _job),
        ("tasks", _TASKS, _task),
        ("frames", _FRAMES, _frame),
        ("workers", _WORKERS, _worker),
        ("worker_states", _WORKER_STATES, _worker_state),
    ):
        pairs = [read(row) for row in connection.execute(query, (most,))]
        found.keys[kind] = [key for key, _ in pairs]
        found.records[kind] = [record for _, record in pairs]
    return found


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


def _order(row: Sequence[Any]) -> tuple[tuple[Any, ...], OrderResult]:
    number, result, why, answer = row
    return (number,), OrderResult(number, result, why, orjson.loads(answer) if answer else None)


def _job(row: Sequence[Any]) -> tuple[tuple[Any, ...], JobReport]:
    key, job, rev, status, activity, counts, steps_completed, steps_total, started_at, finished_at = row[:10]
    facts, is_deleted = orjson.loads(row[10]), row[11]
    return (key, rev), JobReport(
        id=rows.id_text(job),
        rev=Rev(EPOCH, rev),
        status=JobStatus(status),
        activity=activity,
        counts=orjson.loads(counts),
        steps_completed=steps_completed,
        steps_total=steps_total,
        started_at=rows.moment_of(started_at),
        finished_at=rows.moment_of(finished_at),
        priority=facts.get("priority"),
        tag=facts.get("tag"),
        project=facts.get("project", ""),
        deleted=bool(is_deleted),
    )


def _task(row: Sequence[Any]) -> tuple[tuple[Any, ...], TaskReport]:
    key, task, job, rev, status, attempt, activity, steps_completed, steps_total, worker, profile = row[:11]
    failed_by, result, started_at, finished_at = row[11:]
    return (key, rev), TaskReport(
        id=rows.id_text(task),
        job=rows.id_text(job),
        rev=Rev(EPOCH, rev),
        status=TaskStatus(status),
        attempt=attempt,
        activity=activity,
        steps_completed=steps_completed,
        steps_total=steps_total,
        worker=rows.id_text(worker) if worker else None,
        worker_name=orjson.loads(profile)["name"] if profile else "",
        failed_by=rows.failures_of(failed_by),
        result=orjson.loads(result) if result else None,
        started_at=rows.moment_of(started_at),
        finished_at=rows.moment_of(finished_at),
    )


def _frame(row: Sequence[Any]) -> tuple[tuple[Any, ...], FrameReport]:
    key, frame, layer, job, task, attempt, rev, path, size_bytes, sha256, width, height, seconds = row
    return (key, frame, layer, rev), FrameReport(
        job=rows.id_text(job),
        task=rows.id_text(task),
        attempt=attempt,
        frame=frame,
        rev=Rev(EPOCH, rev),
        path=path,
        size_bytes=size_bytes,
        sha256=sha256.hex(),
        layer=layer,
        width=width,
        height=height,
        seconds=seconds,
    )


def _worker_state(row: Sequence[Any]) -> tuple[tuple[Any, ...], WorkerState]:
    number, worker, status, at, why = row
    moment = rows.moment_of(at)
    assert moment is not None
    return (number,), WorkerState(rows.id_text(worker), WorkerStatus(status), moment, why)


def _worker(row: Sequence[Any]) -> tuple[tuple[Any, ...], WorkerReport]:
    worker, rev, profile, status, is_approved, status_requested, current_task, last_seen = row[:8]
    is_lazy, tags, schedule, is_forgotten = row[8:]
    said = orjson.loads(profile)
    return (worker, rev), WorkerReport(
        id=rows.id_text(worker),
        rev=Rev(EPOCH, rev),
        name=said["name"],
        address=said["address"],
        platform=said["platform"],
        software=said["software"],
        task_types=said["task_types"],
        status=WorkerStatus(status) if status else WorkerStatus.OFFLINE,
        approved=bool(is_approved),
        status_requested=WorkerStatus(status_requested) if status_requested else None,
        current_task=rows.id_text(current_task) if current_task else None,
        last_seen=rows.moment_of(last_seen),
        node=said["node"],
        slot=said["slot"],
        hardware=_HARDWARE.load(said["hardware"]) if said["hardware"] else None,
        programs=[_PROGRAM.load(program) for program in said["programs"]],
        tags=orjson.loads(tags),
        lazy=bool(is_lazy),
        schedule=rows.schedule_of(schedule),
        can_restart=said["can_restart"],
        forgotten=bool(is_forgotten),
    )
