"""A real Server on a real socket, and those who call it: people, scripts, browsers that watch."""

import asyncio
import hashlib
import io
import json
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from yarl import URL

from flamenco_runtime.free_space import free_bytes
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address
from flamenco_server.app import build_app
from flamenco_server.connection_file import read_connection
from flamenco_server.settings import Settings

DEADLINE_S = 20
BLEND = b"BLENDER-v405" + bytes(100)
UNFOUND = "00000000-0000-4000-8000-00000000f404"
"""The id of nothing."""


class TestTime:
    """A clock that moves when it is told to."""

    __test__ = False

    def __init__(self) -> None:
        self.passed_s = 0.0

    def wall(self) -> datetime:
        return datetime(2026, 1, 31, 12, tzinfo=UTC) + timedelta(seconds=self.passed_s)


@dataclass(frozen=True)
class Reply:
    """An answer with its body."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def problem(self) -> tuple[int, str]:
        """The status and the type of an error."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), self
        document = self.json()
        assert document["status"] == self.status
        assert document["detail"]
        return self.status, document["type"]


@dataclass
class Caller:
    """Somebody who calls the Server with headers of their own; a path that does not begin with / is in ``/api/v1/``."""

    session: aiohttp.ClientSession
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def address(self, path: str) -> URL:
        return URL(self.url + (path if path.startswith("/") else f"/api/v1/{path}"), encoded=True)

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        headers = {**self.headers, **options.pop("headers", {})}
        if "json" in options:
            options["data"] = json.dumps(options.pop("json")).encode()
            headers["Content-Type"] = "application/json"
        if isinstance(options.get("data"), bytes):
            options["data"] = io.BytesIO(options["data"])  # sent piece by piece, however much it is
        options.setdefault("allow_redirects", False)
        async with self.session.request(method, self.address(path), headers=headers, **options) as response:
            return Reply(response.status, await response.read(), response.headers)

    async def get(self, path: str) -> Any:
        """Fetch a document that must be there."""
        reply = await self.call("GET", path)
        assert reply.status == 200, reply
        return reply.json()

    async def post(self, path: str, document: object = None, **options: Any) -> Reply:
        return await self.call("POST", path, json=document, **options)


@dataclass(frozen=True)
class Event:
    """A server-sent event."""

    kind: str
    id: str
    document: Any


class EventStream:
    """Reads server-sent events as they come."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = response.headers
        self.last_id = ""

    async def next(self) -> Event:
        """Wait for an event."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                fields = await self._block()
                if "id" in fields:
                    self.last_id = fields["id"]
                if "data" in fields:
                    return Event(fields["event"], fields["id"], orjson.loads(fields["data"]))

    async def until(self, kind: str, **content: Any) -> Event:
        """Wait for an event of this kind whose document has these values."""
        while True:
            event = await self.next()
            if event.kind == kind and all(event.document.get(key) == value for key, value in content.items()):
                return event

    async def ended(self) -> None:
        """Wait until the Server has ended the stream."""
        async with asyncio.timeout(DEADLINE_S):
            while await self._response.content.readline():
                pass

    async def _block(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        while line := await self._response.content.readline():
            text = line.decode().rstrip("\n")
            if not text:
                return fields
            name, _, value = text.partition(": ")
            fields[name] = value
        raise AssertionError("the Server has ended the stream")


@dataclass
class World:
    """A Server, and what its callers have."""

    url: str
    data: Path
    app: web.Application
    time: TestTime
    admin: Caller
    nobody: Caller

    @property
    def token(self) -> str:
        connection = read_connection(self.data)
        assert connection is not None
        return connection.token

    def with_headers(self, **headers: str) -> Caller:
        """Return a caller with these headers; ``_`` in a name stands for ``-``."""
        return Caller(self.nobody.session, self.url, {name.replace("_", "-"): headers[name] for name in headers})

    async def signed_in(self) -> str:
        """Sign in as a browser does; returns the session cookie's value."""
        url = URL((await self.admin.post("sign-in-links")).json()["url"])
        reply = await self.nobody.call("GET", url.path)
        assert reply.status == 303
        return reply.headers["Set-Cookie"].partition(";")[0].removeprefix("flamenco_session=")

    async def upload(self, contents: bytes, path: str = "scene.blend") -> dict[str, Any]:
        """Send a file; returns its entry in a manifest."""
        digest = hashlib.sha256(contents).hexdigest()
        assert (await self.admin.call("PUT", f"blobs/{digest}", data=contents)).status in (200, 201)
        return {"path": path, "sha256": digest, "size_bytes": len(contents)}

    async def submit(self, **changes: Any) -> str:
        """Submit a job; returns its id."""
        reply = await self.admin.post("jobs", a_submission(**changes))
        assert reply.status == 201, reply
        job_id: str = reply.json()["id"]
        return job_id

    async def compiled(self, **changes: Any) -> str:
        """Submit a job, and wait until its tasks are stored."""
        job_id = await self.submit(**changes)
        await self.until_job(job_id, lambda job: job["activity"] != "Compiling")
        return job_id

    async def until_job(self, job_id: str, is_so: Callable[[Any], Any]) -> Any:
        """Ask for a job until something is so."""
        return await self.until(f"jobs/{job_id}", is_so)

    async def until(self, path: str, is_so: Callable[[Any], Any]) -> Any:
        """Ask for a document until something is so."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                document = await self.admin.get(path)
                if is_so(document):
                    return document
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def raw_connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Open a connection that can be cut at will."""
        url = URL(self.url)
        assert url.host is not None
        reader, writer = await asyncio.open_connection(url.host, url.port)
        try:
            yield reader, writer
        finally:
            writer.close()

    @asynccontextmanager
    async def watching(self, query: str = "", **headers: str) -> AsyncIterator[EventStream]:
        """Watch live events while the context lasts."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        address = self.admin.address(f"events{query}")
        async with self.admin.session.get(address, headers={**self.admin.headers, **named}) as response:
            yield EventStream(response)


@asynccontextmanager
async def server_world(data: Path, time: TestTime | None = None, **settings: Any) -> AsyncIterator[World]:
    """Run a Server on ``data``; leaving it and entering again is a restart."""
    time, measure = time or TestTime(), settings.pop("measure", free_bytes)
    async with (
        build_app(Settings(data=data, **settings), time.wall, measure) as app,
        listening(app, Address("127.0.0.1", 0)) as address,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        connection = read_connection(data)
        assert connection is not None
        admin = Caller(session, address.url, {"Authorization": f"Bearer {connection.token}"})
        yield World(address.url, data, app, time, admin, Caller(session, address.url))


def a_submission(**changes: Any) -> dict[str, Any]:
    """Build a submission: unless it says otherwise, of a task that speaks and one that sleeps."""
    return {"name": "shot", "type": "echo-sleep-test", **changes}


def an_animation(files: list[dict[str, Any]], **settings: Any) -> dict[str, Any]:
    """Build a submission of an animation."""
    needed = {"frames": "1-3", "blendfile": "scene.blend", "render_output_path": "/out", "chunk_size": 1}
    return a_submission(type="simple-blender-render", files=files, settings={**needed, **settings})


def a_job_type(body: str, *, name: str = "own", settings: str = "", more: str = "") -> str:
    """Write a studio's job type; ``body`` is that of its generator, ``more`` stands before the closing bracket."""
    return "\n".join(
        [
            "from pathlib import Path",
            "from flamenco_core.frames import parse_frames",
            "from flamenco_core.wire.worker_api import Command",
            "from flamenco_server.job_type import AuthoredTask, JobType, Outline, Setting",
            "def task(name='a', **more):",
            "    return AuthoredTask(name, 'misc', [Command('echo', {'message': name})], **more)",
            "def compile_job(job):",
            textwrap.indent(textwrap.dedent(body).strip(), "    "),
            f"JOB_TYPE = JobType(name={name!r}, label='Own', description='', settings=({settings}),",
            f"    compile=compile_job{more})",
            "",
        ]
    )
