"""Notes of thumbnails and logs in SQLite; the bytes themselves are files."""

from datetime import datetime

import apsw

from flamenco_core.wire.schema import rfc3339
from flamenco_runtime.journal import Journal
from flamenco_server.reading import NoSuchTask
from flamenco_server.stores.sqlite.reading import check_job
from flamenco_server.stores.sqlite.rows import first
from flamenco_server.task_logs import Attempt, LogState


class SqliteThumbnails:
    """Implements ``ThumbnailStore``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def check_job_of(self, manager_id: str, job_id: str) -> None:
        """Check that a job belongs to the Manager. Raises NoSuchJob."""
        await self._journal.read(lambda db: check_job(db, job_id, manager_id))

    async def note_thumbnail(self, job_id: str, frame: int, now: datetime) -> None:
        """Note that a frame's thumbnail is on disk, as the job's newest."""

        def work(db: apsw.Connection) -> None:
            db.execute(
                "INSERT INTO thumbnails (job, frame, received_at) VALUES (?, ?, ?)"
                " ON CONFLICT (job, frame) DO UPDATE SET received_at = excluded.received_at",
                (job_id, frame, rfc3339(now)),
            )
            db.execute("UPDATE jobs SET newest_frame = ? WHERE id = ?", (frame, job_id))

        await self._journal.write(work)


class SqliteLogs:
    """Implements ``LogStore``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def check_task_of(self, manager_id: str, task_id: str) -> None:
        """Check that a task belongs to a job of the Manager. Raises NoSuchTask."""

        def work(db: apsw.Connection) -> None:
            query = "SELECT 1 FROM tasks JOIN jobs ON jobs.id = tasks.job WHERE tasks.id = ? AND jobs.manager = ?"
            if first(db.execute(query, (task_id, manager_id))) is None:
                raise NoSuchTask(task_id)

        await self._journal.read(work)

    async def log_state(self, task_id: str, attempt: int | None) -> LogState | None:
        """Return the state of an attempt's log, or of the newest; None if there is none."""

        def work(db: apsw.Connection) -> LogState | None:
            row = first(
                db.execute(
                    "SELECT attempt, stored_bytes, total_bytes FROM task_logs"
                    " WHERE task = ?1 AND (?2 IS NULL OR attempt = ?2) ORDER BY attempt DESC LIMIT 1",
                    (task_id, attempt),
                )
            )
            return LogState(**row) if row else None

        return await self._journal.read(work)

    async def note_log(self, attempt: Attempt, stored_bytes: int, total_bytes: int | None) -> None:
        """Note how much of a log is on disk; it never shrinks."""

        def work(db: apsw.Connection) -> None:
            db.execute(
                "INSERT INTO task_logs (task, attempt, stored_bytes, total_bytes) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (task, attempt) DO UPDATE SET stored_bytes = max(stored_bytes, excluded.stored_bytes),"
                " total_bytes = coalesce(excluded.total_bytes, total_bytes)",
                (attempt.task_id, attempt.number, stored_bytes, total_bytes),
            )

        await self._journal.write(work)
