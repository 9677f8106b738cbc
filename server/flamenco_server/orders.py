"""Orders: what the Server wants of a Manager, numbered, and fetched by it with a long poll (manager-api.md)."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from flamenco_core.errors import Conflict
from flamenco_core.identifiers import new_id
from flamenco_core.wire.manager_api import Order
from flamenco_server.events import Change, EventBus

ORDERS_PER_ANSWER = 100
"""How many orders a Manager gets at once."""
LONGEST_WAIT_S = 60
"""How long a Manager may let the Server wait for something to happen."""
ANSWER_AFTER_S = 45.0
"""When a Manager that waits is answered at the latest: it asks again, and so is never taken to be away."""
LOG_ORDER_SECONDS = 30
"""For how long a Manager sends what is added to a log that somebody looks at."""


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order before it has its number. ``id`` tells it apart for ever."""

    id: str
    kind: str
    details: Mapping[str, Any]
    asked_by: str
    asked_at: datetime
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """What became of an order (``OrderResult`` has the meaning of each)."""

    result: str
    why: str = ""
    answer: Mapping[str, Any] | None = None


class UnknownOrder(Conflict):
    """A Manager acknowledges an order that it cannot have."""

    type = "unknown-order"

    def __init__(self, number: int) -> None:
        super().__init__(f"Order {number} was never issued to this Manager: say hello again.")


class OrderStore(Protocol):
    """Orders, on disk, and how they were answered."""

    async def issue(self, manager_id: str, order: NewOrder) -> None:
        """Give an order the Manager's next number, and keep it."""

    async def issue_unless_recent(self, manager_id: str, order: NewOrder, since: datetime) -> bool:
        """Issue it, unless one of the same kind and details was issued at ``since`` or later; tells whether it was."""

    async def acknowledge(self, manager_id: str, number: int, now: datetime) -> None:
        """Note that the Manager stored all orders up to this one, and was heard of. Raises UnknownOrder."""

    async def orders_after(self, manager_id: str, number: int, limit: int) -> Sequence[Order]:
        """Return the orders behind a number, oldest first."""

    async def order_answer(self, order_id: str) -> OrderAnswer | None:
        """Return what became of an order, None while its Manager has not said so."""


def submit_order(job_id: str, owner: str, now: datetime) -> NewOrder:
    """Ask a Manager to fetch a job and run it."""
    return NewOrder(new_id(), "job.submit", {"job": job_id}, owner, now)


def log_order(task_id: str, attempt: int, asked_by: str, now: datetime) -> NewOrder:
    """Ask a Manager for the log of an attempt, and for what is added to it in the next seconds."""
    details = {"task": task_id, "attempt": attempt, "seconds": LOG_ORDER_SECONDS}
    return NewOrder(new_id(), "task.log", details, asked_by, now, now + timedelta(seconds=LOG_ORDER_SECONDS))


class OrderDesk:
    """Hands orders to Managers that wait for them."""

    def __init__(self, store: OrderStore, bus: EventBus) -> None:
        self._store = store
        self._bus = bus
        self._waiting: set[asyncio.Event] = set()
        self._is_closed = False

    async def fetch(self, manager_id: str, after: int, wait_s: float, *, now: datetime) -> Sequence[Order]:
        """Return the orders after a number, at once if there are any, else what comes within ``wait_s`` seconds.

        Asking for what is after N acknowledges N. Raises UnknownOrder.
        """
        await self._store.acknowledge(manager_id, after, now)
        deadline = asyncio.get_running_loop().time() + min(wait_s, ANSWER_AFTER_S)
        with self._noticing(manager_id) as issued:
            while True:
                issued.clear()
                orders = await self._store.orders_after(manager_id, after, ORDERS_PER_ANSWER)
                if orders or self._is_closed or not await _is_set_before(issued, deadline):
                    return orders

    def close(self) -> None:
        """Answer all that wait, now: the service stops."""
        self._is_closed = True
        for event in self._waiting:
            event.set()

    @contextmanager
    def _noticing(self, manager_id: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set when the Manager may have new orders, or the service stops."""
        event = asyncio.Event()

        def notice(change: Change) -> None:
            if change.kind == "order" and change.id == manager_id:
                event.set()

        self._waiting.add(event)
        try:
            with self._bus.listening(notice):
                yield event
        finally:
            self._waiting.discard(event)


async def _is_set_before(event: asyncio.Event, deadline: float) -> bool:
    try:
        async with asyncio.timeout_at(deadline):
            await event.wait()
    except TimeoutError:
        return False
    return True
