"""Puts together what whoever watches a Manager is served: that it lives, whether it can work, its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CollectorRegistry

from flamenco_manager.foreman import Foreman
from flamenco_manager.http.health import Link, Readiness, front_routes, health_routes, metrics_routes
from flamenco_manager.http.worker_sign_in import signed_in
from flamenco_manager.link_watch import LinkWatch
from flamenco_manager.metrics import PREFIX, Commits, ManagerMetrics, Sources, Store
from flamenco_manager.preview_intake import PreviewIntake
from flamenco_manager.settings import Settings
from flamenco_manager.task_logs import TaskLogs
from flamenco_runtime.journal import Journal
from flamenco_runtime.overload import Load
from flamenco_runtime.request_metrics import RequestMetrics


@dataclass(frozen=True)
class Watched:
    """The parts of a Manager that are looked at."""

    foreman: Foreman
    journal: Journal
    logs: TaskLogs
    previews: PreviewIntake
    link: LinkWatch
    store: Store
    load: Load


def watching(settings: Settings, watched: Watched) -> tuple[Middleware, Sequence[web.RouteDef]]:
    """Return what measures requests, and the routes on which it is told."""
    counted = CollectorRegistry()
    watched.journal.on_commit = Commits(counted).note
    requests = RequestMetrics(counted, PREFIX, _worker_of)
    metrics = ManagerMetrics(counted, _sources(settings, watched))
    routes = [
        *front_routes(settings.name, settings.server),
        *health_routes(lambda: readiness_of(watched.journal, watched.link)),
        *metrics_routes(metrics.written, settings.metrics_token),
    ]
    return requests.middleware, routes


def _sources(settings: Settings, watched: Watched) -> Sources:
    waiting = {
        "asks": lambda: watched.foreman.asks_waiting,
        "requests": lambda: watched.load.requests,
        "journal": lambda: watched.journal.waiting,
        "log_writes": lambda: watched.logs.writes_waiting,
        "logs_held": lambda: watched.logs.logs_held,
        "preview_scaling": lambda: watched.previews.waiting,
    }
    return Sources(watched.foreman.farm, waiting, watched.store, watched.link, watched.load, settings.name)


def readiness_of(journal: Journal, link: LinkWatch) -> Readiness:
    """Tell whether a Manager can work, by its parts."""
    missing = [] if journal.is_open else ["The store cannot be written."]
    return Readiness(missing, Link(link.is_up, link.since.wall))


def _worker_of(request: web.Request) -> Mapping[str, object]:
    worker = signed_in(request)
    return {} if worker is None else {"worker": worker.name, "worker_id": worker.id}
