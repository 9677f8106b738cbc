"""A Manager and a Server that works, each in a process of its own, for the load generator to talk to.

The Manager gets the first core to itself; the load generator and the Server share the others.
"""

import asyncio
import contextlib
import cProfile
import gc
import multiprocessing
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
import uvloop

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "manager"))

from fake_server import TOKEN, FakeServer, fake_server

from flamenco_manager.serving import serve
from flamenco_manager.settings import Settings
from flamenco_runtime.logs import configure_logging
from flamenco_runtime.settings import Address

START_DEADLINE_S = 120.0
STOP_DEADLINE_S = 30.0


@dataclass
class Manager:
    """A Manager that runs: its address, and what it costs."""

    host: str
    port: int
    process: psutil.Process
    data: Path
    server: "ServerProcess"

    def cpu_s(self) -> float:
        """Return the processor time that it has used so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory_bytes(self) -> int:
        """Return how much memory it holds."""
        return int(self.process.memory_info().rss)

    def database_bytes(self) -> int:
        """Return the size of its database, write-ahead log included."""
        return sum(file.stat().st_size for file in self.data.glob("manager.sqlite*"))

    def kill(self) -> None:
        """Kill it, as a power cut of the process would."""
        self.process.kill()
        self.process.wait(STOP_DEADLINE_S)


class ServerProcess:
    """The Server's process, by the pipe to it."""

    def __init__(self, pipe: Connection, url: str) -> None:
        self._pipe = pipe
        self.url = url

    def call(self, name: str, *arguments: Any) -> Any:
        """Let the Server do something, and return what came of it."""
        self._pipe.send((name, arguments))
        if not self._pipe.poll(START_DEADLINE_S):
            raise TimeoutError(f"the Server did not {name}")
        return self._pipe.recv()

    def submit(self, tasks: list[dict[str, Any]], **changes: Any) -> str:
        """Order the Manager to take a job; returns its id at once."""
        job: str = self.call("submit", tasks, changes)
        return job

    def order(self, kind: str, **details: Any) -> None:
        """Issue another order."""
        self.call("order", kind, details)

    def statuses(self, job: str) -> dict[str, tuple[str, int]]:
        """Return status and attempt of a job's tasks, as they were reported last."""
        found: dict[str, tuple[str, int]] = self.call("statuses", job)
        return found

    def until(self, job: str, status: str) -> None:
        """Wait until the Manager has reported a job in a status."""
        self.call("until", job, status)


@contextlib.contextmanager
def manager(data: Path, *, profile: Path | None = None) -> Iterator[Manager]:
    """Run both while the context lasts; ``profile``: where the Manager's profile is written at its end."""
    with server_process() as server, manager_process(data, server, profile=profile) as running:
        yield running


@contextlib.contextmanager
def server_process() -> Iterator[ServerProcess]:
    """Run the Server while the context lasts."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run_server, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ServerProcess(ours, _received(ours))
    finally:
        _end(process, ours)


@contextlib.contextmanager
def manager_process(data: Path, server: ServerProcess, *, profile: Path | None = None) -> Iterator[Manager]:
    """Run a Manager while the context lasts; it may be killed before that."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run_manager, args=(data, server.url, profile, theirs), daemon=True)
    process.start()
    try:
        host, port = _received(ours).removeprefix("http://").split(":")
        yield Manager(host, int(port), psutil.Process(process.pid), data, server)
    finally:
        _end(process, ours)


def pin_to(cores: set[int]) -> None:
    """Ask for these cores, where the system lets us choose; with one core there is nothing to choose."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, cores)


def _received(pipe: Connection) -> str:
    if not pipe.poll(START_DEADLINE_S):
        raise TimeoutError("a process did not start")
    return str(pipe.recv())


def _end(process: BaseProcess, pipe: Connection) -> None:
    with contextlib.suppress(OSError):
        pipe.send(None)
    process.join(STOP_DEADLINE_S)
    if process.is_alive():
        process.kill()


def _run_manager(data: Path, server: str, profile: Path | None, pipe: Connection) -> None:
    pin_to({0})
    configure_logging(level="warning")

    async def main() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), stop.set)
        settings = Settings(server=server, data=data, token=TOKEN, listen=Address("127.0.0.1", 0))
        await serve(settings, stop=stop, ready=pipe.send)

    if profile is None:
        uvloop.run(main())
        return
    profiler = cProfile.Profile()
    profiler.runcall(asyncio.run, main())
    profiler.dump_stats(profile)


def _run_server(pipe: Connection) -> None:
    gc.disable()  # it shares a core with what measures
    pin_to(set(range(1, os.cpu_count() or 1)) or {0})

    async def main() -> None:
        async with fake_server() as server:
            await asyncio.to_thread(pipe.send, server.url)
            while (asked := await asyncio.to_thread(pipe.recv)) is not None:
                await asyncio.to_thread(pipe.send, await _served(server, *asked))

    asyncio.run(main())


async def _served(server: FakeServer, name: str, arguments: tuple[Any, ...]) -> Any:
    match name, arguments:
        case "submit", (tasks, changes):
            return await server.submit(tasks, **changes)
        case "order", (kind, details):
            return await server.issue(kind, **details)
        case "until", (job, status):
            await server.until(
                lambda: server.mirror["jobs"].get(job, {}).get("status") == status, deadline_s=START_DEADLINE_S
            )
            return None
        case "statuses", (job,):
            tasks = server.mirror["tasks"].values()
            return {task["id"]: (task["status"], task["attempt"]) for task in tasks if task["job"] == job}
    raise ValueError(name)
