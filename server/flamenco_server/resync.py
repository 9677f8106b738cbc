"""Beginning anew with a Manager after one of the two stores was lost or restored (manager-api.md).

The Manager is told what the Server knows, and takes over what is newer; then it reports all that it holds.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Protocol

import orjson
import structlog

from flamenco_core.errors import BadInput, Conflict
from flamenco_core.wire.manager_api import JobDefinition, TaskDefinition
from flamenco_core.wire.resync import ResyncReply, ResyncRequest
from flamenco_server.events import Change, EventBus
from flamenco_server.managers import Link

log = structlog.get_logger()

FARTHER = 1_000
"""Attempts go on so far above the highest that either side knows of (manager-api.md): no Worker can be beyond."""


class NotBeginning(Conflict):
    """A Manager gives a job back that was not asked for."""

    type = "not-beginning"

    def __init__(self) -> None:
        super().__init__("Jobs are taken back right after a resync, before the first report.")


Document = dict[str, Any]
"""A record as it travels."""


class ResyncStore(Protocol):
    """Both sides' past, on disk."""

    async def begin_anew(self, manager_id: str, said: ResyncRequest, now: datetime) -> tuple[ResyncReply, list[Change]]:
        """Agree on new feeds and numbers, and issue anew what the Manager has not applied, in one step."""

    async def take_back(self, manager_id: str, job: JobDefinition, tasks: Sequence[TaskDefinition]) -> bool:
        """Store a job that this store has lost, with its tasks, as one that the Manager has; False: it is here.

        Raises NotBeginning once the Manager has reported: then it has nothing to give back.
        """

    async def known_workers(self, manager_id: str) -> Sequence[Document]:
        """Return a Manager's Workers, each as it was reported last."""

    async def known_jobs(self, manager_id: str) -> Sequence[str]:
        """Return a Manager's jobs, by their ids; those that have not ended come first."""

    async def known_job(self, job_id: str) -> Document | None:
        """Return a job as it was reported last; None: it is gone."""

    async def known_tasks(self, job_id: str, after: int) -> tuple[Sequence[Document], int | None]:
        """Return some tasks of a job behind an index, as they were reported last, and the index of the last of them.

        None at the end; tasks that were never reported are left out.
        """


def has_gone_back(link: Link, said: ResyncRequest, order_digest: str | None) -> bool:
    """Tell whether the Manager's store is older than what the Server knows of it.

    ``order_digest`` is ours for the order that the Manager applied last, None if we never issued it. Where only the
    digests differ nobody can tell whose past was lost; then the Manager looks at ours, too. Should it ask again as it
    did before, it has not heard our answer, of which only we know the new feeds and numbers: it holds still.
    """
    hello = said.hello
    if link.begun_from == past_of(said):
        return link.had_gone_back
    if said.went_back or link.manager_feed != hello.feed:
        return True
    if hello.last_order < link.order_acknowledged or said.next_report <= link.last_report:
        return True
    is_same = hello.first_report != link.last_report + 1 or hello.previous_report_digest == link.last_report_digest
    return order_digest is not None and (order_digest != hello.last_order_digest or not is_same)


def past_of(said: ResyncRequest) -> str:
    """Return what tells how far a Manager had come: as long as it has not begun anew, that stays so."""
    hello = said.hello
    orders, reports = (hello.last_order, hello.last_order_digest), (hello.first_report, hello.previous_report_digest)
    return " ".join(map(str, (hello.feed, hello.server_feed, *orders, *reports, said.next_report)))


async def begin_anew(
    store: ResyncStore, bus: EventBus, manager_id: str, said: ResyncRequest, *, now: datetime
) -> ResyncReply:
    """Agree with a Manager on new feeds and numbers."""
    reply, changes = await store.begin_anew(manager_id, said, now)
    bus.publish([Change("manager", manager_id), *changes])
    log.warning(
        "a Manager and this Server begin anew", manager=manager_id, went_back=reply.went_back, lost=len(reply.lost)
    )
    return reply


async def take_back(
    store: ResyncStore, bus: EventBus, manager_id: str, job: JobDefinition, tasks: Sequence[TaskDefinition]
) -> None:
    """Take back a job that this Server has lost. Raises BadInput, NotBeginning."""
    if len(tasks) != job.task_count or any(task.index != index for index, task in enumerate(tasks)):
        raise BadInput(f"Job {job.id} has {job.task_count} tasks, in order; {len(tasks)} came.")
    if await store.take_back(manager_id, job, tasks):
        log.warning("a job came back from its Manager", job=job.id, name=job.name, manager=manager_id)
        bus.publish([Change("job", job.id)])


async def known_lines(store: ResyncStore, manager_id: str) -> AsyncIterator[bytes]:
    """Yield what the Server knows of a Manager's jobs, tasks and Workers, as JSON lines; a job before its tasks."""
    yield _line(workers=await store.known_workers(manager_id))
    for job_id in await store.known_jobs(manager_id):
        job = await store.known_job(job_id)
        if job is None:
            continue
        yield _line(jobs=[job])
        after: int | None = -1
        while after is not None:
            tasks, after = await store.known_tasks(job_id, after)
            if tasks:
                yield _line(tasks=tasks)


def _line(**said: Sequence[Document]) -> bytes:
    return orjson.dumps(said) + b"\n"
