"""Beginning anew with a Manager, in SQLite."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime

import apsw
import orjson

from flamenco_core.frames import frames_of, parse_frames
from flamenco_core.identifiers import new_id
from flamenco_core.statuses import JobStatus
from flamenco_core.wire.manager_api import NO_DIGEST, JobDefinition, TaskDefinition
from flamenco_core.wire.reports import OrderResult, Rev, WorkerReport, WorkerReportSchema
from flamenco_core.wire.resync import KEEP_ORDERS, ResyncReply, ResyncRequest
from flamenco_core.wire.schema import rfc3339
from flamenco_runtime.journal import Journal
from flamenco_server.events import Change
from flamenco_server.records import Job, Terms
from flamenco_server.resync import FARTHER, Document, NotBeginning, has_gone_back, past_of
from flamenco_server.stores.sqlite.compiles import TaskSlice, insert_tasks, slice_of
from flamenco_server.stores.sqlite.jobs import insert_job
from flamenco_server.stores.sqlite.managers import link_of
from flamenco_server.stores.sqlite.orders import digest_of_order, issue_again, last_order
from flamenco_server.stores.sqlite.reports import apply_order_result
from flamenco_server.stores.sqlite.rows import Row, as_json, first, rows, worker_of

TASKS_AT_ONCE = 250

_AGAIN = """
SELECT number FROM orders
WHERE manager = ? AND asked_at >= ? AND (result IS NULL OR kind IN ('job.erase', 'worker.forget'))
    AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY number
"""
"""What has a result is in what was reported, but for what is gone for good: that must be gone again."""
_HIGHEST = """
SELECT (SELECT max(tasks.attempt) FROM tasks JOIN jobs ON jobs.id = tasks.job WHERE jobs.manager = ?1) AS attempt,
    (SELECT max(tasks.rev_commit) FROM tasks JOIN jobs ON jobs.id = tasks.job WHERE jobs.manager = ?1) AS of_tasks,
    (SELECT max(rev_commit) FROM jobs WHERE manager = ?1) AS of_jobs,
    (SELECT max(rev_commit) FROM workers WHERE manager = ?1) AS of_workers
"""
_JOB = """
SELECT id, rev_epoch, rev_commit, reported_status, activity, steps_completed, steps_total, started_at, finished_at,
    priority, tag, project, deleted_at IS NOT NULL AS deleted,
    CASE WHEN EXISTS (SELECT 1 FROM tasks WHERE job = jobs.id AND rev_commit > 0) THEN counts ELSE '{}' END AS counts
FROM jobs WHERE id = ?
"""
"""A Manager that never told of a task has none to count: that we have ended them with their job is our own doing."""
_TASKS = "SELECT * FROM tasks WHERE job = ? AND position > ? AND rev_commit > 0 ORDER BY position LIMIT ?"
_WORKERS = "SELECT * FROM worker_rows WHERE manager = ?"
_WORKER = WorkerReportSchema()


class SqliteResyncs:
    """Implements ``ResyncStore``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def begin_anew(self, manager_id: str, said: ResyncRequest, now: datetime) -> tuple[ResyncReply, list[Change]]:
        """Agree on new feeds and numbers, and issue anew what the Manager has not applied, in one step."""
        return await self._journal.write(lambda db: _begin_anew(db, manager_id, said, now))

    async def take_back(self, manager_id: str, job: JobDefinition, tasks: Sequence[TaskDefinition]) -> bool:
        """Store a job that this store has lost, with its tasks, as one that the Manager has; False: it is here."""
        starts = range(0, len(tasks), TASKS_AT_ONCE)
        pieces = [await asyncio.to_thread(slice_of, job.id, tasks[at : at + TASKS_AT_ONCE]) for at in starts]
        return await self._journal.write(lambda db: _take_back(db, manager_id, job, tasks, pieces))

    async def known_workers(self, manager_id: str) -> Sequence[Document]:
        """Return a Manager's Workers, each as it was reported last."""

        def work(db: apsw.Connection) -> Sequence[Document]:
            return [_worker(row) for row in rows(db.execute(_WORKERS, (manager_id,)))]

        return await self._journal.read(work)

    async def known_jobs(self, manager_id: str) -> Sequence[str]:
        """Return a Manager's jobs, by their ids; those that have not ended come first."""
        query = "SELECT id FROM jobs WHERE manager = ? AND NOT erased ORDER BY finished_at IS NOT NULL, number"

        def work(db: apsw.Connection) -> Sequence[str]:
            return [row["id"] for row in rows(db.execute(query, (manager_id,)))]

        return await self._journal.read(work)

    async def known_job(self, job_id: str) -> Document | None:
        """Return a job as it was reported last; None: it is gone."""

        def work(db: apsw.Connection) -> Document | None:
            row = first(db.execute(_JOB, (job_id,)))
            return None if row is None else _job(row)

        return await self._journal.read(work)

    async def known_tasks(self, job_id: str, after: int) -> tuple[Sequence[Document], int | None]:
        """Return some tasks of a job behind an index, and the index of the last of them; None at the end."""

        def work(db: apsw.Connection) -> tuple[Sequence[Document], int | None]:
            found = list(rows(db.execute(_TASKS, (job_id, after, TASKS_AT_ONCE))))
            last = found[-1]["position"] if len(found) == TASKS_AT_ONCE else None
            return [_task(row) for row in found], last

        return await self._journal.read(work)


def _begin_anew(
    db: apsw.Connection, manager_id: str, said: ResyncRequest, now: datetime
) -> tuple[ResyncReply, list[Change]]:
    link, hello = link_of(db, manager_id), said.hello
    changes = list(_note_applied(db, manager_id, said, now))
    number, digest = last_order(db, manager_id)
    highest = first(db.execute(_HIGHEST, (manager_id,))) or {}
    erased, lost = _missing(db, manager_id, said.jobs)
    reply = ResyncReply(
        feed=new_id(),
        epoch=max(said.epoch, link.epoch) + 1,
        commit=max(highest[name] or 0 for name in ("of_tasks", "of_jobs", "of_workers")),
        attempts_above=max(said.highest_attempt, highest["attempt"] or 0) + FARTHER,
        last_order=number,
        last_order_digest=digest,
        went_back=has_gone_back(link, said, digest_of_order(db, manager_id, hello.last_order)),
        erased=erased,
        lost=lost,
    )
    db.execute(
        "UPDATE managers SET software = ?, platform = ?, feed = ?, server_feed = ?, epoch = ?, last_seen = ?,"
        " order_base = ?, order_base_digest = ?, order_acknowledged = ?, last_report = 0, last_report_sha256 = ?,"
        " begun_from = ?, had_gone_back = ?"
        " WHERE id = ?",
        (
            *(hello.software, hello.platform, said.feed, reply.feed, reply.epoch, rfc3339(now)),
            *(number, digest, number, NO_DIGEST, past_of(said), reply.went_back, manager_id),
        ),
    )
    applied = as_json([order.id for order in said.applied])
    again = db.execute(_AGAIN, (manager_id, rfc3339(now - KEEP_ORDERS), applied))
    for order in [row["number"] for row in rows(again)]:
        issue_again(db, manager_id, order)
    return reply, changes


def _take_back(
    db: apsw.Connection,
    manager_id: str,
    job: JobDefinition,
    tasks: Sequence[TaskDefinition],
    pieces: Sequence[TaskSlice],
) -> bool:
    if link_of(db, manager_id).last_report:
        raise NotBeginning
    if first(db.execute("SELECT 1 FROM jobs WHERE id = ?", (job.id,))) is not None:
        return False
    insert_job(db, _job_of(job, tasks))
    for piece in pieces:
        insert_tasks(db, job.id, piece)
    db.execute(
        "UPDATE jobs SET compiled = 1, manager = ?, task_count = ?, counts = ?, steps_total = ? WHERE id = ?",
        (
            *(manager_id, job.task_count, as_json({"queued": job.task_count})),
            *(sum(task.steps_total for task in tasks), job.id),
        ),
    )
    return True


def _job_of(job: JobDefinition, tasks: Sequence[TaskDefinition]) -> Job:
    """Make a job of what its Manager knows of it; who submitted it said no more than this, but for its job type."""
    frames = frames_of(frame for task in tasks if task.frames for frame in parse_frames(task.frames))
    terms = {name: getattr(job, name) for name in Terms.__slots__}
    return Job(
        number=0,
        id=job.id,
        name=job.name,
        type=job.type,
        type_etag="",
        status=JobStatus.QUEUED,
        reported_status=JobStatus.QUEUED,
        activity="It came back from its Manager",
        priority=job.priority,
        owner=job.owner,
        created_at=job.created,
        settings=job.settings,
        metadata=job.metadata,
        files=job.files,
        project=job.project,
        tag=job.tag,
        start_paused=job.start_paused,
        terms=Terms(**terms),
        frames=str(frames) if len(frames) else None,
        frame_count=len(frames),
    )


def _note_applied(db: apsw.Connection, manager_id: str, said: ResyncRequest, now: datetime) -> Iterator[Change]:
    """Note what became of orders of which the Server does not know that yet."""
    for order in said.applied:
        query = "SELECT number FROM orders WHERE id = ? AND manager = ? AND result IS NULL"
        row = first(db.execute(query, (order.id, manager_id)))
        if row is not None:
            result = OrderResult(row["number"], order.result, order.why, order.answer)
            yield from apply_order_result(db, manager_id, result, now)


def _missing(db: apsw.Connection, manager_id: str, jobs: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return those of a Manager's jobs that people had erased, and those that the Server does not know any more."""
    query = (
        "SELECT value AS job, EXISTS (SELECT 1 FROM orders WHERE manager = ?1 AND kind = 'job.erase'"
        " AND details ->> 'job' = value) AS is_erased"
        " FROM json_each(?2) WHERE value NOT IN (SELECT id FROM jobs WHERE manager = ?1 AND NOT erased)"
    )
    found = list(rows(db.execute(query, (manager_id, as_json(list(jobs))))))
    return [row["job"] for row in found if row["is_erased"]], [row["job"] for row in found if not row["is_erased"]]


def _job(row: Row) -> Document:
    document = {
        **{name: row[name] for name in row if name not in ("rev_epoch", "rev_commit", "reported_status")},
        "rev": [row["rev_epoch"], row["rev_commit"]],
        "status": row["reported_status"],
        "counts": orjson.loads(row["counts"]),
        "deleted": bool(row["deleted"]),
    }
    return _said(document)


def _task(row: Row) -> Document:
    names = ("id", "job", "status", "attempt", "activity", "steps_completed", "steps_total", "worker", "started_at")
    document = {
        **{name: row[name] for name in (*names, "finished_at")},
        "rev": [row["rev_epoch"], row["rev_commit"]],
        "failed_by": orjson.loads(row["failed_by"]),
        "result": orjson.loads(row["result"]) if row["result"] else None,
    }
    return _said(document)


def _worker(row: Row) -> Document:
    worker = worker_of(row)
    report = WorkerReport(
        id=worker.id,
        rev=Rev(row["rev_epoch"], row["rev_commit"]),
        name=worker.name,
        address=worker.address,
        platform=worker.platform,
        software=worker.software,
        task_types=worker.task_types,
        status=worker.status,
        approved=worker.approved,
        last_seen=worker.last_seen,
        node=worker.node,
        slot=worker.slot,
        hardware=worker.hardware,
        programs=worker.programs,
        tags=worker.tags,
        schedule=worker.schedule,
        can_restart=worker.can_restart,
        secret_sha256=row["secret_sha256"],
        features=orjson.loads(row["features"]),
    )
    document: Document = _WORKER.dump(report)
    return document


def _said(document: Document) -> Document:
    return {key: value for key, value in document.items() if value is not None}
