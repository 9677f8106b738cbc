"""``/healthz``: for whoever watches the process."""

from aiohttp import web

from flamenco_runtime.json_body import json_reply


def health_routes() -> list[web.RouteDef]:
    """List the routes."""

    async def health(_: web.Request) -> web.Response:
        return json_reply({"status": "ok"})

    return [web.get("/healthz", health)]
