"""The Server's composition root: the one place that builds services and hands them their collaborators."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from flamenco_core.errors import Unavailable
from flamenco_runtime.clock import Clock, utc_now
from flamenco_runtime.data_folder import held_folder
from flamenco_runtime.free_space import FreeSpace, Measure, free_bytes
from flamenco_runtime.problems import problems
from flamenco_runtime.service import listening
from flamenco_server.accounts import ensure_admin
from flamenco_server.blobs import BlobFolder
from flamenco_server.compiling import Compiler
from flamenco_server.connection_file import Connection, read_connection, write_connection
from flamenco_server.erasing import Sweeper
from flamenco_server.events import EventBus, InProcessBus
from flamenco_server.http.access import access, visitor_name
from flamenco_server.http.blobs import blob_routes, manager_blob_routes
from flamenco_server.http.carried_through import carried_through
from flamenco_server.http.events import event_routes
from flamenco_server.http.farm import settings_routes, tag_routes
from flamenco_server.http.health import health_routes
from flamenco_server.http.job_requests import job_request_routes
from flamenco_server.http.job_types import job_type_routes
from flamenco_server.http.jobs import job_routes, thumbnail_routes
from flamenco_server.http.linking import link_request_routes, manager_link_routes
from flamenco_server.http.manager_api import ManagerDesk, manager_api_routes
from flamenco_server.http.managers import manager_routes
from flamenco_server.http.pages import page_routes
from flamenco_server.http.sign_in import sign_in_routes
from flamenco_server.http.task_requests import task_request_routes, why_routes
from flamenco_server.http.tasks import task_routes
from flamenco_server.http.worker_requests import worker_request_routes
from flamenco_server.http.workers import worker_routes
from flamenco_server.job_type_registry import JobTypes
from flamenco_server.jobs import Submitting
from flamenco_server.link_desk import LinkDesk
from flamenco_server.live import LiveEvents, ManagerWatch
from flamenco_server.orders import OrderDesk
from flamenco_server.reading import FarmView
from flamenco_server.settings import Settings
from flamenco_server.steering import Steering
from flamenco_server.stores.sqlite.store import SqliteStore, open_store
from flamenco_server.task_logs import LogDesk, LogFolder
from flamenco_server.thumbnails import ThumbnailFolder
from flamenco_server.web.site import Site, load_site
from flamenco_server.why import WhyDesk


class StoreFailed(Unavailable):
    """The store could not be written: nothing that is in memory can be believed any more."""

    type = "store-failed"


@dataclass(frozen=True, slots=True)
class _Services:
    """What the routes and the background loops share."""

    store: SqliteStore
    bus: EventBus
    clock: Clock
    view: FarmView
    live: LiveEvents
    orders: OrderDesk
    links: LinkDesk
    job_types: JobTypes
    compiler: Compiler
    blobs: BlobFolder
    logs: LogFolder
    thumbnails: ThumbnailFolder
    steering: Steering
    sweeper: Sweeper
    space: FreeSpace


async def serve(settings: Settings, *, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Serve until ``stop`` is set; ``ready`` is called with the URL once the Server answers.

    Raises DataInUse, PortTaken, and StoreFailed when a commit failed.
    """
    async with build_app(settings) as app, listening(app, settings.listen) as address:
        await asyncio.to_thread(_refresh_url, settings.data, address.url)
        ready(address.url)
        await stop.wait()


@asynccontextmanager
async def build_app(
    settings: Settings, clock: Clock = utc_now, measure: Measure = free_bytes
) -> AsyncIterator[web.Application]:
    """Build the Server on its data folder; its background work lasts as long as the context."""
    failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    async with (
        held_folder(settings.data, "Server"),
        open_store(settings.data, failure.set_result) as store,
    ):
        await _ensure_connection(store, settings, clock)
        space = FreeSpace(settings.data, settings.least_free_mib, measure)
        await space.look()
        services = _services(store, settings, clock, space)
        await services.blobs.prepare()
        watch = ManagerWatch(services.view, services.bus)
        loops = [
            services.compiler.run(),
            space.look_for_ever(),
            services.live.run(),
            services.sweeper.run(),
            watch.run(),
            _raise_when(failure),
        ]
        async with _background(loops):
            yield _application(services, await asyncio.to_thread(load_site))


def _services(store: SqliteStore, settings: Settings, clock: Clock, space: FreeSpace) -> _Services:
    bus = InProcessBus()
    view = FarmView(store.reader, clock)
    steering = Steering(store.asks, bus)
    logs, thumbnails = LogFolder(settings.data / "logs"), ThumbnailFolder(settings.data / "thumbnails")
    job_types = JobTypes(settings.job_types)
    return _Services(
        store=store,
        bus=bus,
        clock=clock,
        view=view,
        live=LiveEvents(view, bus, clock),
        orders=OrderDesk(store.orders, bus),
        links=LinkDesk(store.link_requests, bus, clock),
        job_types=job_types,
        compiler=Compiler(store.compiles, job_types, bus, clock),
        blobs=BlobFolder(settings.data / "blobs", space),
        logs=logs,
        thumbnails=thumbnails,
        steering=steering,
        sweeper=Sweeper(store.bin, steering, logs, thumbnails, clock),
        space=space,
    )


def _application(services: _Services, site: Site) -> web.Application:
    pages: set[str] = set()
    check = access(services.store.accounts, services.clock, pages)
    app = web.Application(middlewares=[carried_through(), problems, check])
    app.add_routes(_people_routes(services))
    app.add_routes(_manager_routes(services))
    for route in app.add_routes(page_routes(services.view, visitor_name, site, services.clock)):
        assert route.resource is not None
        pages.add(route.resource.canonical)

    async def end_streams(_: web.Application) -> None:
        services.live.close()
        services.orders.close()
        services.links.close()

    app.on_shutdown.append(end_streams)
    return app


def _people_routes(services: _Services) -> list[web.RouteDef]:
    store, view, bus, clock = services.store, services.view, services.bus, services.clock
    steering = services.steering
    submitting = Submitting(
        store.jobs,
        store.farm,
        store.reader,
        services.job_types,
        services.blobs,
        bus,
        services.compiler.compile_soon,
        services.space,
    )
    log_desk = LogDesk(store.reader, store.logs, store.orders, bus)
    return [
        *health_routes(),
        *sign_in_routes(store.accounts, clock),
        *job_type_routes(services.job_types),
        *blob_routes(services.blobs),
        *job_routes(view, submitting, clock),
        *job_request_routes(steering, store.reader, store.farm, clock),
        *thumbnail_routes(services.thumbnails),
        *task_routes(view, log_desk, services.logs, clock),
        *task_request_routes(steering, clock),
        *why_routes(WhyDesk(store.reader, store.orders, bus), clock),
        *worker_routes(view),
        *worker_request_routes(steering, store.farm, clock),
        *manager_routes(view, store.managers, bus, clock),
        *link_request_routes(store.link_requests, bus, clock),
        *tag_routes(store.farm, bus, clock),
        *settings_routes(store.farm, bus, clock),
        *event_routes(services.live),
    ]


def _manager_routes(services: _Services) -> list[web.RouteDef]:
    store = services.store
    desk = ManagerDesk(
        managers=store.managers,
        settings=store.farm,
        orders=services.orders,
        jobs=store.jobs,
        reports=store.reports,
        resyncs=store.resyncs,
        logs=store.logs,
        log_folder=services.logs,
        thumbnails=store.thumbnails,
        thumbnail_folder=services.thumbnails,
        bus=services.bus,
        clock=services.clock,
    )
    return [
        *manager_link_routes(store.link_requests, services.links, services.clock),
        *manager_api_routes(desk),
        *manager_blob_routes(services.blobs),
    ]


async def _ensure_connection(store: SqliteStore, settings: Settings, clock: Clock) -> None:
    """Have an admin's token in the connection file; the first start makes both."""
    known = await asyncio.to_thread(read_connection, settings.data)
    token = await ensure_admin(store.accounts, known.token if known else None, now=clock())
    await asyncio.to_thread(write_connection, settings.data, Connection(settings.listen.url, token))


def _refresh_url(folder: Path, url: str) -> None:
    """Write where the Server really listens: port 0 is known only now."""
    known = read_connection(folder)
    assert known is not None
    write_connection(folder, Connection(url, known.token))


async def _raise_when(failure: asyncio.Future[BaseException]) -> None:
    """End the service when the store has failed. Raises StoreFailed."""
    error = await failure
    raise StoreFailed(f"The Server's store cannot be written: {error}. Mend that, then start again.") from error


@asynccontextmanager
async def _background(loops: list[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run loops while the context lasts; one that fails ends it."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(loop) for loop in loops]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as errors:  # whoever runs us is told what went wrong, not how our loops are grouped
        raise errors.exceptions[0] from errors
