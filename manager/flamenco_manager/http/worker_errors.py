"""How errors look to Workers: ``{"code", "message"}``, and 403 as ``{"message"}`` (worker-api.md, section 3)."""

import structlog
from aiohttp import web

from flamenco_core.errors import BadInput, FlamencoError, Forbidden, TooLarge, Unavailable
from flamenco_manager.http.worker_sign_in import signed_in
from flamenco_manager.preview_intake import UnknownImage
from flamenco_manager.preview_scaler import TooManyPreviews
from flamenco_runtime.json_body import json_reply
from flamenco_runtime.problems import RETRY_AFTER_S, Handler, status_of

log = structlog.get_logger()

PREFIX = "/api/v3/"


@web.middleware
async def worker_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Render what a route of the worker protocol raises."""
    if not request.path.startswith(PREFIX):
        return await handler(request)
    try:
        return await handler(request)
    except (Forbidden, web.HTTPForbidden) as error:
        return json_reply({"message": str(error)}, status=403)
    except web.HTTPException as error:
        return json_reply({"code": error.status, "message": error.text or error.reason}, status=error.status)
    except Unavailable as error:
        return _unavailable(request, str(error))
    except FlamencoError as error:
        return _refused(request, error)
    except Exception:
        log.exception("request failed", method=request.method, path=request.path)
        return _unavailable(request, "Something went wrong on the Manager's side; its log has the details.")


def _refused(request: web.Request, error: FlamencoError) -> web.Response:
    status = _status_of(error)
    log.info("worker refused", path=request.path, status=status, error=str(error), address=request.remote)
    response = json_reply({"code": status, "message": str(error)}, status=status)
    if status == 413:
        response.force_close()  # the rest of the body is not worth reading
    if status == 429:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _status_of(error: FlamencoError) -> int:
    if isinstance(error, UnknownImage):
        return 415
    if isinstance(error, TooManyPreviews):
        return 429
    if isinstance(error, BadInput) and not isinstance(error, TooLarge):
        return 400
    return status_of(error)


def _unavailable(request: web.Request, message: str) -> web.Response:
    """Answer when we cannot: our Workers wait and try again; to others, a lost connection does less harm than a 5xx.

    A Flamenco 3 Worker throws away its identity, or its update, at any answer but a good one (worker-api.md 14).
    """
    worker = signed_in(request)
    if (worker is None or not worker.knows_attempts) and request.transport is not None:
        request.transport.abort()
    response = json_reply({"code": 503, "message": message}, status=503)
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response
