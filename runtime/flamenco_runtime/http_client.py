"""Talking to our own services: errors come back as the exceptions that the other side raised."""

import asyncio
import errno
import io
import os
import random
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from flamenco_core.errors import (
    BadInput,
    Conflict,
    FlamencoError,
    Forbidden,
    NotFound,
    NotSignedIn,
    Outdated,
    TooLarge,
    Unavailable,
)

TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10, sock_read=90)
"""No limit on a whole transfer, but on silence: longer than the longest long poll."""
LONGEST_RETRY_AFTER_S = 60
"""A service that asks to be left alone for longer is tried again all the same."""
LARGE_BYTES = 1024 * 1024
"""Larger bodies are sent in pieces, so that the event loop is not held up."""


class Unreachable(Unavailable):
    """Nobody answered at all."""

    type = "unreachable"


_KINDS: dict[int, type[FlamencoError]] = {
    401: NotSignedIn,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Outdated,
    413: TooLarge,
}


@dataclass(frozen=True)
class Reply:
    """An answer with its whole body."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        """Parse the body. Raises Unavailable when it is not JSON: then a stranger answered."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise Unavailable("The answer is not JSON; is that really a Flamenco service?") from error


async def send(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    document: object = None,
    data: Any = None,
) -> Reply:
    """Make one call; ``document`` is sent as JSON. Raises Unreachable, or the error that the status stands for."""
    reply = await exchange(session, method, url, headers=headers, document=document, data=data)
    if reply.status >= 400:
        raise error_of(reply)
    return reply


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    document: object = None,
    data: Any = None,
) -> Reply:
    """Make one call and return the answer, whatever its status; ``document`` is sent as JSON. Raises Unreachable."""
    if document is not None:
        data = orjson.dumps(document)
        headers = {**(headers or {}), "Content-Type": "application/json"}
    if isinstance(data, bytes) and len(data) > LARGE_BYTES:
        data = io.BytesIO(data)
    try:
        async with session.request(method, url, headers=headers, data=data, allow_redirects=False) as response:
            return Reply(response.status, await response.read(), response.headers)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unreachable(f"Cannot reach {url.split('?', maxsplit=1)[0]}: {reason_of(error)}.") from error


def reason_of(error: Exception) -> str:
    """Say in the system's words why a connection failed: "Connection refused"."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _untrusted(error.certificate_error)
    if isinstance(error, OSError) and error.errno is not None:
        known = error.errno in errno.errorcode  # those of name resolution have numbers of their own
        return os.strerror(error.errno) if known else str(error.strerror)
    return str(error) or type(error).__name__


def _untrusted(error: Exception) -> str:
    """Say what is wrong with a certificate, and what would help."""
    why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error)
    return (
        f"its certificate is not trusted: {why}. If a certificate authority of your own made it, name that authority's "
        "file (a Worker's setting is ca, a Manager's server_ca; of other programs SSL_CERT_FILE in the environment)"
    )


def error_of(reply: Reply) -> FlamencoError:
    """Make the exception that an answer of 400 or more stands for."""
    try:
        problem = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    message = str(problem.get("detail") or problem.get("message") or f"The answer was HTTP status {reply.status}.")
    error: FlamencoError
    if reply.status in _KINDS:
        error = _KINDS[reply.status](message)
    elif 400 <= reply.status < 500 and reply.status not in (408, 425, 429):
        errors = problem.get("errors")
        error = BadInput(message, errors if isinstance(errors, dict) else None)
    else:
        error = Unavailable(message)
        error.retry_after_s = _retry_after(reply)
    error.type = str(problem.get("type") or error.type)
    return error


def _retry_after(reply: Reply) -> int | None:
    text = reply.headers.get("Retry-After", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else None


def pause_after(error: FlamencoError, waits: Iterator[float]) -> float:
    """Return how long to wait before the next try, in seconds: as long as the other side asks, within reason."""
    asked_s = error.retry_after_s if isinstance(error, Unavailable) else None
    pause_s = next(waits)
    if asked_s is None:
        return pause_s
    return max(pause_s, min(asked_s, LONGEST_RETRY_AFTER_S) * random.uniform(1.0, 1.5))  # noqa: S311 (spreads load)


def pauses(first_s: float = 0.2, longest_s: float = 30.0) -> Iterator[float]:
    """Yield growing, jittered pauses between tries: doubling, each between half and all of its length."""
    pause = first_s
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load, hides nothing)
        pause = min(pause * 2, longest_s)


async def wait_or_stop(stop: asyncio.Event, seconds: float) -> bool:
    """Wait so long, or less when ``stop`` is set; tells whether it is."""
    try:
        async with asyncio.timeout(seconds):  # wait_for of Python 3.11 loses a cancellation that comes with the event
            await stop.wait()
    except TimeoutError:
        return False
    return True
