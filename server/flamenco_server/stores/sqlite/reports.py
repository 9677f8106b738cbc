"""Applying reports in SQLite: in one transaction, each object only where its ``rev`` is newer."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import apsw

from flamenco_core.frames import parse_frames
from flamenco_core.statuses import JobStatus
from flamenco_core.wire.manager_api import FrameReport, JobReport, OrderResult, Report, TaskReport, WorkerState
from flamenco_core.wire.schema import rfc3339
from flamenco_runtime.journal import Journal
from flamenco_server.events import Change, Kind
from flamenco_server.job_requests import after_drop, after_report
from flamenco_server.records import Job
from flamenco_server.reports import ReceivedReport, Verdict, judge
from flamenco_server.stores.sqlite.asking import note_answer, write_job
from flamenco_server.stores.sqlite.managers import link_of
from flamenco_server.stores.sqlite.reading import read_job
from flamenco_server.stores.sqlite.rows import as_json, first
from flamenco_server.stores.sqlite.workers import apply_worker

_GIVEN_UP = (JobStatus.CANCELED, JobStatus.FAILED)
_NOUNS: Mapping[str, Kind] = {"job": "job", "task": "task", "worker": "worker"}
"""What orders are about: the first word of their kind, and the key of their details that has the id."""


class SqliteReports:
    """Implements ``ReportStore``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def apply_report(self, manager_id: str, received: ReceivedReport, now: datetime) -> Sequence[Change]:
        """Apply a report, if it is the next one, together with its number, in one step; returns what changed."""

        def work(db: apsw.Connection) -> Sequence[Change]:
            verdict = judge(link_of(db, manager_id), received)
            db.execute("UPDATE managers SET last_seen = ? WHERE id = ?", (rfc3339(now), manager_id))
            if verdict is Verdict.KNOWN:
                return []
            changes = list(_apply(db, manager_id, received.report, now))
            db.execute(
                "UPDATE managers SET last_report = ?, last_report_sha256 = ? WHERE id = ?",
                (received.report.report, received.sha256, manager_id),
            )
            return changes

        return await self._journal.write(work)


def _apply(db: apsw.Connection, manager_id: str, report: Report, now: datetime) -> Iterator[Change]:
    for result in report.orders:
        yield from apply_order_result(db, manager_id, result, now)
    for job in report.jobs:
        yield from _apply_job(db, manager_id, job, now)
    for task in report.tasks:
        yield from _apply_task(db, manager_id, task)
    for frame in report.frames:
        yield from _apply_frame(db, manager_id, frame)
    for worker in report.workers:
        yield from apply_worker(db, manager_id, worker)
    for state in report.worker_states:
        _add_worker_state(db, manager_id, state)


def apply_order_result(db: apsw.Connection, manager_id: str, result: OrderResult, now: datetime) -> Iterator[Change]:
    """Note what became of an order, unless that is known."""
    row = first(
        db.execute(
            "UPDATE orders SET result = ?, why = ?, answer = ? WHERE manager = ? AND number = ? AND result IS NULL"
            " RETURNING id, kind, details ->> 'job' AS job, details ->> 'task' AS task, details ->> 'worker' AS worker",
            (
                *(result.result, result.why, as_json(result.answer) if result.answer is not None else None),
                *(manager_id, result.order),
            ),
        )
    )
    if row is None:
        return
    noun = row["kind"].partition(".")[0]
    if row["kind"] == "task.why":
        yield Change("answer", row["id"])
    elif row["kind"] == "job.submit":
        yield from _apply_submit_result(db, row["job"], result, now)
    elif noun in _NOUNS and row["kind"] != "task.log":
        note_answer(db, row["id"], (noun, row[noun]), result.result, result.why)
        yield Change(_NOUNS[noun], row[noun], _job_of(db, row["task"]) if noun == "task" else None)


def _apply_submit_result(db: apsw.Connection, job_id: str, result: OrderResult, now: datetime) -> Iterator[Change]:
    """End a job that its Manager will not run."""
    if result.result == "done" or first(db.execute("SELECT 1 FROM jobs WHERE id = ?", (job_id,))) is None:
        return
    write_job(db, after_drop(read_job(db, job_id), result.why, now))
    yield Change("job", job_id)


def _job_of(db: apsw.Connection, task_id: str) -> str | None:
    row = first(db.execute("SELECT job FROM tasks WHERE id = ?", (task_id,)))
    return str(row["job"]) if row else None


def _apply_job(db: apsw.Connection, manager_id: str, job: JobReport, now: datetime) -> Iterator[Change]:
    changed = first(
        db.execute(
            "UPDATE jobs SET steps_completed = ?, steps_total = ?, started_at = ?, rev_epoch = ?, rev_commit = ?"
            " WHERE id = ? AND manager = ? AND (rev_epoch, rev_commit) < (?, ?) RETURNING id",
            (
                *(job.steps_completed, job.steps_total, _text(job.started_at), job.rev.epoch, job.rev.commit),
                *(job.id, manager_id, job.rev.epoch, job.rev.commit),
            ),
        )
    )
    if changed is not None:
        after = write_job(db, after_report(read_job(db, job.id), job, now))
        if job.status in _GIVEN_UP and not job.counts:
            _end_unknown_tasks(db, after)
        yield Change("job", job.id)


def _end_unknown_tasks(db: apsw.Connection, job: Job) -> None:
    """Cancel the tasks of a job that ended before they came to its Manager: it will never tell of them."""
    db.execute("UPDATE tasks SET status = 'canceled' WHERE job = ? AND rev_commit = 0", (job.id,))
    db.execute("UPDATE jobs SET counts = ? WHERE id = ?", (as_json({"canceled": job.task_count}), job.id))


def _apply_task(db: apsw.Connection, manager_id: str, task: TaskReport) -> Iterator[Change]:
    changed = first(
        db.execute(
            "UPDATE tasks SET status = ?, attempt = ?, activity = ?, steps_completed = ?, steps_total = ?, worker = ?,"
            " worker_name = ?, failed_by = ?, result = ?, started_at = ?, finished_at = ?, rev_epoch = ?,"
            " rev_commit = ? WHERE id = ? AND job = (SELECT id FROM jobs WHERE id = ? AND manager = ?)"
            " AND (rev_epoch, rev_commit) < (?, ?) RETURNING frames",
            (
                *(str(task.status), task.attempt, task.activity, task.steps_completed, task.steps_total),
                *(task.worker, task.worker_name, as_json(task.failed_by)),
                *(as_json(task.result) if task.result is not None else None, _text(task.started_at)),
                *(_text(task.finished_at), task.rev.epoch, task.rev.commit, task.id, task.job, manager_id),
                *(task.rev.epoch, task.rev.commit),
            ),
        )
    )
    if changed is not None:
        yield Change("task", task.id, task.job)
        for frame in parse_frames(changed["frames"]) if changed["frames"] else ():
            yield Change("frame", str(frame), task.job)


def _apply_frame(db: apsw.Connection, manager_id: str, frame: FrameReport) -> Iterator[Change]:
    query = "SELECT 1 FROM tasks JOIN jobs ON jobs.id = tasks.job WHERE tasks.id = ? AND jobs.id = ? AND manager = ?"
    if first(db.execute(query, (frame.task, frame.job, manager_id))) is None:
        return
    is_first = not first(db.execute("SELECT 1 FROM frames WHERE job = ? AND frame = ?", (frame.job, frame.frame)))
    db.execute(
        "INSERT INTO frames (job, frame, layer, task, attempt, path, size_bytes, sha256, width, height, seconds,"
        " rev_epoch, rev_commit) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (job, frame, layer) DO UPDATE SET task = excluded.task, attempt = excluded.attempt,"
        " path = excluded.path, size_bytes = excluded.size_bytes, sha256 = excluded.sha256, width = excluded.width,"
        " height = excluded.height, seconds = excluded.seconds, rev_epoch = excluded.rev_epoch,"
        " rev_commit = excluded.rev_commit"
        " WHERE (rev_epoch, rev_commit) < (excluded.rev_epoch, excluded.rev_commit)",
        (
            *(frame.job, frame.frame, frame.layer, frame.task, frame.attempt, frame.path, frame.size_bytes),
            *(frame.sha256, frame.width, frame.height, frame.seconds, frame.rev.epoch, frame.rev.commit),
        ),
    )
    if is_first:
        db.execute("UPDATE jobs SET frames_done = frames_done + 1 WHERE id = ?", (frame.job,))
        yield Change("job", frame.job)
    yield Change("frame", str(frame.frame), frame.job)


def _add_worker_state(db: apsw.Connection, manager_id: str, state: WorkerState) -> None:
    db.execute(
        "INSERT INTO worker_states (worker, status, at, why) SELECT id, ?, ?, ? FROM workers"
        " WHERE id = ? AND manager = ?",
        (str(state.status), rfc3339(state.at), state.why, state.worker, manager_id),
    )


def _text(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
