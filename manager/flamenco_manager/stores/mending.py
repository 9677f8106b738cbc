"""What can be mended in a store that no Manager uses: all in one transaction."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import apsw

from flamenco_core.errors import Conflict, FlamencoError
from flamenco_core.statuses import JobStatus
from flamenco_manager import job_rules
from flamenco_manager.checking import LOST, Finding, check_farm
from flamenco_manager.farm import Farm
from flamenco_manager.foreman import put_back
from flamenco_manager.long_work import OnProgress
from flamenco_manager.model import Moment, Policy
from flamenco_manager.stores.arrivals import SLICE_TASKS
from flamenco_manager.stores.farm_batch import FarmBatch
from flamenco_manager.stores.farm_store import load_farm
from flamenco_manager.stores.references import check_pages
from flamenco_manager.stores.row_checks import check_rows

ROUNDS = 5
"""Mending one thing may show another: a task that is queued again changes what its job counts."""


class NotMended(Conflict):
    """What was mended did not stay so; nothing was changed."""

    type = "not-mended"


def check_stopped(path: Path, on_progress: OnProgress = lambda _: None) -> Sequence[Finding]:
    """Look at a store, and at the farm that a Manager would make of it. Raises apsw.Error."""
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        connection.execute("BEGIN")
        found = list(check_pages(connection))
        found = found or list(check_rows(connection, SLICE_TASKS, on_progress))
        return found or list(_check_farm(connection))  # a farm of rows that do not fit says the same once more


def mend(path: Path) -> Sequence[Finding]:
    """Mend what can be mended; returns what that was. Raises NotMended, apsw.Error."""
    with closing(apsw.Connection(str(path))) as connection:
        connection.pragma("synchronous", 2)  # FULL
        connection.execute("BEGIN IMMEDIATE")
        try:
            mended = [*_mend_rows(connection), *_mend_statuses(connection)]
            _check_mended(connection)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        return mended


def _mend_rows(connection: apsw.Connection) -> Iterator[Finding]:
    for number in range(ROUNDS):
        findings = [finding for finding in check_rows(connection, SLICE_TASKS) if finding.mending]
        if not number:
            connection.execute("UPDATE link SET changes = changes + 1")  # the rev of all that is mended
        for finding in findings:
            for statement, bindings in finding.mending:
                connection.execute(statement, bindings)
            yield finding
        if not findings:
            return


def _mend_statuses(connection: apsw.Connection) -> Iterator[Finding]:
    """Apply the rule that ends a job to those that have not ended, as a Manager does when it starts."""
    now = Moment(datetime.now(UTC), 0.0)
    farm = _farm_of(connection, now)
    before = {job.id: job.status for job in farm.jobs.values()}
    for job in list(farm.jobs.values()):
        if job.status is not JobStatus.UNDER_CONSTRUCTION:
            job_rules.look_at_end(farm, job, now)
        if job.status is not before[job.id]:
            yield Finding(f"job {job.id}", f"It was {before[job.id]}; by its tasks it is {job.status}.", "")
    changes = farm.take_changes()
    if changes:
        batch = FarmBatch()
        batch.add(changes, now)
        batch.write(connection)


def _check_mended(connection: apsw.Connection) -> None:
    left = [*check_rows(connection, SLICE_TASKS), *_check_farm(connection)]
    if found := [finding for finding in left if finding.is_repairable]:
        raise NotMended(f"Nothing was changed: it could not be mended that {found[0]}")


def _check_farm(connection: apsw.Connection) -> Iterator[Finding]:
    try:
        farm = _farm_of(connection, Moment(datetime.now(UTC), 0.0))
    except (FlamencoError, LookupError, ValueError, TypeError) as error:
        yield Finding("store", f"A Manager could not read it: {error!r}.", LOST)
        return
    yield from check_farm(farm)


def _farm_of(connection: apsw.Connection, now: Moment) -> Farm:
    farm = Farm(Policy(), changes_so_far=connection.execute("SELECT changes FROM link").get)
    stored_jobs = load_farm(connection, farm, now)
    for stored in stored_jobs:
        farm.jobs[stored.job.id] = stored.job
    for stored in stored_jobs:
        if stored.job.status is not JobStatus.UNDER_CONSTRUCTION:
            put_back(farm, stored, now)
    return farm
