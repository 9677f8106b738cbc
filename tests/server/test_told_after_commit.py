"""Whoever is told of a change can read it: nothing is published before it is on disk."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from contracts.server_store import ADA, NOON, Reporter, a_hello, compiled, job_report, linked, submitted
from flamenco_core.identifiers import new_id
from flamenco_runtime.free_space import FreeSpace
from flamenco_server import job_requests
from flamenco_server.accounts import Caller, CallerKind
from flamenco_server.blobs import BlobFolder
from flamenco_server.compiling import Compiler
from flamenco_server.events import Change, InProcessBus
from flamenco_server.job_type_registry import JobTypes
from flamenco_server.jobs import Submission, Submitting, submit_job
from flamenco_server.managers import receive_hello
from flamenco_server.reports import receive_report
from flamenco_server.steering import Steering
from flamenco_server.stores.sqlite.store import FILE_NAME, SqliteStore, open_store
from flamenco_server.thumbnails import ThumbnailFolder, receive_thumbnail


class Onlooker:
    """Looks at the whole store over a connection of its own, each time when it is told of a change."""

    def __init__(self, folder: Path) -> None:
        self._db = apsw.Connection(str(folder / FILE_NAME), flags=apsw.SQLITE_OPEN_READONLY)
        self.seen: list[Any] = []

    def look(self) -> Any:
        tables = [name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: list(self._db.execute(f"SELECT * FROM {name}")) for name in tables}

    def note(self, change: Change) -> None:
        self.seen.append(self.look())

    def close(self) -> None:
        self._db.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    failures: list[BaseException] = []
    async with open_store(tmp_path, failures.append) as store:
        yield store
    assert failures == []


async def submitting(store: SqliteStore, bus: InProcessBus, folder: Path) -> None:
    space = FreeSpace(folder, 0)
    blobs = BlobFolder(folder / "blobs", space)
    desk = Submitting(store.jobs, store.farm, store.reader, JobTypes(), blobs, bus, lambda _: None, space)
    wanted, caller = Submission("shot", "echo-sleep-test"), Caller(CallerKind.PERSON, new_id(), "ada", "admin")
    await submit_job(desk, wanted, None, caller, now=NOON)


async def compiling(store: SqliteStore, bus: InProcessBus, folder: Path) -> None:
    await linked(store)
    job_id = await submitted(store)
    await Compiler(store.compiles, JobTypes(), bus, lambda: NOON).compile(job_id)


async def saying_hello(store: SqliteStore, bus: InProcessBus, folder: Path) -> None:
    await compiled(store)
    manager_id = new_id()
    await store.managers.add_manager(manager_id, "site", "sha256", NOON)
    await receive_hello(store.managers, bus, manager_id, a_hello(), {}, now=NOON)


async def reporting(store: SqliteStore, bus: InProcessBus, folder: Path) -> None:
    manager, reporter = await linked(store), Reporter()
    job_id = await compiled(store)
    report = reporter.next(jobs=[job_report(job_id, reporter.rev())])
    await receive_report(store.reports, bus, manager, report, now=NOON)


async def canceling(store: SqliteStore, bus: InProcessBus, folder: Path) -> None:
    await linked(store)
    job_id = await compiled(store)
    await Steering(store.asks, bus).job(job_id, lambda job: job_requests.cancel(job, ADA))


async def sending_a_thumbnail(store: SqliteStore, bus: InProcessBus, folder: Path) -> None:
    manager = await linked(store)
    job_id = await compiled(store, frames=["1"])
    images, place = ThumbnailFolder(folder / "images"), (manager, job_id, 1)
    await receive_thumbnail(store.thumbnails, images, bus, place, b"\xff\xd8\xff", now=NOON)


Action = Callable[[SqliteStore, InProcessBus, Path], Awaitable[None]]
ACTIONS: list[Action] = [submitting, compiling, saying_hello, reporting, canceling, sending_a_thumbnail]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.__name__)
async def test_who_is_told_of_a_change_can_read_it(action: Action, store: SqliteStore, tmp_path: Path) -> None:
    onlooker, bus = Onlooker(tmp_path), InProcessBus()
    with bus.listening(onlooker.note):
        await action(store, bus, tmp_path)
    assert onlooker.seen
    assert onlooker.seen == [onlooker.look()] * len(onlooker.seen)
    onlooker.close()
