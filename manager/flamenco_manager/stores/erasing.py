"""Erasing jobs: the job goes at once, its many rows in slices, so that nobody waits for that."""

import apsw

from flamenco_manager.stores import rows
from flamenco_manager.stores.farm_store import Also
from flamenco_runtime.journal import Journal

ERASED_AT_ONCE = 5_000
"""So many rows are removed in one transaction."""
_SUBMISSION_IS_OVER = "UPDATE orders SET result = 'done', unreported = 1 WHERE job = ? AND result IS NULL"
"""It was still on its way, and nobody else would ever say what became of the order that brought it."""


class ErasingStore:
    """Removes what is left of erased jobs."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @staticmethod
    def erasure(job_key: int, job_id: str) -> Also:
        """Make the part of a transaction that erases a job; its rows go later, by ``erase_some``."""

        def work(connection: apsw.Connection) -> None:
            connection.execute("DELETE FROM jobs WHERE key = ?", (job_key,))
            connection.execute("UPDATE link SET erased_job_key = max(erased_job_key, ?)", (job_key,))
            connection.execute("INSERT OR IGNORE INTO erasing VALUES (?, ?)", (job_key, rows.id_bytes(job_id)))
            connection.execute(_SUBMISSION_IS_OVER, (rows.id_bytes(job_id),))

        return work

    async def next_erased(self) -> str | None:
        """Return the id of an erased job of which rows, and perhaps files, are left."""
        found = await self._journal.read(lambda connection: connection.execute("SELECT id FROM erasing LIMIT 1").get)
        return rows.id_text(found) if found is not None else None

    async def erase_some(self, job_id: str) -> bool:
        """Remove some of the rows of an erased job; tells whether that was all."""
        return await self._journal.write(lambda connection: _erase_some(connection, rows.id_bytes(job_id)))


def _erase_some(connection: apsw.Connection, job_id: bytes) -> bool:
    job = connection.execute("SELECT job FROM erasing WHERE id = ?", (job_id,)).get
    if job is None:
        return True
    keys = (rows.task_key(job, 0), rows.task_key(job + 1, 0), ERASED_AT_ONCE)
    for table, column in (("frames", "task"), ("attempts", "task"), ("log_uploads", "task"), ("tasks", "key")):
        some = f"SELECT DISTINCT {column} FROM {table} WHERE {column} >= ? AND {column} < ? LIMIT ?"  # noqa: S608
        connection.execute(f"DELETE FROM {table} WHERE {column} IN ({some})", keys)  # noqa: S608 (constants)
        if connection.changes():
            return False
    connection.execute("DELETE FROM command_slices WHERE job = ?", (job,))
    connection.execute("DELETE FROM preview_uploads WHERE job = ?", (job_id,))
    connection.execute("DELETE FROM erasing WHERE job = ?", (job,))
    return True
