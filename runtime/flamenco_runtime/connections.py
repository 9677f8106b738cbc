"""Connections that clients keep waiting, or that bring no HTTP: closed in time, and answered as JSON.

aiohttp itself has no limit on how long headers may take, and answers what it cannot parse as plain text, with a
traceback in the log (quality.md, section 5: slow loris, bad headers).
Nor has it one on how many there may be; one address gets no more than its share of them.
"""

import asyncio
from typing import Any

import orjson
import structlog
from aiohttp import StreamReader, web
from aiohttp.web_protocol import RequestHandler

from flamenco_runtime.crowding import Crowd, Room, TooManyConnections
from flamenco_runtime.http_limits import HttpLimits
from flamenco_runtime.problems import Handler
from flamenco_runtime.proxies import Network

log = structlog.get_logger()

_TOO_SLOW = "The headers of the request did not come in time."


class Connection(RequestHandler):
    """One connection, which is closed when a request does not come as fast as the limits want it."""

    __slots__ = (
        "_begun_bytes",
        "_crowd",
        "_crowded_s",
        "_deadline",
        "_headers_s",
        "_open_requests",
        "_origin",
        "_unread",
        "is_too_many",
    )

    def __init__(self, server: web.Server, limits: HttpLimits, crowd: Crowd) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.keep_alive_s,
            lingering_time=limits.unread_s,
            access_log=None,  # type: ignore[arg-type] # as AppRunner does it
            auto_decompress=False,  # read_limited refuses what is compressed
        )
        self._headers_s = limits.headers_s
        self._crowded_s = limits.crowded_s
        self._crowd = crowd
        self._origin: Network | None = None
        self.is_too_many = False
        """Its address holds as many as it may without this one."""
        self._deadline: asyncio.TimerHandle | None = None
        self._begun_bytes = 0
        """So much has come of a request whose headers are not complete."""
        self._open_requests = 0
        """Their headers are there, their answers are not sent yet."""
        self._unread: StreamReader | None = None
        """The body of a request that was answered before all of it had come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the client its time for the first request."""
        super().connection_made(transport)
        address = _address(self.peername)
        self._origin, room = self._crowd.enter(address)
        if room is Room.OVERRUN:
            transport.abort()  # type: ignore[attr-defined] # asyncio.Transport has it
            return
        if room is Room.NONE:
            self.is_too_many = True
            self._headers_s = min(self._headers_s, self._crowded_s)
        self._start_waiting()

    def data_received(self, data: bytes) -> None:
        """Take what came; a request that begins with it gets its time, and one whose headers end here has made it."""
        parsed_before = self._request_count
        super().data_received(data)
        if self._request_count != parsed_before:
            self._open_requests += self._request_count - parsed_before
            self._begun_bytes = 0
            self._stop_waiting()
        elif self._unread is not None:
            self._unread = None if self._unread.is_eof() else self._unread
        elif data and not self._open_requests:  # without data: aiohttp has read on in what came before
            self._begun_bytes += len(data)
            self._start_waiting()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget about the client."""
        self._crowd.leave(self._origin)
        self._origin = None
        self._stop_waiting()
        super().connection_lost(exc)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; the next request may begin."""
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._open_requests -= 1
            self._unread = None if request.content.is_eof() else request.content

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP. Errors of handlers do not come here: the middlewares answer those."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        reason = _on_one_line(message or str(exc))
        log.info("no HTTP", status=status, error=reason, address=request.remote)
        response = web.Response(body=_document(status, reason), status=status, content_type="application/problem+json")
        response.force_close()
        return response

    def _start_waiting(self) -> None:
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(self._headers_s, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.transport is None:
            return
        if self._begun_bytes:  # a browser opens connections ahead, and says nothing: that is no news
            log.info("no request", status=408, error=_TOO_SLOW, address=_address(self.peername))
            body = _document(408, _TOO_SLOW)
            head = (
                "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/problem+json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()


@web.middleware
async def room_for_all(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what comes over more connections than one address may hold. Raises TooManyConnections."""
    connection = request.protocol
    if isinstance(connection, Connection) and connection.is_too_many:
        raise TooManyConnections(
            f"Too many connections come from {_address(connection.peername)}: close some, or ask whoever runs this to "
            "allow more (connections_per_address)."
        )
    return await handler(request)


def _document(status: int, message: str) -> bytes:
    """Write an error for whoever speaks to us: Workers look at code and message, others at the rest (RFC 9457)."""
    return orjson.dumps(
        {"type": "bad-request", "status": status, "detail": message, "code": status, "message": message}
    )


def _on_one_line(text: str) -> str:
    return " ".join(text.split())[:200] or "The request is not HTTP."


def _address(peer: Any) -> str:
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""
