"""One keep-alive connection that speaks HTTP/1.1, as cheaply as can be; whoever uses it hears of every break."""

import asyncio
import base64
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import orjson

ANONYMOUS = "Basic Og=="
ANSWER_DEADLINE_S = 90.0


class Broken(Exception):
    """The connection broke before the answer came: nobody knows what became of the call."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes

    def json(self) -> object:
        """Return the body."""
        return orjson.loads(self.body)


class RawLink:
    """Connects when it is used; after a break the next call connects anew, to wherever ``where`` says then."""

    def __init__(self, where: Callable[[], tuple[str, int]]) -> None:
        self._where = where
        self._authorization = ANONYMOUS
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def sign(self, worker_id: str, secret: str) -> None:
        """Call as this Worker from now on."""
        self._authorization = "Basic " + base64.b64encode(f"{worker_id}:{secret}".encode()).decode()

    async def call(self, method: str, path: str, document: object = None, *, wait_s: int = 0) -> Answer:
        """Make one call. Raises Broken."""
        body = b"" if document is None else orjson.dumps(document)
        prefer = f"Prefer: wait={wait_s}\r\n" if wait_s else ""
        head = (
            f"{method} /api/v3/worker/{path} HTTP/1.1\r\nHost: m\r\nAuthorization: {self._authorization}\r\n{prefer}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            async with asyncio.timeout(ANSWER_DEADLINE_S):
                return await self._exchange(head.encode() + body)
        except (OSError, EOFError) as error:
            await self.close()
            raise Broken(str(error)) from error

    async def close(self) -> None:
        """Disconnect."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with suppress(OSError):
                await streams[1].wait_closed()

    async def _exchange(self, request: bytes) -> Answer:
        if self._streams is None:
            host, port = self._where()
            if not port:
                raise ConnectionRefusedError("nobody listens")
            self._streams = await asyncio.open_connection(host, port)
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        return Answer(int(head[9:12]), await reader.readexactly(_length(head)))


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return 0
