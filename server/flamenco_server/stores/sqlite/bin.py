"""Jobs that were deleted, in SQLite: which are due, and erasing them piece by piece."""

from collections.abc import Sequence
from datetime import datetime

import apsw

from flamenco_core.wire.schema import rfc3339
from flamenco_runtime.journal import Journal
from flamenco_server.stores.sqlite.rows import as_json, rows

_OF_A_JOB = (
    "DELETE FROM task_slices WHERE job = ?",
    "DELETE FROM frames WHERE job = ?",
    "DELETE FROM thumbnails WHERE job = ?",
    "DELETE FROM submissions WHERE job = ?",
    "DELETE FROM jobs WHERE id = ?",
)


class SqliteBin:
    """Implements ``BinStore``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def deleted_before(self, moment: datetime) -> Sequence[str]:
        """Return the jobs that were deleted then or earlier, also those that are being erased."""

        def work(db: apsw.Connection) -> Sequence[str]:
            query = "SELECT id FROM jobs WHERE deleted_at <= ? ORDER BY number"
            return [row["id"] for row in rows(db.execute(query, (rfc3339(moment),)))]

        return await self._journal.read(work)

    async def tasks_of(self, job_id: str, limit: int) -> Sequence[str]:
        """Return some tasks of a job that are still here, by their ids."""

        def work(db: apsw.Connection) -> Sequence[str]:
            query = "SELECT id FROM tasks WHERE job = ? ORDER BY position LIMIT ?"
            return [row["id"] for row in rows(db.execute(query, (job_id, limit)))]

        return await self._journal.read(work)

    async def erase_tasks(self, task_ids: Sequence[str]) -> None:
        """Erase tasks, and the notes of their logs."""

        def work(db: apsw.Connection) -> None:
            ids = (as_json(list(task_ids)),)
            db.execute("DELETE FROM task_logs WHERE task IN (SELECT value FROM json_each(?))", ids)
            db.execute("DELETE FROM tasks WHERE id IN (SELECT value FROM json_each(?))", ids)

        await self._journal.write(work)

    async def erase_job(self, job_id: str) -> None:
        """Erase what is left of a job."""

        def work(db: apsw.Connection) -> None:
            for query in _OF_A_JOB:
                db.execute(query, (job_id,))

        await self._journal.write(work)

    async def forget_states(self, before: datetime) -> None:
        """Forget what Workers were before then."""

        def work(db: apsw.Connection) -> None:
            db.execute("DELETE FROM worker_states WHERE at < ?", (rfc3339(before),))

        await self._journal.write(work)
