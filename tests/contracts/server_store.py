"""What the suites for engines of the Server's store stand on: the store as its users see it, and records for it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from flamenco_core.identifiers import new_id, task_id
from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.manager_api import (
    NO_DIGEST,
    FrameReport,
    Hello,
    JobReport,
    Report,
    Rev,
    TaskDefinition,
    TaskReport,
    WorkerReport,
)
from flamenco_core.wire.worker_api import Command
from flamenco_server import job_requests
from flamenco_server.accounts import AccountStore
from flamenco_server.asking import Asker
from flamenco_server.compiling import Compiled, CompileStore
from flamenco_server.erasing import BinStore
from flamenco_server.farm_settings import SettingsStore
from flamenco_server.job_type_registry import LoadedJobType, load_source
from flamenco_server.jobs import JobStore
from flamenco_server.linking import LinkRequestStore
from flamenco_server.manager_jobs import ManagerJobStore
from flamenco_server.managers import ManagerStore
from flamenco_server.orders import NewOrder, OrderStore
from flamenco_server.reading import FarmReader
from flamenco_server.records import Job
from flamenco_server.reports import ReceivedReport, ReportStore
from flamenco_server.steering import AskStore
from flamenco_server.tags import TagStore
from flamenco_server.task_logs import LogStore
from flamenco_server.thumbnails import ThumbnailStore

NOON = datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)

SOURCE = """
from flamenco_core.wire.worker_api import Command
from flamenco_server.job_type import AuthoredTask, JobType

def compile_job(job):
    yield AuthoredTask("echo", "misc", [Command("echo", {"message": job.name})])

JOB_TYPE = JobType(name="hello", label="Hello", description="", settings=(), compile=compile_job)
"""


def _loaded() -> LoadedJobType:
    loaded = load_source(SOURCE, "hello.py")
    assert loaded is not None
    return loaded


HELLO_TYPE = _loaded()


class JobsOnDisk(JobStore, ManagerJobStore, Protocol):
    """Jobs for people and for Managers: one engine keeps both."""


class FarmStore(TagStore, SettingsStore, Protocol):
    """What belongs to the whole farm."""


class ServerStore(Protocol):
    """All records of a Server, each kind behind the Protocol that its users declare."""

    @property
    def accounts(self) -> AccountStore: ...
    @property
    def asks(self) -> AskStore: ...
    @property
    def bin(self) -> BinStore: ...
    @property
    def compiles(self) -> CompileStore: ...
    @property
    def farm(self) -> FarmStore: ...
    @property
    def jobs(self) -> JobsOnDisk: ...
    @property
    def link_requests(self) -> LinkRequestStore: ...
    @property
    def logs(self) -> LogStore: ...
    @property
    def managers(self) -> ManagerStore: ...
    @property
    def orders(self) -> OrderStore: ...
    @property
    def reader(self) -> FarmReader: ...
    @property
    def reports(self) -> ReportStore: ...
    @property
    def thumbnails(self) -> ThumbnailStore: ...


Engine = Callable[[], AbstractAsyncContextManager[ServerStore]]
"""Opens the same store, again after it was closed, and also beside one that is open, as another process would."""


class StoreContract:
    """Gives a suite its store; an engine's test inherits a suite and says in ``engine`` how it is opened."""

    @pytest.fixture
    def engine(self) -> Engine:
        raise NotImplementedError("the test of an engine overrides this fixture")

    @pytest.fixture
    async def store(self, engine: Engine):
        async with engine() as store:
            yield store


def at(seconds: float) -> datetime:
    """Return a moment so long after noon."""
    return NOON + timedelta(seconds=seconds)


def a_job(**changes: Any) -> Job:
    """Build a job that was just submitted."""
    job = Job(
        number=0,
        id=new_id(),
        name="shot",
        type="hello",
        type_etag=HELLO_TYPE.etag,
        status=JobStatus.UNDER_CONSTRUCTION,
        activity="Compiling",
        priority=50,
        owner="ada",
        created_at=NOON,
        settings={},
        metadata={},
        files=[],
    )
    return replace(job, **changes)


def tasks_of(job_id: str, count: int, *, first: int = 0, frames: str | None = None) -> list[TaskDefinition]:
    """Build consecutive tasks of a job."""
    return [
        TaskDefinition(
            index=index,
            id=task_id(job_id, index),
            name=f"task {index}",
            type="misc",
            commands=[Command("echo", {"message": f"this is {index}"}, total_step_count=2)],
            depends_on=[index - 1] if index else [],
            frames=frames,
        )
        for index in range(first, first + count)
    ]


def a_hello(**changes: Any) -> Hello:
    """Build a Manager's first hello."""
    return replace(Hello("site", "test 1.0", "linux", new_id()), **changes)


def an_order(kind: str = "job.cancel", *, asked_at: datetime = NOON, **details: Any) -> NewOrder:
    """Build an order that has no number yet."""
    return NewOrder(new_id(), kind, details, "ada", asked_at)


async def linked(
    store: ServerStore, name: str = "site", *, added: datetime = NOON, seen: datetime = NOON, **said: Any
) -> str:
    """Add a Manager that has said hello; returns its id."""
    manager_id = new_id()
    await store.managers.add_manager(manager_id, name, f"sha256 of {name}", added)
    await store.managers.record_hello(manager_id, a_hello(name=name, **said), seen)
    return manager_id


async def submitted(store: ServerStore, job: Job | None = None) -> str:
    """Store a job that is not compiled yet; returns its id."""
    job = job or a_job()
    await store.jobs.add_job(job, HELLO_TYPE, None)
    return job.id


async def compiled(store: ServerStore, job: Job | None = None, tasks: int = 2, frames: Sequence[str] = ()) -> str:
    """Store a job with tasks, one for each of ``frames`` if there are any; returns its id."""
    job_id = await submitted(store, job)
    await store.compiles.begin_compile(job_id)
    definitions = [
        definition
        for index, text in enumerate(frames or [None] * tasks)
        for definition in tasks_of(job_id, 1, first=index, frames=text)
    ]
    assert await store.compiles.add_tasks(job_id, definitions)
    steps = sum(task.steps_total for task in definitions)
    await store.compiles.finish_compile(job_id, Compiled(len(definitions), steps), NOON)
    return job_id


ADA = Asker("ada", NOON)


async def cancel(store: ServerStore, job_id: str, by: Asker = ADA) -> Job:
    """Ask for a job to be cancelled."""
    return await store.asks.change_job(job_id, lambda job: job_requests.cancel(job, by))


class Reporter:
    """Makes the reports of one Manager, numbered and chained as it would."""

    def __init__(self) -> None:
        self.number = 0
        self.digest = NO_DIGEST
        self._commits = 0

    def rev(self) -> Rev:
        """Return the next revision."""
        self._commits += 1
        return Rev(1, self._commits)

    def next(self, **content: Any) -> ReceivedReport:
        """Make the next report."""
        self.number += 1
        received = a_report(self.number, self.digest, **content)
        self.digest = received.sha256
        return received


def a_report(number: int, previous: str = NO_DIGEST, *, salt: str = "", **content: Any) -> ReceivedReport:
    """Build a report as it arrives; another ``salt`` makes other bytes of the same content."""
    return ReceivedReport.of(Report(number, previous, **content), f"{number} {previous} {content!r} {salt}".encode())


def job_report(job_id: str, rev: Rev, status: JobStatus = JobStatus.ACTIVE, **changes: Any) -> JobReport:
    """Build what a Manager says of a job."""
    report = JobReport(job_id, rev, status, f"it is {status}", {"queued": 2}, 0, 4)
    return replace(report, **changes)


def task_report(job_id: str, index: int, rev: Rev, status: TaskStatus = TaskStatus.ACTIVE, **more: Any) -> TaskReport:
    """Build what a Manager says of a task."""
    report = TaskReport(task_id(job_id, index), job_id, rev, status, 1, f"it is {status}", 1, 2)
    return replace(report, **more)


def frame_report(job_id: str, index: int, frame: int, rev: Rev, **changes: Any) -> FrameReport:
    """Build what a Manager says of a frame that a task saved."""
    path = f"/out/{frame:06}.png"
    return replace(FrameReport(job_id, task_id(job_id, index), 1, frame, rev, path, 1000, "a" * 64), **changes)


def worker_report(worker_id: str, rev: Rev, **changes: Any) -> WorkerReport:
    """Build what a Manager says of a Worker."""
    status = WorkerStatus.AWAKE
    report = WorkerReport(worker_id, rev, "node-01", "10.0.0.1", "linux", "4.0", ["misc"], status, approved=True)
    return replace(report, **changes)
