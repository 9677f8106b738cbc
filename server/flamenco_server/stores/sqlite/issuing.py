"""Giving compiled jobs to Managers, within the transaction that makes them ready."""

from collections.abc import Sequence
from datetime import datetime

import apsw

from flamenco_core.wire.schema import rfc3339
from flamenco_server.orders import submit_order
from flamenco_server.records import AWAY_AFTER
from flamenco_server.stores.sqlite.orders import issue
from flamenco_server.stores.sqlite.rows import first, rows


def choose_manager(db: apsw.Connection, now: datetime) -> str | None:
    """Return the Manager for a new job: of those that ever said hello one that is not away, of these the oldest."""
    row = first(
        db.execute(
            "SELECT id FROM managers WHERE feed IS NOT NULL ORDER BY last_seen < ?, created_at, id LIMIT 1",
            (rfc3339(now - AWAY_AFTER),),
        )
    )
    return str(row["id"]) if row else None


def issue_job(db: apsw.Connection, job_id: str, manager_id: str, now: datetime) -> None:
    """Issue a compiled job, once: from now on it is the Manager's."""
    row = first(
        db.execute(
            "UPDATE jobs SET manager = ?1, activity = 'Manager ' || (SELECT name FROM managers WHERE id = ?1)"
            " || ' fetches it' WHERE id = ?2 AND manager IS NULL RETURNING owner",
            (manager_id, job_id),
        )
    )
    if row is not None:
        issue(db, manager_id, submit_order(job_id, row["owner"], now))


def issue_waiting(db: apsw.Connection, manager_id: str, now: datetime) -> Sequence[str]:
    """Issue all compiled jobs that wait for a Manager to this one, oldest first; returns their ids."""
    waiting = [
        row["id"]
        for row in rows(
            db.execute(
                "SELECT id FROM jobs WHERE manager IS NULL AND compiled AND status = 'under-construction'"
                " ORDER BY number"
            )
        )
    ]
    for job_id in waiting:
        issue_job(db, job_id, manager_id, now)
    return waiting
