"""A Server that is played: a Manager that is judged is started against it, and driven by orders."""

import asyncio
import hashlib
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import orjson
from aiohttp import web
from marshmallow import Schema, ValidationError

from flamenco_cli.conformance.host_answers import json_reply, now_text, problem
from flamenco_cli.conformance.peer import Differs
from flamenco_core.identifiers import new_id, task_id
from flamenco_core.wire.manager_api import (
    MANAGER_FEED,
    NO_DIGEST,
    SERVER_FEED,
    HelloSchema,
    OrderSchema,
    ReportSchema,
    order_digest,
)
from flamenco_core.wire.resync import ResyncRequestSchema

PATIENCE_S = 30.0
"""How long a Manager may take to do something."""
MOST_BODY = 64 * 1024 * 1024
LOSE = "lose"
"""As a fault of a report: it is applied, and the answer never arrives."""
Document = dict[str, Any]
Fault = str | int
"""``LOSE``, or the status with which a call is answered instead of being carried out."""


@dataclass(frozen=True)
class Call:
    """A call as it came, with the status that was answered; ``document`` is its JSON, if it had any."""

    method: str
    name: str
    """The path below ``/api/v1/manager/``, without ids."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    document: Any
    body: bytes
    status: int


@dataclass
class HostServer:
    """Keeps what a Server keeps of one Manager, all that it called, and the rules that it broke."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    feed: str = field(default_factory=new_id)
    manager_feed: str | None = None
    calls: list[Call] = field(default_factory=list)
    breaks: dict[str, str] = field(default_factory=dict)
    """What the Manager did that it must not, by the rule; the first time of each."""
    orders: list[Document] = field(default_factory=list)
    acknowledged: int = 0
    results: dict[int, Document] = field(default_factory=dict)
    jobs: dict[str, Document] = field(default_factory=dict)
    tasks: dict[str, list[Document]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    mirror: dict[str, Document] = field(default_factory=dict)
    """Jobs as they were reported last, by id."""
    applied: int = 0
    digest: str = NO_DIGEST
    revs: dict[str, list[int]] = field(default_factory=dict)
    faults: dict[str, deque[Fault]] = field(default_factory=dict)
    """What goes wrong with the next calls of a name."""
    early_order: int | None = None
    """The next call for orders gets this one, though others are due before it."""
    cut_tasks: bool = False
    """The next stream of tasks breaks off half-way."""
    wrong_blob: bool = False
    """The next blob has other contents than its name says."""
    wants_resync: bool = False
    resynced: Document | None = None
    patience_s: float = PATIENCE_S
    began: int = 0
    """How many calls had come when the present check began."""
    called: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with the first call."""
    _in_flight: int = 0
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def forget(self) -> None:
        """Look at no call that came before."""
        self.began = len(self.calls)

    def what_came(self) -> str:
        """Write the calls that came, as ``GET orders 200 ×2, POST reports 200``."""
        came = [f"{call.method} {call.name} {call.status}" for call in self.calls[self.began :]]
        runs = [(call, sum(1 for _ in run)) for call, run in groupby(came)]
        return ", ".join(f"{call} ×{times}" if times > 1 else call for call, times in runs[-6:])

    def last(self) -> str:
        """Write the last call."""
        return self.what_came().rpartition(", ")[2] or "nothing"

    async def clean_up(self) -> None:
        """Leave no fault that was not met."""
        self.faults.clear()
        self.early_order, self.cut_tasks, self.wrong_blob, self.wants_resync = None, False, False, False

    def since(self, name: str) -> list[Call]:
        """Return the calls of a name that came in this check."""
        return [call for call in self.calls[self.began :] if call.name == name]

    def must_keep(self, rule: str) -> None:
        """Expect that a rule was never broken. Raises Differs."""
        if rule in self.breaks:
            raise Differs(self.breaks[rule])

    async def until(self, is_so: Callable[[], object], what: str) -> None:
        """Wait until something that the Manager does makes this so. Raises Differs."""
        try:
            async with asyncio.timeout(self.patience_s), self._news:
                await self._news.wait_for(lambda: bool(is_so()))
        except TimeoutError as error:
            came = self.what_came() or "nothing"
            raise Differs(f"not within {self.patience_s:g} seconds: {what}. What came: {came}") from error

    async def issue(self, *orders: Mapping[str, Any]) -> list[int]:
        """Issue orders at once: ``kind``, ``details``, maybe ``id`` and ``expires``; returns their numbers."""
        first = len(self.orders) + 1
        for number, order in enumerate(orders, start=first):
            issued = {"order": number, "id": new_id(), "asked_by": "conformance", "asked_at": now_text(), **order}
            self.orders.append(issued)
        await self.tell()
        return list(range(first, first + len(orders)))

    async def answered(self, *orders: Mapping[str, Any]) -> list[Document]:
        """Issue orders and wait for what becomes of them. Raises Differs."""
        numbers = await self.issue(*orders)
        kinds = ", ".join(str(order["kind"]) for order in orders)
        await self.until(lambda: all(number in self.results for number in numbers), f"a result of {kinds}")
        return [self.results[number] for number in numbers]

    def add_job(self, tasks: int = 3, *, contents: bytes | None = None, **changes: Any) -> str:
        """Have a job that can be fetched, of tasks that echo; returns its id."""
        job_id = new_id()
        files = []
        if contents is not None:
            blob = hashlib.sha256(contents).hexdigest()
            self.blobs[blob] = contents
            files = [{"path": "scene.blend", "sha256": blob, "size_bytes": len(contents)}]
        self.jobs[job_id] = {
            "id": job_id,
            "name": "conformance",
            "type": "echo-sleep-test",
            "priority": 50,
            "owner": "conformance",
            "created": now_text(),
            "task_count": tasks,
            "files": files,
            **changes,
        }
        command = {"name": "echo", "parameters": {"message": "conformance"}, "total_step_count": 1}
        self.tasks[job_id] = [
            {"index": index, "id": task_id(job_id, index), "name": "echo", "type": "misc", "commands": [command]}
            for index in range(tasks)
        ]
        return job_id

    async def submitted(self, **more: Any) -> str:
        """Order a job, and wait until it is reported as queued. Raises Differs."""
        job_id = self.add_job(**more)
        await self.issue({"kind": "job.submit", "details": {"job": job_id}})
        await self.until_job(job_id, "queued")
        return job_id

    async def until_job(self, job_id: str, status: str) -> Document:
        """Wait until a job is reported in a status. Raises Differs."""
        await self.until(
            lambda: self.mirror.get(job_id, {}).get("status") == status, f"the job is reported as {status}"
        )
        return self.mirror[job_id]

    async def tell(self) -> None:
        """Wake whoever waits for something."""
        async with self._news:
            self._news.notify_all()

    def app(self) -> web.Application:
        """Return the HTTP side."""
        app = web.Application(client_max_size=MOST_BODY)
        base = "/api/v1/manager/"
        for method, path, name, handler in (
            ("POST", "hello", "hello", self._hello),
            ("POST", "resync", "resync", self._resync),
            ("GET", "orders", "orders", self._orders),
            ("GET", "jobs/{job}", "jobs/ID", self._job),
            ("GET", "jobs/{job}/tasks", "jobs/ID/tasks", self._tasks),
            ("POST", "reports", "reports", self._report),
            ("GET", "blobs/{sha256}", "blobs/SHA256", self._blob),
        ):
            app.router.add_route(method, base + path, self._checked(name, handler))
        app.router.add_route("*", "/{path:.*}", self._checked("another call", self._unknown))
        return app

    def _checked(self, name: str, handler: Callable[[web.Request, bytes], Any]) -> Any:
        async def answer(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            response = self._refused(name, request) or await self._faulty(name, request, body)
            if response is None:
                response = await handler(request, body)
            self._note(name, request, body, response.status)
            self.called.set()
            await self.tell()
            return response

        return answer

    def _refused(self, name: str, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            self.breaks.setdefault("token", f"{request.method} {name} came without the token of this Manager")
            return problem(401, "not-signed-in")
        if name in ("hello", "resync"):
            return None
        feeds = (request.headers.get(MANAGER_FEED), request.headers.get(SERVER_FEED))
        if not all(feeds):
            self.breaks.setdefault("feeds", f"{request.method} {name} came without {MANAGER_FEED} or {SERVER_FEED}")
        return None if feeds == (self.manager_feed, self.feed) else problem(409, "other-feed")

    async def _faulty(self, name: str, request: web.Request, body: bytes) -> web.Response | None:
        faults = self.faults.get(name)
        if not faults:
            return None
        fault = faults.popleft()
        if isinstance(fault, int):
            return problem(fault, "unavailable" if fault >= 500 else "other-feed")
        await self._report(request, body)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=200)

    def _note(self, name: str, request: web.Request, body: bytes, status: int) -> None:
        try:
            document = orjson.loads(body) if body else None
        except orjson.JSONDecodeError:
            document = None
        self.calls.append(
            Call(request.method, name, dict(request.query), dict(request.headers), document, body, status)
        )

    async def _hello(self, _: web.Request, body: bytes) -> web.Response:
        said = self._read("hello", HelloSchema(), body)
        if said is None:
            return problem(422, "bad-input")
        self.manager_feed = said["feed"]
        digest = NO_DIGEST
        for order in self.orders[: said.get("last_order", 0)]:
            digest = order_digest(digest, OrderSchema().load(order))
        if said.get("last_order", 0) and said.get("last_order_digest") != digest:
            self.breaks.setdefault("order-digest", f"the digest of order {said['last_order']} is not {digest[:12]}…")
        return json_reply(
            {
                "manager": "00000000-0000-4000-8000-000000000001",
                "feed": self.feed,
                "next_order": said.get("last_order", 0) + 1,
                "next_report": self.applied + 1,
                "resync": self.wants_resync,
                "settings": {},
            }
        )

    async def _resync(self, _: web.Request, body: bytes) -> web.Response:
        said = self._read("resync", ResyncRequestSchema(), body)
        if said is None:
            return problem(422, "bad-input")
        self.resynced, self.wants_resync = said, False
        self.feed, self.manager_feed = new_id(), said["feed"]
        self.applied, self.digest = 0, NO_DIGEST
        self.mirror.clear()
        self.revs.clear()
        digest = NO_DIGEST
        for order in self.orders:
            digest = order_digest(digest, OrderSchema().load(order))
        return json_reply(
            {
                "feed": self.feed,
                "epoch": said["epoch"] + 1,
                "commit": 0,
                "attempts_above": said["highest_attempt"] + 1000,
                "last_order": len(self.orders),
                "last_order_digest": digest,
                "went_back": False,
                "erased": [],
                "lost": [],
            }
        )

    async def _orders(self, request: web.Request, _: bytes) -> web.Response:
        try:
            after, wait_s = int(request.query["after"]), float(request.query.get("wait", 0))
        except (KeyError, ValueError):
            self.breaks.setdefault("orders-query", f"GET orders?{request.query_string} has no after, or a bad wait")
            return problem(422, "bad-input")
        if not 0 <= wait_s <= 60:
            self.breaks.setdefault("orders-query", f"GET orders waits {wait_s:g} seconds, more than 60")
        if after > len(self.orders):
            self.breaks.setdefault("acknowledged", f"order {after} was acknowledged, which was not issued")
            return problem(409, "unknown-order")
        self.acknowledged = max(self.acknowledged, after)
        await self.tell()
        try:
            async with asyncio.timeout(min(wait_s, 5)), self._news:
                await self._news.wait_for(lambda: len(self.orders) > after)
        except TimeoutError:
            pass
        return json_reply({"orders": self._orders_after(after)})

    def _orders_after(self, after: int) -> list[Document]:
        if self.early_order is not None and len(self.orders) >= self.early_order:
            early, self.early_order = self.orders[self.early_order - 1 :], None
            return early
        return self.orders[after : after + 100]

    async def _job(self, request: web.Request, _: bytes) -> web.Response:
        job = self.jobs.get(request.match_info["job"])
        return problem(404, "not-found") if job is None else json_reply(job)

    async def _tasks(self, request: web.Request, _: bytes) -> web.StreamResponse:
        found = self.tasks.get(request.match_info["job"])
        if found is None:
            return problem(404, "not-found")
        lines = [orjson.dumps(task) + b"\n" for task in found[int(request.query.get("after", -1)) + 1 :]]
        if not self.cut_tasks:
            return web.Response(body=b"".join(lines), content_type="application/jsonl")
        self.cut_tasks = False
        response = web.StreamResponse(headers={"Content-Length": str(sum(map(len, lines)))})
        await response.prepare(request)
        await response.write(b"".join(lines)[: len(lines[0]) + 10])
        if request.transport is not None:
            request.transport.abort()
        return response

    async def _blob(self, request: web.Request, _: bytes) -> web.Response:
        blob = self.blobs.get(request.match_info["sha256"])
        if blob is None:
            return problem(404, "not-found")
        wrong, self.wrong_blob = self.wrong_blob, False
        return web.Response(body=bytes(len(blob)) if wrong else blob)

    async def _report(self, _: web.Request, body: bytes) -> web.Response:
        said = self._read("reports", ReportSchema(), body)
        if said is None:
            return problem(422, "bad-input")
        self._in_flight += 1
        if self._in_flight > 1:
            self.breaks.setdefault("in-flight", f"report {said['report']} came while another was not answered yet")
        try:
            await asyncio.sleep(0.02)  # while it is applied, another would be noticed
            return self._judged_report(said, body)
        finally:
            self._in_flight -= 1

    def _judged_report(self, said: Document, body: bytes) -> web.Response:
        number = said["report"]
        sent = [call.body for call in self.calls if call.name == "reports" and _number(call) == number]
        if self.resynced is None and any(other != body for other in sent):
            self.breaks.setdefault("frozen", f"report {number} was sent again with other bytes")
        if number > self.applied + 1:
            self.breaks.setdefault("numbers", f"report {number} came where {self.applied + 1} was due")
            return problem(409, "report-gap", expected=self.applied + 1)
        if number == self.applied + 1:
            if said["previous"] != self.digest:
                self.breaks.setdefault("previous", f"report {number} names {said['previous'][:12]}… as the one before")
                return problem(409, "reports-differ")
            self.applied, self.digest = number, hashlib.sha256(body).hexdigest()
            self._apply(said)
        return json_reply({"acknowledged": number})

    def _apply(self, said: Document) -> None:
        for kind in ("jobs", "tasks", "workers"):
            for thing in said.get(kind, []):
                before = self.revs.get(thing["id"])
                if before is not None and thing["rev"] <= before:
                    self.breaks.setdefault(
                        "rev", f"{kind[:-1]} {thing['id']} came with rev {thing['rev']} after {before}"
                    )
                self.revs[thing["id"]] = thing["rev"]
        self.mirror |= {job["id"]: job for job in said.get("jobs", [])}
        for result in said.get("orders", []):
            if result["order"] in self.results and self.resynced is None:
                self.breaks.setdefault("results", f"order {result['order']} was answered twice")
            self.results[result["order"]] = result

    async def _unknown(self, request: web.Request, _: bytes) -> web.Response:
        return problem(404, "not-found")

    def _read(self, name: str, schema: Schema, body: bytes) -> Document | None:
        """Read a document; one that breaks the schema is noted."""
        try:
            document: Document = orjson.loads(body)
            schema.load(document)
        except (orjson.JSONDecodeError, ValidationError, TypeError, AttributeError) as error:
            self.breaks.setdefault(name, f"POST {name} breaks the schema: {error}")
            return None
        return document


def _number(call: Call) -> object:
    return call.document.get("report") if isinstance(call.document, dict) else None


def order(kind: str, **details: object) -> dict[str, object]:
    """Make an order as ``HostServer.issue`` takes it."""
    return {"kind": kind, "details": details}
