"""What Managers call, ``/api/v1/manager/…`` (manager-api.md). Every call but hello names the feeds of both sides."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler
from marshmallow import RAISE, Schema, fields, validate

from flamenco_core.errors import BadInput
from flamenco_core.wire.farm_settings import changed_from_default
from flamenco_core.wire.manager_api import (
    COMMANDS_MEDIA_TYPE,
    MANAGER_FEED,
    SERVER_FEED,
    HelloReplySchema,
    HelloSchema,
    JobDefinitionSchema,
    Orders,
    OrdersSchema,
    ReportAcknowledged,
    ReportAcknowledgedSchema,
    ReportSchema,
    TaskDefinitionSchema,
)
from flamenco_core.wire.resync import ResyncReplySchema, ResyncRequestSchema
from flamenco_runtime.clock import Clock
from flamenco_runtime.json_body import MIB, json_reply, load_json, read_json, read_json_bytes, read_limited
from flamenco_server.events import EventBus
from flamenco_server.farm_settings import SettingsStore
from flamenco_server.http.access import signed_in
from flamenco_server.http.parameters import number_in_path, query_of, uuid_in_path
from flamenco_server.manager_jobs import ManagerJobStore, job_for, task_stream
from flamenco_server.managers import ManagerStore, check_feeds, receive_hello
from flamenco_server.orders import LONGEST_WAIT_S, OrderDesk
from flamenco_server.reports import ReceivedReport, ReportStore, receive_report
from flamenco_server.resync import ResyncStore, begin_anew, known_lines, take_back
from flamenco_server.task_logs import LARGEST_PIECE_BYTES, Attempt, LogFolder, LogStore, parse_piece, receive_log
from flamenco_server.thumbnails import LARGEST_BYTES, ThumbnailFolder, ThumbnailStore, receive_thumbnail

REPORT_LIMIT_BYTES = 16 * MIB
WHOLE_JOB_LIMIT_BYTES = 1024 * MIB
"""A million tasks, each with its commands."""
RESYNC_LIMIT_BYTES = 64 * MIB
"""It names every job that the Manager has, and every order of a month."""
LARGEST_NUMBER = 2**53


class OrdersQuery(Schema):
    """The orders after which number, and how long to wait for them, in seconds."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    after = fields.Integer(load_default=0, validate=validate.Range(0, LARGEST_NUMBER))
    wait = fields.Float(load_default=0, validate=validate.Range(0, LONGEST_WAIT_S))


class TasksQuery(Schema):
    """The tasks after which index; without: all."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    after = fields.Integer(load_default=-1, validate=validate.Range(-1, LARGEST_NUMBER))


_HELLO = HelloSchema()
_HELLO_REPLY = HelloReplySchema()
_RESYNC = ResyncRequestSchema()
_RESYNC_REPLY = ResyncReplySchema()
_ORDERS = OrdersSchema()
_ORDERS_QUERY = OrdersQuery()
_TASKS_QUERY = TasksQuery()
_JOB = JobDefinitionSchema()
_TASK = TaskDefinitionSchema()
_REPORT = ReportSchema()
_ACKNOWLEDGED = ReportAcknowledgedSchema()


@dataclass(frozen=True, slots=True)
class ManagerDesk:
    """What serves Managers."""

    managers: ManagerStore
    settings: SettingsStore
    orders: OrderDesk
    jobs: ManagerJobStore
    reports: ReportStore
    resyncs: ResyncStore
    logs: LogStore
    log_folder: LogFolder
    thumbnails: ThumbnailStore
    thumbnail_folder: ThumbnailFolder
    bus: EventBus
    clock: Clock


def manager_api_routes(desk: ManagerDesk) -> list[web.RouteDef]:
    """List the routes."""
    linked = _linked(desk.managers)
    return [
        web.post("/api/v1/manager/hello", _hello(desk)),
        web.post("/api/v1/manager/resync", _resync(desk)),
        web.get("/api/v1/manager/resync", linked(_known(desk))),
        web.get("/api/v1/manager/orders", linked(_fetch_orders(desk))),
        web.put("/api/v1/manager/jobs/{job_id}", linked(_take_back(desk))),
        web.get("/api/v1/manager/jobs/{job_id}", linked(_fetch_job(desk))),
        web.get("/api/v1/manager/jobs/{job_id}/tasks", linked(_fetch_tasks(desk))),
        web.post("/api/v1/manager/reports", linked(_take_report(desk))),
        web.put("/api/v1/manager/tasks/{task_id}/attempts/{attempt}/log", linked(_take_log(desk))),
        web.put("/api/v1/manager/jobs/{job_id}/frames/{frame}", linked(_take_thumbnail(desk))),
    ]


def _linked(managers: ManagerStore) -> Callable[[Handler], Handler]:
    """Make a wrapper that refuses calls which were made with another store in mind."""

    def wrap(handler: Handler) -> Handler:
        async def checked(request: web.Request) -> web.StreamResponse:
            link = await managers.link(signed_in(request).id)
            check_feeds(link, request.headers.get(MANAGER_FEED), request.headers.get(SERVER_FEED))
            return await handler(request)

        return checked

    return wrap


def _hello(desk: ManagerDesk) -> Handler:
    async def hello(request: web.Request) -> web.StreamResponse:
        said = await read_json(request, _HELLO)
        settings = changed_from_default(await desk.settings.farm_settings())
        reply = await receive_hello(desk.managers, desk.bus, signed_in(request).id, said, settings, now=desk.clock())
        return json_reply(_HELLO_REPLY.dump(reply))

    return hello


def _resync(desk: ManagerDesk) -> Handler:
    async def resync(request: web.Request) -> web.StreamResponse:
        body = await read_json_bytes(request, limit_bytes=RESYNC_LIMIT_BYTES)
        said = await asyncio.to_thread(load_json, _RESYNC, body)
        reply = await begin_anew(desk.resyncs, desk.bus, signed_in(request).id, said, now=desk.clock())
        return json_reply(_RESYNC_REPLY.dump(reply))

    return resync


def _known(desk: ManagerDesk) -> Handler:
    async def known(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": COMMANDS_MEDIA_TYPE})
        response.enable_compression()
        await response.prepare(request)
        async for line in known_lines(desk.resyncs, signed_in(request).id):
            await response.write(line)
        return response

    return known


def _take_back(desk: ManagerDesk) -> Handler:
    async def job(request: web.Request) -> web.StreamResponse:
        job_id = uuid_in_path(request, "job_id")
        lines = (await read_limited(request, WHOLE_JOB_LIMIT_BYTES)).split(b"\n")
        definition = load_json(_JOB, lines[0])
        if definition.id != job_id:
            raise BadInput(f"The definition is that of job {definition.id}.")
        tasks = await asyncio.to_thread(lambda: [load_json(_TASK, line) for line in lines[1:] if line])
        await take_back(desk.resyncs, desk.bus, signed_in(request).id, definition, tasks)
        return web.Response(status=204)

    return job


def _fetch_orders(desk: ManagerDesk) -> Handler:
    async def orders(request: web.Request) -> web.StreamResponse:
        query = query_of(request, _ORDERS_QUERY)
        found = await desk.orders.fetch(signed_in(request).id, query["after"], query["wait"], now=desk.clock())
        return json_reply(_ORDERS.dump(Orders(found)))

    return orders


def _fetch_job(desk: ManagerDesk) -> Handler:
    async def job(request: web.Request) -> web.StreamResponse:
        found = await job_for(desk.jobs, signed_in(request).id, uuid_in_path(request, "job_id"))
        return json_reply(_JOB.dump(found))

    return job


def _fetch_tasks(desk: ManagerDesk) -> Handler:
    async def tasks(request: web.Request) -> web.StreamResponse:
        after = query_of(request, _TASKS_QUERY)["after"]
        job_id = uuid_in_path(request, "job_id")
        lines = await task_stream(desk.jobs, signed_in(request).id, job_id, after)
        response = web.StreamResponse(headers={"Content-Type": COMMANDS_MEDIA_TYPE})
        response.enable_compression()
        await response.prepare(request)
        async for piece in lines:
            await response.write(piece)
        return response

    return tasks


def _take_report(desk: ManagerDesk) -> Handler:
    async def report(request: web.Request) -> web.StreamResponse:
        body = await read_json_bytes(request, limit_bytes=REPORT_LIMIT_BYTES)
        received = ReceivedReport.of(await asyncio.to_thread(load_json, _REPORT, body), body)
        number = await receive_report(desk.reports, desk.bus, signed_in(request).id, received, now=desk.clock())
        return json_reply(_ACKNOWLEDGED.dump(ReportAcknowledged(number)))

    return report


def _take_log(desk: ManagerDesk) -> Handler:
    async def log(request: web.Request) -> web.StreamResponse:
        attempt = Attempt(uuid_in_path(request, "task_id"), number_in_path(request, "attempt"))
        body = await read_limited(request, LARGEST_PIECE_BYTES)
        piece = parse_piece(request.headers.get("Content-Range"), body)
        await receive_log(desk.logs, desk.log_folder, signed_in(request).id, attempt, piece)
        return web.Response(status=204)

    return log


def _take_thumbnail(desk: ManagerDesk) -> Handler:
    async def thumbnail(request: web.Request) -> web.StreamResponse:
        place = (signed_in(request).id, uuid_in_path(request, "job_id"), number_in_path(request, "frame"))
        image = await read_limited(request, LARGEST_BYTES)
        await receive_thumbnail(desk.thumbnails, desk.thumbnail_folder, desk.bus, place, image, now=desk.clock())
        return web.Response(status=204)

    return thumbnail
