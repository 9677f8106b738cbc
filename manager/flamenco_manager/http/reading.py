"""What the Manager tells anybody: that it is well, and which version it is."""

from aiohttp import web

from flamenco_core import VERSION
from flamenco_core.wire.worker_api import ManagerVersion, ManagerVersionSchema
from flamenco_runtime.json_body import json_reply

_VERSION = ManagerVersionSchema()


def reading_routes(name: str) -> list[web.RouteDef]:
    """Return the routes that need no credentials. ``name`` is the Manager's."""
    version = _VERSION.dump(ManagerVersion(version=VERSION, shortversion=VERSION, name=name))

    async def healthz(_: web.Request) -> web.Response:
        return json_reply({"status": "ok"})

    async def show_version(_: web.Request) -> web.Response:
        return json_reply(version)

    return [web.get("/healthz", healthz), web.get("/api/v3/version", show_version)]
