"""How errors look to Workers: ``{"code", "message"}``, and 403 as ``{"message"}`` (worker-api.md, section 3)."""

import structlog
from aiohttp import web

from flamenco_core.errors import BadInput, FlamencoError, Forbidden, TooMany, Unavailable
from flamenco_manager.http.worker_sign_in import signed_in
from flamenco_manager.preview_intake import NoRoomForPreviews, UnknownImage
from flamenco_manager.preview_scaler import TooManyPreviews
from flamenco_runtime.json_body import TooSlow, json_reply
from flamenco_runtime.overload import Overloaded
from flamenco_runtime.problems import RETRY_AFTER_S, UNREAD, Handler, retry_after, status_of
from flamenco_runtime.proxies import client_address

log = structlog.get_logger()

PREFIX = "/api/v3/"
BY_WORKERS, REGISTER = f"{PREFIX}worker/", f"{PREFIX}worker/register-worker"
LONGEST_LOGGED = 300
"""Characters of a foreign text in a line of the log."""


@web.middleware
async def worker_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Render what a route of the worker protocol raises."""
    if not request.path.startswith(PREFIX):
        return await handler(request)
    try:
        return await handler(request)
    except (Forbidden, web.HTTPForbidden) as error:
        _note(request, 403, str(error))
        return json_reply({"message": str(error)}, status=403)
    except web.HTTPException as error:
        message = error.text or error.reason
        _note(request, error.status, message)
        return json_reply({"code": error.status, "message": message}, status=error.status)
    except Overloaded as error:  # the log tells of that once in a while
        return _unavailable(request, error)
    except (Unavailable, TooSlow) as error:
        _note(request, status_of(error), str(error))
        return _unavailable(request, error)
    except FlamencoError as error:
        return _refused(request, error)
    except Exception:
        log.exception("request failed", method=request.method, path=request.path)
        return _unavailable(request, Unavailable("Something went wrong at the Manager; its log has the details."))


def _refused(request: web.Request, error: FlamencoError) -> web.Response:
    status = _status_of(error)
    _note(request, status, str(error))
    response = json_reply({"code": status, "message": str(error)}, status=status)
    if isinstance(error, UNREAD):
        response.force_close()
    if status == 429:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _status_of(error: FlamencoError) -> int:
    if isinstance(error, UnknownImage):
        return 415
    if isinstance(error, TooManyPreviews):
        return 429
    if isinstance(error, NoRoomForPreviews):
        return 507
    if isinstance(error, BadInput) and not isinstance(error, UNREAD):
        return 400
    return status_of(error)


def _unavailable(request: web.Request, error: FlamencoError) -> web.Response:
    """Answer when we cannot: our Workers wait and try again; to others, a lost connection does less harm than a 5xx.

    A Flamenco 3 Worker throws away its identity, or its update, at any answer but a good one (worker-api.md 14), also
    where its network is too slow. Whoever is no Worker, or not yet one, is told of that.
    """
    status, worker = status_of(error), signed_in(request)
    is_told = worker.knows_attempts if worker is not None else _can_be_told(request, error)
    if not is_told and request.transport is not None:
        request.transport.abort()
    response = json_reply({"code": status, "message": str(error)}, status=status)
    response.headers["Retry-After"] = retry_after(error)
    if isinstance(error, UNREAD):
        response.force_close()
    return response


def _can_be_told(request: web.Request, error: FlamencoError) -> bool:
    """Tell whether an answer does no harm to a caller of whom we do not know who it is."""
    if isinstance(error, TooMany):  # comes before anybody's credentials are looked at
        return request.path == REGISTER or not request.path.startswith(BY_WORKERS)
    return isinstance(error, TooSlow) or (isinstance(error, Overloaded) and request.path == REGISTER)


def _note(request: web.Request, status: int, why: str) -> None:
    """Write the one line about what was refused. Paths are as long as whoever calls likes."""
    worker = signed_in(request)
    who = {} if worker is None else {"worker": worker.name, "worker_id": worker.id}
    log.info(
        "worker refused",
        method=request.method,
        path=request.path[:LONGEST_LOGGED],
        status=status,
        error=why[:LONGEST_LOGGED],
        address=client_address(request),
        **who,
    )
