"""Orders in SQLite."""

from collections.abc import Sequence
from datetime import datetime

import apsw
import orjson

from flamenco_core.wire.manager_api import NO_DIGEST, Order, order_digest
from flamenco_core.wire.schema import rfc3339
from flamenco_runtime.journal import Journal
from flamenco_server.orders import NewOrder, OrderAnswer, UnknownOrder
from flamenco_server.stores.sqlite.rows import Row, as_json, first, moment, rows


class SqliteOrders:
    """Implements ``OrderStore``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def issue(self, manager_id: str, order: NewOrder) -> None:
        """Give an order the Manager's next number, and keep it."""
        await self._journal.write(lambda db: issue(db, manager_id, order))

    async def issue_unless_recent(self, manager_id: str, order: NewOrder, since: datetime) -> bool:
        """Issue it, unless one of the same kind and details was issued at ``since`` or later; tells whether it was."""

        def work(db: apsw.Connection) -> bool:
            recent = first(
                db.execute(
                    "SELECT number FROM orders WHERE manager = ? AND kind = ? AND details = ? AND asked_at >= ?",
                    (manager_id, order.kind, as_json(order.details), rfc3339(since)),
                )
            )
            if recent is None:
                issue(db, manager_id, order)
            return recent is None

        return await self._journal.write(work)

    async def acknowledge(self, manager_id: str, number: int, now: datetime) -> None:
        """Note that the Manager stored all orders up to this one, and was heard of. Raises UnknownOrder."""

        def work(db: apsw.Connection) -> None:
            if number > last_order(db, manager_id)[0]:
                raise UnknownOrder(number)
            db.execute(
                "UPDATE managers SET order_acknowledged = max(order_acknowledged, ?), last_seen = ? WHERE id = ?",
                (number, rfc3339(now), manager_id),
            )

        await self._journal.write(work)

    async def orders_after(self, manager_id: str, number: int, limit: int) -> Sequence[Order]:
        """Return the orders behind a number, oldest first."""

        def work(db: apsw.Connection) -> Sequence[Order]:
            found = db.execute(
                "SELECT * FROM orders WHERE manager = ? AND number > ? ORDER BY number LIMIT ?",
                (manager_id, number, limit),
            )
            return [_order_of(row) for row in rows(found)]

        return await self._journal.read(work)

    async def order_answer(self, order_id: str) -> OrderAnswer | None:
        """Return what became of an order, None while its Manager has not said so."""

        def work(db: apsw.Connection) -> OrderAnswer | None:
            query = "SELECT result, why, answer FROM orders WHERE id = ? AND result IS NOT NULL"
            row = first(db.execute(query, (order_id,)))
            if row is None:
                return None
            return OrderAnswer(row["result"], row["why"], orjson.loads(row["answer"]) if row["answer"] else None)

        return await self._journal.read(work)


def issue(db: apsw.Connection, manager_id: str, new: NewOrder) -> None:
    """Insert an order as the Manager's next, within the caller's transaction."""
    number, previous = last_order(db, manager_id)
    order = Order(number + 1, new.id, new.kind, new.details, new.asked_by, new.asked_at, new.expires)
    db.execute(
        "INSERT INTO orders (manager, number, id, kind, details, asked_by, asked_at, expires, digest)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(manager_id, order.order, order.id, order.kind, as_json(order.details), order.asked_by),
            *(rfc3339(order.asked_at), rfc3339(order.expires) if order.expires else None),
            order_digest(previous, order),
        ),
    )


def issue_again(db: apsw.Connection, manager_id: str, number: int) -> None:
    """Give an order that was issued before the next number, as if nobody had heard of it; its id stays."""
    last, previous = last_order(db, manager_id)
    row = first(db.execute("SELECT * FROM orders WHERE manager = ? AND number = ?", (manager_id, number)))
    assert row is not None
    order = _order_of({**row, "number": last + 1})
    db.execute(
        "UPDATE orders SET number = ?, digest = ?, result = NULL, why = '', answer = NULL"
        " WHERE manager = ? AND number = ?",
        (order.order, order_digest(previous, order), manager_id, number),
    )


def last_order(db: apsw.Connection, manager_id: str) -> tuple[int, str]:
    """Return the number and the digest of the last order issued to a Manager."""
    row = first(
        db.execute(
            "SELECT number, digest FROM orders WHERE manager = ?1 UNION ALL"
            " SELECT order_base, order_base_digest FROM managers WHERE id = ?1 ORDER BY number DESC LIMIT 1",
            (manager_id,),
        )
    )
    assert row is not None
    return row["number"], row["digest"]


def digest_of_order(db: apsw.Connection, manager_id: str, number: int) -> str | None:
    """Return the digest of an order and all before it; that before the first for 0; None if never issued."""
    row = first(
        db.execute(
            "SELECT digest FROM orders WHERE manager = ?1 AND number = ?2 UNION ALL"
            " SELECT order_base_digest FROM managers WHERE id = ?1 AND order_base = ?2",
            (manager_id, number),
        )
    )
    return str(row["digest"]) if row else NO_DIGEST if number == 0 else None


def _order_of(row: Row) -> Order:
    return Order(
        order=row["number"],
        id=row["id"],
        kind=row["kind"],
        details=orjson.loads(row["details"]),
        asked_by=row["asked_by"],
        asked_at=datetime.fromisoformat(row["asked_at"]),
        expires=moment(row["expires"]),
    )
