"""What people ask of Workers, and what their sleep schedules ask for them (worker-api.md, 6.2 to 6.8)."""

from dataclasses import replace

from flamenco_core.errors import BadInput, Conflict
from flamenco_core.statuses import WorkerStatus
from flamenco_core.tags import checked_tag
from flamenco_manager import attempts, worker_rules
from flamenco_manager.farm import Farm
from flamenco_manager.holding import give_back_reserved
from flamenco_manager.model import Moment, Worker
from flamenco_manager.sleep_schedule import LOOK_AHEAD, BadSchedule, asleep_at, next_change, read_schedule
from flamenco_manager.worker_rules import LEAVING, scheduled_status

MOST_TAGS = 100

_TO = {
    WorkerStatus.AWAKE: "wake up",
    WorkerStatus.ASLEEP: "sleep",
    WorkerStatus.OFFLINE: "shut down",
    WorkerStatus.RESTART: "restart",
}


class BadRequest(BadInput):
    """Something that no Worker can be asked."""

    type = "bad-worker-request"


class MakesNoSense(Conflict):
    """Something that this Worker cannot be asked as it is now."""

    type = "worker-request-makes-no-sense"


class BadTag(BadInput):
    """What is no name of a tag."""

    type = "bad-tag"


def request_status(farm: Farm, worker: Worker, status: WorkerStatus, now: Moment, *, lazy: bool) -> None:
    """Ask a Worker to be something else: at once, or (``lazy``) once it has finished its task.

    Awake it can be at once without leaving a task. Raises BadRequest, MakesNoSense.
    """
    _check_sense(worker, status)
    if worker.status is status and worker.status_requested is None:
        return
    when = " after its task" if lazy and status is not WorkerStatus.AWAKE else ""
    _request(farm, worker, status, now, f"Asked to {_TO[status]}{when}.", is_lazy=lazy)


def set_schedule(farm: Farm, worker: Worker, document: object, now: Moment) -> None:
    """Let a Worker sleep by other rules, or (null) by none; it follows where they want something else just now.

    Raises BadSchedule.
    """
    schedule = read_schedule(document)
    was = scheduled_status(worker, now.wall)
    worker.schedule = schedule
    _plan(worker, now)
    farm.worker_changed(worker)
    if scheduled_status(worker, now.wall) is not was:
        _follow(farm, worker, now)


def follow_schedules(farm: Farm, now: Moment) -> None:
    """Ask those to sleep or to wake up whose schedules say so since the last time."""
    for worker in farm.workers.values():
        if worker.schedule_at is None:
            continue
        if worker.schedule_at <= now.wall:
            _plan(worker, now)
            farm.worker_changed(worker)
            _follow(farm, worker, now)
        elif worker.schedule_at - now.wall > LOOK_AHEAD:  # the clock was wrong when this was planned
            _plan(worker, now)
            farm.worker_changed(worker)


def resume_schedules(farm: Farm, now: Moment) -> None:
    """Turn those schedules off whose time zone is not known any more, after a restart of the Manager."""
    for worker in farm.workers.values():
        try:
            if worker.schedule is not None:
                asleep_at(worker.schedule, now.wall)
        except BadSchedule as error:
            assert worker.schedule is not None
            worker.schedule, worker.schedule_at = replace(worker.schedule, is_active=False), None
            farm.worker_state(worker, now.wall, f"Its sleep schedule was turned off. {error}")


def approve(farm: Farm, worker: Worker, now: Moment) -> None:
    """Let a Worker take part, as a person decided; it wakes up if it is in touch, and if its schedule lets it."""
    if worker.is_approved:
        return
    worker.is_approved = True
    farm.worker_fitness_changed(worker)
    farm.worker_changed(worker)
    farm.touch_worker(worker)
    wanted = scheduled_status(worker, now.wall)
    if worker.status is not wanted and worker.status_requested is None:
        _request(farm, worker, wanted, now, f"Approved, and asked to {_TO[wanted]}.", is_lazy=True)


def forget(farm: Farm, worker: Worker, now: Moment, why: str = "Removed from the farm.") -> None:
    """Remove a Worker: its task goes back, its calls are refused from now on, and the Server hears of it once more."""
    attempts.release(farm, worker, now, f"{worker.name} was removed from the farm.")
    worker.status, worker.status_before_error = WorkerStatus.OFFLINE, None
    worker.status_requested, worker.is_lazy, worker.lost_task = None, False, None
    worker.is_forgotten = True
    farm.worker_state(worker, now.wall, why)
    del farm.workers[worker.id]
    worker_rules.left(farm, worker)


def set_tags(farm: Farm, worker: Worker, tags: object) -> None:
    """Give a Worker these tags, and no others. Raises BadTag."""
    if not isinstance(tags, list | tuple) or len(tags) > MOST_TAGS:
        raise BadTag(f"tags is a list of at most {MOST_TAGS} names.", {"tags": "Not a list of names."})
    names = frozenset(check_tag(name) for name in tags)
    if names != worker.tags:
        _tag(farm, worker, names)


def delete_tag(farm: Farm, name: str) -> None:
    """Take a tag from all Workers. Raises BadTag."""
    tag = check_tag(name)
    for worker in farm.workers.values():
        if tag in worker.tags:
            _tag(farm, worker, worker.tags - {tag})


def check_tag(name: object) -> str:
    """Return the name of a tag without the space around it. Raises BadTag."""
    try:
        return checked_tag(name if isinstance(name, str) else "")
    except ValueError as error:
        raise BadTag(f"{name!r} cannot be a tag: {error}", {"tag": str(error)}) from error


def _tag(farm: Farm, worker: Worker, names: frozenset[str]) -> None:
    worker.tags = names
    farm.worker_changed(worker)
    farm.worker_fitness_changed(worker)
    farm.touch_worker(worker)


def _check_sense(worker: Worker, status: WorkerStatus) -> None:
    if status not in _TO:
        allowed = ", ".join(str(one) for one in _TO)
        raise BadRequest(f"A Worker cannot be asked to be {status}: one of {allowed}.", {"status": "Not one of these."})
    if status in LEAVING and worker.status in (None, WorkerStatus.OFFLINE):
        raise MakesNoSense(f"{worker.name} cannot {_TO[status]}: it is offline.")
    if status is WorkerStatus.RESTART and not worker.can_restart:
        raise MakesNoSense(f"{worker.name} cannot restart: nobody would start it again. Shut it down instead.")
    if status is WorkerStatus.AWAKE and not worker.is_approved:
        raise MakesNoSense(f"{worker.name} awaits approval: approve it first.")


def _plan(worker: Worker, now: Moment) -> None:
    """Note when the schedule next wants something else."""
    worker.schedule_at = next_change(worker.schedule, now.wall) if worker.schedule is not None else None


def _follow(farm: Farm, worker: Worker, now: Moment) -> None:
    """Ask a Worker to be what its schedule wants from now on, whatever people asked before; not if it is to leave."""
    if not worker.is_approved or worker.status_requested in LEAVING or worker.status is None:
        return
    if worker.status is WorkerStatus.OFFLINE:  # at its next sign-on the schedule decides, unless somebody asks by then
        if worker.status_requested is not None:
            worker.status_requested, worker.is_lazy = None, False
            farm.worker_state(worker, now.wall, "Its sleep schedule decides what it is when it signs on.")
        return
    wanted = scheduled_status(worker, now.wall)
    is_settled = worker.status_requested is None and wanted is (worker.status_before_error or worker.status)
    if not is_settled and worker.status_requested is not wanted:
        _request(farm, worker, wanted, now, f"Asked to {_TO[wanted]} by its sleep schedule.", is_lazy=True)


def _request(farm: Farm, worker: Worker, status: WorkerStatus, now: Moment, why: str, *, is_lazy: bool) -> None:
    """Ask for a status, also for the one that it has: it may be on its way to another, of which it was told before.

    To be awake no Worker need leave its task.
    """
    worker.status_requested = status
    worker.is_lazy = is_lazy or status is worker.status is WorkerStatus.AWAKE
    give_back_reserved(farm, worker, now)
    farm.worker_state(worker, now.wall, why)
    farm.touch_worker(worker)
    if not worker.is_at_work:  # others waited for it to try what they had failed
        farm.offer_work(workers=len(farm.workers))
