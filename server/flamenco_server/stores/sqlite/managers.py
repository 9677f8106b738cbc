"""Managers and their links in SQLite."""

from collections.abc import Sequence
from datetime import datetime

import apsw

from flamenco_core.wire.manager_api import Hello
from flamenco_core.wire.schema import rfc3339
from flamenco_runtime.journal import Journal
from flamenco_server.asking import Asker
from flamenco_server.managers import Link, ManagerNameTaken
from flamenco_server.stores.sqlite.farm import read_tags
from flamenco_server.stores.sqlite.issuing import issue_waiting
from flamenco_server.stores.sqlite.orders import digest_of_order, issue, last_order
from flamenco_server.stores.sqlite.rows import first
from flamenco_server.tags import put_tag_order


class SqliteManagers:
    """Implements ``ManagerStore``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def add_manager(self, manager_id: str, name: str, token_sha256: str, now: datetime) -> None:
        """Add a Manager. Raises ManagerNameTaken."""

        def work(db: apsw.Connection) -> None:
            if first(db.execute("SELECT id FROM managers WHERE name = ?", (name,))):
                raise ManagerNameTaken(name)
            insert_manager(db, manager_id, name, token_sha256, now)

        await self._journal.write(work)

    async def link(self, manager_id: str) -> Link:
        """Return the link with a Manager that exists."""
        return await self._journal.read(lambda db: link_of(db, manager_id))

    async def order_digest(self, manager_id: str, number: int) -> str | None:
        """Return the digest of an order and all before it; that before the first for 0; None if never issued."""
        return await self._journal.read(lambda db: digest_of_order(db, manager_id, number))

    async def record_hello(self, manager_id: str, hello: Hello, now: datetime) -> Sequence[str]:
        """Keep what a Manager says of itself, and issue to it the compiled jobs that wait for one."""

        def work(db: apsw.Connection) -> Sequence[str]:
            db.execute(
                "UPDATE managers SET software = ?, platform = ?, feed = ?, last_seen = ?, begun_from = NULL,"
                " order_acknowledged = max(order_acknowledged, ?) WHERE id = ?",
                (hello.software, hello.platform, hello.feed, rfc3339(now), hello.last_order, manager_id),
            )
            db.execute("DELETE FROM link_requests WHERE manager = ?", (manager_id,))  # its token has arrived
            return issue_waiting(db, manager_id, now)

        return await self._journal.write(work)


def insert_manager(db: apsw.Connection, manager_id: str, name: str, token_sha256: str, now: datetime) -> None:
    """Add a Manager whose name is free."""
    db.execute(
        "INSERT INTO managers (id, name, token_sha256, created_at) VALUES (?, ?, ?, ?)",
        (manager_id, name, token_sha256, rfc3339(now)),
    )
    for tag in read_tags(db):
        issue(db, manager_id, put_tag_order(tag, Asker(name, now)))


def link_of(db: apsw.Connection, manager_id: str) -> Link:
    """Read the link with a Manager that exists."""
    row = first(db.execute("SELECT * FROM managers WHERE id = ?", (manager_id,)))
    feed = first(db.execute("SELECT value FROM facts WHERE name = 'feed'"))
    assert row is not None
    assert feed is not None
    return Link(
        manager_id=manager_id,
        manager_name=row["name"],
        server_feed=row["server_feed"] or feed["value"],
        manager_feed=row["feed"],
        last_order=last_order(db, manager_id)[0],
        order_acknowledged=row["order_acknowledged"],
        last_report=row["last_report"],
        last_report_digest=row["last_report_sha256"],
        epoch=row["epoch"],
        begun_from=row["begun_from"],
        had_gone_back=bool(row["had_gone_back"]),
    )
