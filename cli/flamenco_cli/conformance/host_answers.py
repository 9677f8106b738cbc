"""Answers of the Server that is played."""

from datetime import UTC, datetime

import orjson
from aiohttp import web


def json_reply(document: object) -> web.Response:
    """Answer with JSON."""
    return web.Response(body=orjson.dumps(document), content_type="application/json")


def problem(status: int, kind: str, **members: object) -> web.Response:
    """Answer with a problem document of RFC 9457."""
    body = orjson.dumps({"type": kind, "title": kind, "status": status, "detail": kind, **members})
    return web.Response(body=body, status=status, content_type="application/problem+json")


def now_text() -> str:
    """Write the time as RFC 3339 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
