"""Jobs in SQLite: submitting, and what their Managers fetch."""

import zlib

import apsw

from flamenco_core.wire.schema import rfc3339
from flamenco_runtime.journal import Journal
from flamenco_server.job_type_registry import LoadedJobType
from flamenco_server.jobs import IdempotencyKeyReused, SubmissionKey, Submitted
from flamenco_server.records import Job
from flamenco_server.stores.sqlite.reading import read_job
from flamenco_server.stores.sqlite.rows import as_json, first


class SqliteJobs:
    """Implements ``JobStore`` and ``ManagerJobStore``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def add_job(self, job: Job, source: LoadedJobType, key: SubmissionKey | None) -> Submitted:
        """Store a job, the source of its type and its key in one step; or return the one that has this key."""

        def work(db: apsw.Connection) -> Submitted:
            if key is not None and (known := _submitted_with(db, job.owner, key)):
                return Submitted(known, is_replay=True)
            insert_job(db, job)
            _keep_source(db, source)
            if key is not None:
                db.execute(
                    "INSERT INTO submissions (owner, idempotency_key, body_sha256, job) VALUES (?, ?, ?, ?)",
                    (job.owner, key.key, key.body_sha256, job.id),
                )
            return Submitted(read_job(db, job.id))

        return await self._journal.write(work)

    async def submitted_with(self, owner: str, key: SubmissionKey) -> Job | None:
        """Return the job that has this key, None if there is none. Raises IdempotencyKeyReused."""
        return await self._journal.read(lambda db: _submitted_with(db, owner, key))

    async def job(self, job_id: str) -> Job:
        """Return one job. Raises NoSuchJob."""
        return await self._journal.read(lambda db: read_job(db, job_id))

    async def task_lines(self, job_id: str, after: int) -> bytes:
        """Return some definitions of tasks behind an index, as JSON lines in their order; empty at the end."""

        def work(db: apsw.Connection) -> bytes:
            row = first(
                db.execute(
                    "SELECT first, lines FROM task_slices WHERE job = ? AND first <= ? ORDER BY first DESC LIMIT 1",
                    (job_id, after + 1),
                )
            )
            if row is None:
                return b""
            lines = zlib.decompress(row["lines"]).splitlines(keepends=True)
            return b"".join(lines[after + 1 - row["first"] :])

        return await self._journal.read(work)


def _submitted_with(db: apsw.Connection, owner: str, key: SubmissionKey) -> Job | None:
    row = first(
        db.execute(
            "SELECT job, body_sha256 FROM submissions WHERE owner = ? AND idempotency_key = ?",
            (owner, key.key),
        )
    )
    if row is None:
        return None
    if row["body_sha256"] != key.body_sha256:
        raise IdempotencyKeyReused
    return read_job(db, row["job"])


def insert_job(db: apsw.Connection, job: Job) -> None:
    """Insert a job as it was submitted."""
    db.execute(
        "INSERT INTO jobs (id, name, type, type_etag, priority, owner, created_at, settings, metadata, files, project,"
        " tag, start_paused, terms, status, reported_status, activity, frames, frame_count, output)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(job.id, job.name, job.type, job.type_etag, job.priority, job.owner, rfc3339(job.created_at)),
            *(as_json(job.settings), as_json(job.metadata), as_json(job.files), job.project, job.tag),
            *(job.start_paused, as_json(job.terms), str(job.status), str(job.reported_status), job.activity),
            *(job.frames, job.frame_count, job.output),
        ),
    )


def _keep_source(db: apsw.Connection, source: LoadedJobType) -> None:
    db.execute(
        "INSERT INTO job_type_sources (etag, name, source) VALUES (?, ?, ?) ON CONFLICT (etag) DO NOTHING",
        (source.etag, source.type.name, source.source),
    )
