"""Running an aiohttp application until it is told to stop."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web

from flamenco_core.errors import Unavailable
from flamenco_runtime.connections import Connection
from flamenco_runtime.crowding import Crowd
from flamenco_runtime.http_client import reason_of
from flamenco_runtime.http_limits import HTTP_LIMITS, HttpLimits
from flamenco_runtime.proxies import TRUSTED_PROXIES
from flamenco_runtime.settings import Address

SHUTDOWN_S = 2.0
"""How long open requests may go on once the service stops."""
BACKLOG = 1024
"""So many clients may come at once, as when a network is back."""

MOST_FILES = 65_536


class PortTaken(Unavailable):
    """Somebody else listens there."""

    type = "port-taken"


@asynccontextmanager
async def listening(app: web.Application, address: Address, limits: HttpLimits | None = None) -> AsyncIterator[Address]:
    """Serve ``app`` while the context lasts; yields the address with the port that it really has. Raises PortTaken."""
    limits = limits or HttpLimits()
    app[HTTP_LIMITS] = limits
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S, handler_cancellation=True)
    await runner.setup()
    server: asyncio.Server | None = None
    crowd = Crowd(limits.connections_per_address, (*limits.uncounted, *app.get(TRUSTED_PROXIES, ())))
    _allow_many_files()
    try:
        server = await _opened(runner, address, limits, crowd)
        yield Address(address.host, server.sockets[0].getsockname()[1])
    finally:
        if server is not None:
            server.close()
        await runner.cleanup()


async def _opened(runner: web.AppRunner, address: Address, limits: HttpLimits, crowd: Crowd) -> asyncio.Server:
    handlers = runner.server
    assert handlers is not None
    try:
        return await asyncio.get_running_loop().create_server(
            lambda: Connection(handlers, limits, crowd), address.host, address.port, backlog=BACKLOG
        )
    except OSError as error:
        raise PortTaken(f"Cannot listen on {address}: {reason_of(error)}. Choose another with --listen.") from error


def _allow_many_files() -> None:
    """Let this process hold more open files, so connections, than systems allow before they are asked."""
    try:
        import resource
    except ImportError:  # Windows, where there is no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def stop_on_signals() -> Iterator[asyncio.Event]:
    """Yield an event that SIGINT or SIGTERM sets; must be entered in the event loop's main thread."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
