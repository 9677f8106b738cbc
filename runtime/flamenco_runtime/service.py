"""Running an aiohttp application until it is told to stop."""

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web

from flamenco_core.errors import Unavailable
from flamenco_runtime.connections import Connection
from flamenco_runtime.crowding import Crowd
from flamenco_runtime.http_client import reason_of
from flamenco_runtime.http_limits import HTTP_LIMITS, HttpLimits
from flamenco_runtime.proxies import TRUSTED_PROXIES, Network
from flamenco_runtime.settings import Address

SHUTDOWN_S = 2.0
"""How long open requests may go on once the service stops."""
BACKLOG = 1024
"""So many clients may come at once, as when a network is back."""

MOST_FILES = 65_536


class PortTaken(Unavailable):
    """Somebody else listens there."""

    type = "port-taken"


class Door:
    """A port that stays open while the application behind it is put together, or put together anew."""

    def __init__(self, limits: HttpLimits, trusted_proxies: Sequence[Network] = ()) -> None:
        self._limits = limits
        self._crowd = Crowd(limits.connections_per_address, (*limits.uncounted, *trusted_proxies))
        self._behind: web.Server | None = None
        self._listener: asyncio.Server | None = None

    @asynccontextmanager
    async def leading_to(self, app: web.Application) -> AsyncIterator[None]:
        """Let ``app`` answer while the context lasts, and after it who answered before.

        Connections to the one before stay with it; when it ends, its open requests get SHUTDOWN_S to end.
        """
        app[HTTP_LIMITS] = self._limits
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S, handler_cancellation=True)
        await runner.setup()
        before, self._behind = self._behind, runner.server
        try:
            yield
        finally:
            self._behind = before
            await runner.cleanup()

    @asynccontextmanager
    async def open(self, address: Address, tls: ssl.SSLContext | None = None) -> AsyncIterator[Address]:
        """Listen while the context lasts, or until ``shut``; yields the address with the port that it really has.

        Somebody must answer already (``leading_to``). ``tls``: nobody is spoken to without it. Raises PortTaken.
        """
        handshake_s = None if tls is None else self._limits.headers_s
        _allow_many_files()
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                self._connection,
                address.host,
                address.port,
                backlog=BACKLOG,
                ssl=tls,
                ssl_handshake_timeout=handshake_s,
            )
        except OSError as error:
            raise PortTaken(f"Cannot listen on {address}: {reason_of(error)}. Choose another with --listen.") from error
        try:
            port = self._listener.sockets[0].getsockname()[1]
            yield Address(address.host, port, "http" if tls is None else "https")
        finally:
            self.shut()

    def shut(self) -> None:
        """Take no new connections any more."""
        if self._listener is not None:
            self._listener.close()

    def _connection(self) -> Connection:
        assert self._behind is not None
        return Connection(self._behind, self._limits, self._crowd)


@asynccontextmanager
async def listening(app: web.Application, address: Address, limits: HttpLimits | None = None) -> AsyncIterator[Address]:
    """Serve ``app`` while the context lasts; yields the address with the port that it really has. Raises PortTaken."""
    trusted_proxies: tuple[Network, ...] = app.get(TRUSTED_PROXIES, ())
    door = Door(limits or HttpLimits(), trusted_proxies)
    async with door.leading_to(app), door.open(address) as found:
        yield found


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
