"""Looks at what a Manager has on disk, as it would be found after a crash: a copy, opened by plain SQLite."""

import contextlib
import shutil
from collections import Counter
from collections.abc import Iterator, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import orjson
from fake_server import FakeServer
from farm_builder import check_farm
from happenings import Happenings
from waits import eventually

from flamenco_core.statuses import JobStatus
from flamenco_manager.farm import Farm
from flamenco_manager.foreman import restore
from flamenco_manager.model import Moment, Policy
from flamenco_manager.stores import reports, rows
from flamenco_manager.stores.farm_store import FarmStore
from flamenco_runtime.journal import Journal

NAME = "manager.sqlite"
NOW = Moment(datetime(2026, 1, 31, 12, tzinfo=UTC), 1000.0)
_ALL = 10**7


@contextlib.contextmanager
def copy_of(data: Path, name: str = NAME) -> Iterator[apsw.Connection]:
    """Open a copy of a store, write-ahead log and all; whoever wrote it must be dead, or not writing."""
    target = data.with_suffix(".copy")
    target.mkdir()
    try:
        for file in data.glob(name + "*"):
            shutil.copy(file, target / file.name)
        (target / f"{name}-shm").unlink(missing_ok=True)
        connection = apsw.Connection(str(target / name))
        try:
            yield connection
        finally:
            connection.close()
    finally:
        shutil.rmtree(target)


def check_store(connection: apsw.Connection) -> None:
    """SQLite finds nothing wrong, and what is kept beside rows is what the rows say (I4)."""
    assert connection.execute("PRAGMA integrity_check").get == "ok"
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    counted: dict[int, Counter[str]] = {}
    steps: dict[int, int] = {}
    query = "SELECT key >> 20, status, count(*), sum(steps_completed) FROM tasks GROUP BY 1, 2"
    for key, status, count, done in connection.execute(query):
        counted.setdefault(key, Counter())[status] = count
        steps[key] = steps.get(key, 0) + done
    query = "SELECT key, status, counts, steps_completed FROM jobs"
    for key, status, counts, steps_completed in connection.execute(query):
        if status != "under-construction":
            kept = {name: count for name, count in orjson.loads(counts).items() if count}
            assert kept == dict(counted.get(key, {})), (key, status)
            assert steps_completed == steps.get(key, 0), (key, status)
    orphans = "SELECT count(*) FROM {} WHERE {} >> 20 NOT IN (SELECT key FROM jobs UNION SELECT job FROM erasing)"
    for table, column in (("tasks", "key"), ("attempts", "task"), ("frames", "task"), ("log_uploads", "task")):
        assert connection.execute(orphans.format(table, column)).get == 0, table


def check_acknowledged(connection: apsw.Connection, record: Happenings, gone: Set[str] = frozenset()) -> None:
    """What was acknowledged is there, nothing was done twice, and each task had one holder at a time (I1, I2, I3).

    Tasks that are ``gone`` were to be erased.
    """
    requeued = record.requeued()
    stored = {rows.id_text(task): (status, attempt) for task, status, attempt in _tasks(connection)}
    told = {given.task for given in record.hand_outs} - gone
    assert told <= stored.keys(), "tasks that were handed out"
    for task, ends in record.acknowledged_completed().items():
        if task in gone:
            continue
        status, attempt = stored[task]
        attempts = {end.attempt for end in ends}
        times = len(requeued.get(task, ()))
        assert attempt >= max(attempts), f"{task}: attempt {max(attempts)} was completed, stored is {attempt}"
        is_new = attempt > max(attempts) or status != "completed"
        assert times or not is_new, f"{task}: completed in attempt {max(attempts)}, now {status} in {attempt}"
        assert len(attempts) <= 1 + times, f"{task}: done in attempts {attempts}, queued again {times} times"
    for given in record.hand_outs:
        if given.task in gone:
            continue
        assert stored[given.task][1] >= given.attempt, f"{given.task}: attempt {given.attempt} was handed out"
    _check_holders(record)


def _tasks(connection: apsw.Connection) -> Iterator[tuple[bytes, str, int]]:
    return iter(connection.execute("SELECT id, status, attempt FROM tasks"))


def _check_holders(record: Happenings) -> None:
    holders: dict[tuple[str, int], str] = {}
    newest: dict[str, list[tuple[int, int]]] = {}
    heard: dict[tuple[str, str], int] = {}
    for given in record.hand_outs:
        key = (given.task, given.attempt)
        assert holders.setdefault(key, given.worker) == given.worker, f"{key} was handed to two Workers"
        assert heard.get((given.worker, given.task), 0) < given.attempt, f"{key}: attempts only grow"
        heard[given.worker, given.task] = given.attempt
        newest.setdefault(given.task, []).append((given.attempt, given.at))
    for one in record.said:
        if one.taken and one.status is not None:
            later = [at for attempt, at in newest[one.task] if attempt > one.attempt]
            assert not later or one.began < min(later), f"{one}: taken after the task was given away"


async def check_farm_comes_back(data: Path) -> None:
    """The farm that a restart would make of the store agrees with itself (I1, I4, I6)."""
    with copy_of(data) as connection:
        file = Path(connection.filename)
        journal = await Journal.open(file, lambda _: None)
        try:
            await check_restored(journal)
        finally:
            await journal.close()


async def check_restored(journal: Journal) -> Farm:
    """Make the farm anew from its store, and compare all that it keeps."""
    store = FarmStore(journal)
    farm = Farm(Policy(), changes_so_far=await store.last_change())
    unfinished = await store.load(farm, NOW)
    before = {stored.job.id: stored.job.status for stored in unfinished}
    restore(farm, unfinished, NOW)
    for job_id, status in before.items():
        assert farm.jobs[job_id].status is status, "the store had a job whose end was not noticed"
        assert not farm.jobs[job_id].status.is_ended
    check_farm(farm)
    query = "SELECT id FROM jobs WHERE status IN ('completed', 'failed', 'canceled')"
    ended: Any = await journal.read(lambda connection: connection.execute(query).fetchall())
    for (job,) in ended:
        stored_job = await store.load_job(rows.id_text(job), farm, NOW)
        assert stored_job is not None
        assert all(not task.is_held for task in stored_job.tasks)
        if stored_job.job.status is JobStatus.COMPLETED:
            assert all(task.status == "completed" for task in stored_job.tasks)
    return farm


def has_told_everything(file: Path) -> bool:
    """Tell whether a Manager that runs has nothing left to report, and all of it is acknowledged."""
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.set_busy_timeout(1000)
        left = sum(
            connection.execute(f"SELECT count(*) FROM {table} {condition}").get
            for table, condition in (
                *((name, "WHERE unreported = 1") for name in ("jobs", "tasks", "workers", "orders", "frames")),
                *((name, "") for name in ("reports", "log_uploads", "preview_uploads", "log_pieces")),
            )
        )
    finally:
        connection.close()
    return not left


async def until_all_is_told(data: Path, deadline_s: float = 60.0) -> None:
    """Wait until the Server has all that a Manager has to tell."""
    await eventually(lambda: has_told_everything(data / NAME), deadline_s)


def check_mirror(connection: apsw.Connection, server: FakeServer) -> None:
    """The Server's mirror is what the Manager has (I7)."""
    for table in ("jobs", "tasks", "workers"):
        connection.execute(f"UPDATE {table} SET unreported = 1")
    told = reports.gather(connection, _ALL).objects
    for kind in ("jobs", "tasks", "workers"):
        own = {document["id"]: document for document in told[kind]}
        mirrored = server.mirror[kind]
        assert own.keys() <= mirrored.keys(), kind
        for key, document in own.items():
            unlike = {
                name: (document.get(name), mirrored[key].get(name))
                for name in document.keys() | mirrored[key].keys()
                if document.get(name) != mirrored[key].get(name)
            }
            assert not unlike, (kind, key, unlike)


def check_logs(record: Happenings, server: FakeServer) -> None:
    """Each byte of a log that was acknowledged is there once, in its order (I8)."""
    printed = record.logs()
    for key, text in printed.items():
        assert bytes(server.logs.get(key, b"")) == text, key
        assert key in server.whole_logs, key
    for key, log in server.logs.items():
        assert bytes(log) == printed.get(key, b""), f"{key}: nobody printed that"
