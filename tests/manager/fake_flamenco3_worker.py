"""A Flamenco 3 Worker, written from worker-api.md sections 5, 9 and 10; it knows nothing of attempts.

It keeps its credentials and its update queue in a folder, as the real one does. Its timers are those of section 9.1,
all multiplied by one factor.
"""

import asyncio
import base64
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from flamenco3_commands import COMMANDS, CommandFailed
from flamenco3_previews import jpeg_of

TASK_TYPES = ["blender", "ffmpeg", "file-management", "misc"]
KEY_ERRORS = (KeyError, TypeError, ValueError, OSError)


@dataclass(frozen=True)
class Timers:
    """Section 9.1, in seconds."""

    first_ask: float = 3
    after_task: float = 2
    no_task: float = 20
    error: float = 60
    may_i_run: float = 10
    state: float = 3
    sign_on: float = 5
    resend: float = 30
    log_flush: float = 30
    queue_flush: float = 5
    sign_off: float = 3

    @classmethod
    def scaled(cls, factor: float) -> "Timers":
        return cls(**{one.name: factor * float(one.default) for one in fields(cls)})  # type: ignore[arg-type]


QUICK = Timers(**{**vars(Timers.scaled(0.01)), "queue_flush": 5.0, "sign_off": 3.0})
"""So that tests need not wait."""


class Reassigned(Exception):
    """409: somebody else has the task."""


class UpdateRefused(Exception):
    """Any other answer to an update than 204."""


class FakeFlamenco3Worker:
    """One process: ``run`` lives until it is asked to leave, or ``stop`` is set (SIGTERM). Cancelling it is kill -9."""

    def __init__(
        self, url: str, folder: Path, *, name: str = "flamenco 3", timers: Timers = QUICK, restart_exit_code: int = 47
    ) -> None:
        self.url = url.rstrip("/") + "/"
        self.name = name
        self.timers = timers
        self.restart_exit_code = restart_exit_code
        self.headers: dict[str, str] = {}
        self.exchanges: list[tuple[str, str, int]] = []
        """Method, path and status of every answer."""
        self.status = ""
        self.stop = asyncio.Event()
        self.replays = asyncio.Event()
        """While it is not set, the queue stays as it is."""
        self.replays.set()
        folder.mkdir(parents=True, exist_ok=True)
        self._credentials = folder / "flamenco-worker-credentials.yaml"
        self._queue = sqlite3.connect(folder / "flamenco-worker.sqlite", isolation_level=None)
        self._queue.execute("CREATE TABLE IF NOT EXISTS task_updates (id INTEGER PRIMARY KEY, task TEXT, payload BLOB)")
        self._newest = ("", Path())
        self._has_output = asyncio.Event()
        self._remaining: list[tuple[str, dict[str, Any]]] | None = None
        self._authorization = "Basic Og=="

    def close(self) -> None:
        """Let go of its files."""
        self._remaining = self.queued
        self._queue.close()

    @property
    def id(self) -> str:
        return self._load()["worker_id"]

    @property
    def queued(self) -> list[tuple[str, dict[str, Any]]]:
        """What could not be sent yet; of a process that has ended, what it left behind."""
        if self._remaining is not None:
            return self._remaining
        rows = self._queue.execute("SELECT task, payload FROM task_updates ORDER BY id").fetchall()
        return [(task, orjson.loads(payload)) for task, payload in rows]

    async def run(self) -> int:
        """Live; returns the exit code."""
        async with aiohttp.ClientSession() as self._http, asyncio.TaskGroup() as group:
            resending = group.create_task(self._resend_for_ever())
            uploading = group.create_task(self._upload_for_ever())
            living = group.create_task(self._live())
            stopping = group.create_task(self.stop.wait())
            try:
                await asyncio.wait({living, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if living.done():
                    return await self._shut_down(living.result())
                living.cancel()
                await asyncio.wait({living})
                return await self._shut_down(1)
            finally:
                for task in (resending, uploading, living, stopping):
                    task.cancel()

    async def _live(self) -> int:
        status = await self._begin()
        if status is None:
            return 1
        await self._flush_queue()
        while status not in ("offline", "restart"):
            self.status = status if status in ("awake", "asleep") else "asleep"
            with suppress(aiohttp.ClientError):
                await self._call("POST", "state-changed", {"status": self.status})
            status = await (self._be_awake() if self.status == "awake" else self._be_asleep())
        self.status = status
        return 0 if status == "offline" else self.restart_exit_code

    async def _begin(self) -> str | None:
        """Sign on, after registering where that is refused; None: the process ends."""
        if self._credentials.exists():
            while True:
                with suppress(aiohttp.ClientError):
                    status, answer = await self._sign_on()
                    if status == 200:
                        return str(answer["status_requested"])
                    break  # taken for a rejection, whatever it was
                await asyncio.sleep(self.timers.sign_on)
        secret = secrets.token_hex(32)
        self._authorization = "Basic Og=="
        registration = {"name": self.name, "platform": "linux", "secret": secret, "supported_task_types": TASK_TYPES}
        try:
            status, answer = await self._call("POST", "register-worker", registration)
            if status != 200:
                return None
            self._credentials.write_text(f"worker_id: {answer['uuid']}\nworker_secret: {secret}\n")
            status, answer = await self._sign_on()
        except aiohttp.ClientError:
            return None
        return str(answer["status_requested"]) if status == 200 else None

    async def _sign_on(self) -> tuple[int, Any]:
        known = self._load()
        words = f"{known['worker_id']}:{known['worker_secret']}"
        self._authorization = "Basic " + base64.b64encode(words.encode()).decode()
        said = {"name": self.name, "supported_task_types": TASK_TYPES, "software_version": "3.9", "can_restart": True}
        return await self._call("POST", "sign-on", said)

    async def _be_asleep(self) -> str:
        while True:
            await asyncio.sleep(self.timers.state)
            with suppress(aiohttp.ClientError):
                status, answer = await self._call("GET", "state")
                if status == 200:
                    return str(answer["status_requested"])

    async def _be_awake(self) -> str:
        pause = self.timers.first_ask
        while True:
            await asyncio.sleep(pause)
            pause = self.timers.error
            try:
                status, answer = await self._call("POST", "task")
            except aiohttp.ClientError:
                continue
            if status == 423:
                return str(answer["status_requested"])
            if status == 204:
                pause = self.timers.no_task
            elif status == 200:
                await self._run_task(answer)
                pause = self.timers.after_task + self.timers.first_ask

    async def _run_task(self, task: dict[str, Any]) -> None:
        """Run it, while asking whether it may go on; an aborted task is reported by nobody."""
        working = asyncio.create_task(TaskRun(self, task).run())
        watching = asyncio.create_task(self._watch(task["uuid"]))
        try:
            await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (working, watching):
                one.cancel()
            await asyncio.gather(working, watching, return_exceptions=True)
        if working.done() and not working.cancelled():
            working.result()

    async def _watch(self, task_id: str) -> None:
        while True:
            await asyncio.sleep(self.timers.may_i_run)
            with suppress(aiohttp.ClientError):
                status, answer = await self._call("GET", f"task/{task_id}/may-i-run")
                if status == 200 and not answer["mayKeepRunning"]:
                    return

    async def update(self, task_id: str, said: dict[str, Any]) -> None:
        """Send an update, or queue it. Raises Reassigned, UpdateRefused."""
        if self.queued:
            self._enqueue(task_id, said)
            return
        try:
            status, _ = await self._call("POST", f"task/{task_id}", said)
        except aiohttp.ClientError:
            self._enqueue(task_id, said)
            return
        if status == 409:
            raise Reassigned
        if status != 204:
            raise UpdateRefused(status)

    def _enqueue(self, task_id: str, said: dict[str, Any]) -> None:
        self._queue.execute("INSERT INTO task_updates (task, payload) VALUES (?, ?)", (task_id, orjson.dumps(said)))

    async def _resend_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self.timers.resend)
            await self._flush_queue()

    async def _flush_queue(self) -> None:
        """Replay; any HTTP answer removes an item."""
        while self.queued:
            await self.replays.wait()
            number, task_id, payload = self._queue.execute(
                "SELECT id, task, payload FROM task_updates ORDER BY id LIMIT 1"
            ).fetchone()
            try:
                await self._call("POST", f"task/{task_id}", orjson.loads(payload))
            except aiohttp.ClientError:
                return
            self._queue.execute("DELETE FROM task_updates WHERE id = ?", (number,))

    async def _shut_down(self, exit_code: int) -> int:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.timers.queue_flush):
                await self._flush_queue()
        with suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(self.timers.sign_off):
                await self._call("POST", "sign-off")
        return exit_code

    def announce(self, task_id: str, path: Path) -> None:
        """Take note of an output file; only the newest that was not looked at yet is kept."""
        self._newest = (task_id, path)
        self._has_output.set()

    async def _upload_for_ever(self) -> None:
        """Post previews; none is tried again."""
        while True:
            await self._has_output.wait()
            self._has_output.clear()
            task_id, path = self._newest
            jpeg = await asyncio.to_thread(jpeg_of, path)
            if jpeg is not None:
                with suppress(aiohttp.ClientError):
                    await self._send("POST", f"task/{task_id}/output-produced", jpeg, "image/jpeg")

    async def _call(self, method: str, path: str, document: object = None) -> tuple[int, Any]:
        return await self._send(method, path, b"" if document is None else orjson.dumps(document), "application/json")

    async def _send(self, method: str, path: str, body: bytes, content_type: str) -> tuple[int, Any]:
        """Make one call. Raises ClientError; an answer is decoded only if it says that it is JSON."""
        headers = {"Authorization": self._authorization, "User-Agent": "Flamenco/3.9 (fake)", **self.headers}
        if method == "POST":
            headers["Content-Type"] = content_type
        url = f"{self.url}api/v3/worker/{path}"
        async with self._http.request(method, url, headers=headers, data=body or None) as response:
            answer = await response.read()
        self.exchanges.append((method, path, response.status))
        return response.status, orjson.loads(answer) if "json" in response.headers.get("Content-Type", "") else None

    def _load(self) -> dict[str, str]:
        lines = self._credentials.read_text().splitlines()
        return dict(line.split(": ", 1) for line in lines)  # type: ignore[arg-type]


class TaskRun:
    """One run of a task: section 9.2."""

    def __init__(self, worker: FakeFlamenco3Worker, task: dict[str, Any]) -> None:
        self._worker = worker
        self._task = task
        self._lines: list[str] = []
        self._flushed_at = asyncio.get_running_loop().time()
        self._steps = 0

    async def run(self) -> None:
        try:
            await self._say(activity="Started", taskStatus="active")
        except (Reassigned, UpdateRefused):
            return
        try:
            for command in self._task["commands"]:
                await self._run_command(command)
            await self._say(activity="Completed", taskStatus="completed")
        except (CommandFailed, UpdateRefused, *KEY_ERRORS) as error:
            reason = f"Failed: {error}"
            with suppress(Reassigned, UpdateRefused):
                await self._say(activity=reason, log=reason, taskStatus="failed")
        except Reassigned:
            return

    async def _run_command(self, command: dict[str, Any]) -> None:
        known = COMMANDS.get(command["name"])
        if known is None:
            raise CommandFailed(f"unknown command {command['name']!r}")
        try:
            await known(self, command["parameters"])
        except CommandFailed:
            await self._flush_log()
            raise
        await self._flush_log()
        if command["total_step_count"] == 0:
            await self.step_done()

    async def log(self, line: str) -> None:
        self._lines.append(line)
        waited = asyncio.get_running_loop().time() - self._flushed_at
        if sum(map(len, self._lines)) > 10_240 or waited > self._worker.timers.log_flush:
            await self._flush_log()

    async def step_done(self) -> None:
        self._steps += 1
        with suppress(UpdateRefused):  # a warning in its own log
            await self._say(activity="Progress", steps_completed=self._steps)

    def output(self, path: Path) -> None:
        self._worker.announce(self._task["uuid"], path)

    async def _flush_log(self) -> None:
        text, self._lines = "\n".join(self._lines), []
        self._flushed_at = asyncio.get_running_loop().time()
        if text:
            await self._say(log=text)

    async def _say(self, **said: Any) -> None:
        await self._worker.update(self._task["uuid"], said)


@asynccontextmanager
async def running(worker: FakeFlamenco3Worker) -> AsyncIterator["asyncio.Task[int]"]:
    """Run a Worker while the context lasts; what still runs then is killed, as by kill -9."""
    process = asyncio.create_task(worker.run())
    try:
        yield process
    finally:
        process.cancel()
        await asyncio.gather(process, return_exceptions=True)
        worker.close()
