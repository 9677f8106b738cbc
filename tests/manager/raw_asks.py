"""An ask for a task on a socket of its own, which can be closed in the middle."""

import asyncio
import socket
import struct
from urllib.parse import urlsplit

from manager_world import HttpWorker, World
from trace_steps import until_in_memory


class RawAsk:
    """``POST task`` with ``Prefer: wait=60``; made by ``parked``."""

    def __init__(self, worker: HttpWorker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._worker = worker
        self._reader = reader
        self._writer = writer

    @classmethod
    async def parked(cls, worker: HttpWorker, wait_s: int = 60, most: int = 1) -> "RawAsk":
        """Send the request, and do not wait for an answer."""
        parts = urlsplit(worker.world.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head = {**worker.headers, "Host": "m", "Content-Length": "0", "Prefer": f"wait={wait_s}"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        writer.write(f"POST /api/v3/worker/task?max={most} HTTP/1.1\r\n{lines}\r\n".encode())
        await writer.drain()
        return cls(worker, reader, writer)

    async def until_parked(self, world: World) -> None:
        """Wait until the Manager holds the answer back."""
        await until_in_memory(lambda: self._worker.id in world.foreman.present)

    async def answer(self) -> bytes:
        """Return the head of the answer."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def close(self) -> None:
        """Close the connection as a program does that ends."""
        self._writer.close()
        await self._writer.wait_closed()

    async def reset(self) -> None:
        """Reset the connection as a machine does that was switched off and on again."""
        handle: socket.socket = self._writer.get_extra_info("socket")
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
