"""Jobs that do not begin yet: before their start time, or while they wait for other jobs. Pure.

A job that waits for another stays ``queued``, whatever becomes of the other; it is looked at again when that one
changes (jobs.md, "One rule ends a job"). Deleted counts as ended, not as completed; so does a job that was erased.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flamenco_core.statuses import JobStatus
from flamenco_manager.farm import Farm
from flamenco_manager.model import Job, Moment, NeededJob
from flamenco_manager.task_rules import is_runnable


@dataclass(frozen=True, slots=True)
class JobState:
    """What others need to know of a job; ``status`` None: it is gone."""

    status: JobStatus | None
    is_deleted: bool = False

    def satisfies(self, needed: NeededJob) -> bool:
        """Tell whether a job that waits for this one may begin."""
        if self.status is None or self.is_deleted:
            return needed.ended
        return self.status is JobStatus.COMPLETED or (needed.ended and self.status.is_ended)


GONE = JobState(None)


def state_of(job: Job) -> JobState:
    """Return what others need to know of a job that is in memory."""
    return JobState(job.status, job.is_deleted)


def still_hold(farm: Farm, others: Mapping[str, JobState]) -> bool:
    """Tell whether states of jobs that were read from the store, which takes a while, say how these jobs are now.

    A job leaves memory when it has ended. So one that is not there, and had not ended when it was read, ended
    meanwhile; nobody would tell those that wait for it: read it again.
    """
    return all(job_id in farm.jobs or state.status is None or state.status.is_ended for job_id, state in others.items())


def begin_waiting(farm: Farm, job: Job, others: dict[str, JobState], now: Moment) -> None:
    """Look at all that a job waits for, as it enters the farm; ``others`` are the needed jobs that left memory."""
    for needed in job.needs_jobs:
        other = farm.jobs.get(needed.id)
        needed.is_met = (state_of(other) if other is not None else others.get(needed.id, GONE)).satisfies(needed)
        farm.waiting_for.setdefault(needed.id, set()).add(job.id)
    job.is_held_back = not has_begun(job) and _must_wait(job, now)
    if job.is_held_back and _is_early(job, now):
        farm.before_start.add(job.id)


def tell_waiting(farm: Farm, job: Job, now: Moment) -> None:
    """Look again at the jobs that wait for one which has changed."""
    for waiting_id in farm.waiting_for.get(job.id, ()):
        waiting = farm.jobs.get(waiting_id)
        if waiting is None or has_begun(waiting):
            continue
        for needed in waiting.needs_jobs:
            if needed.id == job.id:
                needed.is_met = state_of(job).satisfies(needed)
        look_again(farm, waiting, now)


def start_those_due(farm: Farm, now: Moment) -> None:
    """Let the jobs begin whose start time has come."""
    for job_id in list(farm.before_start):
        job = farm.jobs.get(job_id)
        if job is None or job.start_after is None or now.wall >= job.start_after:
            farm.before_start.discard(job_id)
            if job is not None:
                look_again(farm, job, now)


def look_again(farm: Farm, job: Job, now: Moment) -> None:
    """Hold a job back, or let it go on, as is right now."""
    must_wait = _must_wait(job, now)
    if _is_early(job, now):
        farm.before_start.add(job.id)  # again, if the clock went back
    if must_wait == job.is_held_back:
        return
    job.is_held_back = must_wait
    if must_wait and job.status is JobStatus.ACTIVE:
        job.status = JobStatus.QUEUED
    farm.job_changed(job)
    if not must_wait:
        farm.list_runnable(task for task in job.tasks if is_runnable(task))


def has_begun(job: Job) -> bool:
    """Tell whether a Worker has had a task of it."""
    return job.started_at is not None


def _must_wait(job: Job, now: Moment) -> bool:
    return _is_early(job, now) or not all(needed.is_met for needed in job.needs_jobs)


def _is_early(job: Job, now: Moment) -> bool:
    return job.start_after is not None and now.wall < job.start_after
