"""A small Manager that works, and can be told to get something wrong: for tests of the kit that judges Managers."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from flamenco_core.identifiers import new_id
from flamenco_core.wire.manager_api import MANAGER_FEED, NO_DIGEST, SERVER_FEED, OrderSchema, order_digest

Document = dict[str, Any]
PAUSE_S = 0.05


class Again(Exception):
    """The Server wants a hello."""


class Unavailable(Exception):
    """Try the same once more."""


@dataclass
class FlawedManager:
    """Keeps in memory what a Manager stores. ``flaws`` says what it gets wrong."""

    http: aiohttp.ClientSession
    url: str
    token: str
    flaws: Collection[str] = ()
    feed: str = field(default_factory=new_id)
    server_feed: str = ""
    last_order: int = 0
    order_digest: str = NO_DIGEST
    applied: dict[str, Document] = field(default_factory=dict)
    jobs: dict[str, Document] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    results: list[Document] = field(default_factory=list)
    frozen: bytes | None = None
    next_report: int = 1
    report_digest: str = NO_DIGEST
    epoch: int = 1
    commits: int = 0

    async def run(self) -> None:
        if "silent" in self.flaws:
            return
        if "no-hello" in self.flaws:
            with suppress(Again):
                await self.call("GET", "orders?after=0&wait=0")
        while True:
            with suppress(Unavailable):
                await self.hello()
                with suppress(Again):
                    await self.in_step()
            await asyncio.sleep(PAUSE_S)
            if "no-hello-again" in self.flaws:
                await asyncio.Event().wait()

    async def in_step(self) -> None:
        """Take orders and send reports, until the Server wants a hello."""
        while True:
            try:
                await self.take_orders()
                await self.report()
            except Unavailable:
                if "gives-up" in self.flaws:
                    await asyncio.Event().wait()
                await asyncio.sleep(PAUSE_S)

    async def call(self, method: str, path: str, document: object = None, body: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {'wrong' if 'wrong-token' in self.flaws else self.token}"}
        if path not in ("hello", "resync") and "no-feeds" not in self.flaws:
            headers |= {MANAGER_FEED: self.feed, SERVER_FEED: self.server_feed}
        body = orjson.dumps(document) if document is not None else body
        try:
            async with self.http.request(
                method, f"{self.url}/api/v1/manager/{path}", data=body, headers=headers
            ) as reply:
                content = await reply.read()
                if reply.status == 409:
                    raise Again
                if reply.status == 404:
                    raise KeyError(path)
                if reply.status >= 400:
                    raise Unavailable
                return content
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable from error

    def introduction(self) -> Document:
        said = {"name": "small", "software": "small 1", "platform": "linux", "feed": self.feed}
        said |= {"last_order": self.last_order, "last_order_digest": self.order_digest}
        return {} if "bad-hello" in self.flaws else said

    async def hello(self) -> None:
        reply = orjson.loads(await self.call("POST", "hello", self.introduction()))
        if reply["resync"] and "no-resync" not in self.flaws:
            await self.resync()
            return await self.hello()
        self.server_feed = reply["feed"]
        if self.frozen is not None and reply["next_report"] > self.next_report - 1:
            self.frozen = None
        return None

    async def resync(self) -> None:
        feed = self.feed if "old-feed" in self.flaws else new_id()
        jobs = [] if "forgets-jobs" in self.flaws else list(self.jobs)
        said = {"hello": self.introduction(), "next_report": self.next_report, "feed": feed, "epoch": self.epoch}
        new = orjson.loads(await self.call("POST", "resync", {**said, "highest_attempt": 0, "jobs": jobs}))
        self.feed, self.server_feed, self.epoch = feed, new["feed"], new["epoch"]
        self.last_order, self.order_digest = new["last_order"], new["last_order_digest"]
        self.next_report, self.report_digest, self.frozen = 1, NO_DIGEST, None
        self.changed = set(self.jobs)

    async def take_orders(self) -> None:
        path = f"orders?after={self.last_order}&wait={90 if 'waits-long' in self.flaws else 0.1}"
        for order in orjson.loads(await self.call("GET", path))["orders"]:
            if order["order"] != self.last_order + 1 and "skips-orders" not in self.flaws:
                return
            result = self.applied.get(order["id"]) if "does-twice" not in self.flaws else None
            result = result or await self.apply(order["kind"], order.get("details", {}), order.get("expires"))
            self.applied[order["id"]] = result
            self.results.append({**result, "order": order["order"]})
            self.last_order = order["order"]
            self.order_digest = order_digest(self.order_digest, OrderSchema().load(order))
            if "bad-order-digest" in self.flaws:
                self.order_digest = "a" * 64

    async def apply(self, kind: str, details: Document, expires: str | None) -> Document:
        if expires is not None and "ignores-expires" not in self.flaws:
            return {"result": "expired", "why": "It came too late."}
        job_id = details.get("job", "")
        if kind == "job.submit":
            return await self.submit(job_id)
        job = self.jobs.get(job_id)
        if job is None or kind not in ("job.pause", "job.resume", "job.cancel", "job.priority"):
            return {"result": "dropped"} if "no-why" in self.flaws else {"result": "dropped", "why": "Cannot be done."}
        status, of_tasks = {
            "job.pause": ("paused", "paused"),
            "job.resume": ("active", "queued"),
            "job.cancel": ("canceled", "canceled"),
        }.get(kind, (job["status"], next(iter(job["counts"]))))
        self.change(job_id, status=status, counts={of_tasks: job["tasks"]})
        return {"result": "done"}

    async def submit(self, job_id: str) -> Document:
        try:
            definition = orjson.loads(await self.call("GET", f"jobs/{job_id}"))
            tasks = await self.tasks(job_id)
            for file in definition["files"]:
                await self.fetch(file["sha256"])
        except KeyError:
            return (
                {"result": "done"} if "keeps-gone-jobs" in self.flaws else {"result": "dropped", "why": "It is gone."}
            )
        ends = definition.get("cancel_requested") and "ignores-requests" not in self.flaws
        status = "canceled" if ends else "queued"
        self.jobs[job_id] = {"id": job_id, "tasks": tasks}
        self.change(job_id, status=status, counts={status: tasks})
        return {"result": "done"}

    async def tasks(self, job_id: str) -> int:
        while True:
            try:
                return len((await self.call("GET", f"jobs/{job_id}/tasks")).splitlines())
            except Unavailable:
                if "takes-half" in self.flaws:
                    return 1
                await asyncio.sleep(PAUSE_S)

    async def fetch(self, sha256: str) -> None:
        while hashlib.sha256(await self.call("GET", f"blobs/{sha256}")).hexdigest() != sha256:
            if "believes-blobs" in self.flaws:
                return

    def change(self, job_id: str, **changes: object) -> None:
        self.jobs[job_id] |= changes
        self.changed.add(job_id)

    async def report(self) -> None:
        if self.frozen is None or "refreezes" in self.flaws:
            if self.frozen is None and not self.changed and not self.results:
                return
            self.freeze()
        assert self.frozen is not None
        sending = [self.call("POST", "reports", body=self.frozen)] * 1
        if "two-at-once" in self.flaws:
            sending.append(self.call("POST", "reports", body=self.frozen))
        answers = await asyncio.gather(*sending, return_exceptions=True)
        if isinstance(answers[0], BaseException):
            raise answers[0]
        self.frozen = None

    def freeze(self) -> None:
        if self.frozen is None:
            self.next_report += 1 if "skips-numbers" not in self.flaws else 2
            self.previous = self.report_digest
        self.commits += 0 if "rev-stands" in self.flaws else 1
        jobs = [self.job_report(self.jobs[job_id]) for job_id in sorted(self.changed)]
        said = {"report": self.next_report - 1, "previous": self.previous, "orders": self.results, "jobs": jobs}
        if "no-chain" in self.flaws:
            said["previous"] = NO_DIGEST
        self.frozen = orjson.dumps(said | ({"salt": self.commits} if "refreezes" in self.flaws else {}))
        self.report_digest = hashlib.sha256(self.frozen).hexdigest()
        if "answers-twice" not in self.flaws:
            self.results = []
        self.changed.clear()

    def job_report(self, job: Document) -> Document:
        return {
            "id": job["id"],
            "rev": [self.epoch, self.commits],
            "status": job["status"],
            "activity": "",
            "counts": {} if "no-counts" in self.flaws else job["counts"],
            "steps_completed": 0,
            "steps_total": 0,
        }


@asynccontextmanager
async def managing(url: str, token: str, *flaws: str) -> AsyncIterator[FlawedManager]:
    """Run one while the context lasts."""
    async with aiohttp.ClientSession() as http:
        manager = FlawedManager(http, url, token, flaws)
        running = asyncio.create_task(manager.run())
        try:
            yield manager
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
