"""Workers that are blocked in a job: the Server hears of that with the Worker, while the job has not ended. Pure."""

from flamenco_manager.farm import Farm
from flamenco_manager.model import Job


def report_blocked(farm: Farm, job: Job) -> None:
    """Let the Workers that are blocked in a job be reported: it ended, or goes on again, and their blocks with it."""
    for worker_id, _ in sorted(job.blocked):
        worker = farm.workers.get(worker_id)
        if worker is not None:
            farm.worker_changed(worker)
