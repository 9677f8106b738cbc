"""Workers, as people see them."""

from aiohttp import web

from flamenco_runtime.clock import Clock
from flamenco_runtime.json_body import json_reply
from flamenco_server.documents import worker_document
from flamenco_server.events import EventBus
from flamenco_server.http.access import signed_in
from flamenco_server.http.parameters import uuid_in_path
from flamenco_server.orders import OrderStore
from flamenco_server.reading import FarmView
from flamenco_server.workers import WorkerReader, approve_worker


def worker_routes(
    view: FarmView, workers: WorkerReader, orders: OrderStore, bus: EventBus, clock: Clock
) -> list[web.RouteDef]:
    """List the routes."""

    async def every(_: web.Request) -> web.Response:
        return json_reply(await view.workers())

    async def one(request: web.Request) -> web.Response:
        return json_reply(await view.worker(uuid_in_path(request, "worker_id")))

    async def approve(request: web.Request) -> web.Response:
        worker_id = uuid_in_path(request, "worker_id")
        worker = await approve_worker(workers, orders, bus, worker_id, signed_in(request), now=clock())
        return json_reply(worker_document(worker), status=202)

    return [
        web.get("/api/v1/workers", every),
        web.get("/api/v1/workers/{worker_id}", one),
        web.post("/api/v1/workers/{worker_id}/approve", approve),
    ]
