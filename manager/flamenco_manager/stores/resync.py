"""What a resync reads and writes of the store, while no farm lives in memory (manager-api.md)."""

from collections.abc import Sequence, Set
from datetime import datetime
from typing import Any

import apsw
import orjson

from flamenco_core.wire.manager_api import NO_DIGEST, JobReport, TaskReport
from flamenco_core.wire.reports import Rev
from flamenco_core.wire.resync import AppliedOrder, Known, ResyncReply
from flamenco_manager.stores import known, rows
from flamenco_manager.stores.erasing import ErasingStore
from flamenco_manager.stores.outbox import LinkState, link_state
from flamenco_runtime.journal import Journal

_APPLIED = "SELECT id, result, why, answer FROM orders WHERE result IS NOT NULL AND applied_at >= ?"
_SETTLE = """
UPDATE link SET feed = ?, server_feed = ?, epoch = ?, changes = max(changes, ?) + 1, last_order = ?,
    last_order_digest = ?, attempts_above = max(attempts_above, ?), next_report = 1, last_report_digest = ?,
    is_restored = 0
"""
_COUNTS = """
SELECT key >> 20, status, count(*), sum(steps_completed) FROM tasks
WHERE key >> 20 IN (SELECT key FROM jobs WHERE status IN ('queued', 'active', 'paused', 'pause-requested'))
GROUP BY 1, 2
"""


class ResyncStore:
    """The store of a Manager that begins anew with its Server."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def state(self) -> LinkState:
        """Return how far the Manager and its Server had come."""
        return await self._journal.read(link_state)

    async def is_restored(self) -> bool:
        """Tell whether this store was restored from a backup, or is new."""
        query = "SELECT is_restored OR server_feed IS NULL FROM link"
        return await self._journal.read(lambda connection: bool(connection.execute(query).get))

    async def epoch(self) -> int:
        """Return the epoch of what the Manager reports."""
        return await self._journal.read(lambda connection: int(connection.execute("SELECT epoch FROM link").get))

    async def highest_attempt(self) -> int:
        """Return the highest attempt that any task can have had."""
        query = "SELECT max(attempts_above, (SELECT coalesce(max(attempt), 0) FROM tasks)) FROM link"
        return await self._journal.read(lambda connection: int(connection.execute(query).get))

    async def applied(self, since: datetime) -> Sequence[AppliedOrder]:
        """Return the orders that were applied since then, with what became of them.

        A submission whose job is still being fetched is not among them: it may be ordered again.
        """
        found: Any = await self._journal.read(lambda db: db.execute(_APPLIED, (since.timestamp(),)).fetchall())
        return [
            AppliedOrder(rows.id_text(order), result, why, orjson.loads(answer) if answer else None)
            for order, result, why, answer in found
        ]

    async def jobs(self) -> Sequence[str]:
        """Return the ids of all jobs that are here."""
        found: Any = await self._journal.read(lambda connection: connection.execute("SELECT id FROM jobs").fetchall())
        return [rows.id_text(job) for (job,) in found]

    async def whole_job(self, job_id: str) -> bytes | None:
        """Return a job's definition and then its tasks, as JSON lines; None if not all of it ever came here."""
        return await self._journal.read(lambda connection: known.whole_job(connection, rows.id_bytes(job_id)))

    async def take_over(self, said: Known, failed_jobs: Set[str], *, is_told: bool) -> None:
        """Take over what the Server knows better. ``is_told``: our past is a part of its past, since it was restored.

        Then whatever has the newer ``rev`` wins; else, per task, the higher attempt, and at equal attempts the ended
        one. ``failed_jobs``: those of the tasks' jobs that have failed.
        """
        await self._journal.write(lambda connection: _take_over(connection, said, failed_jobs, is_told=is_told))

    async def settle(self, feed: str, reply: ResyncReply) -> None:
        """Begin anew: from now on the feeds, numbers and epoch are new, and everything is to be reported."""
        await self._journal.write(lambda connection: _settle(connection, feed, reply))


def _take_over(connection: apsw.Connection, said: Known, failed_jobs: Set[str], *, is_told: bool) -> None:
    state = connection.execute("SELECT epoch, changes FROM link").fetchone()
    assert state is not None
    epoch, changes = state
    for worker in said.workers:
        known.take_worker(connection, worker, changes + 1)
    for job in said.jobs:
        _take_job(connection, job, epoch, changes, is_told=is_told)
    for task in said.tasks:
        _take_task(connection, task, epoch, changes, is_told=is_told, failed_with_job=task.job in failed_jobs)


def _take_job(connection: apsw.Connection, job: JobReport, epoch: int, changes: int, *, is_told: bool) -> None:
    row = connection.execute("SELECT key, rev FROM jobs WHERE id = ?", (rows.id_bytes(job.id),)).fetchone()
    if row is None:
        known.add_job(connection, job, changes + 1)
    elif job.rev.commit and (not is_told or known.is_newer(job.rev, Rev(epoch, row[1]))):  # else we never told of it
        known.take_job(connection, row[0], job, changes + 1)


def _take_task(
    connection: apsw.Connection, task: TaskReport, epoch: int, changes: int, *, is_told: bool, failed_with_job: bool
) -> None:
    query = "SELECT key, status, attempt, rev FROM tasks WHERE id = ?"
    row = connection.execute(query, (rows.id_bytes(task.id),)).fetchone()
    if row is None:
        known.keep_for_later(connection, task, failed_with_job=failed_with_job)
        return
    key, status, attempt, rev = row
    if known.is_better(task, status, attempt, Rev(epoch, rev), is_told=is_told):
        known.take_task(connection, key, task, changes + 1, failed_with_job=failed_with_job)
        known.look_again(connection, rows.job_key_of(key))


def _settle(connection: apsw.Connection, feed: str, reply: ResyncReply) -> None:
    for job in reply.erased:  # at once: when the order comes again Workers may have begun with it
        key = connection.execute("SELECT key FROM jobs WHERE id = ?", (rows.id_bytes(job),)).get
        if key is not None:
            ErasingStore.erasure(key, job)(connection)
    found: Any = connection.execute(_COUNTS).fetchall()
    known.recount(connection, found)
    connection.execute("DELETE FROM reports")
    # Numbers of orders begin anew: those of the past must not stand in the way of those to come.
    connection.execute("DELETE FROM orders WHERE result IS NULL")
    lowest = connection.execute("SELECT min(0, coalesce(min(number), 0)) FROM orders").get
    connection.execute("UPDATE orders SET number = ? - number, unreported = 0 WHERE number > 0", (lowest,))
    for table in ("jobs", "tasks", "frames", "workers"):
        connection.execute(f"UPDATE {table} SET unreported = 1")  # noqa: S608 (constants)
    connection.execute(
        _SETTLE,
        (
            *(rows.id_bytes(feed), rows.id_bytes(reply.feed), reply.epoch, reply.commit),
            *(reply.last_order, reply.last_order_digest, reply.attempts_above, NO_DIGEST),
        ),
    )
