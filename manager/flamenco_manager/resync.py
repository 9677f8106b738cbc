"""Beginning anew with the Server after one of the two stores was lost or restored (manager-api.md).

No farm lives in memory meanwhile: the Manager puts it together again from what is in its store after this. Everything
here may be cut short and done again.
"""

from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Protocol

import structlog

from flamenco_core.errors import FlamencoError
from flamenco_core.identifiers import new_id
from flamenco_core.statuses import JobStatus
from flamenco_core.wire.manager_api import Hello, HelloReply
from flamenco_core.wire.resync import KEEP_ORDERS, AppliedOrder, Known, ResyncReply, ResyncRequest
from flamenco_manager.refusals import check_is_final
from flamenco_manager.server_link import Introduction
from flamenco_manager.stores.outbox import LinkState

log = structlog.get_logger()


class Server(Protocol):
    """The calls to the Server."""

    def know_feeds(self, own: str, servers: str) -> None:
        """Carry both feeds on every call from now on."""

    async def hello(self, hello: Hello) -> HelloReply:
        """Say who we are, and how far we have come."""

    async def resync(self, request: ResyncRequest) -> ResyncReply:
        """Begin anew."""

    async def give_back(self, job_id: str, lines: bytes) -> None:
        """Give the Server a job that it has lost: its definition, then its tasks, as JSON lines."""

    def known(self) -> AsyncIterator[Known]:
        """Stream what the Server knows of our jobs, tasks and Workers; a job comes before its tasks."""


class Outbox(Protocol):
    """How far the link had come."""

    async def first_report(self) -> tuple[int, str]:
        """Return the number of the first report that we hold or will make, and the digest of the one before it."""


class Store(Protocol):
    """The Manager's store, as a resync needs it."""

    async def state(self) -> LinkState:
        """Return how far both sides had come."""

    async def is_restored(self) -> bool:
        """Tell whether this store was restored from a backup, or is new."""

    async def epoch(self) -> int:
        """Return the epoch of what we report."""

    async def highest_attempt(self) -> int:
        """Return the highest attempt that any task can have had."""

    async def applied(self, since: datetime) -> Sequence[AppliedOrder]:
        """Return the orders that were applied since then."""

    async def jobs(self) -> Sequence[str]:
        """Return the ids of all jobs that are here."""

    async def whole_job(self, job_id: str) -> bytes | None:
        """Return a job's definition and then its tasks, as JSON lines; None if not all of it ever came here."""

    async def take_over(self, said: Known, failed_jobs: AbstractSet[str], *, is_told: bool) -> None:
        """Take over what the Server knows better."""

    async def settle(self, feed: str, reply: ResyncReply) -> None:
        """Begin anew."""


async def begin_anew(
    store: Store, outbox: Outbox, server: Server, introduction: Introduction, *, now: datetime
) -> ResyncReply:
    """Agree with the Server on new feeds and numbers, and take over what only it knows."""
    state, is_restored = await store.state(), await store.is_restored()
    hello = introduction.hello(state, *await outbox.first_report())
    expected = (await server.hello(hello)).next_report
    request = ResyncRequest(
        hello=hello,
        next_report=state.next_report,
        feed=new_id(),
        epoch=await store.epoch(),
        highest_attempt=await store.highest_attempt(),
        went_back=is_restored or expected > state.next_report,
        applied=await store.applied(now - KEEP_ORDERS),
        jobs=await store.jobs(),
    )
    reply = await server.resync(request)
    server.know_feeds(request.feed, reply.feed)
    failed_jobs: set[str] = set()
    if reply.went_back:
        async for known in server.known():
            failed_jobs.update(job.id for job in known.jobs if job.status is JobStatus.FAILED)
            await store.take_over(known, failed_jobs, is_told=is_restored)
    for job_id in reply.lost:
        await _give_back(store, server, job_id)
    await store.settle(request.feed, reply)
    log.info(
        "this Manager and its Server begin anew",
        taken_over=reply.went_back,
        epoch=reply.epoch,
        attempts_above=reply.attempts_above,
    )
    return reply


async def _give_back(store: Store, server: Server, job_id: str) -> None:
    """Give the Server back a job that it has lost."""
    lines = await store.whole_job(job_id)
    if lines is None:
        log.warning("the Server has lost a job of which not all had come here: it ends", job=job_id)
        return
    try:
        await server.give_back(job_id, lines)
    except FlamencoError as error:
        check_is_final(error)
        log.error("the Server does not take back a job that it had lost; it goes on here", job=job_id, error=str(error))
        return
    log.info("the Server had lost a job, and has it again", job=job_id)
