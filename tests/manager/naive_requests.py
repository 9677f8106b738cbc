"""What people may ask, as jobs.md words it: part of the naive model of the farm.

``order`` does what an order of this kind does, and tells whether it was ``done`` or ``dropped``.
"""

from collections.abc import Callable, Mapping
from typing import Any

from naive_farm import NaiveFarm
from naive_records import ENDED, LEAVING, SET_ASIDE, WAITING, NaiveJob, NaiveNeeds, NaiveTask, NaiveWorker

Details = Mapping[str, Any]
DONE, DROPPED = "done", "dropped"


def order(farm: NaiveFarm, kind: str, details: Details) -> str:
    """Do what people ask."""
    result = _order(farm, kind, details)
    farm.tally[f"{kind} {result}"] += 1
    return result


def _order(farm: NaiveFarm, kind: str, details: Details) -> str:
    noun, verb = kind.split(".")
    if noun == "job":
        return _of_job(farm, verb, details)
    if noun == "task":
        return _of_task(farm, verb, details)
    if noun == "worker":
        return _of_worker(farm, verb, details)
    farm.settings.update(details)
    return DONE


# Jobs.


def _of_job(farm: NaiveFarm, verb: str, details: Details) -> str:
    job = farm.jobs.get(details["job"])
    if verb == "submit":
        if job is None:
            farm.jobs[details["job"]] = NaiveJob(details["job"], len(farm.jobs))
        return DONE
    if job is None or job.erased:
        return DROPPED
    if verb == "delete":
        _delete(farm, job)
        return DONE
    if verb == "undelete" or verb == "erase":
        if not job.deleted:
            return DROPPED
        job.deleted, job.erased = verb == "erase", verb == "erase"
        return DONE
    if job.deleted:
        return DROPPED
    return _OF_JOB[verb](farm, job, details)


def arrive(farm: NaiveFarm, job: NaiveJob, tasks: list[NaiveTask], *, start_paused: bool) -> None:
    """All of a job has come: it may begin. What people asked of it meanwhile wins over what it came with."""
    if job.status in ENDED:
        return
    job.tasks, job.whole, job.status = tasks, True, "queued"
    if job.pause_wanted if job.pause_wanted is not None else start_paused:
        job.status = "paused"
        for task in tasks:
            task.status = "paused"
    job.priority = job.asked.get("priority", job.priority)  # type: ignore[assignment]
    if "tag" in job.asked:
        _tag(job)
    farm.look_at_end(job)


def _delete(farm: NaiveFarm, job: NaiveJob) -> None:
    if not job.deleted:
        _cancel(farm, job, {})
        job.deleted = True


def _cancel(farm: NaiveFarm, job: NaiveJob, _: Details) -> str:
    if job.status in ENDED:
        return DONE if job.status == "canceled" else DROPPED
    job.cancelled = True
    if job.status == "under-construction":
        job.status = "canceled"
    for task in job.tasks:
        if task.status not in ENDED:
            farm.cancel(task)
    farm.look_at_end(job)
    return DONE


def _pause(farm: NaiveFarm, job: NaiveJob, _: Details) -> str:
    if job.status in ENDED:
        return DROPPED
    if job.status == "under-construction":
        job.pause_wanted = True
        return DONE
    if job.status in SET_ASIDE:
        return DONE
    job.status = "pause-requested"
    for task in job.tasks:
        if task.status in WAITING:
            task.status, task.reserved = "paused", None
    farm.look_at_end(job)
    return DONE


def _resume(farm: NaiveFarm, job: NaiveJob, _: Details) -> str:
    if job.status in ENDED:
        return DROPPED
    if job.status == "under-construction":
        job.pause_wanted = False
        return DONE
    job.status = "queued" if farm.is_held_back(job) else "active"
    for task in job.tasks:
        task.pause_wanted = False
        if task.status == "paused":
            task.status = "queued"
    farm.look_at_end(job)
    return DONE


def _requeue(farm: NaiveFarm, job: NaiveJob, details: Details) -> str:
    """Run tasks again; those that were requeued after what the person saw (``seen``, a step) are left alone."""
    if not job.whole:
        return DROPPED
    which = details["which"]
    chosen = [
        task
        for task in job.tasks
        if which == "all"
        or (which == "not-completed" and task.status != "completed")
        or (which == "failed" and (task.status == "failed" or task.canceled_by_failure))
        or (which == "chosen" and task.id in details["tasks"])
    ]
    seen = details.get("seen")
    tasks = [task for task in _with_what_belongs(job, chosen) if seen is None or task.requeued_in <= seen]
    if not tasks:
        return DROPPED
    job.cancelled = False
    if job.status in ENDED:
        job.status = "queued" if farm.is_held_back(job) else "active"
    for task in tasks:
        farm.end_attempt(task)
        task.failed_by, task.lost, task.retry_at = [], [], 0.0
        task.pause_wanted = task.canceled_by_failure = False
        task.steps, task.frames, task.fresh_after = 0, {}, task.attempt
        task.requeued_in = farm.step
        task.status = "paused" if job.status in SET_ASIDE else "queued"
    farm.look_at_end(job)
    return DONE


def _with_what_belongs(job: NaiveJob, chosen: list[NaiveTask]) -> list[NaiveTask]:
    """Add all that depend on them (not those that a person cancelled), and the failed or canceled they wait for."""
    found = {task.index for task in chosen}
    for task in job.tasks:  # what a task waits for has a lower index
        is_cancelled_by_a_person = task.status == "canceled" and not task.canceled_by_failure
        if found & set(task.depends_on) and not is_cancelled_by_a_person:
            found.add(task.index)
    for task in reversed(job.tasks):
        if task.index in found:
            found |= {other.index for other in task.waits_for if other.status in ("failed", "canceled")}
    return [task for task in job.tasks if task.index in found]


def _set_priority(_: NaiveFarm, job: NaiveJob, details: Details) -> str:
    job.priority = job.asked["priority"] = details["priority"]
    return DONE


def _set_tag(_: NaiveFarm, job: NaiveJob, details: Details) -> str:
    job.asked["tag"] = details["tag"]
    _tag(job)
    return DONE


def _tag(job: NaiveJob) -> None:
    needs = job.needs
    job.needs = NaiveNeeds(job.asked["tag"], needs.memory, needs.gpu, needs.limits)  # type: ignore[arg-type]


_OF_JOB: dict[str, Callable[[NaiveFarm, NaiveJob, Details], str]] = {
    "cancel": _cancel,
    "pause": _pause,
    "resume": _resume,
    "requeue": _requeue,
    "priority": _set_priority,
    "tag": _set_tag,
}


# Tasks.


def _of_task(farm: NaiveFarm, verb: str, details: Details) -> str:
    task = farm.task(details["task"])
    if task is None or task.job.deleted:
        return DROPPED
    if verb == "requeue":
        return _requeue(farm, task.job, {"which": "chosen", "tasks": [task.id], "seen": details.get("seen")})
    if task.status in ENDED:
        return DROPPED
    if verb == "cancel":
        farm.cancel(task)
    elif task.job.status in ENDED:
        return DROPPED
    elif task.status == "active":
        task.pause_wanted = True
    elif task.status in WAITING:
        task.pause_wanted = task.holder is not None  # its Worker may come back, and then finishes
        task.status, task.reserved = "paused", None
    farm.look_at_end(task.job)
    return DONE


# Workers.


def _of_worker(farm: NaiveFarm, verb: str, details: Details) -> str:
    worker = farm.workers.get(details["worker"])
    if worker is None or worker.gone:
        return DROPPED
    if verb == "status":
        return _request(farm, worker, details["status"], lazy=details["lazy"])
    if verb == "unblock":
        return _unblock(farm, worker, details)
    if verb == "tags":
        worker.tags = frozenset(details["tags"])
    elif verb == "approve" and not worker.approved:
        worker.approved = True
        if worker.status != "awake" and worker.requested is None:
            worker.requested, worker.lazy = "awake", True
            farm.give_back_reserved(worker)
    elif verb == "forget":
        farm.release(worker)
        worker.status, worker.before_error, worker.requested, worker.lazy = "offline", None, None, False
        worker.given_away, worker.gone = None, True
    return DONE


def _request(farm: NaiveFarm, worker: NaiveWorker, status: str, *, lazy: bool) -> str:
    is_away = worker.status in (None, "offline")
    is_senseless = (
        (status in LEAVING and is_away)
        or (status == "restart" and not worker.can_restart)
        or (status == "awake" and not worker.approved)
    )
    if is_senseless:
        return DROPPED
    if worker.status == status and worker.requested is None:
        return DONE
    worker.requested = status
    worker.lazy = lazy or status == worker.status == "awake"
    farm.give_back_reserved(worker)
    return DONE


def _unblock(farm: NaiveFarm, worker: NaiveWorker, details: Details) -> str:
    """Of one job, or of all that have not ended."""
    jobs = [job for job in farm.jobs.values() if job.status not in ENDED]
    if details.get("job"):
        job = farm.jobs.get(details["job"])
        if job is None or job.erased or job.deleted:
            return DROPPED
        jobs = [job]
    for job in jobs:
        job.blocked -= {
            (one, type_) for one, type_ in job.blocked if one == worker.id and details.get("task_type") in (None, type_)
        }
    return DONE
