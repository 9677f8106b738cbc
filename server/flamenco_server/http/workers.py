"""Workers, and what they were."""

from aiohttp import web

from flamenco_runtime.json_body import json_reply
from flamenco_server.http.parameters import PageQuery, query_of, uuid_in_path
from flamenco_server.reading import FarmView

_PAGE = PageQuery()


def worker_routes(view: FarmView) -> list[web.RouteDef]:
    """List the routes of looking."""

    async def every(_: web.Request) -> web.Response:
        return json_reply(await view.workers())

    async def one(request: web.Request) -> web.Response:
        return json_reply(await view.worker(uuid_in_path(request, "worker_id")))

    async def states(request: web.Request) -> web.Response:
        worker_id = uuid_in_path(request, "worker_id")
        return json_reply(await view.worker_states(worker_id, **query_of(request, _PAGE)))

    return [
        web.get("/api/v1/workers", every),
        web.get("/api/v1/workers/{worker_id}", one),
        web.get("/api/v1/workers/{worker_id}/states", states),
    ]
