"""Applying orders: what people ask of this Manager through the Server (manager-api.md, "Orders")."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from flamenco_core.errors import FlamencoError
from flamenco_core.identifiers import is_uuid
from flamenco_core.wire.manager_api import Order, order_digest
from flamenco_manager import job_rules, worker_rules
from flamenco_manager.foreman import Foreman
from flamenco_manager.job_arrival import Arrivals
from flamenco_manager.model import Job
from flamenco_manager.stores.farm_store import Also
from flamenco_manager.stores.outbox import LinkState, OrderNote

log = structlog.get_logger()


class OrderBook(Protocol):
    """What applying orders needs of a store."""

    async def state(self) -> LinkState:
        """Return how far both sides have come."""

    async def has_applied(self, order_id: str) -> bool:
        """Tell whether an order was applied before, under whatever number."""

    def order_note(self, order: Order, digest: str, applied: OrderNote) -> Also:
        """Make the part of a transaction that stores an order's number, id and result."""


class JobBook(Protocol):
    """What applying orders needs to know of jobs, also of those that have ended."""

    async def new_job_key(self) -> int:
        """Return the number of the next job in this store."""

    async def job_status(self, job_id: str) -> str | None:
        """Return the stored status of a job, or None if it never came here."""


@dataclass(frozen=True)
class _Outcome:
    result: str | None
    why: str = ""
    job: str | None = None


class Orders:
    """Applies orders one by one; effects, number and result of each are one transaction."""

    def __init__(
        self, foreman: Foreman, book: OrderBook, jobs: JobBook, arrivals: Arrivals, follow: Callable[[Order], None]
    ) -> None:
        self._foreman = foreman
        self._book = book
        self._jobs = jobs
        self._arrivals = arrivals
        self._follow = follow
        """Called with each ``task.log`` order."""

    async def apply(self, order: Order) -> None:
        """Carry out an order, once. Raises Unavailable when it cannot be stored."""
        digest = order_digest((await self._book.state()).last_order_digest, order)
        if await self._book.has_applied(order.id):
            outcome = _Outcome("done", "It was applied before.")
        else:
            outcome = await self._outcome(order)
        now = self._foreman.now()
        self._foreman.farm.hurry()
        note = OrderNote(now.wall, outcome.result, outcome.why, outcome.job)
        await self._foreman.settle(also=self._book.order_note(order, digest, note))
        log.info("order applied", order=order.order, kind=order.kind, result=outcome.result or "begun", why=outcome.why)
        if outcome.job is not None:
            self._arrivals.begin(self._foreman.farm.jobs[outcome.job])

    async def _outcome(self, order: Order) -> _Outcome:
        if order.expires is not None and order.expires < self._foreman.now().wall:
            return _Outcome("expired", "It came too late to make sense.")
        apply = {
            "job.submit": self._submit,
            "job.cancel": self._cancel,
            "task.log": self._send_log,
            "worker.approve": self._approve,
        }.get(order.kind)
        if apply is None:
            return _Outcome("dropped", f"This Manager does not know orders of the kind {order.kind!r}.")
        try:
            return await apply(order)
        except FlamencoError as error:
            return _Outcome("dropped", str(error))

    async def _submit(self, order: Order) -> _Outcome:
        job_id = str(order.details.get("job", ""))
        if not is_uuid(job_id):
            return _Outcome("dropped", "The order names no job.")
        if await self._jobs.job_status(job_id) is not None:
            return _Outcome("done", "The job is here already.")
        job = Job(id=job_id, key=await self._jobs.new_job_key())
        job_rules.announce(self._foreman.farm, job)
        return _Outcome(None, job=job_id)

    async def _cancel(self, order: Order) -> _Outcome:
        job_id = str(order.details.get("job", ""))
        known = await self._jobs.job_status(job_id) if is_uuid(job_id) else None
        job = self._foreman.farm.jobs.get(job_id)
        if job is None:
            return _Outcome("dropped", f"The job has ended already, as {known}." if known else "There is no such job.")
        job_rules.cancel(self._foreman.farm, job, self._foreman.now())
        return _Outcome("done")

    async def _approve(self, order: Order) -> _Outcome:
        worker_rules.approve(self._foreman.farm, self._foreman.farm.worker(str(order.details.get("worker", ""))))
        return _Outcome("done")

    async def _send_log(self, order: Order) -> _Outcome:
        self._follow(order)
        return _Outcome("done")
