"""A Server that works, for tests of the Manager: it issues orders, serves jobs and blobs, and applies reports."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from flamenco_core.identifiers import new_id, task_id
from flamenco_core.wire.manager_api import MANAGER_FEED, NO_DIGEST, SERVER_FEED, OrderSchema, order_digest
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address

TOKEN = "link-token"


class FakeServer:
    """Keeps everything in memory, and a record of every report as it came."""

    def __init__(self) -> None:
        self.feed = new_id()
        self.manager_feed: str | None = None
        self.orders: list[dict[str, Any]] = []
        self.acknowledged_order = 0
        self.jobs: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, list[dict[str, Any]]] = {}
        self.blobs: dict[str, bytes] = {}
        self.received: list[bytes] = []
        self.applied = 0
        self.digest = NO_DIGEST
        self.mirror: dict[str, dict[str, dict[str, Any]]] = {"jobs": {}, "tasks": {}, "workers": {}}
        self.worker_states: list[dict[str, Any]] = []
        self.frames: dict[tuple[str, int], dict[str, Any]] = {}
        self.results: dict[int, dict[str, Any]] = {}
        self.fetched: list[str] = []
        """Jobs whose definitions were asked for, in that order."""
        self.logs: dict[tuple[str, int], bytearray] = {}
        self.whole_logs: set[tuple[str, int]] = set()
        self.thumbnails: dict[tuple[str, int], bytes] = {}
        self.settings: dict[str, Any] = {}
        """What differs from the defaults, as hello tells it."""
        self.resync = False
        self.hellos = 0
        self.lose_answers = 0
        """So many reports are applied, but their answers do not arrive."""
        self.logs_pass = asyncio.Event()
        """While it is not set, logs are taken but not acknowledged."""
        self.logs_pass.set()
        self.thumbnails_pass = asyncio.Event()
        """While it is not set, thumbnails are taken but not acknowledged."""
        self.thumbnails_pass.set()
        self.refuse_tasks = False
        """The stream of tasks breaks off."""
        self.is_away = False
        """Every call is answered with 503."""
        self.refuses: tuple[str, int, str] | None = None
        """Calls with this in their path are answered with this status and type."""
        self.refused = 0
        self.url = ""
        self._news = asyncio.Condition()

    async def issue(self, kind: str, *, expires: datetime | None = None, **details: Any) -> int:
        """Issue an order; returns its number."""
        number = len(self.orders) + 1
        order = {
            "order": number,
            "id": new_id(),
            "kind": kind,
            "details": details,
            "asked_by": "admin",
            "asked_at": datetime.now(UTC).isoformat(),
            "expires": expires.isoformat() if expires else None,
        }
        self.orders.append(order)
        await self._tell()
        return number

    def add_job(self, tasks: list[dict[str, Any]], *, files: dict[str, bytes] | None = None, **changes: Any) -> str:
        """Have a job ready to be fetched; tasks get their indexes and ids here."""
        job = new_id()
        manifest = []
        for path, contents in (files or {}).items():
            digest = hashlib.sha256(contents).hexdigest()
            self.blobs[digest] = contents
            manifest.append({"path": path, "sha256": digest, "size_bytes": len(contents)})
        self.jobs[job] = {
            "id": job,
            "name": "shot",
            "type": "simple-blender-render",
            "priority": 50,
            "owner": "admin",
            "created": datetime.now(UTC).isoformat(),
            "task_count": len(tasks),
            "files": manifest,
            **changes,
        }
        self.tasks[job] = [{"index": index, "id": task_id(job, index), **task} for index, task in enumerate(tasks)]
        return job

    async def submit(self, tasks: list[dict[str, Any]], **changes: Any) -> str:
        """Add a job and order the Manager to take it."""
        job = self.add_job(tasks, **changes)
        await self.issue("job.submit", job=job)
        return job

    async def asked(self, kind: str, **details: Any) -> dict[str, Any]:
        """Issue an order, and wait for what became of it."""
        number = await self.issue(kind, **details)
        await self.until(lambda: number in self.results)
        return self.results[number]

    async def until(self, condition: Callable[[], object], deadline_s: float = 20.0) -> None:
        """Wait until something that was reported makes a condition true."""
        async with asyncio.timeout(deadline_s), self._news:
            await self._news.wait_for(lambda: bool(condition()))

    async def until_job(self, job: str, status: str) -> dict[str, Any]:
        """Wait until a job is reported in a status."""
        await self.until(lambda: self.mirror["jobs"].get(job, {}).get("status") == status)
        return self.mirror["jobs"][job]

    def app(self) -> web.Application:
        """Return the HTTP side."""
        app = web.Application(client_max_size=64 * 1024 * 1024, middlewares=[self._checked])
        base = "/api/v1/manager"
        app.add_routes(
            [
                web.post(f"{base}/hello", self._hello),
                web.get(f"{base}/orders", self._orders),
                web.get(f"{base}/jobs/{{job}}", self._job),
                web.get(f"{base}/jobs/{{job}}/tasks", self._tasks),
                web.post(f"{base}/reports", self._reports),
                web.put(f"{base}/tasks/{{task}}/attempts/{{attempt}}/log", self._log),
                web.put(f"{base}/jobs/{{job}}/frames/{{frame}}", self._frame),
                web.get(f"{base}/blobs/{{sha256}}", self._blob),
            ]
        )
        return app

    @web.middleware
    async def _checked(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.is_away:
            return _problem(503, "unavailable")
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _problem(401, "not-signed-in")
        if not request.path.endswith("/hello"):
            feeds = (request.headers.get(MANAGER_FEED), request.headers.get(SERVER_FEED))
            if feeds != (self.manager_feed, self.feed):
                return _problem(409, "other-feed")
        if self.refuses is not None and self.refuses[0] in request.path:
            self.refused += 1
            await self._tell()
            return _problem(*self.refuses[1:])
        return await handler(request)

    async def _hello(self, request: web.Request) -> web.Response:
        said = orjson.loads(await request.read())
        self.manager_feed = said["feed"]
        self.hellos += 1
        await self._tell()
        digest = NO_DIGEST
        for order in self.orders[: said["last_order"]]:
            digest = order_digest(digest, OrderSchema().load(order))
        fits = digest == said["last_order_digest"] and said["last_order"] <= len(self.orders)
        return _json(
            {
                "manager": new_id(),
                "feed": self.feed,
                "next_order": said["last_order"] + 1,
                "next_report": self.applied + 1,
                "resync": self.resync or not fits,
                "settings": self.settings,
            }
        )

    async def _orders(self, request: web.Request) -> web.Response:
        after, wait_s = int(request.query["after"]), float(request.query["wait"])
        self.acknowledged_order = max(self.acknowledged_order, after)
        try:
            async with asyncio.timeout(wait_s), self._news:
                self._news.notify_all()
                await self._news.wait_for(lambda: len(self.orders) > after)
        except TimeoutError:
            pass
        return _json({"orders": self.orders[after : after + 100]})

    async def _job(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["job"])
        self.fetched.append(request.match_info["job"])
        return _problem(404, "not-found") if job is None else _json(job)

    async def _tasks(self, request: web.Request) -> web.StreamResponse:
        tasks = self.tasks[request.match_info["job"]][int(request.query.get("after", -1)) + 1 :]
        if self.refuse_tasks:
            tasks = tasks[: len(tasks) // 2]
        lines = b"".join(orjson.dumps(task) + b"\n" for task in tasks)
        response = web.Response(body=lines, content_type="application/jsonl")
        response.enable_compression()
        return response

    async def _reports(self, request: web.Request) -> web.Response:
        body = await request.read()
        report = orjson.loads(body)
        self.received.append(body)
        if report["report"] > self.applied + 1:
            return _problem(409, "report-gap", expected=self.applied + 1)
        if report["report"] == self.applied + 1:
            assert report["previous"] == self.digest
            self.applied, self.digest = report["report"], hashlib.sha256(body).hexdigest()
            self._apply(report)
            await self._tell()
        if self.lose_answers:
            self.lose_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return _json({"acknowledged": self.applied})

    def _apply(self, report: dict[str, Any]) -> None:
        for kind, mirrored in self.mirror.items():
            for item in report.get(kind, []):
                before = mirrored.get(item["id"])
                assert before is None or item["rev"] > before["rev"], "rev must rise"
                mirrored[item["id"]] = item
        self.worker_states += report.get("worker_states", [])
        for frame in report.get("frames", []):
            self.frames[frame["job"], frame["frame"]] = frame
        for result in report.get("orders", []):
            self.results[result["order"]] = result

    async def _log(self, request: web.Request) -> web.Response:
        key = (request.match_info["task"], int(request.match_info["attempt"]))
        span, _, total = request.headers["Content-Range"].removeprefix("bytes ").partition("/")
        log = self.logs.setdefault(key, bytearray())
        piece = await request.read()
        if span != "*":
            start = int(span.partition("-")[0])
            log[start : start + len(piece)] = piece
        if total != "*" and len(log) == int(total):
            self.whole_logs.add(key)
        await self._tell()
        await self.logs_pass.wait()
        return web.Response(status=204)

    async def _frame(self, request: web.Request) -> web.Response:
        self.thumbnails[request.match_info["job"], int(request.match_info["frame"])] = await request.read()
        await self._tell()
        await self.thumbnails_pass.wait()
        return web.Response(status=204)

    async def _blob(self, request: web.Request) -> web.Response:
        blob = self.blobs.get(request.match_info["sha256"])
        return _problem(404, "not-found") if blob is None else web.Response(body=blob)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


@asynccontextmanager
async def fake_server() -> AsyncIterator[FakeServer]:
    """Run a fake Server on a free port."""
    server = FakeServer()
    async with listening(server.app(), Address("127.0.0.1", 0)) as address:
        server.url = address.url
        yield server


def _json(document: object) -> web.Response:
    return web.Response(body=orjson.dumps(document), content_type="application/json")


def _problem(status: int, kind: str, **members: object) -> web.Response:
    body = orjson.dumps({"type": kind, "status": status, "detail": kind, **members})
    return web.Response(body=body, status=status, content_type="application/problem+json")
