"""Whether the process lives, whether it can serve, its figures, and what this port is."""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from flamenco_core import VERSION
from flamenco_core.errors import Forbidden, NotSignedIn, Unavailable
from flamenco_core.wire.schema import rfc3339
from flamenco_manager.http.worker_sign_in import bearer_token, is_this_machine
from flamenco_runtime.json_body import json_reply

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class NotReady(Unavailable):
    """The process lives, but cannot do its work; ``missing`` names what it lacks."""

    type = "not-ready"

    def __init__(self, missing: Sequence[str], shown: Mapping[str, object]) -> None:
        super().__init__(f"Not ready: {' '.join(missing)}")
        self.members = {"missing": list(missing), **shown}


class MetricsForbidden(Forbidden):
    """Figures tell much of a site: they are for its own machine, and for whoever brings the token."""

    type = "metrics-forbidden"


class NoMetricsToken(NotSignedIn):
    """Somebody elsewhere asks for figures, without the token or with a wrong one."""

    type = "no-metrics-token"


@dataclass(frozen=True)
class Link:
    """How the link to the Server is, and since when."""

    is_up: bool
    since: datetime


@dataclass(frozen=True)
class Readiness:
    """What is missing that work cannot be done without, in words; and what is merely worth knowing."""

    missing: Sequence[str] = ()
    link: Link | None = None


def health_routes(readiness: Callable[[], Readiness]) -> list[web.RouteDef]:
    """Return what programs ask that watch over this one. That the Server is away keeps nobody from working."""

    async def healthz(_: web.Request) -> web.Response:
        return json_reply({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        now = readiness()
        if now.missing:
            raise NotReady(now.missing, _shown(now))
        return json_reply({"status": "ready", **_shown(now)})

    return [web.get("/healthz", healthz), web.get("/readyz", readyz)]


def metrics_routes(written: Callable[[], Awaitable[bytes]], token: str | None) -> list[web.RouteDef]:
    """Return the route of the figures. Without ``token``, which others must bring, only this machine gets them."""

    async def metrics(request: web.Request) -> web.Response:
        _check_reader(request, token)
        return web.Response(body=await written(), headers={"Content-Type": METRICS_TYPE, "Cache-Control": "no-store"})

    return [web.get("/metrics", metrics)]


def front_routes(name: str, server: str) -> list[web.RouteDef]:
    """Return what a person finds who opens the Manager's address in a browser."""
    words = (
        f"Flamenco Manager {name}, version {VERSION}.\n\n"
        f"Workers connect here. People use the Server:\n{server}\n\n"
        "/healthz  the process lives\n"
        "/readyz   it can do its work, and whether the Server is in touch\n"
        "/metrics  figures for Prometheus\n"
    )
    facts = {"program": "Flamenco Manager", "name": name, "version": VERSION, "server": server}

    async def front(request: web.Request) -> web.Response:
        if "application/json" in request.headers.get("Accept", ""):
            return json_reply(facts)
        return web.Response(text=words)

    return [web.get("/", front)]


def _check_reader(request: web.Request, token: str | None) -> None:
    if is_this_machine(request):
        return
    if token is None:
        raise MetricsForbidden(
            "Figures are told on the Manager's own machine; for others its admin sets metrics_token."
        )
    brought = bearer_token(request)
    if brought is None or not hmac.compare_digest(brought.encode(), token.encode()):
        raise NoMetricsToken("Bring the Manager's metrics_token: Authorization: Bearer TOKEN.")


def _shown(readiness: Readiness) -> dict[str, Any]:
    if readiness.link is None:
        return {}
    return {"server": {"in_touch": readiness.link.is_up, "since": rfc3339(readiness.link.since)}}
