"""What happens to Workers: they register, sign on, say what they are, sign off (worker-api.md, sections 5, 6, 14).

What people ask of them is in ``asked_of_workers``.
"""

from datetime import datetime
from hmac import compare_digest

from flamenco_core.errors import Forbidden
from flamenco_core.statuses import WorkerStatus
from flamenco_core.wire.worker_api import WorkerRegistration, WorkerSignOn
from flamenco_manager import attempts
from flamenco_manager.farm import Farm
from flamenco_manager.model import Moment, Worker
from flamenco_manager.sleep_schedule import asleep_at

STORED_EVERY_S = 30.0
"""When a Worker was last seen is written down so often: a restart grants one lease of grace anyway."""
LEAVING = (WorkerStatus.OFFLINE, WorkerStatus.RESTART)
"""Requests that a Worker fulfils by signing off."""


class WorkerForgotten(Forbidden):
    """People had this Worker removed while it was calling."""

    type = "worker-forgotten"


def returning(farm: Farm, registration: WorkerRegistration, secret_sha256: bytes) -> Worker | None:
    """Find the record of a Worker of ours that registers again from the same slot with the same secret."""
    if registration.node is None or registration.slot is None:
        return None
    place = (registration.node, registration.slot)
    for worker in farm.workers.values():
        if (worker.node, worker.slot) == place and compare_digest(worker.secret_sha256, secret_sha256):
            return worker
    return None


def register(farm: Farm, worker: Worker, registration: WorkerRegistration, now: Moment, *, is_approved: bool) -> None:
    """Take in a new Worker, or a returning one with what it says of itself now; an approval is kept."""
    worker.name, worker.platform = registration.name, registration.platform
    worker.task_types = tuple(registration.supported_task_types)
    _take_over(worker, registration)
    worker.is_approved = worker.is_approved or is_approved
    farm.workers[worker.id] = worker
    farm.worker_fitness_changed(worker)
    _seen(farm, worker, now)
    farm.worker_changed(worker)


def sign_on(farm: Farm, worker: Worker, said: WorkerSignOn, now: Moment) -> WorkerStatus:
    """Begin a session; returns what the Worker is to be. Its task, if it holds one, stays its own until it asks."""
    _check_known(worker)
    worker.name, worker.software, worker.can_restart = said.name, said.software_version, said.can_restart
    worker.task_types = tuple(dict.fromkeys(name.strip().lower() for name in said.supported_task_types))
    _take_over(worker, said)
    farm.worker_fitness_changed(worker)
    _become(farm, worker, WorkerStatus.STARTING, now, "Signed on.")
    worker.has_signed_on_since = worker.task is not None
    worker.lost_task = None
    _seen(farm, worker, now)
    farm.worker_changed(worker)
    if not worker.is_approved:
        return WorkerStatus.ASLEEP
    return worker.status_requested or scheduled_status(worker, now.wall)


def sign_off(farm: Farm, worker: Worker, now: Moment) -> None:
    """End a session. The task goes back; was it awake or asleep, it will be so again at its next sign-on."""
    _check_known(worker)
    was, asked_to_go = worker.status, worker.status_requested in LEAVING
    if asked_to_go:
        worker.status_requested, worker.is_lazy = None, False
    is_remembered = was is WorkerStatus.AWAKE or (was is WorkerStatus.ASLEEP and worker.is_approved)
    if worker.status_requested is None and is_remembered:
        worker.status_requested, worker.is_lazy = was, False
    _become(farm, worker, WorkerStatus.OFFLINE, now, "Signed off, as asked." if asked_to_go else "Signed off.")
    attempts.release(farm, worker, now, f"{worker.name} signed off.", is_lost=not asked_to_go)
    left(farm, worker)


def say_status(farm: Farm, worker: Worker, status: WorkerStatus, now: Moment) -> None:
    """Note what a Worker says that it is now; a request for just that is fulfilled, another one stays."""
    _check_known(worker)
    is_fulfilled = worker.status_requested is status
    if is_fulfilled:
        worker.status_requested, worker.is_lazy = None, False
    _become(farm, worker, status, now, "As asked." if is_fulfilled else "Says so.", is_news=is_fulfilled)
    if status is not WorkerStatus.AWAKE:
        attempts.release(farm, worker, now, f"{worker.name} is {status} now.")
        left(farm, worker)
    else:
        farm.offer_work(workers=1)
    farm.worker_changed(worker)


def heard(farm: Farm, worker: Worker, now: Moment) -> None:
    """Note that a Worker is in touch; one that was given up for silence is what it was before."""
    if worker.status is WorkerStatus.ERROR:
        _become(farm, worker, worker.status_before_error or WorkerStatus.STARTING, now, "Heard of again.")
    attempts.heard_without_sign_on(farm, worker)
    _seen(farm, worker, now)


def lose_touch(farm: Farm, worker: Worker, now: Moment) -> None:
    """Give a Worker up that has been silent for too long; others may have its task."""
    was = worker.status
    silent_s = now.monotonic_s - worker.seen_s
    _become(farm, worker, WorkerStatus.ERROR, now, f"Not heard of for {silent_s:.0f} seconds.")
    worker.status_before_error = was
    attempts.suspend(farm, worker, now)
    farm.offer_work(workers=len(farm.workers))


def scheduled_status(worker: Worker, wall: datetime) -> WorkerStatus:
    """Return what a Worker is to be as long as nobody asks otherwise."""
    sleeps = worker.schedule is not None and asleep_at(worker.schedule, wall)
    return WorkerStatus.ASLEEP if sleeps else WorkerStatus.AWAKE


def left(farm: Farm, worker: Worker) -> None:
    """Let others look for work: one Worker fewer is awake, and those that failed a task may be the only ones left."""
    farm.touch_worker(worker)
    farm.worker_changed(worker)
    farm.offer_work(workers=len(farm.workers))


def _become(farm: Farm, worker: Worker, status: WorkerStatus, now: Moment, why: str, *, is_news: bool = False) -> None:
    """Change what a Worker is; it enters its history if it is a change, or ``is_news`` all the same."""
    is_change = worker.status is not status
    worker.status, worker.status_before_error = status, None
    if is_change or is_news:
        farm.worker_state(worker, now.wall, why)


def _check_known(worker: Worker) -> None:
    """Refuse one that was removed between signing in and being served. Raises WorkerForgotten."""
    if worker.is_forgotten:
        raise WorkerForgotten("This Worker was removed from the farm: register again.")


def _seen(farm: Farm, worker: Worker, now: Moment) -> None:
    worker.last_seen, worker.seen_s = now.wall, now.monotonic_s
    if now.monotonic_s - worker.stored_seen_s >= STORED_EVERY_S:
        worker.stored_seen_s = now.monotonic_s
        farm.worker_changed(worker)


def _take_over(worker: Worker, said: WorkerRegistration | WorkerSignOn) -> None:
    worker.node = said.node if said.node is not None else worker.node
    worker.slot = said.slot if said.slot is not None else worker.slot
    worker.hardware = said.hardware if said.hardware is not None else worker.hardware
    worker.programs = said.programs if said.programs is not None else worker.programs
    worker.features = tuple(said.features)
