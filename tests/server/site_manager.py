"""A Manager as the Server meets it: every call over HTTP, reports numbered and frozen, both feeds on each call."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import orjson
from server_world import Caller, Reply, World

from flamenco_core.identifiers import new_id, task_id
from flamenco_core.wire.manager_api import MANAGER_FEED, NO_DIGEST, SERVER_FEED, OrderSchema, order_digest


@dataclass
class SiteManager:
    """Keeps what a Manager keeps: feeds, the last order and report with their digests."""

    world: World
    id: str
    name: str
    token: str
    feed: str = field(default_factory=new_id)
    server_feed: str | None = None
    last_order: int = 0
    last_order_digest: str = NO_DIGEST
    next_report: int = 1
    last_report_digest: str = NO_DIGEST
    commits: int = 0

    @property
    def caller(self) -> Caller:
        feeds = {MANAGER_FEED: self.feed, SERVER_FEED: self.server_feed or ""}
        headers = {"Authorization": f"Bearer {self.token}", **feeds}
        return Caller(self.world.nobody.session, self.world.url, headers)

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        """Make a call; paths are below ``/api/v1/manager/``."""
        return await self.caller.call(method, f"manager/{path}", **options)

    async def say_hello(self, **changes: Any) -> Reply:
        said = {
            "name": self.name,
            "software": "test 1.0",
            "platform": "linux",
            "feed": self.feed,
            "last_order": self.last_order,
            "last_order_digest": self.last_order_digest,
            "first_report": self.next_report,
            "previous_report_digest": self.last_report_digest,
            **({"server_feed": self.server_feed} if self.server_feed else {}),
        }
        return await self.call("POST", "hello", json={**said, **changes})

    async def hello(self, **changes: Any) -> dict[str, Any]:
        """Say hello; it must fit."""
        reply = await self.say_hello(**changes)
        assert reply.status == 200, reply
        answer: dict[str, Any] = reply.json()
        assert answer["resync"] is False
        self.server_feed = answer["feed"]
        return answer

    async def orders(self, after: int | None = None, wait: float = 0) -> list[dict[str, Any]]:
        """Fetch orders."""
        reply = await self.call("GET", f"orders?after={self.last_order if after is None else after}&wait={wait}")
        assert reply.status == 200, reply
        orders: list[dict[str, Any]] = reply.json()["orders"]
        return orders

    async def next_orders(self, wait: float = 20) -> list[dict[str, Any]]:
        """Fetch what comes next, and apply it."""
        orders = await self.orders(wait=wait)
        for order in orders:
            assert order["order"] == self.last_order + 1
            self.last_order = order["order"]
            self.last_order_digest = order_digest(self.last_order_digest, OrderSchema().load(order))
        return orders

    def rev(self) -> list[int]:
        self.commits += 1
        return [1, self.commits]

    def freeze(self, **content: Any) -> bytes:
        """Make the next report, as it will be sent however often."""
        body = orjson.dumps({"report": self.next_report, "previous": self.last_report_digest, **content})
        self.next_report += 1
        self.last_report_digest = hashlib.sha256(body).hexdigest()
        return body

    async def send(self, body: bytes) -> Reply:
        return await self.call("POST", "reports", data=body, headers={"Content-Type": "application/json"})

    async def report(self, **content: Any) -> None:
        """Report, and have it acknowledged."""
        number = self.next_report
        reply = await self.send(self.freeze(**content))
        assert (reply.status, reply.json()) == (200, {"acknowledged": number}), reply

    async def next_order(self, kind: str) -> dict[str, Any]:
        """Fetch the one order that comes next, which must be of this kind."""
        (order,) = await self.next_orders()
        assert order["kind"] == kind, order
        return order

    async def answer(self, order: dict[str, Any], result: str = "done", why: str = "", **content: Any) -> None:
        """Say what became of an order, and whatever else there is to say."""
        said = {"order": order["order"], "result": result, "why": why}
        if "answer" in content:
            said["answer"] = content.pop("answer")
        await self.report(orders=[said], **content)

    def job(self, job_id: str, status: str = "active", **changes: Any) -> dict[str, Any]:
        """Say something of a job."""
        said = {"id": job_id, "rev": self.rev(), "status": status, "activity": f"it is {status}", "counts": {}}
        return {**said, "steps_completed": 0, "steps_total": 2, **changes}

    def task(self, job_id: str, index: int = 0, status: str = "active", **changes: Any) -> dict[str, Any]:
        """Say something of a task."""
        said = {"id": task_id(job_id, index), "job": job_id, "rev": self.rev(), "status": status, "attempt": 1}
        return {**said, "activity": f"it is {status}", "steps_completed": 0, "steps_total": 1, **changes}

    def frame(self, job_id: str, frame: int, index: int = 0, **changes: Any) -> dict[str, Any]:
        """Say that a frame was saved."""
        place = {"job": job_id, "task": task_id(job_id, index), "attempt": 1, "frame": frame, "rev": self.rev()}
        return {**place, "path": f"/out/{frame:06}.png", "size_bytes": 10, "sha256": "a" * 64, **changes}

    def worker(self, worker_id: str, **changes: Any) -> dict[str, Any]:
        """Say something of a Worker."""
        said = {"id": worker_id, "rev": self.rev(), "name": "node-01", "address": "10.0.0.1", "platform": "linux"}
        return {**said, "software": "4.0", "task_types": ["misc"], "status": "awake", "approved": True, **changes}


async def added(world: World, name: str = "site") -> SiteManager:
    """Add a Manager, which has not said hello yet."""
    reply = await world.admin.post("managers", {"name": name})
    assert reply.status == 201, reply
    return SiteManager(world, **reply.json())


async def linked(world: World, name: str = "site") -> SiteManager:
    """Add a Manager that is in touch."""
    manager = await added(world, name)
    await manager.hello()
    return manager
