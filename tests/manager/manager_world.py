"""A running Manager with a fake Server above it, and Workers that speak HTTP to it."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from fake_server import TOKEN, FakeServer

from flamenco_manager import leases
from flamenco_manager.app import FOREMAN, TASK_LOGS, build_app
from flamenco_manager.foreman import Foreman
from flamenco_manager.settings import Settings
from flamenco_manager.task_logs import TaskLogs
from flamenco_runtime.free_space import free_bytes
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address

TASK_TYPES = ["blender", "ffmpeg", "file-management", "misc"]


class TestTime:
    """A clock that moves when it is told to."""

    __test__ = False

    def __init__(self) -> None:
        self.passed_s = 0.0

    def wall(self) -> datetime:
        return datetime(2026, 1, 31, 12, tzinfo=UTC) + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return 1000.0 + self.passed_s


@dataclass
class Reply:
    """An answer with its body."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class World:
    """A Manager, and what it is given."""

    url: str
    server: FakeServer
    session: aiohttp.ClientSession
    time: TestTime
    foreman: Foreman
    logs: TaskLogs

    async def passes(self, seconds: float) -> None:
        """Let time pass, as the Manager notices it."""
        end = self.time.passed_s + seconds
        while self.time.passed_s < end:
            self.time.passed_s = min(self.time.passed_s + leases.TICK_S + leases.LATE_S, end)
            await self.foreman.tick()

    async def until_present(self, worker: "HttpWorker", deadline_s: float = 20.0) -> None:
        """Wait until a call of a Worker has come that waits for its answer."""
        async with asyncio.timeout(deadline_s):
            while worker.id not in self.foreman.present:
                await self.call("GET", "/healthz")

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        async with self.session.request(method, self.url + path, **options) as response:
            return Reply(response.status, await response.read(), dict(response.headers))

    async def worker(self, name: str = "worker", *, ours: bool = True, **said: Any) -> "HttpWorker":
        """Register a Worker, sign it on, and wake it."""
        worker = await self.registered(name, ours=ours, **said)
        assert (await worker.sign_on()).json()["status_requested"] == "awake"
        assert (await worker.say_status("awake")).status == 204
        return worker

    async def registered(self, name: str = "worker", *, ours: bool = True, **said: Any) -> "HttpWorker":
        """Register a Worker."""
        secret = f"secret of {name}"
        body = {"secret": secret, "platform": "linux", "supported_task_types": TASK_TYPES, "name": name, **said}
        reply = await self.call("POST", "/api/v3/worker/register-worker", json=body)
        assert reply.status == 200, reply.body
        return HttpWorker(self, reply.json()["uuid"], secret, name, ours)


@dataclass
class HttpWorker:
    """Calls the worker protocol; ``ours``: it knows attempts."""

    world: World
    id: str
    secret: str
    name: str
    ours: bool = True

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()}

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        headers = {**self.headers, **options.pop("headers", {})}
        return await self.world.call(method, "/api/v3/worker/" + path, headers=headers, **options)

    async def sign_on(self, **said: Any) -> Reply:
        body: dict[str, Any] = {"name": self.name, "supported_task_types": TASK_TYPES, "software_version": "4.0"}
        if self.ours:
            body["features"] = ["attempt", "wait", "frames", "batch"]
        return await self.call("POST", "sign-on", json={**body, **said})

    async def sign_off(self) -> Reply:
        return await self.call("POST", "sign-off")

    async def say_status(self, status: str) -> Reply:
        return await self.call("POST", "state-changed", json={"status": status})

    async def ask(self, wait_s: int = 0, most: int | None = None) -> Reply:
        headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
        return await self.call("POST", "task" if most is None else f"task?max={most}", headers=headers)

    async def task(self, deadline_s: float = 20.0) -> dict[str, Any]:
        """Ask until there is a task."""
        async with asyncio.timeout(deadline_s):
            while (reply := await self.ask(wait_s=10)).status != 200:
                assert reply.status == 204, (reply.status, reply.body)
        answer: dict[str, Any] = reply.json()
        return answer

    async def update(self, task: dict[str, Any], **said: Any) -> Reply:
        body = {"attempt": task["attempt"], **said} if self.ours else said
        return await self.call("POST", f"task/{task['uuid']}", json=body)

    async def batch(self, *updates: dict[str, Any], most: int | None = None) -> Reply:
        path = "updates" if most is None else f"updates?max={most}"
        return await self.call("POST", path, json={"updates": updates})

    async def release(self, task: dict[str, Any]) -> Reply:
        return await self.call("POST", f"task/{task['uuid']}/release?attempt={task['attempt']}")

    async def may_i_run(self, task: dict[str, Any], wait_s: int = 0, attempt: int | None = None) -> Reply:
        headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
        query = f"?attempt={attempt}" if attempt else ""
        return await self.call("GET", f"task/{task['uuid']}/may-i-run{query}", headers=headers)


@asynccontextmanager
async def manager_world(data: Path, server: FakeServer, **settings: Any) -> AsyncIterator[World]:
    """Run a Manager on ``data``; leaving it and entering again is a restart."""
    time, limits = settings.pop("time", None) or TestTime(), settings.pop("limits", None)
    measure = settings.pop("measure", free_bytes)
    chosen = Settings(**{"server": server.url, "data": data, "token": TOKEN, "name": "site", **settings})
    async with (
        build_app(chosen, time.wall, time.monotonic, measure=measure) as app,
        listening(app, Address("127.0.0.1", 0), limits or chosen.http_limits) as address,
        aiohttp.ClientSession() as session,
    ):
        yield World(address.url, server, session, time, app[FOREMAN], app[TASK_LOGS])


def a_task(**changes: Any) -> dict[str, Any]:
    """A task as the Server sends it, without index and id."""
    command = {"name": "echo", "parameters": {"message": "hello"}, "total_step_count": 0}
    return {"name": "echo", "type": "misc", "commands": [command], **changes}


def a_frame_task(frames: str, **changes: Any) -> dict[str, Any]:
    """A render task."""
    parameters = {
        "exe": "{blender}",
        "exeArgs": "{blenderArgs}",
        "blendfile": "{jobs}/ID/scene.blend",
        "args": ["--render-frame", frames, "{unknown}", 7],
    }
    command = {"name": "blender-render", "parameters": parameters, "total_step_count": 1}
    return a_task(name=f"render-{frames}", type="blender", frames=frames, commands=[command], **changes)


def told(task: dict[str, Any], seq: int, **said: Any) -> dict[str, Any]:
    """An update of a task's attempt, as it stands in a batch."""
    return {"task": task["uuid"], "attempt": task["attempt"], "seq": seq, **said}


def a_frame(number: int, **changes: Any) -> dict[str, Any]:
    """A saved frame as a Worker tells of it."""
    return {"frame": number, "path": f"/out/{number:06}.png", "size_bytes": 10, "sha256": "a" * 64, **changes}
