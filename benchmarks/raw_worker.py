"""A Worker on a raw socket: it costs so little itself that the Manager is what is measured."""

import asyncio
import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

STARTED = {"taskStatus": "active", "activity": "Started"}
COMPLETED = {"taskStatus": "completed", "activity": "Completed"}
TYPES = ["blender", "ffmpeg", "file-management", "misc"]
LOG = "a line of a log, as long as such lines are, with a number at its end: 0123456\n"


@dataclass
class Latencies:
    """How long calls took, in seconds, by what they were for."""

    of: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, seconds: float) -> None:
        """Add a call."""
        self.of.setdefault(name, []).append(seconds)

    def merge(self, other: "Latencies") -> None:
        """Add all calls of another."""
        for name, seconds in other.of.items():
            self.of.setdefault(name, []).extend(seconds)

    def quantiles_ms(self, name: str) -> tuple[float, float, float] | None:
        """Return p50, p99 and the longest, in milliseconds."""
        times = sorted(self.of.get(name, ()))
        if not times:
            return None
        return tuple(1e3 * times[min(len(times) - 1, int(len(times) * part))] for part in (0.5, 0.99, 1.0))  # type: ignore[return-value]


class RawWorker:
    """One keep-alive connection that speaks the worker protocol."""

    def __init__(self, host: str, port: int, number: int, features: tuple[str, ...] = ("attempt", "wait")) -> None:
        self.host, self.port, self.number, self.features = host, port, number, features
        self.latencies = Latencies()
        self.authorization = "Basic Og=="

    async def open(self) -> None:
        """Connect, register, sign on, wake up."""
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        secret = f"secret-{self.number}"
        registration = {"secret": secret, "platform": "linux", "supported_task_types": TYPES, "name": f"w{self.number}"}
        _, body = await self.call("register", "register-worker", registration)
        credentials = f"{orjson.loads(body)['uuid']}:{secret}".encode()
        self.authorization = "Basic " + base64.b64encode(credentials).decode()
        await self._sign_on()

    async def come_back(self, host: str, port: int) -> None:
        """Connect again, as the same Worker, and sign on."""
        self.host, self.port = host, port
        self.reader, self.writer = await asyncio.open_connection(host, port)
        await self._sign_on()

    async def _sign_on(self) -> None:
        signing = {"name": f"w{self.number}", "supported_task_types": TYPES, "software_version": "4"}
        if self.features:
            signing["features"] = list(self.features)
        await self.call("sign-on", "sign-on", signing)
        await self.call("state", "state-changed", {"status": "awake"})

    async def close(self) -> None:
        """Disconnect."""
        self.writer.close()
        await self.writer.wait_closed()

    async def call(
        self, name: str, path: str, document: object = None, *, wait_s: int = 0, due_s: float | None = None
    ) -> tuple[int, bytes]:
        """Make one call; returns status and body. Its time begins when it was due, if that is earlier than now."""
        body = b"" if document is None else orjson.dumps(document)
        prefer = f"Prefer: wait={wait_s}\r\n" if wait_s else ""
        head = (
            f"POST /api/v3/worker/{path} HTTP/1.1\r\nHost: m\r\nAuthorization: {self.authorization}\r\n{prefer}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter() if due_s is None else due_s
        self.writer.write(head.encode() + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        content = await self.reader.readexactly(_length(answer))
        self.latencies.note(name, time.perf_counter() - began)
        return int(answer[9:12]), content

    async def tasks(self, *, most: int = 1, wait_s: int = 0, due_s: float | None = None) -> list[dict[str, Any]]:
        """Ask for tasks; none: there are none."""
        path = "task" + (f"?max={most}" if most > 1 else "")
        status, body = await self.call("ask", path, wait_s=wait_s, due_s=due_s)
        if status != 200:
            return []
        answer = orjson.loads(body)
        found: list[dict[str, Any]] = answer.get("tasks", [answer])
        return found

    async def run(self, task: dict[str, Any]) -> None:
        """Say all that a Worker says of a task: started, a log and a step, completed."""
        path, attempt = f"task/{task['uuid']}", task["attempt"]
        said = [
            ("started", STARTED),
            ("log and step", {"log": LOG, "log_at": 0, "steps_completed": 1}),
            ("completed", COMPLETED),
        ]
        for seq, (name, update) in enumerate(said, start=1):
            status, body = await self.call(name, path, {"attempt": attempt, "seq": seq, **update})
            assert status == 204, (name, status, body)

    async def run_batch(self, tasks: list[dict[str, Any]]) -> None:
        """Say the same of several tasks in one call."""
        updates = [update for task in tasks for update in _updates(task)]
        status, body = await self.call("batch", "updates", {"updates": updates})
        assert status == 200, (status, body)


def _updates(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    about = {"task": task["uuid"], "attempt": task["attempt"]}
    yield {**about, "seq": 1, **STARTED}
    yield {**about, "seq": 2, "log": LOG, "log_at": 0, "steps_completed": 1}
    yield {**about, "seq": 3, **COMPLETED}


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return 0
