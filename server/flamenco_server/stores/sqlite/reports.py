"""Applying reports in SQLite: in one transaction, each object only where its ``rev`` is newer."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import apsw

from flamenco_core.frames import parse_frames
from flamenco_core.statuses import JobStatus
from flamenco_core.wire.manager_api import FrameReport, JobReport, OrderResult, Report, TaskReport, WorkerReport
from flamenco_core.wire.schema import rfc3339
from flamenco_runtime.journal import Journal
from flamenco_server.events import Change
from flamenco_server.jobs import shown_status
from flamenco_server.reports import ReceivedReport, Verdict, judge
from flamenco_server.stores.sqlite.managers import link_of
from flamenco_server.stores.sqlite.rows import as_json, first


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
        yield from _apply_order_result(db, manager_id, result, now)
    for job in report.jobs:
        yield from _apply_job(db, manager_id, job)
    for task in report.tasks:
        yield from _apply_task(db, manager_id, task)
    for frame in report.frames:
        yield from _apply_frame(db, manager_id, frame)
    for worker in report.workers:
        yield from _apply_worker(db, manager_id, worker)


def _apply_order_result(db: apsw.Connection, manager_id: str, result: OrderResult, now: datetime) -> Iterator[Change]:
    row = first(
        db.execute(
            "UPDATE orders SET result = ?, why = ? WHERE manager = ? AND number = ? AND result IS NULL"
            " RETURNING kind, details ->> 'job' AS job",
            (result.result, result.why, manager_id, result.order),
        )
    )
    if row is None or result.result == "done":
        return
    if row["kind"] == "job.submit":
        _fail_unfetched(db, row["job"], result.why, now)
    elif row["kind"] == "job.cancel":
        _take_back_cancel(db, row["job"])
    if row["job"] is not None:
        yield Change("job", row["job"])


def _fail_unfetched(db: apsw.Connection, job_id: str, why: str, now: datetime) -> None:
    """End a job that its Manager will not run."""
    db.execute(
        "UPDATE jobs SET status = 'failed', activity = ?, finished_at = ?"
        " WHERE id = ? AND status NOT IN ('completed', 'failed', 'canceled')",
        (f"Its Manager dropped it: {why}", rfc3339(now), job_id),
    )


def _take_back_cancel(db: apsw.Connection, job_id: str) -> None:
    """Show what the Manager reported, where it did not follow a request to cancel."""
    db.execute(
        "UPDATE jobs SET cancel_requested = 0, status = coalesce(reported_status, 'under-construction')"
        " WHERE id = ? AND status = 'cancel-requested'",
        (job_id,),
    )


def _apply_job(db: apsw.Connection, manager_id: str, job: JobReport) -> Iterator[Change]:
    row = first(db.execute("SELECT cancel_requested FROM jobs WHERE id = ? AND manager = ?", (job.id, manager_id)))
    if row is None:
        return
    status = shown_status(JobStatus(job.status), cancel_requested=bool(row["cancel_requested"]))
    changed = first(
        db.execute(
            "UPDATE jobs SET status = ?, reported_status = ?, activity = ?, counts = ?, steps_completed = ?,"
            " steps_total = ?, started_at = ?, finished_at = ?, rev_epoch = ?, rev_commit = ?"
            " WHERE id = ? AND (rev_epoch, rev_commit) < (?, ?) RETURNING id",
            (
                *(str(status), str(job.status), job.activity, as_json(job.counts), job.steps_completed),
                *(job.steps_total, _text(job.started_at), _text(job.finished_at), job.rev.epoch, job.rev.commit),
                *(job.id, job.rev.epoch, job.rev.commit),
            ),
        )
    )
    if changed is not None:
        yield Change("job", job.id)


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


def _apply_worker(db: apsw.Connection, manager_id: str, worker: WorkerReport) -> Iterator[Change]:
    changed = first(
        db.execute(
            "INSERT INTO workers (id, manager, name, address, platform, software, task_types, status, status_requested,"
            " approved, current_task, last_seen, node, slot, hardware, programs, rev_epoch, rev_commit)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name, address = excluded.address,"
            " platform = excluded.platform, software = excluded.software, task_types = excluded.task_types,"
            " status = excluded.status, status_requested = excluded.status_requested, approved = excluded.approved,"
            " current_task = excluded.current_task, last_seen = excluded.last_seen, node = excluded.node,"
            " slot = excluded.slot, hardware = excluded.hardware, programs = excluded.programs,"
            " rev_epoch = excluded.rev_epoch, rev_commit = excluded.rev_commit"
            " WHERE manager = excluded.manager"
            " AND (rev_epoch, rev_commit) < (excluded.rev_epoch, excluded.rev_commit) RETURNING id",
            (
                *(worker.id, manager_id, worker.name, worker.address, worker.platform, worker.software),
                *(as_json(worker.task_types), str(worker.status)),
                *(str(worker.status_requested) if worker.status_requested else None, worker.approved),
                *(worker.current_task, _text(worker.last_seen), worker.node, worker.slot),
                *(as_json(worker.hardware) if worker.hardware else None, as_json(worker.programs)),
                *(worker.rev.epoch, worker.rev.commit),
            ),
        )
    )
    if changed is not None:
        yield Change("worker", worker.id)


def _text(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
