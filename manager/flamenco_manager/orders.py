"""Applying orders: what people ask of this Manager through the Server (manager-api.md, "Orders")."""

import asyncio
from typing import Protocol

import apsw
import structlog

from flamenco_core.errors import FlamencoError
from flamenco_core.wire.manager_api import Order, order_digest
from flamenco_manager.foreman import Foreman
from flamenco_manager.job_arrival import Arrivals
from flamenco_manager.order_acts import OrderActs, Outcome
from flamenco_manager.stores.farm_store import Also
from flamenco_manager.stores.outbox import LinkState, OrderNote

log = structlog.get_logger()

_NAMED = ("job", "task", "worker")
"""What an order is about, as its line in the log names it."""


class OrderBook(Protocol):
    """What applying orders needs of a store."""

    async def state(self) -> LinkState:
        """Return how far both sides have come."""

    async def has_applied(self, order_id: str) -> bool:
        """Tell whether an order was applied before, under whatever number."""

    def order_note(self, order: Order, digest: str, applied: OrderNote) -> Also:
        """Make the part of a transaction that stores an order's number, id and result."""


class Orders:
    """Applies orders one by one; effects, number and result of each are one transaction.

    Where an order changes very many tasks it has several, and its number is in the last one: should we die before that,
    the order comes again, and does what is left.
    """

    def __init__(self, foreman: Foreman, book: OrderBook, acts: OrderActs, arrivals: Arrivals) -> None:
        self._foreman = foreman
        self._book = book
        self._acts = acts
        self._arrivals = arrivals
        self.turn = asyncio.Lock()
        """Held while an order is applied: it may bring a job back that has left memory."""

    async def apply(self, order: Order) -> None:
        """Carry out an order, once, also when whoever calls goes away. Raises Unavailable when it cannot be stored."""
        await asyncio.shield(asyncio.create_task(self._apply(order)))

    async def _apply(self, order: Order) -> None:
        async with self.turn:
            state = await self._book.state()
            if order.order == state.last_order + 1:  # else it was applied after whoever asked for it went away
                await self._carry_out(order, order_digest(state.last_order_digest, order))

    async def _carry_out(self, order: Order, digest: str) -> None:
        if await self._book.has_applied(order.id):
            outcome = Outcome("done", "It was applied before.")
        else:
            outcome = await self._outcome(order)
        self._foreman.farm.hurry()
        note = OrderNote(self._foreman.now().wall, outcome.result, outcome.why, outcome.job, outcome.answer)
        noted = self._book.order_note(order, digest, note)
        await self._foreman.settle(also=noted if outcome.also is None else _both(outcome.also, noted))
        self._acts.let_go()
        log.info(
            "order applied",
            order=order.order,
            kind=order.kind,
            asked_by=order.asked_by,
            **{name: order.details[name] for name in _NAMED if name in order.details},
            result=outcome.result or "begun",
            why=outcome.why,
        )
        if outcome.job is not None:
            self._arrivals.begin(self._foreman.farm.jobs[outcome.job])

    async def _outcome(self, order: Order) -> Outcome:
        if order.expires is not None and order.expires < self._foreman.now().wall:
            return Outcome("expired", "It came too late to make sense.")
        try:
            return await self._acts.carry_out(order)
        except FlamencoError as error:
            return Outcome("dropped", str(error))


def _both(first: Also, second: Also) -> Also:
    def work(connection: apsw.Connection) -> None:
        first(connection)
        second(connection)

    return work
