"""HTTP over a socket file: how commands on this machine talk to a running service. Who may open the file, may talk."""

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from flamenco_core.errors import Unavailable

LONGEST_ADDRESS = 100
"""Systems take addresses of 104 to 108 bytes."""
SHUTDOWN_S = 2.0
_LONGEST_CALL = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=600)


class NobodyThere(Unavailable):
    """No service listens at a socket file."""

    type = "nobody-there"


@asynccontextmanager
async def serving_on(app: web.Application, path: Path) -> AsyncIterator[None]:
    """Serve ``app`` at a socket file that only its owner may open, for as long as the context lasts.

    A file that is there already is replaced: the caller holds the folder, so whoever made it is dead.
    """
    listener = await asyncio.to_thread(_listener, path)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S, handler_cancellation=True)
    await runner.setup()
    assert runner.server is not None
    server = await asyncio.get_running_loop().create_unix_server(runner.server, sock=listener)
    try:
        yield
    finally:
        server.close()
        await runner.cleanup()
        await asyncio.to_thread(path.unlink, missing_ok=True)


@asynccontextmanager
async def calling(path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a session whose requests, to any host, go to a socket file. Raises NobodyThere when nobody listens."""
    with _short_name(path) as address:
        async with aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(path=str(address)), timeout=_LONGEST_CALL
        ) as session:
            try:
                yield session
            except aiohttp.ClientError as error:
                raise NobodyThere(f"Nobody answers at {path}: {error}.") from error


def _listener(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(listener.fileno(), 0o600)  # on Linux the file is made with that; elsewhere, see below
        with _short_name(path) as address:
            listener.bind(str(address))
        path.chmod(0o600)
        listener.listen()
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


@contextmanager
def _short_name(path: Path) -> Iterator[Path]:
    """Yield a name of the file that fits into an address: for a long one, through a link in a folder of our own."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield path
        return
    folder = Path(tempfile.mkdtemp(prefix="flamenco-"))
    try:
        (folder / "data").symlink_to(path.parent.absolute(), target_is_directory=True)
        yield folder / "data" / path.name
    finally:
        shutil.rmtree(folder)
