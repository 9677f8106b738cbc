"""Flamenco 3's load generator, call by call as worker-api.md section 12 tells it; it stops after so many updates."""

import asyncio
import base64
import csv
import random
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson

TASK_TYPES = ["blender", "ffmpeg", "file-management", "misc"]
HEADER = ["Name", "UUID", "Secret"]


class StresserDied(Exception):
    """An answer at which the real one ends its process, and all its workers with it."""


@dataclass
class StressedWorker:
    """One fake worker: a line of ``stresser.csv``."""

    name: str
    uuid: str
    secret: str
    calls: Counter[str] = field(default_factory=Counter)
    """Answers by what was asked, as ``"task 204"``."""


class FakeStresser:
    """Acts as N workers at a Manager."""

    def __init__(self, url: str, folder: Path, number: int, *, pause_scale: float = 0.01) -> None:
        self._root = f"{url.rstrip('/')}/api/v3/worker/"
        self._csv = folder / "stresser.csv"
        self._pause_scale = pause_scale
        self._began_ns = time.monotonic_ns()
        self.workers = self._known(number)

    async def run(self, updates: int) -> None:
        """Let each worker send so many updates, then sign off. Raises StresserDied."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as self._http:
            try:
                await asyncio.gather(*[self._stress(worker, updates) for worker in self.workers])
            finally:
                self._save()

    async def _stress(self, worker: StressedWorker, updates: int) -> None:
        await self._sign_on(worker)
        status, _ = await self._call(worker, "state-changed", {"status": "awake"})
        if status >= 400:
            raise StresserDied("state-changed")
        await asyncio.sleep(random.random() * 0.5 * self._pause_scale)
        task = await self._task(worker)
        started = {"activity": "Stress testing", "taskStatus": "active", "steps_completed": 0}
        await self._call(worker, f"task/{task['uuid']}", started)
        for number in range(1, updates + 1):
            await self._call(worker, f"task/{task['uuid']}", self._update(number, task["steps_total"]))
        await self._call(worker, "sign-off")

    async def _sign_on(self, worker: StressedWorker) -> None:
        said = {
            "name": worker.name,
            "supported_task_types": TASK_TYPES,
            "software_version": "3.9-stresser",
            "can_restart": False,
        }
        status, answer = await self._call(worker, "sign-on", said)
        if status != 200:
            await self._register(worker)
            status, answer = await self._call(worker, "sign-on", said)
        if status != 200 or answer["status_requested"] != "awake":
            raise StresserDied(f"sign-on: {status} {answer}")

    async def _register(self, worker: StressedWorker) -> None:
        worker.secret = secrets.token_hex(32)
        registration = {
            "name": worker.name,
            "platform": "linux",
            "secret": worker.secret,
            "supported_task_types": TASK_TYPES,
        }
        status, answer = await self._call(worker, "register-worker", registration, authorization="Basic Og==")
        if status != 200:
            raise StresserDied(f"register-worker: {status}")
        worker.uuid = answer["uuid"]

    async def _task(self, worker: StressedWorker) -> dict[str, Any]:
        while True:
            status, answer = await self._call(worker, "task")
            if status == 200:
                return dict(answer)
            if status == 423:
                raise StresserDied("task: 423")
            await asyncio.sleep((1 if status == 204 else 2) * self._pause_scale)

    def _update(self, number: int, steps_total: int) -> dict[str, Any]:
        passed_ns = time.monotonic_ns() - self._began_ns
        lines = "".join(f"line {line} of stress test update {number}, {'x' * 50}\n" for line in range(5))
        steps = passed_ns % steps_total if steps_total else passed_ns
        return {"activity": f"stress test update {number}", "log": lines, "steps_completed": steps}

    async def _call(
        self, worker: StressedWorker, path: str, document: object = None, *, authorization: str | None = None
    ) -> tuple[int, Any]:
        credentials = base64.b64encode(f"{worker.uuid}:{worker.secret}".encode()).decode()
        headers = {"Authorization": authorization or f"Basic {credentials}", "Content-Type": "application/json"}
        body = None if document is None else orjson.dumps(document)
        async with self._http.post(self._root + path, data=body, headers=headers) as response:
            answer = await response.read()
            worker.calls[f"{path.partition('/')[0]} {response.status}"] += 1
            is_json = "json" in response.headers.get("Content-Type", "")
            return response.status, orjson.loads(answer) if is_json else None

    def _known(self, number: int) -> Sequence[StressedWorker]:
        """Read ``stresser.csv``; what it lacks is made up, and unknown to the Manager."""
        known: list[StressedWorker] = []
        if self._csv.exists():
            with self._csv.open(newline="") as file:
                known = [StressedWorker(row["Name"], row["UUID"], row["Secret"]) for row in csv.DictReader(file)]
        for index in range(len(known) + 1, number + 1):
            known.append(StressedWorker(f"stresser {index}", _random_uuid(), f"password-{index}"))
        return known[:number]

    def _save(self) -> None:
        with self._csv.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER)
            writer.writerows([worker.name, worker.uuid, worker.secret] for worker in self.workers)


def _random_uuid() -> str:
    digits = secrets.token_hex(16)
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"
