"""Running an aiohttp application until it is told to stop."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web

from flamenco_core.errors import Unavailable
from flamenco_runtime.http_client import reason_of
from flamenco_runtime.settings import Address

KEEP_ALIVE_S = 75.0
"""Idle connections stay open longer than the gaps between a Worker's polls (worker-api.md, section 1)."""
SHUTDOWN_S = 2.0
"""How long open requests may go on once the service stops."""


class PortTaken(Unavailable):
    """Somebody else listens there."""

    type = "port-taken"


@asynccontextmanager
async def listening(app: web.Application, address: Address) -> AsyncIterator[Address]:
    """Serve ``app`` while the context lasts; yields the address with the port that it really has. Raises PortTaken."""
    runner = web.AppRunner(
        app, access_log=None, keepalive_timeout=KEEP_ALIVE_S, shutdown_timeout=SHUTDOWN_S, handler_cancellation=True
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, address.host, address.port)
        try:
            await site.start()
        except OSError as error:
            raise PortTaken(f"Cannot listen on {address}: {reason_of(error)}. Choose another with --listen.") from error
        yield Address(address.host, runner.addresses[0][1])
    finally:
        await runner.cleanup()


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
