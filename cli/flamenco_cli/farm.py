"""``flamenco up``: Server, Manager and Worker of one machine, as one tree of processes."""

import asyncio
import os
import platform
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import orjson

from flamenco_cli.client import Client, answers, open_client
from flamenco_cli.connection import Connection, connection_in, save_connection
from flamenco_cli.records import Worker
from flamenco_cli.services import is_linked
from flamenco_cli.supervisor import Service, Supervised, Tell, supervised
from flamenco_core.errors import Conflict, Unavailable
from flamenco_core.statuses import WorkerStatus
from flamenco_runtime.service import PortTaken
from flamenco_runtime.settings import Address

START_DEADLINE_S = 60.0
"""How long a service may take to answer."""
LOCK_NAME = "up.lock"
PROGRAM = (sys.executable, "-m", "flamenco_cli")


class AlreadyUp(Conflict):
    """Another ``flamenco up`` runs on the same data."""

    type = "already-up"


@dataclass(frozen=True)
class Plan:
    """What to run and where; port 0 in an address asks for a free one."""

    data: Path
    listen: Address
    manager_listen: Address
    workers: int
    environ: Mapping[str, str] = field(repr=False)
    program: tuple[str, ...] = PROGRAM

    def log(self, name: str) -> Path:
        """Return the log file of a service."""
        return self.data / "logs" / f"{name}.log"

    def service(self, name: str, *options: str, environment: Callable[[], Mapping[str, str]] | None = None) -> Service:
        """Describe one of the three services."""
        arguments = (*self.program, name, "--data", str(self.data / name), *options)
        return Service(name.capitalize(), arguments, environment or (lambda: self.environ), self.log(name))


@dataclass(frozen=True)
class Farm:
    """A farm that runs: how to reach it, and its Workers."""

    connection: Connection
    manager_url: str
    workers: list[Worker]
    services: list[Supervised]

    async def until_broken(self) -> None:
        """Wait for ever, unless a service cannot be kept running; raises why."""
        done, _ = await asyncio.wait([service.task for service in self.services], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task


@asynccontextmanager
async def farm_up(plan: Plan, tell: Tell) -> AsyncIterator[Farm]:
    """Run a farm while the context lasts; entered once everything answers, left in the reverse order of starting.

    Raises AlreadyUp, PortTaken, ServiceFailed.
    """
    async with AsyncExitStack() as stack:
        lock = stack.enter_context(locked(plan.data))
        plan = with_ports(plan)
        lock.note(plan.listen.url)
        server, connection = await _start_server(plan, tell, stack)
        client = await stack.enter_async_context(open_client(connection))
        services = [server, await _start_manager(plan, tell, stack, client)]
        workers: list[Worker] = []
        if plan.workers:
            worker, workers = await _start_worker(plan, tell, stack, client)
            services.append(worker)
        yield Farm(connection, plan.manager_listen.url, workers, services)


async def _start_server(plan: Plan, tell: Tell, stack: AsyncExitStack) -> tuple[Supervised, Connection]:
    service = plan.service("server", "--listen", str(plan.listen))
    server = await stack.enter_async_context(supervised(service, tell))
    await server.until(lambda: answers(plan.listen.url), "an answer", deadline_s=START_DEADLINE_S)
    connection = connection_in(plan.data)
    save_connection(connection, plan.environ)
    return server, connection


async def _start_manager(plan: Plan, tell: Tell, stack: AsyncExitStack, client: Client) -> Supervised:
    """Start the Manager; at the first start it is added to the Server.

    Its token travels in the environment: a command line can be read by every user of the machine.
    """
    folder = plan.data / "manager"
    token = None if is_linked(folder) else (await client.add_manager(platform.node() or "this computer"))["token"]

    def environment() -> Mapping[str, str]:
        return plan.environ if token is None or is_linked(folder) else {**plan.environ, "FLAMENCO_MANAGER_TOKEN": token}

    options = ("--server", plan.listen.url, "--listen", str(plan.manager_listen))
    service = plan.service("manager", *options, environment=environment)
    manager = await stack.enter_async_context(supervised(service, tell))
    await manager.until(lambda: answers(plan.manager_listen.url), "an answer", deadline_s=START_DEADLINE_S)
    return manager


async def _start_worker(
    plan: Plan, tell: Tell, stack: AsyncExitStack, client: Client
) -> tuple[Supervised, list[Worker]]:
    """Start the Worker; returns it and its slots, as the Server knows them."""
    options = ("--manager", plan.manager_listen.url, "--slots", str(plan.workers))
    worker = await stack.enter_async_context(supervised(plan.service("worker", *options), tell))
    awake: list[Worker] = []

    async def enough_are_awake() -> bool:
        try:
            found = await client.workers()
        except Unavailable:
            return False  # the Server is being restarted; the deadline stands
        awake[:] = [worker for worker in found if worker["status"] == WorkerStatus.AWAKE and worker["approved"]]
        return len(awake) >= plan.workers

    await worker.until(enough_are_awake, f"{plan.workers} Worker slots awake", deadline_s=START_DEADLINE_S)
    return worker, awake


class Lock:
    """The lock file of a data folder that is held; says who holds it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def note(self, url: str) -> None:
        """Write down who we are, for the message of a second ``flamenco up``."""
        self._file.truncate(0)
        self._file.write(orjson.dumps({"pid": os.getpid(), "url": url}))
        self._file.flush()


@contextmanager
def locked(data: Path) -> Iterator[Lock]:
    """Hold the data folder, so that no second farm runs on it; the lock goes with the process. Raises AlreadyUp."""
    import fcntl  # not on Windows, where the rest of the command line does work

    data.mkdir(parents=True, exist_ok=True)
    with (data / LOCK_NAME).open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyUp(_already_up(data)) from error
        yield Lock(file)


def with_ports(plan: Plan) -> Plan:
    """Check that both addresses are free, and choose ports where port 0 is asked for. Raises PortTaken.

    A port is chosen once, not by the service: a service that is started again must come back where others look for it.
    """
    with ExitStack() as stack:
        listen = _bound(plan.listen, "--listen", stack)
        manager_listen = _bound(plan.manager_listen, "--manager-listen", stack)
    return replace(plan, listen=listen, manager_listen=manager_listen)


def _bound(address: Address, option: str, stack: ExitStack) -> Address:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        raise PortTaken(
            f"Cannot listen on {address}: {error.strerror}. Stop what uses it, or choose another: {option} HOST:PORT"
        ) from error
    return Address(address.host, listener.getsockname()[1])


def _already_up(data: Path) -> str:
    try:
        holder = orjson.loads((data / LOCK_NAME).read_bytes())
        who = f"process {holder['pid']}, {holder['url']}"
    except (OSError, orjson.JSONDecodeError, KeyError):
        who = "another process"
    return (
        f"A farm runs on {data} already ({who}). Open its page with 'flamenco open --data {data}', "
        "or give another folder with --data."
    )
