"""One middleware turns our errors into answers: ``application/problem+json``, RFC 9457."""

from collections.abc import Awaitable, Callable, Mapping

import orjson
import structlog
from aiohttp import web
from marshmallow import ValidationError

from flamenco_core.errors import (
    BadInput,
    Conflict,
    FlamencoError,
    Forbidden,
    NoSpace,
    NotFound,
    NotSignedIn,
    Outdated,
    TooLarge,
    TooMany,
    Unavailable,
)
from flamenco_runtime.crowding import TooManyConnections
from flamenco_runtime.json_body import TooSlow, UnsupportedEncoding, invalid
from flamenco_runtime.strict_json import BadJson

log = structlog.get_logger()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_STATUSES: list[tuple[type[FlamencoError], int]] = [
    (TooLarge, 413),
    (TooSlow, 408),
    (UnsupportedEncoding, 415),
    (BadJson, 400),
    (BadInput, 422),
    (NotSignedIn, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Outdated, 412),
    (TooMany, 429),
    (NoSpace, 507),
    (Unavailable, 503),
]
UNREAD = (TooLarge, TooSlow, UnsupportedEncoding, TooManyConnections)
"""Errors after which the rest of a body is not worth reading: the connection is closed."""
MOST_OF_PATH = 200
"""So many characters of a path are told back."""
RETRY_AFTER_S = 2
"""What a client is told to wait when we are unavailable, and nobody knows for how long."""


def status_of(error: FlamencoError) -> int:
    """Map an error to its HTTP status, by its kind; 500 for none of the kinds."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def retry_after(error: FlamencoError) -> str:
    """Return the seconds after which it is worth asking again, as a header has them."""
    known = error.retry_after_s if isinstance(error, Unavailable) else None
    return str(RETRY_AFTER_S if known is None else known)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Render whatever a handler raises as a problem document; the unexpected is logged once and told as a 500."""
    try:
        return await handler(request)
    except FlamencoError as error:
        return problem_reply(error)
    except ValidationError as error:
        return problem_reply(invalid(error))
    except web.HTTPException as error:
        if error.status < 400:  # a redirection
            raise
        return _http_problem(error, request)
    except Exception:
        log.exception("request failed", method=request.method, path=request.path)
        return _problem(500, "internal", "Something went wrong on our side; the log has the details.")


def problem_reply(error: FlamencoError) -> web.Response:
    """Render one of our errors."""
    members = dict(error.members)
    if isinstance(error, BadInput) and error.errors:
        members["errors"] = error.errors
    response = _problem(status_of(error), error.type, str(error), members)
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = retry_after(error)
    if isinstance(error, UNREAD):
        response.force_close()
    return response


def _http_problem(error: web.HTTPException, request: web.Request) -> web.Response:
    """Render aiohttp's own errors (404, 405, 400 for bad headers) the same way, keeping headers such as Allow."""
    detail = error.text or error.reason
    if detail == f"{error.status}: {error.reason}":  # it says nothing of the request
        detail = f"{error.reason}: {request.method} {request.path[:MOST_OF_PATH]}"
    response = _problem(error.status, error.reason.lower().replace(" ", "-"), detail)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def _problem(status: int, kind: str, detail: str, members: Mapping[str, object] | None = None) -> web.Response:
    document = {"type": kind, "status": status, "detail": detail, **(members or {})}
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/problem+json")
