"""Requests for links in SQLite."""

from collections.abc import Sequence
from datetime import datetime

import apsw

from flamenco_core.wire.linking import LinkStatus
from flamenco_core.wire.schema import rfc3339
from flamenco_runtime.journal import Journal
from flamenco_server.linking import (
    CODE_LIFE,
    MOST_GUESSES,
    MOST_PER_ORIGIN,
    MOST_REQUESTS,
    Confirmation,
    LinkRequest,
    ManagerRuns,
    NoSuchLinkRequest,
    TooManyLinkRequests,
)
from flamenco_server.managers import ManagerNameTaken, NoSuchManager
from flamenco_server.records import Manager
from flamenco_server.stores.sqlite.managers import insert_manager
from flamenco_server.stores.sqlite.rows import Row, first, manager_of, rows

_OPEN = "status = 'waiting' AND expires_at > ?"


class SqliteLinkRequests:
    """Implements ``LinkRequestStore``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def add_request(self, request: LinkRequest) -> None:
        """Keep a request, if there is room for it. Raises TooManyLinkRequests."""
        await self._journal.write(lambda db: _add(db, request))

    async def request(self, request_id: str) -> LinkRequest | None:
        """Return a request."""
        return await self._journal.read(lambda db: _found(db, request_id))

    async def open_requests(self, now: datetime) -> Sequence[LinkRequest]:
        """Return those that wait for a person, oldest first."""
        query = f"SELECT * FROM link_requests WHERE {_OPEN} ORDER BY asked_at, id"  # noqa: S608 (a constant)

        def work(db: apsw.Connection) -> Sequence[LinkRequest]:
            return [_request_of(row) for row in rows(db.execute(query, (rfc3339(now),)))]

        return await self._journal.read(work)

    async def try_code(self, code_sha256: str, now: datetime) -> LinkRequest | int | None:
        """Return the open request with this code, or count a wrong guess at each that is open."""

        def work(db: apsw.Connection) -> LinkRequest | int | None:
            query = f"SELECT * FROM link_requests WHERE code_sha256 = ? AND {_OPEN}"  # noqa: S608 (a constant)
            row = first(db.execute(query, (code_sha256, rfc3339(now))))
            return _request_of(row) if row else _count_wrong_guess(db, rfc3339(now))

        return await self._journal.write(work)

    async def manager_named(self, name: str) -> Manager | None:
        """Return the Manager of this name."""

        def work(db: apsw.Connection) -> Manager | None:
            row = first(db.execute("SELECT * FROM managers WHERE name = ?", (name,)))
            return manager_of(row) if row else None

        return await self._journal.read(work)

    async def refuse(self, request_id: str, now: datetime) -> bool:
        """Turn an open request down; tells whether it was open."""

        def work(db: apsw.Connection) -> bool:
            statement = f"UPDATE link_requests SET status = 'refused' WHERE id = ? AND {_OPEN}"  # noqa: S608 (a constant)
            db.execute(statement, (request_id, rfc3339(now)))
            return db.changes() == 1

        return await self._journal.write(work)

    async def confirm(self, confirmation: Confirmation, now: datetime) -> LinkRequest:
        """Make the Manager, or give the one that is linked again its new token, in one step.

        Raises NoSuchLinkRequest, ManagerNameTaken, ManagerRuns, NoSuchManager.
        """

        def work(db: apsw.Connection) -> LinkRequest:
            request = _found(db, confirmation.request_id)
            if request is None or not request.is_open(now):
                raise NoSuchLinkRequest
            manager_id = _relinked(db, confirmation, now) if confirmation.relink else _added(db, confirmation, now)
            db.execute(
                "UPDATE link_requests SET status = 'confirmed', expires_at = ?, manager = ?, sealed_token = ?"
                " WHERE id = ?",
                (rfc3339(now + CODE_LIFE), manager_id, confirmation.sealed_token, request.id),
            )
            linked = _found(db, request.id)
            assert linked is not None
            return linked

        return await self._journal.write(work)


def _add(db: apsw.Connection, request: LinkRequest) -> None:
    db.execute("DELETE FROM link_requests WHERE expires_at <= ?", (rfc3339(request.asked_at),))
    oldest = "SELECT count(*) AS many, min(expires_at) AS over FROM link_requests"
    for found, most in (
        (first(db.execute(oldest)), MOST_REQUESTS),
        (first(db.execute(f"{oldest} WHERE origin = ?", (request.origin,))), MOST_PER_ORIGIN),
    ):
        assert found is not None
        if found["many"] >= most:
            over = datetime.fromisoformat(found["over"]) - request.asked_at
            raise TooManyLinkRequests(max(1, int(over.total_seconds())))
    db.execute(
        "INSERT INTO link_requests (id, code_sha256, name, public_key, address, origin, software, platform, asked_at,"
        " expires_at, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(request.id, request.code_sha256, request.name, request.public_key, request.address, request.origin),
            *(request.software, request.platform, rfc3339(request.asked_at), rfc3339(request.expires_at)),
            request.status.value,
        ),
    )


def _count_wrong_guess(db: apsw.Connection, now: str) -> int | None:
    """Count a wrong guess at every open request; returns how many more the one with the most stands."""
    db.execute(f"UPDATE link_requests SET wrong_guesses = wrong_guesses + 1 WHERE {_OPEN}", (now,))  # noqa: S608
    found = first(db.execute(f"SELECT max(wrong_guesses) AS most FROM link_requests WHERE {_OPEN}", (now,)))  # noqa: S608
    assert found is not None
    if found["most"] is None:
        return None
    db.execute(
        "UPDATE link_requests SET status = 'ended' WHERE status = 'waiting' AND wrong_guesses >= ?", (MOST_GUESSES,)
    )
    return max(0, MOST_GUESSES - int(found["most"]))


def _added(db: apsw.Connection, confirmation: Confirmation, now: datetime) -> str:
    if first(db.execute("SELECT id FROM managers WHERE name = ?", (confirmation.name,))):
        raise ManagerNameTaken(confirmation.name)
    insert_manager(db, confirmation.new_manager_id, confirmation.name, confirmation.token_sha256, now)
    return confirmation.new_manager_id


def _relinked(db: apsw.Connection, confirmation: Confirmation, now: datetime) -> str:
    row = first(db.execute("SELECT * FROM managers WHERE id = ?", (confirmation.relink,)))
    if row is None:
        raise NoSuchManager(confirmation.relink or "")
    manager = manager_of(row)
    if not manager.is_away(now):
        raise ManagerRuns(manager.name)
    db.execute("UPDATE managers SET token_sha256 = ? WHERE id = ?", (confirmation.token_sha256, manager.id))
    return manager.id


def _found(db: apsw.Connection, request_id: str) -> LinkRequest | None:
    row = first(db.execute("SELECT * FROM link_requests WHERE id = ?", (request_id,)))
    if row is None:
        return None
    name = first(db.execute("SELECT name FROM managers WHERE id = ?", (row["manager"],)))
    return _request_of(row, name["name"] if name else None)


def _request_of(row: Row, manager_name: str | None = None) -> LinkRequest:
    return LinkRequest(
        id=row["id"],
        code_sha256=row["code_sha256"],
        name=row["name"],
        public_key=row["public_key"],
        address=row["address"],
        origin=row["origin"],
        software=row["software"],
        platform=row["platform"],
        asked_at=datetime.fromisoformat(row["asked_at"]),
        expires_at=datetime.fromisoformat(row["expires_at"]),
        status=LinkStatus(row["status"]),
        wrong_guesses=row["wrong_guesses"],
        manager_id=row["manager"],
        manager_name=manager_name,
        sealed_token=row["sealed_token"],
    )
