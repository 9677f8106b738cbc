"""The figures of a Manager, for Prometheus. All but requests and commits are read when somebody asks for them."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from flamenco_core import VERSION
from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_manager.farm import Farm
from flamenco_manager.link_watch import LinkWatch
from flamenco_manager.stores.figures import StoredFigures
from flamenco_runtime.overload import Load

PREFIX = "flamenco_manager"
COMMIT_WORKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
COMMIT_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0)


class Store(Protocol):
    """Where it is written what waits for the Server."""

    async def figures(self) -> StoredFigures:
        """Return how much that is. Raises Unavailable."""


@dataclass(frozen=True)
class Sources:
    """Where the figures come from. ``waiting``: how much waits, by the name of its queue."""

    farm: Farm
    waiting: Mapping[str, Callable[[], int]]
    store: Store
    link: LinkWatch
    load: Load
    name: str


class Commits:
    """Sizes and durations of the journal's transactions; told from the thread that commits."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._works = Histogram(
            f"{PREFIX}_commit_works", "Works that shared one transaction.", buckets=COMMIT_WORKS, registry=registry
        )
        self._seconds = Histogram(
            f"{PREFIX}_commit_seconds", "How long transactions took.", buckets=COMMIT_S, registry=registry
        )

    def note(self, works: int, seconds: float) -> None:
        """Count a transaction."""
        self._works.observe(works)
        self._seconds.observe(seconds)


class ManagerMetrics:
    """Writes the figures down when asked. ``counted``: what is counted as it happens."""

    def __init__(self, counted: CollectorRegistry, sources: Sources) -> None:
        self._counted = counted
        self._sources = sources
        ProcessCollector(registry=counted)

    async def written(self) -> bytes:
        """Return all figures as Prometheus reads them. Raises Unavailable when the store cannot be read."""
        stored = await self._sources.store.figures()
        of_farm, counted = CollectorRegistry(), self._counted
        of_farm.register(_Read(list(_figures(self._sources, stored))))  # in the event loop, to which the farm belongs

        def write() -> bytes:
            return generate_latest(of_farm) + generate_latest(counted)

        return await asyncio.to_thread(write)


class _Read(Collector):
    """Figures that were read just now."""

    def __init__(self, figures: Iterable[Metric]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        return self._figures


def _figures(sources: Sources, stored: StoredFigures) -> Iterator[Metric]:
    farm, link = sources.farm, sources.link
    about = {"version": VERSION, "name": sources.name}
    yield InfoMetricFamily(PREFIX, "What runs here.", about)
    yield from _figures_of_farm(farm)
    depths = {name: depth() for name, depth in sources.waiting.items()}
    depths |= {"log_uploads": stored.log_uploads, "preview_uploads": stored.preview_uploads}
    yield _by("waiting", "How much waits, by what it waits for; of uploads at most 10,000.", "queue", depths)
    yield _one("request_body_bytes", "What the bodies of calls under way hold.", sources.load.size_bytes)
    refused = "Calls that were refused because there was too much to do."
    yield CounterMetricFamily(f"{PREFIX}_overload_refusals", refused, sources.load.refused)
    yield _one("reports_held", "Reports that the Server has not acknowledged.", stored.reports)
    yield _one("report_lag_seconds", "Age of the oldest change that the Server has not acknowledged.", link.lag_s)
    yield _one("last_order", "Number of the last order that was applied.", stored.last_order)
    yield _one("server_link_up", "1 while the Server answers, else 0.", int(link.is_up))
    since = link.since.wall.timestamp()
    yield _one("server_link_since_seconds", "When that began, in seconds since 1970.", since)


def _figures_of_farm(farm: Farm) -> Iterator[Metric]:
    """Count jobs and Workers; of tasks each job keeps its counts, so that many cost no more than few."""
    tasks: Counter[TaskStatus] = Counter()
    for job in farm.jobs.values():
        tasks.update(job.counts)
    workers = [worker for worker in farm.workers.values() if not worker.is_forgotten]
    of_jobs, of_workers = Counter(job.status for job in farm.jobs.values()), Counter(one.status for one in workers)
    by_status = {status.value: of_workers[status] for status in WorkerStatus} | {"new": of_workers[None]}
    yield _by("tasks", "Tasks of jobs that have not ended.", "status", {one.value: tasks[one] for one in TaskStatus})
    yield _by("jobs", "Jobs that have not ended.", "status", {one.value: of_jobs[one] for one in JobStatus})
    yield _by("workers", "Workers that have registered; new: they never signed on.", "status", by_status)
    awaiting = sum(not worker.is_approved for worker in workers)
    yield _one("workers_awaiting_approval", "Workers that get no task until somebody approves them.", awaiting)


def _one(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", what, value=value)


def _by(name: str, what: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", what, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
