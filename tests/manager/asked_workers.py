"""What tests of requests and sleep schedules say and look at, in few words."""

from farm_builder import Site

from flamenco_core.statuses import WorkerStatus
from flamenco_core.wire.manager_api import DAYS
from flamenco_manager import asked_of_workers, leases, worker_rules
from flamenco_manager.farm import Changes
from flamenco_manager.model import Worker


def nights(start: str = "22:00", end: str = "06:00", **changes: object) -> dict[str, object]:
    """A schedule; Sites begin at noon, UTC."""
    window = {"days": list(DAYS), "start": start, "end": end}
    return {"is_active": True, "time_zone": "UTC", "windows": [window], **changes}


def ask_to(site: Site, worker: Worker, status: WorkerStatus, *, lazy: bool = False) -> None:
    asked_of_workers.request_status(site.farm, worker, status, site.now, lazy=lazy)


def set_schedule(site: Site, worker: Worker, document: object) -> None:
    asked_of_workers.set_schedule(site.farm, worker, document, site.now)


def says(site: Site, worker: Worker, status: WorkerStatus) -> None:
    worker_rules.say_status(site.farm, worker, status, site.now)


def until(site: Site, hour: float) -> None:
    """Let it become an hour (UTC) of the first day; beyond 24 of the next ones."""
    site.passed_s = (hour - 12) * 3600
    leases.tick(site.farm, site.now)


def requests(worker: Worker) -> tuple[WorkerStatus | None, bool]:
    return worker.status_requested, worker.is_lazy


def history(changes: Changes) -> list[tuple[str, str]]:
    return [(str(state.status), state.why) for state in changes.worker_states]
