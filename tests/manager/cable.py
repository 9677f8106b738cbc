"""The network between a Worker and its Manager: it can be cut, mended, and led to another Manager."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Cable:
    """Passes connections on to a Manager. While it is cut, new ones are refused and those that there were are reset."""

    def __init__(self) -> None:
        self.url = ""
        self._target = ("127.0.0.1", 0)
        self._is_cut = False
        self._open: set[asyncio.StreamWriter] = set()

    def lead_to(self, url: str) -> None:
        """Pass new connections on to this Manager; those to the old one break."""
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 0)
        self._reset()

    def cut(self) -> None:
        """Let nothing through."""
        self._is_cut = True
        self._reset()

    def mend(self) -> None:
        """Let everything through."""
        self._is_cut = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one connection."""
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back}
        await asyncio.gather(_pass(reader, back), _pass(there, writer))
        self._open -= {writer, back}

    def _reset(self) -> None:
        for writer in self._open:
            writer.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def cable(url: str) -> AsyncIterator[Cable]:
    """Lay a cable to a Manager."""
    laid = Cable()
    laid.lead_to(url)
    server = await asyncio.start_server(laid.serve, "127.0.0.1", 0)
    laid.url = "http://{}:{}/".format(*server.sockets[0].getsockname())
    async with server:
        yield laid
        laid.cut()
