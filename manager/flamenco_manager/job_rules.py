"""What happens to whole jobs: they come, begin, are cancelled, fail, end (jobs.md, "Statuses"). Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from flamenco_core.errors import Conflict
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_core.wire.definitions import JobDefinition
from flamenco_manager.blocks import report_blocked
from flamenco_manager.farm import Farm
from flamenco_manager.holding import end_attempt
from flamenco_manager.model import Job, Moment, NeededJob, Task
from flamenco_manager.pieces import at_once, in_pieces
from flamenco_manager.task_rules import (
    Links,
    ended_as,
    has_failed_too_much,
    is_runnable,
    link,
    take_over,
    what_is_missing,
)
from flamenco_manager.waiting import JobState, begin_waiting, tell_waiting


class JobEnded(Conflict):
    """What was asked makes no sense for a job that has ended."""

    type = "job-ended"


def announce(farm: Farm, job: Job) -> None:
    """Note a job whose definition, tasks and files are still to be fetched."""
    job.activity = "The Manager fetches the job"
    farm.jobs[job.id] = job
    farm.job_changed(job)


def describe(job: Job, definition: JobDefinition) -> None:
    """Take over what the Server says of a job; what people asked of it since wins."""
    job.type, job.created, job.project = definition.type, definition.created, definition.project
    job.priority, job.needs = definition.priority, definition.needs
    heed(job)
    job.start_after, job.max_workers = definition.start_after, definition.max_workers
    job.needs_jobs = [NeededJob(needed.job, needed.ended) for needed in definition.needs_jobs]
    job.task_runtime_limit_s = definition.task_runtime_limit_s
    job.task_silence_limit_s = definition.task_silence_limit_s


def heed(job: Job) -> None:
    """Let what people asked of a job win over its definition, also before that has come."""
    job.priority = job.asked.get("priority", job.priority)
    if "tag" in job.asked:
        job.needs = replace(job.needs, tag=job.asked["tag"])


def define(farm: Farm, job: Job, definition: JobDefinition) -> None:
    """Take over what the Server says of a job that is on its way; its tasks come later."""
    describe(job, definition)
    job.is_pause_wanted = job.asked.get("paused", definition.start_paused or definition.pause_requested)
    job.is_deleted = job.is_deleted or definition.deleted
    farm.job_changed(job)


def say(farm: Farm, job: Job, activity: str) -> None:
    """Tell people what is happening to a job."""
    if job.activity != activity:
        job.activity = activity
        farm.job_changed(job)


def start(
    farm: Farm, job: Job, tasks: Sequence[Task], now: Moment, others: Mapping[str, JobState] | None = None
) -> None:
    """Make a job runnable, now that all its tasks are stored and its files are laid out.

    ``others`` are the jobs that it waits for and that left memory.
    """
    begin(farm, job, tasks, link(tasks), now, others)
    list_ready(farm, tasks)


def begin(
    farm: Farm,
    job: Job,
    tasks: Sequence[Task],
    links: Links,
    now: Moment,
    others: Mapping[str, JobState] | None = None,
) -> None:
    """Do what ``start`` does, but for the longest parts of it: to link the tasks, and then to ``list_ready`` them."""
    job.status, job.activity, job.is_whole = JobStatus.QUEUED, "", True
    if job.is_pause_wanted:
        job.status, job.is_pause_wanted = JobStatus.PAUSED, False
        for task in tasks:
            if task.status.is_waiting:
                task.status = TaskStatus.PAUSED
                farm.task_changed(task)
        links = link(tasks)
    _enter(farm, job, tasks, links, now, others)
    farm.job_changed(job)
    farm.hurry()
    look_at_end(farm, job, now)
    if not job.status.is_ended:
        job.finished_at = None  # else it had ended before its Manager lost it, and that was then


def resume(
    farm: Farm,
    job: Job,
    tasks: Sequence[Task],
    now: Moment,
    others: Mapping[str, JobState] | None = None,
    links: Links | None = None,
) -> None:
    """Put a job and its tasks, with the statuses that they have, back into the farm, after a restart.

    ``links``: the tasks are linked already, which takes long for many.
    """
    _enter(farm, job, tasks, links or link(tasks), now, others)
    if job.status.is_ended:
        return  # nothing of it runs
    for task in tasks:
        if task.status is TaskStatus.ACTIVE:
            farm.occupied_at_start(task)
    list_ready(farm, tasks)


def list_ready(farm: Farm, tasks: Iterable[Task]) -> None:
    """List for hand-out those of these tasks that can run."""
    farm.list_runnable(task for task in tasks if is_runnable(task))


def _enter(
    farm: Farm, job: Job, tasks: Sequence[Task], links: Links, now: Moment, others: Mapping[str, JobState] | None
) -> None:
    farm.jobs[job.id] = job
    take_over(job, tasks, links)
    begin_waiting(farm, job, dict(others or {}), now)
    farm.tasks.update(links.by_id)


def worked_on(farm: Farm, job: Job, now: Moment) -> None:
    """Look at a job one of whose tasks has become active: by a hand-out, or because its Worker came back."""
    say(farm, job, "")
    if job.started_at is None:
        job.started_at = now.wall
        farm.hurry()
    if job.status is JobStatus.QUEUED:
        job.status = JobStatus.ACTIVE
        farm.hurry()
    elif job.status is JobStatus.PAUSED:
        job.status = JobStatus.PAUSE_REQUESTED
        farm.hurry()
    farm.job_changed(job)


def cancel(farm: Farm, job: Job, now: Moment) -> None:
    """Cancel a job, as a person asked. Raises JobEnded."""
    at_once(cancelling(farm, job, now))


def cancelling(farm: Farm, job: Job, now: Moment) -> Iterator[None]:
    """Cancel a job piece by piece. Raises JobEnded."""
    if job.status.is_ended:
        raise JobEnded(f"The job has ended already, as {job.status}.")
    job.is_cancelled = True

    def cancel_living(task: Task) -> None:
        if not task.status.is_ended:
            cancel_task(farm, task, now)

    yield from in_pieces(farm, job, job.tasks, cancel_living)
    if job.status is JobStatus.UNDER_CONSTRUCTION:
        _end_as(farm, job, JobStatus.CANCELED, now)
    look_at_end(farm, job, now)


def cancel_task(farm: Farm, task: Task, now: Moment) -> None:
    """Cancel a task that has not ended; look at its job afterwards."""
    end_attempt(farm, task, now)
    task.finished_at, task.is_pause_wanted = now.wall, False
    farm.move(task, TaskStatus.CANCELED)


def fail_before_start(farm: Farm, job: Job, reason: str, now: Moment) -> None:
    """End a job that can never become runnable, because its tasks or files cannot be had."""
    _end_as(farm, job, JobStatus.FAILED, now)
    say(farm, job, reason)


def task_failed(farm: Farm, job: Job, now: Moment) -> None:
    """Look at a job after one of its tasks failed for good: it may be too many."""
    if not has_failed_too_much(job, farm.policy) or job.status.is_ended or job.is_changing:
        look_at_end(farm, job, now)
        return
    for task in job.tasks:
        if not task.status.is_ended:
            task.failed_with_job = True
            job.failed_with_job += 1
            cancel_task(farm, task, now)
    _end_as(farm, job, JobStatus.FAILED, now)


def look_at_end(farm: Farm, job: Job, now: Moment) -> None:
    """Apply the one rule that ends a job; asked after every change of it or of its tasks."""
    if job.status.is_ended or job.status is JobStatus.UNDER_CONSTRUCTION or job.is_changing:
        return
    if job.status is JobStatus.PAUSE_REQUESTED and job.live and not job.counts.get(TaskStatus.ACTIVE):
        _pause_what_waits(farm, job)
    end = ended_as(job.counts, live=job.live, failed_with_job=job.failed_with_job, cancelled=job.is_cancelled)
    if end is not None and end is not job.status:
        _end_as(farm, job, end, now)


def _pause_what_waits(farm: Farm, job: Job) -> None:
    """Set aside what became ready while its job was about to be paused: only a resume lets it run."""
    for task in job.tasks:
        if task.status.is_waiting:
            farm.move(task, TaskStatus.PAUSED)


def _end_as(farm: Farm, job: Job, status: JobStatus, now: Moment) -> None:
    job.status = status
    job.finished_at = (job.finished_at or now.wall) if status.is_ended else None
    job.activity = what_is_missing(job) if status is JobStatus.FAILED else ""
    farm.scheduler.drop(job)
    farm.job_changed(job)
    farm.hurry()
    if status.is_ended:
        tell_waiting(farm, job, now)
        report_blocked(farm, job)
