"""A Manager that is played at a Server: its feeds, its numbers, and the calls of manager-api.md."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from flamenco_cli.conformance.peer import Answer, Peer
from flamenco_cli.conformance.visit import NotJudged
from flamenco_core.identifiers import new_id
from flamenco_core.wire.manager_api import MANAGER_FEED, NO_DIGEST, SERVER_FEED, OrderSchema, order_digest

BASE = "/api/v1/manager/"
ORDER_WAIT_S = 20
"""How long an order may be in coming, once there is one."""
HAS_A_PAST = (
    "The Server remembers another store of this Manager, so nothing can be judged with it. Use the token of a Manager "
    "that was just added: flamenco server add-manager NAME"
)
Order = dict[str, Any]


@dataclass(frozen=True)
class SubmittedJob:
    """A job that people submitted: three frames, and a file that belongs to it."""

    id: str
    blob: str
    contents: bytes


class Farm(Protocol):
    """People on the Server that is judged: what a Manager cannot do itself."""

    async def submit(self) -> SubmittedJob:
        """Submit a job that this Manager should get."""

    async def job(self, job_id: str) -> Mapping[str, Any]:
        """Return a job as people see it."""

    async def log(self, task_id: str, attempt: int) -> bytes:
        """Return the log of an attempt as people see it."""

    async def cancel(self, job_id: str) -> None:
        """Ask for a job to be cancelled."""

    async def confirm_link(self, request_id: str, code: str) -> str:
        """Confirm a Manager's code; returns its id."""


@dataclass
class GuestManager:
    """One run against a Server; checks share its numbers, each sent once and in order unless a check is about that."""

    peer: Peer
    token: str
    farm: Farm | None = None
    feed: str = field(default_factory=new_id)
    server_feed: str | None = None
    last_order: int = 0
    last_order_digest: str = NO_DIGEST
    next_report: int = 1
    last_report_digest: str = NO_DIGEST
    epoch: int = 1
    commits: int = 0
    job: SubmittedJob | None = None
    tasks: list[dict[str, Any]] = field(default_factory=list)
    taken: list[tuple[SubmittedJob, list[dict[str, Any]]]] = field(default_factory=list)
    open_orders: list[Order] = field(default_factory=list)
    """Those that were fetched, and not answered yet."""

    def forget(self) -> None:
        """Look at no answer that came before."""
        self.peer.judged.clear()

    def what_came(self) -> str:
        """Say what was answered."""
        return self.peer.what_came()

    def last(self) -> str:
        """Say what was answered last."""
        return self.peer.judged[-1].short if self.peer.judged else "nothing"

    async def clean_up(self) -> None:
        """Leave everything as it is: what a check begins is part of what follows."""

    async def call(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **sent: Any) -> Answer:
        """Make a call below ``/api/v1/manager/`` with the token and both feeds; ``headers`` replace them."""
        own = {"Authorization": f"Bearer {self.token}", MANAGER_FEED: self.feed, SERVER_FEED: self.server_feed or ""}
        sent.setdefault("what", f"{method} {path.partition('?')[0]}")
        return await self.peer.call(method, BASE + path, headers={**own, **(headers or {})}, **sent)

    async def stranger(self, method: str, path: str, **sent: Any) -> Answer:
        """Make a call without a token."""
        sent.setdefault("what", f"{method} {path.partition('?')[0]} without a token")
        return await self.peer.call(method, BASE + path, **sent)

    def introduction(self, **changes: object) -> dict[str, object]:
        """Return what is said at a hello."""
        said: dict[str, object] = {
            "name": "conformance",
            "software": "flamenco conformance",
            "platform": "linux",
            "feed": self.feed,
            "last_order": self.last_order,
            "last_order_digest": self.last_order_digest,
            "first_report": self.next_report,
            "previous_report_digest": self.last_report_digest,
        }
        return said | ({"server_feed": self.server_feed} if self.server_feed else {}) | changes

    async def say_hello(self, **changes: object) -> Answer:
        """Say hello."""
        return await self.call("POST", "hello", document=self.introduction(**changes))

    async def linked(self) -> None:
        """Have said a hello that fits. Raises NotJudged where the Server knows another past."""
        answer = (await self.say_hello()).must_be(200).must_have(feed=str)
        if answer.get("resync"):
            raise NotJudged(HAS_A_PAST)
        self.server_feed = answer["feed"]
        self.forget()

    async def fetch(self, wait_s: int = 0) -> list[Order]:
        """Fetch the orders that come next, and note them. Raises Differs."""
        path = f"orders?after={self.last_order}&wait={wait_s}"
        orders: list[Order] = (await self.call("GET", path)).must_be(200).must_have(orders=list)["orders"]
        for order in orders:
            self.last_order = order["order"]
            self.last_order_digest = order_digest(self.last_order_digest, OrderSchema().load(order))
        self.open_orders += orders
        return orders

    async def order_of(self, kind: str, job_id: str) -> Order:
        """Wait for an order about a job. Raises NotJudged when it does not come."""
        for order in self.open_orders:
            if order["kind"] == kind and order["details"].get("job") == job_id:
                return order
        for _ in range(3):
            for order in await self.fetch(ORDER_WAIT_S):
                if order["kind"] == kind and order["details"].get("job") == job_id:
                    return order
        raise NotJudged(f"No order {kind} came: has the Server other Managers, to which the job may have gone?")

    async def with_job(self) -> SubmittedJob:
        """Have a job, with its definition and tasks. Raises NotJudged, Differs."""
        assert self.farm is not None
        await self.linked()
        if self.job is None:
            job = await self.farm.submit()
            await self.order_of("job.submit", job.id)
            await self.take(job)
        assert self.job is not None
        self.forget()
        return self.job

    async def take(self, job: SubmittedJob) -> None:
        """Fetch a job that was ordered; it is the one that checks use from now on. Raises Differs."""
        lines = (await self.call("GET", f"jobs/{job.id}/tasks")).must_be(200).body
        self.job, self.tasks = job, [orjson.loads(line) for line in lines.splitlines() if line]
        self.taken.append((job, self.tasks))

    def rev(self) -> list[int]:
        """Return the next revision."""
        self.commits += 1
        return [self.epoch, self.commits]

    def frozen(self, **content: object) -> bytes:
        """Make the next report, as it will be sent however often."""
        body = orjson.dumps({"report": self.next_report, "previous": self.last_report_digest, **content})
        self.next_report += 1
        self.last_report_digest = hashlib.sha256(body).hexdigest()
        return body

    async def send(self, body: bytes, what: str = "POST reports") -> Answer:
        """Send a report."""
        return await self.call("POST", "reports", data=body, content_type="application/json", what=what)

    async def report(self, **content: object) -> None:
        """Report something, with answers to the orders that are open, and have it acknowledged. Raises Differs."""
        answers = [{"order": order["order"], "result": "done"} for order in self.open_orders]
        self.open_orders.clear()
        number = self.next_report
        answer = await self.send(self.frozen(**({"orders": answers} if answers else {}), **content))
        answer.must_be(200).must_have(acknowledged=number)

    def job_state(self, status: str, **changes: object) -> dict[str, object]:
        """Return a job as it is reported."""
        assert self.job is not None
        state: dict[str, object] = {
            "id": self.job.id,
            "rev": self.rev(),
            "status": status,
            "activity": f"conformance: {status}",
            "counts": {"queued": len(self.tasks)},
            "steps_completed": 0,
            "steps_total": 1,
        }
        return state | changes

    def task_state(self, index: int, status: str, attempt: int = 1, **changes: object) -> dict[str, object]:
        """Return a task as it is reported."""
        assert self.job is not None
        state: dict[str, object] = {
            "id": self.tasks[index]["id"],
            "job": self.job.id,
            "rev": self.rev(),
            "status": status,
            "attempt": attempt,
            "activity": f"conformance: {status}",
            "steps_completed": 0,
            "steps_total": 1,
        }
        return state | changes

    async def leave(self) -> None:
        """Have our jobs cancelled, as people and as their Manager. Raises Differs, FlamencoError."""
        for job, tasks in self.taken:
            assert self.farm is not None
            self.job, self.tasks = job, tasks
            await self.farm.cancel(self.job.id)
            await self.order_of("job.cancel", self.job.id)
            ended = [self.task_state(index, "canceled", attempt=10**6) for index in range(len(self.tasks))]
            await self.report(jobs=[self.job_state("canceled", counts={"canceled": len(ended)})], tasks=ended)


def must_be_problem(answer: Answer, *statuses: int, **expected: object) -> dict[str, Any]:
    """Expect a problem document of RFC 9457 with one of these statuses. Raises Differs."""
    answer.must_be(*statuses)
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    if kind != "application/problem+json":
        raise answer.differs(f"with Content-Type {kind or 'missing'}, not application/problem+json")
    return answer.must_have(type=str, status=answer.status, detail=str, **expected)


REFUSED = (400, 413, 415, 422)
"""Statuses of input that cannot be accepted."""
