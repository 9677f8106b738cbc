"""What the farm does as a whole, in the words of Flamenco 3's ``FarmStatus``. Pure."""

from collections.abc import Iterable

from flamenco_core.statuses import JobStatus, WorkerStatus
from flamenco_manager.farm import Farm

_OUT_OF_REACH = frozenset({None, WorkerStatus.OFFLINE, WorkerStatus.ERROR})


def farm_status(farm: Farm) -> str:
    """Tell in one word how the farm is."""
    workers = {worker.status for worker in farm.workers.values()}
    return _status({job.status for job in farm.jobs.values()}, workers)


def _status(jobs: Iterable[JobStatus], workers: Iterable[WorkerStatus | None]) -> str:
    jobs, workers = set(jobs), set(workers)
    has_work = not jobs.isdisjoint({JobStatus.ACTIVE, JobStatus.QUEUED})
    if workers <= _OUT_OF_REACH:
        return "inoperative"
    if JobStatus.ACTIVE in jobs and WorkerStatus.AWAKE in workers:
        return "active"
    if has_work:
        return "waiting"
    if WorkerStatus.AWAKE in workers:
        return "idle"
    return "asleep" if WorkerStatus.ASLEEP in workers else "unknown"
