"""How long requests take, counted for Prometheus and told in the log when it is too long.

A registry belongs to one application, so that several live in one process, as in tests.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CollectorRegistry, Histogram

from flamenco_runtime.problems import MOST_OF_PATH, Handler

log = structlog.get_logger()

SLOW_S = 1.0
"""A request that takes longer is told in the log, unless it asked to be held."""
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
UNKNOWN_ROUTE = "unknown"
"""What is asked for and nobody has is one route: else whoever asks makes up as many as he likes."""
GONE = "gone"
"""In place of a status: the caller did not wait for the answer."""

Facts = Callable[[web.Request], Mapping[str, object]]
"""Tells what a line in the log should name of a request, such as who sent it."""


class RequestMetrics:
    """Measures each request by route, class of status, and whether it let itself be held (``Prefer: wait``)."""

    def __init__(self, registry: CollectorRegistry, prefix: str, facts: Facts = lambda _: {}) -> None:
        self._facts = facts
        self._seconds = Histogram(
            f"{prefix}_request_seconds",
            "How long requests took to be answered; waited: they asked to be held until there is news.",
            ["method", "route", "status", "waited"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._known: dict[tuple[web.AbstractRoute, str, bool], Histogram] = {}
        """Found faster than by their labels."""

    @property
    def middleware(self) -> Middleware:
        """What measures; it belongs outside of all others."""

        @web.middleware
        async def measured(request: web.Request, handler: Handler) -> web.StreamResponse:
            began_s = time.perf_counter()
            status = GONE
            try:
                response = await handler(request)
                status = f"{response.status // 100}xx"
            except web.HTTPException as error:
                status = f"{error.status // 100}xx"
                raise
            except asyncio.CancelledError:
                raise
            except Exception:
                status = "5xx"
                raise
            else:
                return response
            finally:
                self._note(request, status, time.perf_counter() - began_s)

        return measured

    def _note(self, request: web.Request, status: str, seconds: float) -> None:
        waited = "Prefer" in request.headers
        self._of(request.match_info.route, status, waited).observe(seconds)
        if seconds > SLOW_S and not waited:
            log.info(
                "slow request",
                method=request.method,
                path=request.path[:MOST_OF_PATH],
                status=status,
                seconds=round(seconds, 3),
                address=request.remote,
                **self._facts(request),
            )

    def _of(self, route: web.AbstractRoute, status: str, waited: bool) -> Histogram:
        found = self._known.get((route, status, waited))
        if found is None:
            path = UNKNOWN_ROUTE if route.resource is None else route.resource.canonical
            found = self._seconds.labels(route.method, path, status, str(waited).lower())
            if route.resource is not None:  # aiohttp makes a new one for each request that it has no route for
                self._known[route, status, waited] = found
        return found
