"""What waits for the Server: results of orders, numbered reports, logs, thumbnails (manager-api.md)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import apsw
import orjson

from flamenco_core.wire.manager_api import NO_DIGEST, Order
from flamenco_manager.stores import reports, rows
from flamenco_manager.stores.farm_store import Also
from flamenco_runtime.journal import Journal, executing

_NOTE_ORDER = "INSERT OR IGNORE INTO orders SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, changes FROM link"

MOST_ROWS = 1_000
"""A report holds at most so many objects of a kind; the next report has the rest."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """How far this Manager and its Server have come with each other."""

    feed: str
    server_feed: str | None
    last_order: int
    last_order_digest: str
    next_report: int
    last_report_digest: str


@dataclass(frozen=True, slots=True)
class FrozenReport:
    """A report as it is sent, however often."""

    number: int
    body: bytes
    is_all: bool = True
    """It holds all that was not reported when it was frozen."""


@dataclass(frozen=True, slots=True)
class LogUpload:
    """A log that the Server is to get: the attempt has ended."""

    task_key: int
    task: str
    job: str
    attempt: int


class Outbox:
    """Keeps orders applied, reports frozen and uploads due, until the Server has them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def state(self) -> LinkState:
        """Return how far both sides have come."""
        return await self._journal.read(link_state)

    async def adopt_server(self, feed: str) -> None:
        """Note the feed of the Server's store."""
        await self._write("UPDATE link SET server_feed = ?, is_restored = 0", (rows.id_bytes(feed),))

    async def farm_settings(self) -> Mapping[str, Any]:
        """Return the farm's settings that the Server said last."""
        query = "SELECT farm_settings FROM link"
        document: Mapping[str, Any] = orjson.loads(
            await self._journal.read(lambda connection: connection.execute(query).get)
        )
        return document

    @staticmethod
    def keep_farm_settings(document: Mapping[str, Any]) -> Also:
        """Make the part of a transaction that keeps the farm's settings."""
        body = orjson.dumps(document).decode()

        def work(connection: apsw.Connection) -> None:
            connection.execute("UPDATE link SET farm_settings = ?", (body,))

        return work

    async def has_applied(self, order_id: str) -> bool:
        """Tell whether an order was applied before, under whatever number."""
        query = "SELECT 1 FROM orders WHERE id = ? LIMIT 1"
        found = await self._journal.read(lambda connection: connection.execute(query, (rows.id_bytes(order_id),)).get)
        return found is not None

    @staticmethod
    def order_note(order: Order, digest: str, applied: "OrderNote") -> Also:
        """Make the part of a transaction that stores an order's number, id and result."""
        bindings = (
            order.order,
            rows.id_bytes(order.id),
            order.kind,
            rows.id_bytes(applied.job) if applied.job else None,
            applied.at.timestamp(),
            applied.result,
            applied.why,
            applied.result is not None,
            orjson.dumps(applied.answer) if applied.answer is not None else None,
        )

        def work(connection: apsw.Connection) -> None:
            connection.execute(_NOTE_ORDER, bindings)
            connection.execute("UPDATE link SET last_order = ?, last_order_digest = ?", (order.order, digest))

        return work

    @staticmethod
    def submission_result(job: str, result: str, why: str = "") -> Also:
        """Make the part of a transaction that says what became of the order that submitted a job."""
        statement = "UPDATE orders SET result = ?, why = ?, unreported = 1 WHERE job = ? AND result IS NULL"

        def work(connection: apsw.Connection) -> None:
            connection.execute(statement, (result, why, rows.id_bytes(job)))

        return work

    async def unsent(self) -> FrozenReport | None:
        """Return the first report that the Server has not acknowledged, if any is frozen."""
        query = "SELECT number, body FROM reports ORDER BY number LIMIT 1"
        row = await self._journal.read(lambda connection: connection.execute(query).fetchone())
        return None if row is None else FrozenReport(*row)

    async def freeze(self, now: datetime) -> FrozenReport | None:
        """Freeze what was not reported yet into the next report; None if there is nothing new.

        What changes while we read stays unreported: its ``rev`` tells.
        """
        made = await self._journal.read(_next_report, is_long=True)
        if made is None:
            return None
        report, gathered = made
        digest = hashlib.sha256(report.body).hexdigest()

        def work(connection: apsw.Connection) -> None:
            connection.execute("INSERT INTO reports VALUES (?, ?, ?)", (report.number, report.body, digest))
            connection.execute("UPDATE link SET next_report = ?, last_report_digest = ?", (report.number + 1, digest))
            reports.mark_reported(connection, gathered)

        await self._journal.write(work)
        return report

    async def acknowledged(self, number: int) -> None:
        """Drop the reports up to this number: the Server has them on disk."""
        await self._write("DELETE FROM reports WHERE number <= ?", (number,))

    async def first_report(self) -> tuple[int, str]:
        """Return the number of the first report that we hold or will make, and the digest of the one before it."""
        state = await self.state()
        row = await self._journal.read(
            lambda connection: connection.execute("SELECT number, body FROM reports ORDER BY number LIMIT 1").fetchone()
        )
        if row is None:
            return state.next_report, state.last_report_digest
        return row[0], str(orjson.loads(row[1])["previous"])

    async def log_uploads(self, most: int = 100) -> Sequence[LogUpload]:
        """Return logs that the Server is to get."""
        query = """
        SELECT log_uploads.task, tasks.id, jobs.id, log_uploads.attempt
        FROM log_uploads JOIN tasks ON tasks.key = log_uploads.task JOIN jobs ON jobs.key = tasks.key >> 20 LIMIT ?
        """
        found: Any = await self._journal.read(lambda connection: connection.execute(query, (most,)).fetchall())
        return [LogUpload(key, rows.id_text(task), rows.id_text(job), attempt) for key, task, job, attempt in found]

    async def log_uploaded(self, upload: LogUpload) -> None:
        """Note that the Server has a log."""
        statement = "DELETE FROM log_uploads WHERE task = ? AND attempt = ?"
        await self._write(statement, (upload.task_key, upload.attempt))

    async def queue_log(self, task_key: int, attempt: int) -> None:
        """Let a log be sent again: something was added to it after its attempt had ended."""
        await self._write("INSERT OR IGNORE INTO log_uploads VALUES (?, ?)", (task_key, attempt))

    async def queue_preview(self, job: str, frame: int) -> None:
        """Let the thumbnail of a frame be sent."""
        await self._write("INSERT OR IGNORE INTO preview_uploads VALUES (?, ?)", (rows.id_bytes(job), frame))

    async def preview_uploads(self, most: int = 100) -> Sequence[tuple[str, int]]:
        """Return (job, frame) of thumbnails that the Server is to get."""
        query = "SELECT job, frame FROM preview_uploads LIMIT ?"
        found: Any = await self._journal.read(lambda connection: connection.execute(query, (most,)).fetchall())
        return [(rows.id_text(job), frame) for job, frame in found]

    async def preview_uploaded(self, job: str, frame: int) -> None:
        """Note that the Server has a thumbnail."""
        await self._write("DELETE FROM preview_uploads WHERE job = ? AND frame = ?", (rows.id_bytes(job), frame))

    async def job_of(self, task_id: str) -> str | None:
        """Return the id of the job that a task belongs to."""
        query = "SELECT jobs.id FROM tasks JOIN jobs ON jobs.key = tasks.key >> 20 WHERE tasks.id = ?"
        found = await self._journal.read(lambda connection: connection.execute(query, (rows.id_bytes(task_id),)).get)
        return rows.id_text(found) if found is not None else None

    async def _write(self, statement: str, bindings: tuple[Any, ...]) -> None:
        await self._journal.write(executing(statement, [bindings]))


@dataclass(frozen=True, slots=True)
class OrderNote:
    """What became of an order; ``result`` is None while a submitted job is being fetched."""

    at: datetime
    result: str | None
    why: str = ""
    job: str | None = None
    answer: Mapping[str, Any] | None = None


def prepare_link(connection: apsw.Connection, new_feed: str) -> None:
    """Give a store that was just made its feed."""
    if connection.execute("SELECT 1 FROM link").get is None:
        connection.execute(
            "INSERT INTO link (feed, last_order_digest, last_report_digest) VALUES (?, ?, ?)",
            (rows.id_bytes(new_feed), NO_DIGEST, NO_DIGEST),
        )


def link_state(connection: apsw.Connection) -> LinkState:
    """Read how far both sides have come."""
    query = "SELECT feed, server_feed, last_order, last_order_digest, next_report, last_report_digest FROM link"
    row: Any = connection.execute(query).fetchone()
    feed, server_feed, *rest = row
    return LinkState(rows.id_text(feed), rows.id_text(server_feed) if server_feed else None, *rest)


def _next_report(connection: apsw.Connection) -> tuple[FrozenReport, reports.Gathered] | None:
    """Write what was not reported yet, in the reader's thread: a thousand objects would keep others waiting."""
    gathered = reports.gather(connection, MOST_ROWS)
    if gathered.is_empty:
        return None
    state = link_state(connection)
    document = {"report": state.next_report, "previous": state.last_report_digest, **gathered.objects}
    is_all = all(len(objects) < MOST_ROWS for objects in gathered.objects.values())
    return FrozenReport(state.next_report, orjson.dumps(document), is_all), gathered
