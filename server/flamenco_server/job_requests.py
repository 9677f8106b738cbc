"""What people may ask of a job (jobs.md, "What people may ask of a job"): what is refused, what becomes of the rest.

Pure. What is asked before a Manager has the job changes its definition; what is asked after becomes an order. Asking
twice is asking once. Whether it makes sense is judged by what the job will be once all is done that was asked before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from flamenco_core.errors import Conflict
from flamenco_core.statuses import JobStatus
from flamenco_core.wire.manager_api import JobReport
from flamenco_server.asking import (
    Asker,
    NoManagerYet,
    Step,
    answered,
    ask,
    check_present,
    expected_base,
    shown,
    without,
)
from flamenco_server.records import REQUEUE, STATE, Asked, Asks, Job

Which = Literal["all", "not-completed", "failed", "chosen"]
About = Literal["priority", "tag"]
"""What can be changed of a job's definition."""

BIN_LIFE = timedelta(days=7)
"""How long a deleted job can be undeleted."""
THE_BIN = "the bin"
"""Who asks a Manager to erase a job."""

_AIMS = {
    "cancel": JobStatus.CANCELED,
    "delete": JobStatus.CANCELED,
    "undelete": JobStatus.CANCELED,
    "resume": JobStatus.ACTIVE,
    "pause": JobStatus.PAUSED,
}
_SET_ASIDE = (JobStatus.PAUSED, JobStatus.PAUSE_REQUESTED)


class JobEnded(Conflict):
    """Too late to ask that of a job."""

    type = "job-ended"

    def __init__(self, name: str, status: JobStatus, verb: str) -> None:
        super().__init__(f"The job {name!r} is {status} already; there is nothing left to {verb}.")


class JobIsErased(Conflict):
    """Too late to take a job out of the bin."""

    type = "job-is-erased"

    def __init__(self, name: str) -> None:
        super().__init__(f"The job {name!r} is being erased; it cannot be undeleted any more.")


def cancel(job: Job, by: Asker) -> Step[Job]:
    """Give a job up. Raises JobInBin, JobEnded."""
    check_present(job)
    if job.asked_state == "cancel":
        return Step(job)
    _check_goes_on(job, "cancel")
    if job.manager_id is None:
        return _end(job, by, "Canceled")
    return ask(job, STATE, "cancel", by.order("job.cancel", {"job": job.id}))


def pause(job: Job, by: Asker) -> Step[Job]:
    """Set a job aside; what is active finishes. Raises JobInBin, JobEnded."""
    check_present(job)
    aim = _check_goes_on(job, "pause")
    if aim in _SET_ASIDE:
        return Step(job)
    if job.manager_id is None:
        return Step(replace(job, start_paused=True, asks={**job.asks, STATE: Asked("pause", by.name)}))
    return ask(job, STATE, "pause", by.order("job.pause", {"job": job.id}))


def resume(job: Job, by: Asker) -> Step[Job]:
    """Let a job go on, with those of its tasks that are paused. Raises JobInBin, JobEnded."""
    check_present(job)
    _check_goes_on(job, "resume")
    if job.manager_id is None:
        return Step(replace(job, start_paused=False, asks=without(job.asks, STATE)))
    if job.asked_state == "resume":
        return Step(job)
    return ask(job, STATE, "resume", by.order("job.resume", {"job": job.id}))


def requeue(job: Job, by: Asker, which: Which, tasks: Sequence[str] = ()) -> Step[Job]:
    """Run tasks again; ``tasks`` are ids, for ``chosen``. Raises JobInBin, NoManagerYet.

    The order carries what we knew of the job, so that tasks which were requeued since are left alone.
    """
    check_present(job)
    _check_issued(job)
    details: dict[str, Any] = {"job": job.id, "which": which}
    if which == "chosen":
        details["tasks"] = list(tasks)
    if job.rev is not None:
        details["rev"] = [job.rev.epoch, job.rev.commit]
    goes_on = replace(job, asks=without(job.asks, STATE)) if _aim(job).is_ended else job
    return ask(goes_on, REQUEUE, which, by.order("job.requeue", details))


def change(job: Job, by: Asker, wanted: Mapping[About, Any]) -> Step[Job]:
    """Change the priority (0 to 100), or the tag (None: any Worker will do). Raises JobInBin."""
    check_present(job)
    step: Step[Job] = Step(job)
    for about, value in wanted.items():
        step = _change(step, by, about, value)
    return step


def delete(job: Job, by: Asker) -> Step[Job]:
    """Cancel a job and put it into the bin."""
    if job.deleted_at is not None:
        return Step(job)
    if job.manager_id is not None:
        return ask(replace(job, deleted_at=by.now), STATE, "delete", by.order("job.delete", {"job": job.id}))
    step = Step(job) if job.reported_status.is_ended else _end(job, by, "Deleted")
    return replace(step, object=replace(step.object, deleted_at=by.now))


def undelete(job: Job, by: Asker) -> Step[Job]:
    """Take a job out of the bin; it stays canceled. Raises JobIsErased."""
    if job.deleted_at is None:
        return Step(job)
    if job.erased or job.asked_state == "erase":
        raise JobIsErased(job.name)
    back = replace(job, deleted_at=None)
    if job.manager_id is None:
        return Step(back)
    return ask(back, STATE, "undelete", by.order("job.undelete", {"job": job.id}))


def erase(job: Job, now: datetime) -> Step[Job]:
    """Begin to erase a job that was in the bin for long enough; another one is left as it is."""
    if not is_due(job, now):
        return Step(job)
    if job.manager_id is None:
        return Step(replace(job, erased=True))
    return ask(job, STATE, "erase", Asker(THE_BIN, now).order("job.erase", {"job": job.id}))


def is_due(job: Job, now: datetime) -> bool:
    """Tell whether the erasing of a job shall begin."""
    is_old = job.deleted_at is not None and now - job.deleted_at >= BIN_LIFE
    return is_old and not job.erased and job.asked_state != "erase"


def after_answer(job: Job, order_id: str, result: str, why: str) -> Job:
    """Return a job after its Manager has answered an order about it.

    A Manager that does not erase a job has none: either way nothing is left of it there.
    """
    about = {asked.order: (name, asked.value) for name, asked in job.asks.items()}.get(order_id)
    after = answered(job, order_id, result, why)
    match about, result:
        case (("priority", int(priority)), "done"):
            after = replace(after, priority=priority)
        case (("tag", tag), "done"):
            after = replace(after, tag=tag)
        case ((_, "erase"), _):
            after = replace(after, erased=True)
    return shown(after)


def after_drop(job: Job, why: str, now: datetime) -> Job:
    """Return a job that its Manager will not run, whatever else it will answer about it."""
    if job.reported_status.is_ended:
        return job
    activity = f"Its Manager dropped it: {why}"
    failed = replace(job, reported_status=JobStatus.FAILED, activity=activity, finished_at=now, asks=_ordered(job))
    return shown(failed)


def after_report(job: Job, said: JobReport, now: datetime) -> Job:
    """Return a job after its Manager has said something newer of it.

    What was asked before the Manager had the job was part of what it fetched, so that is answered now. Whether it is in
    the bin, a Manager may tell as long as nothing is asked about that; we forget it when our store is put back.
    """
    asks = _ordered(job)
    after = replace(
        job,
        reported_status=JobStatus(said.status),
        activity=said.activity,
        counts=said.counts,
        finished_at=said.finished_at,
        asks=asks,
    )
    if said.priority is not None:
        after = replace(after, priority=said.priority, tag=said.tag)
        if STATE not in asks:
            after = replace(after, deleted_at=(job.deleted_at or now) if said.deleted else None)
    return shown(after)


def _ordered(job: Job) -> Asks:
    """Return what is asked of a job that its Manager will answer."""
    return {about: asked for about, asked in job.asks.items() if asked.order is not None}


def _check_goes_on(job: Job, verb: str) -> JobStatus:
    """Return what the job will be, unless it has ended then. Raises JobEnded."""
    aim = _aim(job)
    if aim.is_ended:
        raise JobEnded(job.name, job.status, verb)
    return aim


def _aim(job: Job) -> JobStatus:
    """Tell what a job will be once what was asked of it is done."""
    base = expected_base(job.reported_status, requeued=REQUEUE in job.asks)
    return base if base.is_ended or job.asked_state is None else _AIMS.get(job.asked_state, base)


def _check_issued(job: Job) -> None:
    if job.manager_id is None:
        raise NoManagerYet(job.name, job.status)


def _end(job: Job, by: Asker, word: str) -> Step[Job]:
    """End a job that no Manager knows of."""
    ended = replace(
        job,
        reported_status=JobStatus.CANCELED,
        activity=f"{word} by {by.name}",
        finished_at=by.now,
        asks=without(job.asks, STATE),
        counts={"canceled": job.task_count} if job.task_count else {},
    )
    return Step(ended, ends_tasks=True)


def _change(step: Step[Job], by: Asker, about: About, value: Any) -> Step[Job]:
    job = step.object
    asked = job.asks.get(about)
    if value == (asked.value if asked else getattr(job, about)):
        return step
    if job.manager_id is None:
        return Step(replace(job, **{about: value}))
    more = ask(job, about, value, by.order(f"job.{about}", {"job": job.id, about: value}))
    return Step(more.object, [*step.orders, *more.orders])
