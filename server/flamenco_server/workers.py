"""What people do with Workers: approve one."""

from datetime import datetime
from typing import Protocol

from flamenco_server.accounts import Caller
from flamenco_server.events import Change, EventBus
from flamenco_server.orders import OrderStore, approve_order
from flamenco_server.records import Worker


class WorkerReader(Protocol):
    """Workers, as Managers reported them."""

    async def worker(self, worker_id: str) -> Worker:
        """Return one Worker. Raises NoSuchWorker."""


async def approve_worker(
    workers: WorkerReader, orders: OrderStore, bus: EventBus, worker_id: str, caller: Caller, *, now: datetime
) -> Worker:
    """Ask a Worker's Manager to let it take tasks; nothing is asked if it may already. Raises NoSuchWorker."""
    worker = await workers.worker(worker_id)
    if not worker.approved:
        await orders.issue(worker.manager_id, approve_order(worker_id, caller.name, now))
        bus.publish([Change("order", worker.manager_id)])
    return worker
