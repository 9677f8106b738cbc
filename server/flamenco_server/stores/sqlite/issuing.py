"""Giving compiled jobs to Managers, within the transaction that makes them ready."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import apsw

from flamenco_core.wire.schema import rfc3339
from flamenco_server.orders import submit_order
from flamenco_server.records import AWAY_AFTER, Job
from flamenco_server.stores.sqlite.orders import issue
from flamenco_server.stores.sqlite.reading import read_job
from flamenco_server.stores.sqlite.rows import Row, as_json, first, rows


class _NeverRunnable(Exception):
    """A job can be given to no Manager; the message says why."""


def issue_if_possible(db: apsw.Connection, job_id: str, now: datetime) -> str | None:
    """Issue a compiled job to the Manager that suits it; returns the Manager's id, None if the job waits for one.

    Of those that ever said hello it is one that is not away, of these the oldest; but a job that needs others goes
    where they are, and after them. A job that can never run fails. Jobs that only waited for this one follow it.
    """
    job = read_job(db, job_id)
    try:
        needed = _needed_rows(db, job)
        if any(row["manager"] is None for row in needed):
            return None
        manager_id = _manager_of(needed) or _oldest_manager(db, now)
    except _NeverRunnable as reason:
        _fail(db, job_id, str(reason), now)
        issue_followers(db, job_id, now)
        return None
    if manager_id is not None:
        _issue_job(db, job, manager_id, now)
        issue_followers(db, job_id, now)
    return manager_id


def issue_followers(db: apsw.Connection, job_id: str, now: datetime) -> None:
    """Look again at the compiled jobs that wait for a job which was issued, or has ended without a Manager."""
    found = db.execute(
        "SELECT id FROM jobs WHERE manager IS NULL AND finished_at IS NULL AND compiled AND EXISTS"
        " (SELECT 1 FROM json_each(terms, '$.needs_jobs') WHERE value ->> 'job' = ?) ORDER BY number",
        (job_id,),
    )
    for follower in [row["id"] for row in rows(found)]:
        issue_if_possible(db, follower, now)


def issue_waiting(db: apsw.Connection, manager_id: str, now: datetime) -> Sequence[str]:
    """Issue the compiled jobs that wait, now that this Manager is there; returns the ids of those that it got."""
    waiting = [
        row["id"]
        for row in rows(
            db.execute("SELECT id FROM jobs WHERE manager IS NULL AND finished_at IS NULL AND compiled ORDER BY number")
        )
    ]
    for job_id in waiting:
        if first(db.execute("SELECT 1 FROM jobs WHERE id = ? AND manager IS NULL AND finished_at IS NULL", (job_id,))):
            issue_if_possible(db, job_id, now)
    got = "SELECT id FROM jobs WHERE manager = ? AND id IN (SELECT value FROM json_each(?)) ORDER BY number"
    return [row["id"] for row in rows(db.execute(got, (manager_id, as_json(waiting))))]


def _needed_rows(db: apsw.Connection, job: Job) -> Sequence[Row]:
    """Return those of the needed jobs that the job has still to wait for. Raises _NeverRunnable."""
    query = "SELECT id, name, manager, status, finished_at FROM jobs WHERE id IN (SELECT value FROM json_each(?))"
    ids = as_json([needed.job for needed in job.terms.needs_jobs])
    found = {row["id"]: row for row in rows(db.execute(query, (ids,)))}
    waits = [needed for needed in job.terms.needs_jobs if not _is_over(found.get(needed.job))]
    for needed in job.terms.needs_jobs:
        if needed not in waits and not needed.ended:
            row = found.get(needed.job)
            what = f"the job {row['name']!r}, which is {row['status']}" if row else "a job that is gone"
            raise _NeverRunnable(f"It waits for {what}.")
    if len(waits) < len(job.terms.needs_jobs):
        terms = replace(job.terms, needs_jobs=waits)
        db.execute("UPDATE jobs SET terms = ? WHERE id = ?", (as_json(terms), job.id))
    return [found[needed.job] for needed in waits]


def _is_over(row: Row | None) -> bool:
    """Tell whether no Manager will ever have a job."""
    return row is None or (row["manager"] is None and row["finished_at"] is not None)


def _manager_of(needed: Sequence[Row]) -> str | None:
    managers = {row["manager"] for row in needed}
    if len(managers) > 1:
        raise _NeverRunnable("It waits for jobs that are on different Managers.")
    return next(iter(managers), None)


def _oldest_manager(db: apsw.Connection, now: datetime) -> str | None:
    row = first(
        db.execute(
            "SELECT id FROM managers WHERE feed IS NOT NULL ORDER BY last_seen < ?, created_at, id LIMIT 1",
            (rfc3339(now - AWAY_AFTER),),
        )
    )
    return str(row["id"]) if row else None


def _issue_job(db: apsw.Connection, job: Job, manager_id: str, now: datetime) -> None:
    """Issue a compiled job, once: from now on it is the Manager's."""
    db.execute(
        "UPDATE jobs SET manager = ?1, activity = 'Manager ' || (SELECT name FROM managers WHERE id = ?1)"
        " || ' fetches it' WHERE id = ?2",
        (manager_id, job.id),
    )
    issue(db, manager_id, submit_order(job.id, job.owner, now))


def _fail(db: apsw.Connection, job_id: str, why: str, now: datetime) -> None:
    db.execute(
        "UPDATE jobs SET status = 'failed', reported_status = 'failed', asks = '{}', activity = ?, finished_at = ?"
        " WHERE id = ?",
        (why, rfc3339(now), job_id),
    )
