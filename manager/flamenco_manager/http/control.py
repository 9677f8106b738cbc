"""What commands on this machine ask of a running Manager, over its control socket (``DATA/control.sock``).

Answers are JSON lines, as the work goes on: ``{"doing": …, "share": …}``, and at last ``{"done": …}`` or
``{"problem": …}``.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import orjson
import structlog
from aiohttp import web

from flamenco_core.errors import BadInput, FlamencoError
from flamenco_manager.long_work import Tell
from flamenco_runtime.problems import problems, status_of

log = structlog.get_logger()

MOST_BYTES = 64 * 1024

Work = Callable[[Tell], Awaitable[Mapping[str, Any]]]


class Upkeep(Protocol):
    """What a running Manager does for whoever keeps it."""

    async def check(self, tell: Tell) -> Mapping[str, Any]:
        """Check memory and store."""

    async def back_up(self, target: Path, tell: Tell) -> Mapping[str, Any]:
        """Copy the store into a file."""


def control_app(upkeep: Upkeep) -> web.Application:
    """Make what the control socket serves."""

    async def check(request: web.Request) -> web.StreamResponse:
        return await _answered(request, upkeep.check)

    async def back_up(request: web.Request) -> web.StreamResponse:
        target = _target(await request.read())
        return await _answered(request, lambda tell: upkeep.back_up(target, tell))

    app = web.Application(middlewares=[problems], client_max_size=MOST_BYTES)
    app.add_routes([web.post("/check", check), web.post("/backup", back_up)])
    return app


async def _answered(request: web.Request, work: Work) -> web.StreamResponse:
    """Do some work, and tell line by line how far it has come and how it ended."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)

    async def tell(doing: str, share: float) -> None:
        await response.write(_line({"doing": doing, "share": round(share, 3)}))

    try:
        last = {"done": await work(tell)}
    except FlamencoError as error:
        last = {"problem": {"type": error.type, "status": status_of(error), "detail": str(error)}}
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception:
        log.exception("request failed", method=request.method, path=request.path)
        last = {"problem": {"type": "internal", "status": 500, "detail": "Something went wrong; see the log."}}
    await response.write(_line(last))
    await response.write_eof()
    return response


def _target(body: bytes) -> Path:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"The body is not JSON: {error}.") from error
    target = said.get("target") if isinstance(said, dict) else None
    if not isinstance(target, str) or "\0" in target or not Path(target).is_absolute():
        raise BadInput("target must be the whole path of a file.", {"target": "Write a whole path."})
    return Path(target)


def _line(document: Mapping[str, Any]) -> bytes:
    return orjson.dumps(document) + b"\n"
