"""Reading bodies that come from elsewhere, within limits of size and time; JSON through schemas; and writing ours."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

import orjson
from aiohttp import web
from marshmallow import Schema, ValidationError

from flamenco_core.errors import BadInput, FlamencoError, TooLarge
from flamenco_runtime.http_limits import limits_of
from flamenco_runtime.overload import HELD
from flamenco_runtime.strict_json import BadJson, parse_json

T = TypeVar("T")

MIB = 1024 * 1024
DEFAULT_LIMIT_BYTES = MIB
"""The largest JSON body, unless a route says otherwise (quality.md, section 5)."""
MOST_VALUES = 200_000
"""A JSON body may have so many values, those within others counted too: each costs more memory than it has bytes."""
LARGE_BYTES = 64 * 1024
"""A larger body is parsed in a thread, so that nobody else waits for it."""


class UnsupportedEncoding(BadInput):
    """A body that is compressed: what it would become is not known before, and nobody needs it."""

    type = "unsupported-encoding"


class TooSlow(FlamencoError):
    """A body that does not come, or only in drips."""

    type = "too-slow"


async def read_json(request: web.Request, schema: Schema, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> Any:
    """Read a request's JSON body through a schema.

    Raises TooLarge, TooSlow, UnsupportedEncoding, BadJson, and BadInput with ``errors`` per field. A body that says
    that it is too large is refused before it is read.
    """
    body = await read_json_bytes(request, limit_bytes=limit_bytes)
    if len(body) > LARGE_BYTES:
        return await asyncio.to_thread(load_json, schema, body, most_values=MOST_VALUES)
    return load_json(schema, body, most_values=MOST_VALUES)


async def read_json_bytes(request: web.Request, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> bytes:
    """Read a body that is said to be JSON, as it came. Raises TooLarge, TooSlow, UnsupportedEncoding, BadJson."""
    if request.content_type != "application/json":
        raise BadJson(f"Send Content-Type: application/json, not {request.content_type[:100]!r}.")
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise BadJson(f"Send JSON in UTF-8, not in {(request.charset or '')[:100]!r}.")
    return await read_limited(request, limit_bytes)


async def read_limited(request: web.Request, limit_bytes: int) -> bytes:
    """Read a body of at most so many bytes. Raises TooLarge, TooSlow, UnsupportedEncoding, Overloaded."""
    held = request.get(HELD)
    if request.content.is_eof():  # it came together with its headers, as most do
        _check_headers(request, limit_bytes)
        body: bytes = request.content.read_nowait()
        if len(body) > limit_bytes:
            raise _too_large(limit_bytes)
        if held is not None:
            held.add(len(body))
        return body
    pieces = []
    async for piece in read_pieces(request, limit_bytes):
        if held is not None:
            held.add(len(piece))
        pieces.append(piece)
    return b"".join(pieces)


async def read_pieces(request: web.Request, limit_bytes: int) -> AsyncGenerator[bytes, None]:
    """Read a body of at most so many bytes piece by piece. Raises TooLarge, TooSlow, UnsupportedEncoding."""
    _check_headers(request, limit_bytes)
    limits, loop = limits_of(request), asyncio.get_running_loop()
    began, size = loop.time(), 0
    while not request.content.at_eof():
        try:
            async with asyncio.timeout_at(began + limits.patience_s(size)):
                piece = await request.content.readany()
        except TimeoutError:
            seconds = loop.time() - began
            raise TooSlow(f"Of the body only {size} bytes came within {seconds:.0f} seconds; send it again.") from None
        size += len(piece)
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        yield piece


def _check_headers(request: web.Request, limit_bytes: int) -> None:
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise UnsupportedEncoding(f"Send the body as it is, without Content-Encoding: {encoding[:100]!r}.")
    if request.content_length is not None and request.content_length > limit_bytes:
        raise _too_large(limit_bytes)


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"The body may have {limit_bytes} bytes at most.")


def load_json(schema: Schema, body: bytes | str, *, most_values: int | None = None) -> Any:
    """Parse JSON and load it through a schema. Raises BadJson, or BadInput with ``errors`` per field."""
    return load_document(schema, parse_json(body, most_values=most_values))


def load_document(schema: Schema, document: Any) -> Any:
    """Load a parsed document through a schema. Raises BadInput with ``errors`` per field."""
    try:
        return schema.load(document)
    except ValidationError as error:
        raise invalid(error) from error


def invalid(error: ValidationError) -> BadInput:
    """Turn marshmallow's error into ours, with one message per field."""
    errors = dict(_flat(error.messages, ""))
    named = "; ".join(f"{path or 'body'}: {message}" for path, message in list(errors.items())[:5])
    return BadInput(f"Not accepted: {named}", errors)


def json_reply(document: object, *, status: int = 200) -> web.Response:
    """Answer with JSON; the document is of dicts, lists and plain values."""
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")


def _flat(messages: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(messages, str):
        return [(path, messages)]
    if isinstance(messages, dict):
        parts: list[tuple[str, str]] = []
        for key, value in messages.items():
            name = "" if key == "_schema" else str(key)
            parts.extend(_flat(value, f"{path}.{name}" if path and name else path or name))
        return parts
    return [(path, " ".join(str(message) for message in messages))]
