"""Where a Manager is put together, started and stopped."""

import asyncio
import platform
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import apsw
import structlog
from aiohttp import web

from flamenco_core.errors import Unavailable
from flamenco_core.identifiers import new_id
from flamenco_manager import foreman as foremen
from flamenco_manager.assignments import Assignments
from flamenco_manager.blobs import Blobs
from flamenco_manager.erasing import Erasing
from flamenco_manager.farm import Changes, Farm
from flamenco_manager.farm_settings import FarmSettingsKeeper
from flamenco_manager.farm_status import farm_status
from flamenco_manager.farm_variables import FarmVariables
from flamenco_manager.foreman import Foreman
from flamenco_manager.http.reading import Site, reading_routes
from flamenco_manager.http.worker_api import WorkerUseCases, worker_routes
from flamenco_manager.http.worker_errors import worker_errors
from flamenco_manager.job_arrival import Arrivals
from flamenco_manager.job_keeping import JobKeeper
from flamenco_manager.latecomers import Latecomers
from flamenco_manager.link_file import token_for
from flamenco_manager.link_watch import LinkWatch
from flamenco_manager.log_extent import MIB, LogLimits
from flamenco_manager.media_keeping import MediaKeeper
from flamenco_manager.order_acts import OrderActs
from flamenco_manager.orders import Orders
from flamenco_manager.preview_intake import PreviewIntake
from flamenco_manager.previews import Previews
from flamenco_manager.registration import Approval, Gate
from flamenco_manager.resync import begin_anew
from flamenco_manager.server_client import ServerClient
from flamenco_manager.server_link import Introduction, ServerLink
from flamenco_manager.settings import Settings
from flamenco_manager.stores.arrivals import SLICE_TASKS, ArrivalStore
from flamenco_manager.stores.erasing import ErasingStore
from flamenco_manager.stores.farm_store import FarmStore
from flamenco_manager.stores.figures import FigureStore
from flamenco_manager.stores.log_pieces import LogPieceStore
from flamenco_manager.stores.media import MediaStore
from flamenco_manager.stores.old_jobs import OldJobs
from flamenco_manager.stores.old_orders import OldOrders
from flamenco_manager.stores.outbox import Outbox, prepare_link
from flamenco_manager.stores.resync import ResyncStore
from flamenco_manager.task_logs import TaskLogs
from flamenco_manager.task_updates import TaskUpdates
from flamenco_manager.tidying import Tidying
from flamenco_manager.upkeep import controlled
from flamenco_manager.uploads import Uploads
from flamenco_manager.watching import Watched, watching
from flamenco_runtime.clock import Clock, utc_now
from flamenco_runtime.connections import room_for_all
from flamenco_runtime.data_folder import held_folder
from flamenco_runtime.free_space import FreeSpace, Measure, free_bytes
from flamenco_runtime.http_client import TIMEOUT
from flamenco_runtime.journal import Journal, JournalClosed, StoreFull
from flamenco_runtime.migrations import migrate
from flamenco_runtime.overload import Load
from flamenco_runtime.problems import problems
from flamenco_runtime.proxies import TRUSTED_PROXIES
from flamenco_runtime.tls import trusting

log = structlog.get_logger()

FOREMAN = web.AppKey("foreman", Foreman)
"""Where an app keeps its foreman."""
LINK = web.AppKey("link", ServerLink)
"""Where an app keeps its link to the Server."""
TASK_LOGS = web.AppKey("task_logs", TaskLogs)
"""Where an app keeps the logs of tasks."""
LARGEST_BODY_BYTES = 32 * 1024 * 1024
"""aiohttp's own limit, above those of the routes."""
SPOOL = "incoming-previews"
"""Folder of images that wait to be made small."""


@asynccontextmanager
async def build_app(
    settings: Settings,
    clock: Clock = utc_now,
    monotonic: Callable[[], float] = time.monotonic,
    journals: type[Journal] = Journal,
    measure: Measure = free_bytes,
) -> AsyncIterator[web.Application]:
    """Build the service on its data folder: its store, the farm as it was, and the loops beside the HTTP side."""
    async with held_folder(settings.data, "Manager"), running(settings, clock, monotonic, journals, measure) as app:
        yield app


@asynccontextmanager
async def running(
    settings: Settings,
    clock: Clock,
    monotonic: Callable[[], float],
    journals: type[Journal] = Journal,
    measure: Measure = free_bytes,
) -> AsyncIterator[web.Application]:
    """Build the service on a data folder that is held already; ``journals``: what opens its store."""
    token = await asyncio.to_thread(token_for, settings.data / "link.json", settings.server, settings.token)
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    journal = await journals.open(settings.data / "manager.sqlite", _prepare, on_failure=failed.set_exception)
    limits = LogLimits(settings.most_log_mib * MIB)
    logs = TaskLogs(settings.data / "task-logs", limits, journal=LogPieceStore(journal))
    try:
        await logs.restore()
        async with (
            _calls_to_server(settings) as session,
            asyncio.TaskGroup() as group,
        ):
            server = ServerClient(session, settings.server, token)
            parts = await _restored(settings, journal, logs, server, clock, monotonic, measure)
            app, runs = _assembled(parts)
            runs += [
                parts.space.look_for_ever(),
                parts.foreman.tick_for_ever(),
                logs.sync_for_ever(),
                logs.put_away_for_ever(),
                parts.erasing.run(),
                _raise_when_failed(failed),
            ]
            app[TASK_LOGS] = logs
            loops = [group.create_task(run) for run in runs]
            async with controlled(settings.data, parts.foreman, journal):
                yield app
            for loop in loops:
                loop.cancel()
    except BaseExceptionGroup as errors:  # whoever runs us is told what went wrong, not how our loops are grouped
        raise min(_leaves(errors), key=_consequence) from errors
    finally:
        await asyncio.to_thread(logs.close)
        await journal.close()


@asynccontextmanager
async def _calls_to_server(settings: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    """Open what the Server is called through, trusting whom the settings name. Raises BadCertificate."""
    tls = await asyncio.to_thread(trusting, settings.server_ca)
    async with aiohttp.ClientSession(timeout=TIMEOUT, connector=aiohttp.TCPConnector(ssl=tls)) as session:
        yield session


async def resynced(settings: Settings, clock: Clock) -> None:
    """Begin anew with the Server, on a data folder that is held and on which nothing else runs now."""
    token = await asyncio.to_thread(token_for, settings.data / "link.json", settings.server, None)
    journal = await Journal.open(settings.data / "manager.sqlite", _prepare)
    try:
        async with _calls_to_server(settings) as session:
            server = ServerClient(session, settings.server, token)
            introduction = Introduction(settings.name, str(settings.data / "jobs"))
            await begin_anew(ResyncStore(journal), Outbox(journal), server, introduction, now=clock())
    finally:
        await journal.close()


async def _opened_farm(
    settings: Settings, store: FarmStore, clock: Clock, monotonic: Callable[[], float]
) -> tuple[Foreman, Latecomers]:
    farm = Farm(settings.policy, changes_so_far=await store.last_change())
    farm.attempts_above, farm.awaits_server = await store.past()
    foreman = Foreman(farm, store, clock, monotonic)
    first, later = await store.load_first(farm, foreman.now())
    foremen.restore(farm, first, foreman.now())
    await foreman.settle()
    return foreman, Latecomers(foreman, store, later)


def _file_remover(data: Path, logs: TaskLogs) -> Callable[[str], Awaitable[None]]:
    """Return what removes all files of a job: its logs, previews and checkout."""

    async def remove(job_id: str) -> None:
        await logs.erase(job_id)
        for folder in (data / "previews" / job_id, data / "jobs" / job_id):
            if await asyncio.to_thread(folder.exists):
                await asyncio.to_thread(shutil.rmtree, folder)

    return remove


@dataclass(frozen=True, slots=True)
class _Parts:
    """What was there before, and what the rest is put together of."""

    settings: Settings
    journal: Journal
    logs: TaskLogs
    server: ServerClient
    foreman: Foreman
    late: Latecomers
    variables: FarmVariables
    keeper: FarmSettingsKeeper
    erasing: Erasing
    space: FreeSpace

    @property
    def jobs_folder(self) -> Path:
        """Where the files of jobs are laid out."""
        return self.settings.data / "jobs"


async def _restored(
    settings: Settings,
    journal: Journal,
    logs: TaskLogs,
    server: ServerClient,
    clock: Clock,
    monotonic: Callable[[], float],
    measure: Measure,
) -> _Parts:
    """Read what is on disk, and look at the disk."""
    await asyncio.to_thread(shutil.rmtree, settings.data / SPOOL, ignore_errors=True)  # of an earlier run
    foreman, late = await _opened_farm(settings, FarmStore(journal), clock, monotonic)
    variables = FarmVariables(settings.variables or {}, str(settings.data / "jobs"), platform.system().lower())
    outbox = Outbox(journal)
    keeper = FarmSettingsKeeper(foreman.farm, outbox, settings.policy, lambda said: variables.use(said.variables))
    await keeper.restore()
    erasing = Erasing(ErasingStore(journal), _file_remover(settings.data, logs))
    space = FreeSpace(settings.data, settings.least_free_mib, measure)
    await space.look()
    return _Parts(settings, journal, logs, server, foreman, late, variables, keeper, erasing, space)


def _assembled(parts: _Parts) -> tuple[web.Application, list[Coroutine[Any, Any, None]]]:
    """Put together the HTTP side, and what runs beside it."""
    settings, journal, foreman, late = parts.settings, parts.journal, parts.foreman, parts.late
    media, previews = MediaStore(journal), Previews(settings.data / "previews")
    uploads, watch = Uploads(Outbox(journal), parts.logs, previews), LinkWatch(foreman.now)
    blobs = Blobs(settings.data / "blobs")
    orders, link = _linked(parts, uploads, watch, blobs)
    intake = PreviewIntake(media, previews, uploads, settings.data / SPOOL, parts.space)
    media_keeper = _media_keeper(settings, parts.logs, previews, media, foreman)
    foreman.on_change = _to_all(link.note, media_keeper.note)
    load = Load(settings.requests_at_once, settings.body_mib_at_once * MIB)
    load.obstacle = journal.check_lock
    site = Site(settings.name, str(parts.jobs_folder), parts.variables.listed, lambda: farm_status(foreman.farm))
    watched = Watched(foreman, journal, parts.logs, intake, watch, FigureStore(journal), load)
    app = _web_application(settings, foreman, site, _use_cases(parts, uploads, intake, load), watched)
    app[LINK] = link
    job_keeper = JobKeeper(foreman, OldJobs(journal), parts.erasing, orders.turn, settings.keep_jobs_days)
    return app, [
        late.run(),
        intake.run(),
        late.then(link.run),
        late.then(lambda: media_keeper.run(lambda: foreman.now().wall)),
        late.then(lambda: blobs.tidy_for_ever(lambda: foreman.now().wall)),
        late.then(Tidying(foreman, OldOrders(journal)).run),
        late.then(job_keeper.run),
    ]


def _linked(parts: _Parts, uploads: Uploads, watch: LinkWatch, blobs: Blobs) -> tuple[Orders, ServerLink]:
    """Put together what the Server and this Manager say to each other."""
    foreman, journal = parts.foreman, parts.journal
    store, arrivals_store, outbox = FarmStore(journal), ArrivalStore(journal), Outbox(journal)
    arrivals = Arrivals(
        foreman,
        arrivals_store,
        store,
        outbox,
        blobs,
        parts.jobs_folder,
        parts.variables,
        SLICE_TASKS,
        parts.space,
    )
    acts = OrderActs(foreman, arrivals_store, store, parts.erasing, parts.keeper, uploads.follow)
    orders = Orders(foreman, outbox, acts, arrivals)

    async def follow_settings(document: Mapping[str, Any]) -> None:
        foreman.farm.go_on_with_server()
        await foreman.settle(also=parts.keeper.replace(document))

    introduction = Introduction(parts.settings.name, str(parts.jobs_folder))
    link = ServerLink(
        parts.server,
        outbox,
        introduction,
        orders,
        arrivals,
        uploads,
        follow_settings,
        lambda: foreman.now().wall,
        watch,
    )
    return orders, link


def _use_cases(parts: _Parts, uploads: Uploads, intake: PreviewIntake, load: Load) -> WorkerUseCases:
    store, arrivals_store = FarmStore(parts.journal), ArrivalStore(parts.journal)
    return WorkerUseCases(
        foreman=parts.foreman,
        gate=_gate(parts.settings, parts.foreman),
        assignments=Assignments(arrivals_store, store, parts.variables, parts.settings.policy),
        updates=TaskUpdates(parts.foreman, store, parts.logs, uploads),
        previews=intake,
        load=load,
    )


def _to_all(*listeners: Callable[[Changes], None]) -> Callable[[Changes], None]:
    def note(changes: Changes) -> None:
        for listener in listeners:
            listener(changes)

    return note


def _media_keeper(
    settings: Settings, logs: TaskLogs, previews: Previews, media: MediaStore, foreman: Foreman
) -> MediaKeeper:
    return MediaKeeper(
        logs,
        previews,
        media,
        foreman.farm.jobs.keys,
        keep_logs=timedelta(days=settings.keep_logs_days),
        keep_previews=timedelta(days=settings.keep_previews_days),
    )


def _gate(settings: Settings, foreman: Foreman) -> Gate:
    return Gate(
        foreman,
        registration_token=settings.registration_token,
        approval=Approval(settings.approve),
        limits=settings.newcomer_limits,
    )


def _web_application(
    settings: Settings, foreman: Foreman, site: Site, use: WorkerUseCases, watched: Watched
) -> web.Application:
    measured, watching_routes = watching(settings, watched)
    app = web.Application(
        middlewares=[measured, problems, worker_errors, room_for_all], client_max_size=LARGEST_BODY_BYTES
    )
    app[TRUSTED_PROXIES] = settings.trusted_proxies
    app[FOREMAN] = foreman

    async def let_go(_: web.Application) -> None:
        foreman.let_go()

    app.on_shutdown.append(let_go)
    app.add_routes([*reading_routes(site), *worker_routes(use), *watching_routes])
    return app


def _prepare(connection: apsw.Connection) -> None:
    migrate(connection, "flamenco_manager.stores.migrations")
    prepare_link(connection, new_id())


async def _raise_when_failed(failed: "asyncio.Future[None]") -> None:
    """End the service when the store had to stop: memory may be ahead of the disk, and a restart puts that right."""
    try:
        await failed
    except StoreFull:
        raise
    except Exception as error:
        log.error("the store cannot be written; stopping", error=str(error))
        raise Unavailable(f"The Manager's store cannot be written: {error}.") from error


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _consequence(error: BaseException) -> int:
    """Tell causes from what followed from them: a full disk or a broken store lets everything else fail."""
    return 0 if isinstance(error, StoreFull) else 2 if isinstance(error, JournalClosed) else 1
