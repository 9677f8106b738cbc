"""Reading JSON that comes from elsewhere, and writing ours."""

from collections.abc import Iterable
from typing import Any, TypeVar

import orjson
from aiohttp import web
from marshmallow import Schema, ValidationError

from flamenco_core.errors import BadInput, TooLarge

T = TypeVar("T")

MIB = 1024 * 1024
MOST_LEVELS = 100
"""How deeply JSON may be nested. What we keep must also fit into answers, and orjson writes 254 levels."""
DEFAULT_LIMIT_BYTES = MIB
"""The largest JSON body, unless a route says otherwise (quality.md, section 5)."""


class BadJson(BadInput):
    """A body that is not the JSON that was asked for."""

    type = "bad-json"


async def read_json(request: web.Request, schema: Schema, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> Any:
    """Read a request's JSON body through a schema.

    Raises TooLarge, BadJson, and BadInput with ``errors`` per field. A body that says that it is too large is refused
    before it is read.
    """
    return load_json(schema, await read_json_bytes(request, limit_bytes=limit_bytes))


async def read_json_bytes(request: web.Request, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> bytes:
    """Read a body that is said to be JSON, as it came. Raises TooLarge, BadJson."""
    if request.content_type != "application/json":
        raise BadJson(f"Send Content-Type: application/json, not {request.content_type!r}.")
    return await read_limited(request, limit_bytes)


async def read_limited(request: web.Request, limit_bytes: int) -> bytes:
    """Read a body of at most so many bytes. Raises TooLarge."""
    message = f"The body may have {limit_bytes} bytes at most."
    if request.content_length is not None and request.content_length > limit_bytes:
        raise TooLarge(message)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_chunked(64 * 1024):
        size += len(chunk)
        if size > limit_bytes:
            raise TooLarge(message)
        chunks.append(chunk)
    return b"".join(chunks)


def load_json(schema: Schema, body: bytes | str) -> Any:
    """Parse JSON and load it through a schema. Raises BadJson, or BadInput with ``errors`` per field."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadJson(f"The body is not valid JSON: {error}.") from error
    if _is_deeper(document, MOST_LEVELS):
        raise BadJson(f"The body is nested more than {MOST_LEVELS} levels deep.")
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


def _is_deeper(document: object, levels: int) -> bool:
    nodes = [document]
    for _ in range(levels):
        nodes = [child for node in nodes for child in _children(node) if isinstance(child, dict | list)]
        if not nodes:
            return False
    return True


def _children(node: object) -> Iterable[object]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _flat(messages: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(messages, dict):
        parts: list[tuple[str, str]] = []
        for key, value in messages.items():
            name = "" if key == "_schema" else str(key)
            parts.extend(_flat(value, f"{path}.{name}" if path and name else path or name))
        return parts
    return [(path, " ".join(str(message) for message in messages))]
