"""What happens to whole jobs: they come, begin, are cancelled, fail, end (jobs.md, "Statuses")."""

from collections.abc import Sequence

from flamenco_core.errors import Conflict
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_core.wire.manager_api import JobDefinition
from flamenco_manager.farm import Farm
from flamenco_manager.holding import end_attempt
from flamenco_manager.model import Job, Moment, Task
from flamenco_manager.task_rules import (
    ended_as,
    has_failed_too_much,
    is_runnable,
    link,
    what_is_missing,
)


class JobEnded(Conflict):
    """What was asked makes no sense for a job that has ended."""

    type = "job-ended"


def announce(farm: Farm, job: Job) -> None:
    """Note a job whose definition, tasks and files are still to be fetched."""
    job.activity = "The Manager fetches the job"
    farm.jobs[job.id] = job
    farm.job_changed(job)


def define(farm: Farm, job: Job, definition: JobDefinition) -> None:
    """Take over what the Server says of a job; its tasks come later."""
    job.priority, job.type, job.created = definition.priority, definition.type, definition.created
    farm.job_changed(job)


def say(farm: Farm, job: Job, activity: str) -> None:
    """Tell people what is happening to a job."""
    if job.activity != activity:
        job.activity = activity
        farm.job_changed(job)


def start(farm: Farm, job: Job, tasks: Sequence[Task], now: Moment) -> None:
    """Make a job runnable, now that all its tasks are stored and its files are laid out."""
    resume(farm, job, tasks)
    job.status, job.activity = JobStatus.QUEUED, ""
    farm.job_changed(job)
    farm.hurry()
    farm.list_runnable(task for task in tasks if is_runnable(task))
    look_at_end(farm, job, now)


def resume(farm: Farm, job: Job, tasks: Sequence[Task]) -> None:
    """Put a job and its tasks, with the statuses that they have, into the farm: at its start, or after a restart."""
    farm.jobs[job.id] = job
    link(job, tasks)
    for task in tasks:
        farm.tasks[task.id] = task
    farm.list_runnable(task for task in tasks if is_runnable(task))


def begin(farm: Farm, job: Job, now: Moment) -> None:
    """Make a queued job active: its first task is handed out."""
    job.status = JobStatus.ACTIVE
    job.started_at = job.started_at or now.wall
    farm.job_changed(job)
    farm.hurry()


def cancel(farm: Farm, job: Job, now: Moment) -> None:
    """Cancel a job, as a person asked. Raises JobEnded."""
    if job.status.is_ended:
        raise JobEnded(f"The job has ended already, as {job.status}.")
    job.is_cancelled = True
    for task in job.tasks:
        if not task.status.is_ended:
            _cancel_task(farm, task, now)
    if job.status is JobStatus.UNDER_CONSTRUCTION:
        _end_as(farm, job, JobStatus.CANCELED, now)
    look_at_end(farm, job, now)


def fail_before_start(farm: Farm, job: Job, reason: str, now: Moment) -> None:
    """End a job that can never become runnable, because its tasks or files cannot be had."""
    _end_as(farm, job, JobStatus.FAILED, now)
    say(farm, job, reason)


def task_failed(farm: Farm, job: Job, now: Moment) -> None:
    """Look at a job after one of its tasks failed for good: it may be too many."""
    if not has_failed_too_much(job, farm.policy) or job.status.is_ended:
        look_at_end(farm, job, now)
        return
    for task in job.tasks:
        if not task.status.is_ended:
            task.failed_with_job = True
            job.failed_with_job += 1
            _cancel_task(farm, task, now)
    _end_as(farm, job, JobStatus.FAILED, now)


def look_at_end(farm: Farm, job: Job, now: Moment) -> None:
    """Apply the one rule that ends a job; asked after every change of it or of its tasks."""
    if job.status.is_ended or job.status is JobStatus.UNDER_CONSTRUCTION:
        return
    end = ended_as(job.counts, live=job.live, failed_with_job=job.failed_with_job, cancelled=job.is_cancelled)
    if end is not None and end is not job.status:
        _end_as(farm, job, end, now)


def _cancel_task(farm: Farm, task: Task, now: Moment) -> None:
    end_attempt(farm, task, now)
    task.finished_at = now.wall
    farm.move(task, TaskStatus.CANCELED)


def _end_as(farm: Farm, job: Job, status: JobStatus, now: Moment) -> None:
    job.status, job.finished_at = status, now.wall
    job.activity = what_is_missing(job) if status is JobStatus.FAILED else ""
    farm.scheduler.drop(job)
    farm.job_changed(job)
    farm.hurry()
