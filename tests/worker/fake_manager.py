"""A Manager for tests: hands out the tasks that it is given, and remembers what Workers tell. No rules, no store."""

import asyncio
import base64
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from aiohttp import web

from flamenco_core.identifiers import new_id
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address

T = TypeVar("T")
Document = dict[str, Any]


@dataclass
class FakeManager:
    """``extended``: it speaks section 15 of the worker API, else only what a Flamenco 3 Manager does.

    ``outage``: the status that every call is answered with, while it is set.
    """

    extended: bool = True
    outage: int | None = None
    takes_no_updates: bool = False
    deadline_seconds: float = 60.0
    first_status: str = "awake"
    secrets: dict[str, str] = field(default_factory=dict)
    registrations: list[Document] = field(default_factory=list)
    sign_ons: list[Document] = field(default_factory=list)
    sign_offs: int = 0
    turned_away: int = 0
    statuses: list[str] = field(default_factory=list)
    hands_out_several: bool = False
    asks: list[str] = field(default_factory=list)
    """The query of each request for a task."""
    released: list[str] = field(default_factory=list)
    tasks: deque[Document] = field(default_factory=deque)
    handed_out: list[str] = field(default_factory=list)
    updates: list[Document] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    """How many updates came in each batch."""
    takes_batches: bool = True
    lose_answers: int = 0
    """The connections of so many calls are cut after what they asked was done."""
    spoiled: set[int] = field(default_factory=set)
    """Updates with such a ``seq`` are refused, and batches that hold one."""
    previews: dict[int, bytes] = field(default_factory=dict)
    wanted_status: str | None = None
    stopped: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    url: str = ""
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator["FakeManager"]:
        app = web.Application(middlewares=[self._gate], client_max_size=32 * 1024 * 1024)
        root = "/api/v3/worker/"
        app.add_routes(
            [
                web.get("/api/v3/version", self._version),
                web.post(root + "register-worker", self._register),
                web.post(root + "sign-on", self._sign_on),
                web.post(root + "sign-off", self._sign_off),
                web.get(root + "state", self._state),
                web.post(root + "state-changed", self._state_changed),
                web.post(root + "task", self._task),
                web.post(root + "updates", self._batch),
                web.post(root + "task/{id}", self._update),
                web.get(root + "task/{id}/may-i-run", self._may_i_run),
                web.post(root + "task/{id}/release", self._release),
                web.post(root + "task/{id}/output-produced", self._preview),
            ]
        )
        async with listening(app, Address("127.0.0.1", port)) as address:
            self.url = address.url
            yield self

    async def hand_out(self, *commands: Document, task_id: str | None = None, **more: Any) -> str:
        """Queue a task of these commands; returns its id."""
        task = {
            "uuid": task_id or new_id(),
            "job": new_id(),
            "name": "a task",
            "status": "active",
            "priority": 50,
            "job_priority": 50,
            "job_type": "test",
            "task_type": "misc",
            "commands": list(commands),
            "steps_completed": 0,
            "steps_total": 1,
        }
        if self.extended:
            task |= {"attempt": 1, "deadline_seconds": self.deadline_seconds, "frames_done": []}
        self.tasks.append(task | more)
        await self.notify()
        return str(task["uuid"])

    async def ask_for(self, status: str) -> None:
        """Want a status of whoever asks next."""
        self.wanted_status = status
        await self.notify()

    async def stop_task(self, task_id: str, reason: str = "canceled") -> None:
        """Answer may-i-run with no."""
        self.stopped[task_id] = reason
        await self.notify()

    async def until(self, question: Callable[[], T | None], what: str, *, deadline_s: float = 60) -> T:
        """Wait until the answer is true, and return it; asked again whenever a Worker told something."""
        try:
            async with asyncio.timeout(deadline_s):
                while not (answer := question()):
                    async with self._changed:
                        await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"not within {deadline_s:g} s: {what}; updates: {self.updates}") from None
        return answer

    async def until_ended(self, task_id: str) -> str:
        """Wait for the last status of a task."""
        return await self.until(lambda: self.ended_as(task_id), f"task {task_id} ends")

    def of(self, task_id: str) -> list[Document]:
        """Return the updates of a task, in the order in which they came."""
        return [update for update in self.updates if update["task"] == task_id]

    def ended_as(self, task_id: str) -> str | None:
        words = [update.get("taskStatus") for update in self.of(task_id)]
        return next((word for word in words if word in ("completed", "failed")), None)

    def log_of(self, task_id: str) -> str:
        return "".join(update.get("log", "") for update in self.of(task_id))

    def frames_of(self, task_id: str) -> list[Document]:
        return [frame for update in self.of(task_id) for frame in update.get("frames", [])]

    def steps_of(self, task_id: str) -> int:
        return max(update.get("steps_completed", 0) for update in self.of(task_id))

    def last_of(self, task_id: str) -> Document:
        return self.of(task_id)[-1]

    async def notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    @web.middleware
    async def _gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.outage is not None:
            self.turned_away += 1
            await self.notify()
            return web.json_response({"code": self.outage, "message": "out of order"}, status=self.outage)
        if not request.path.endswith(("/register-worker", "/version")):
            name, _, secret = base64.b64decode(request.headers["Authorization"].split()[1]).decode().partition(":")
            if self.secrets.get(name) != secret:
                return web.json_response({"message": "unknown worker"}, status=403)
        response: web.StreamResponse = await handler(request)
        await self.notify()
        if self.lose_answers and request.transport is not None:
            self.lose_answers -= 1
            request.transport.abort()
        return response

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "4", "shortversion": "4", "name": "fake", "git": ""})

    async def _register(self, request: web.Request) -> web.Response:
        document = await request.json()
        uuid = new_id()
        self.secrets[uuid] = document["secret"]
        self.registrations.append(document | {"authorization": request.headers["Authorization"]})
        shown = {key: document[key] for key in ("name", "platform", "supported_task_types")}
        more = {"uuid": uuid, "address": "127.0.0.1", "status": "", "software": ""}
        return web.json_response(shown | more)

    async def _sign_on(self, request: web.Request) -> web.Response:
        self.sign_ons.append(await request.json())
        batch = ["batch"] if self.takes_batches else []
        more = {"features": ["attempt", "wait", "frames", *batch]} if self.extended else {}
        return web.json_response({"status_requested": self.first_status, **more})

    async def _sign_off(self, request: web.Request) -> web.Response:
        self.sign_offs += 1
        return web.Response(status=204)

    async def _state_changed(self, request: web.Request) -> web.Response:
        status = (await request.json())["status"]
        self.statuses.append(status)
        if status == self.wanted_status:
            self.wanted_status = None
        return web.Response(status=204)

    async def _state(self, request: web.Request) -> web.Response:
        waited = await self._wait(request, lambda: self.wanted_status)
        if self.wanted_status is None:
            return web.Response(status=204, headers=waited)
        return web.json_response({"status_requested": self.wanted_status}, headers=waited)

    async def _task(self, request: web.Request) -> web.Response:
        self.asks.append(request.query_string)
        waited = await self._wait(request, lambda: self.tasks or self.wanted_status)
        if self.wanted_status is not None:
            return web.json_response({"status_requested": self.wanted_status}, status=423)
        if not self.tasks:
            return web.Response(status=204, headers=waited)
        if self.hands_out_several and "max" in request.query:
            return web.json_response({"tasks": self._next_tasks(request)}, headers=waited)
        task = self.tasks.popleft()
        self.handed_out.append(task["uuid"])
        return web.json_response(task, headers=waited)

    def _next_tasks(self, request: web.Request) -> list[Document]:
        tasks = [self.tasks.popleft() for _ in range(min(int(request.query["max"]), len(self.tasks)))]
        self.handed_out += [task["uuid"] for task in tasks]
        return tasks

    async def _release(self, request: web.Request) -> web.Response:
        assert request.query["attempt"] == "1"
        self.released.append(request.match_info["id"])
        return web.Response(status=204)

    async def _update(self, request: web.Request) -> web.Response:
        task_id = request.match_info["id"]
        if self.takes_no_updates:
            self.turned_away += 1
            return web.json_response({"code": 503, "message": "busy"}, status=503)
        if task_id in self.refused:
            return web.json_response({"code": 409, "message": "given to another Worker"}, status=409)
        if task_id in self.unknown:
            return web.json_response({"code": 404, "message": "no such task"}, status=404)
        update = {"task": task_id, **orjson.loads(await request.read())}
        if update.get("seq") in self.spoiled:
            return web.json_response({"code": 400, "message": "seq: spoiled"}, status=400)
        self.updates.append(update)
        return web.Response(status=204)

    async def _batch(self, request: web.Request) -> web.Response:
        if not (self.extended and self.takes_batches):
            return web.json_response({"code": 404, "message": "Not Found"}, status=404)
        if self.takes_no_updates:
            self.turned_away += 1
            return web.json_response({"code": 503, "message": "busy"}, status=503)
        updates = orjson.loads(await request.read())["updates"]
        if any(update["seq"] in self.spoiled for update in updates):
            return web.json_response({"code": 400, "message": "updates.0.seq: spoiled"}, status=400)
        self.batches.append(len(updates))
        answer: Document = {"results": [self._take(update) for update in updates]}
        if self.hands_out_several and "max" in request.query and self.tasks and self._has_ended_all():
            answer["next"] = self._next_tasks(request)
        return web.json_response(answer)

    def _has_ended_all(self) -> bool:
        return all(self.ended_as(task) for task in self.handed_out if task not in self.released)

    def _take(self, update: Document) -> Document:
        """Judge one update of a batch: what came before is a repeat."""
        key = [update[name] for name in ("task", "attempt", "seq")]
        if update["task"] in self.unknown:
            result = "unknown"
        elif update["task"] in self.refused:
            result = "stale"
        elif key in [[one.get(name) for name in ("task", "attempt", "seq")] for one in self.of(update["task"])]:
            result = "repeated"
        else:
            result = "applied"
            self.updates.append(update)
        return {"task": update["task"], "seq": update["seq"], "result": result}

    async def _may_i_run(self, request: web.Request) -> web.Response:
        task_id = request.match_info["id"]
        waited = await self._wait(request, lambda: task_id in self.stopped)
        runs = task_id not in self.stopped
        reason = self.stopped.get(task_id, "")
        document = {"mayKeepRunning": runs, "reason": reason, "statusChangeRequested": False}
        return web.json_response(document, headers=waited)

    async def _preview(self, request: web.Request) -> web.Response:
        self.previews[int(request.query.get("frame", 0))] = await request.read()
        return web.Response(status=202)

    async def _wait(self, request: web.Request, question: Callable[[], object]) -> dict[str, str]:
        """Hold an answer back as RFC 7240 asks, if we are one that does."""
        wish = request.headers.get("Prefer", "")
        if not self.extended or not wish.startswith("wait="):
            return {}
        try:
            async with asyncio.timeout(float(wish.removeprefix("wait="))):
                async with self._changed:
                    await self._changed.wait_for(lambda: bool(question()))
        except TimeoutError:
            pass
        return {"Preference-Applied": "wait"}
