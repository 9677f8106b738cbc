"""What people may ask of jobs and tasks (jobs.md, "What people may ask of a job"). Pure; each one step.

Whoever is asked for something that makes no sense raises a ``Conflict`` that says why, and nothing has changed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from flamenco_core.errors import BadInput, Conflict
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_manager import job_rules
from flamenco_manager.blocks import report_blocked
from flamenco_manager.farm import Farm
from flamenco_manager.holding import end_attempt
from flamenco_manager.job_rules import JobEnded
from flamenco_manager.model import Job, Moment, Task
from flamenco_manager.pieces import AT_ONCE, at_once, in_pieces, list_again
from flamenco_manager.task_rules import set_steps
from flamenco_manager.waiting import tell_waiting

_SET_ASIDE = (JobStatus.PAUSED, JobStatus.PAUSE_REQUESTED)


class JobDeleted(Conflict):
    """A deleted job hears of nothing but ``undelete`` and ``erase``."""

    type = "job-deleted"


class NotReadyYet(Conflict):
    """The job is still under construction, or not deleted, or not paused: what was asked makes no sense yet."""

    type = "not-ready-yet"


class NothingToRequeue(Conflict):
    """No task of the job is such as was asked for."""

    type = "nothing-to-requeue"


class TaskEnded(Conflict):
    """What was asked makes no sense for a task that has ended."""

    type = "task-ended"


_NOTHING_CHOSEN = (
    "No task was requeued: none is such as was asked for, or they were requeued meanwhile. "
    "Requeue all to run everything again."
)


def pause(farm: Farm, job: Job, now: Moment) -> None:
    """Set a job aside; its active tasks finish. Raises JobEnded."""
    at_once(pausing(farm, job, now))


def pausing(farm: Farm, job: Job, now: Moment) -> Iterator[None]:
    """Set a job aside piece by piece. Raises JobEnded."""
    if job.status.is_ended:
        raise JobEnded(f"The job has ended already, as {job.status}; there is nothing to pause.")
    if job.status is JobStatus.UNDER_CONSTRUCTION:
        _begin_paused(farm, job, is_paused=True)
        return
    if job.status in _SET_ASIDE:
        return
    job.status = JobStatus.PAUSE_REQUESTED

    def set_aside(task: Task) -> None:
        if task.status.is_waiting:
            _set_aside(farm, task, now)

    yield from in_pieces(farm, job, job.tasks, set_aside)
    farm.scheduler.drop(job)
    farm.job_changed(job)
    farm.hurry()
    job_rules.look_at_end(farm, job, now)


def resume(farm: Farm, job: Job, now: Moment) -> None:
    """Let a paused job go on; takes back a pause that was only requested. Raises JobEnded."""
    at_once(resuming(farm, job, now))


def resuming(farm: Farm, job: Job, now: Moment) -> Iterator[None]:
    """Let a paused job go on, piece by piece. Raises JobEnded."""
    if job.status.is_ended:
        raise JobEnded(f"The job has ended already, as {job.status}; requeue it to run it again.")
    if job.status is JobStatus.UNDER_CONSTRUCTION:
        _begin_paused(farm, job, is_paused=False)
        return
    job.status = _going_on(job)

    def go_on(task: Task) -> None:
        task.is_pause_wanted = False
        if task.status is TaskStatus.PAUSED:
            farm.move(task, TaskStatus.QUEUED)

    yield from in_pieces(farm, job, job.tasks, go_on)
    yield from list_again(farm, job.tasks)  # also what had not been paused itself
    farm.job_changed(job)
    farm.hurry()
    job_rules.look_at_end(farm, job, now)


def requeue(farm: Farm, job: Job, chosen: Iterable[Task], now: Moment, seen_change: int | None = None) -> int:
    """Run tasks again, with all that depends on them and with the failed or canceled ones that they wait for.

    Tasks that a person queued after the change ``seen_change`` are left alone: the person did not see that yet.
    Returns how many tasks were queued. Raises NotReadyYet, NothingToRequeue.
    """
    tasks = _to_run_again(job, chosen, seen_change)
    at_once(_running_again(farm, job, tasks, now))
    return len(tasks)


def _to_run_again(job: Job, chosen: Iterable[Task], seen_change: int | None) -> list[Task]:
    """Return what a requeue of some tasks means. Raises NotReadyYet, NothingToRequeue."""
    if job.status is JobStatus.UNDER_CONSTRUCTION:
        raise NotReadyYet("The job is still on its way; there is nothing to requeue yet.")
    if not job.is_whole:
        raise NotReadyYet("The job ended before all of it had come; submit it again.")
    tasks = [
        task for task in _with_those_that_belong(job, chosen) if seen_change is None or task.requeued_by <= seen_change
    ]
    if not tasks:
        raise NothingToRequeue(_NOTHING_CHOSEN)
    return tasks


def requeueing(
    farm: Farm, job: Job, chosen: Iterable[Task], now: Moment, seen_change: int | None = None
) -> Iterator[None]:
    """Do what ``requeue`` does, piece by piece. Raises NotReadyYet, NothingToRequeue."""
    yield from _running_again(farm, job, _to_run_again(job, chosen, seen_change), now)


def _running_again(farm: Farm, job: Job, tasks: Sequence[Task], now: Moment) -> Iterator[None]:
    """Run all of these tasks again, piece by piece."""
    job.is_cancelled, job.activity = False, ""
    if job.status.is_ended:
        job.status, job.finished_at = _going_on(job), None
        tell_waiting(farm, job, now)
        report_blocked(farm, job)
    losers = [worker for worker in farm.workers.values() if worker.lost_task is not None]
    again = {task.id for task in tasks} if losers else set()
    for worker in losers:
        if worker.lost_task is not None and worker.lost_task.id in again:
            worker.lost_task = None  # what it could take back is cleared
            farm.worker_changed(worker)
    yield from in_pieces(farm, job, tasks, lambda task: _run_again(farm, task, now))
    if len(tasks) > AT_ONCE:
        yield from list_again(farm, job.tasks)
    farm.job_changed(job)
    farm.hurry()
    job_rules.look_at_end(farm, job, now)


def select(job: Job, which: str, task_ids: Sequence[str] = ()) -> list[Task]:
    """Return the tasks that a requeue means: ``all``, ``not-completed``, ``failed`` or ``chosen``. Raises BadInput."""
    if which == "all":
        return list(job.tasks)
    if which == "not-completed":
        return [task for task in job.tasks if task.status is not TaskStatus.COMPLETED]
    if which == "failed":
        return [task for task in job.tasks if task.status is TaskStatus.FAILED or task.failed_with_job]
    if which == "chosen":
        wanted = set(task_ids)
        return [task for task in job.tasks if task.id in wanted]
    raise BadInput(f"Tasks can be requeued as all, not-completed, failed or chosen, not as {which!r}.")


def set_priority(farm: Farm, job: Job, priority: int) -> None:
    """Change where a job stands among others; what it has handed out already goes on."""
    job.priority = priority
    job.asked = {**job.asked, "priority": priority}
    farm.scheduler.reorder(job)
    farm.job_changed(job)


def set_tag(farm: Farm, job: Job, tag: str | None) -> None:
    """Let other Workers have a job: those with this tag, or all."""
    at_once(tagging(farm, job, tag))


def tagging(farm: Farm, job: Job, tag: str | None) -> Iterator[None]:
    """Let other Workers have a job, piece by piece."""
    job.asked = {**job.asked, "tag": tag}
    job.needs = replace(job.needs, tag=tag)
    farm.scheduler.drop(job)
    yield from in_pieces(farm, job, job.tasks, farm.change_kind)
    yield from list_again(farm, job.tasks)
    farm.job_changed(job)


def delete(farm: Farm, job: Job, now: Moment) -> None:
    """Cancel a job and hide it; undelete brings it back, until it is erased."""
    at_once(deleting(farm, job, now))


def deleting(farm: Farm, job: Job, now: Moment) -> Iterator[None]:
    """Cancel a job, piece by piece, and hide it."""
    job.is_deleted = True
    if not job.status.is_ended:
        yield from job_rules.cancelling(farm, job, now)
    farm.job_changed(job)
    farm.hurry()
    tell_waiting(farm, job, now)


def undelete(farm: Farm, job: Job, now: Moment) -> None:
    """Show a deleted job again, as it ended. Raises NotReadyYet."""
    if not job.is_deleted:
        raise NotReadyYet("The job is not deleted.")
    job.is_deleted = False
    farm.job_changed(job)
    farm.hurry()
    tell_waiting(farm, job, now)


def cancel_task(farm: Farm, task: Task, now: Moment) -> None:
    """Give one task up. Raises TaskEnded."""
    if task.status.is_ended:
        raise TaskEnded(f"The task has ended already, as {task.status}.")
    job_rules.cancel_task(farm, task, now)
    job_rules.look_at_end(farm, task.job, now)


def pause_task(farm: Farm, task: Task, now: Moment) -> None:
    """Set one task aside; an active one finishes, or is paused should it come back. Raises TaskEnded, JobEnded."""
    if task.status.is_ended:
        raise TaskEnded(f"The task has ended already, as {task.status}.")
    if task.job.status.is_ended:
        raise JobEnded(f"Its job has ended already, as {task.job.status}; there is nothing to pause.")
    if task.status is TaskStatus.ACTIVE:
        task.is_pause_wanted = True
        farm.task_changed(task)
    elif task.status.is_waiting:
        task.is_pause_wanted = task.is_held  # its Worker may come back, and then finishes
        _set_aside(farm, task, now)
        job_rules.look_at_end(farm, task.job, now)


def _begin_paused(farm: Farm, job: Job, *, is_paused: bool) -> None:
    """Note whether a job that is still on its way shall begin as paused, whatever its definition says."""
    job.is_pause_wanted = is_paused
    job.asked = {**job.asked, "paused": is_paused}
    farm.job_changed(job)


def _going_on(job: Job) -> JobStatus:
    """Return what a job is that may run; one that waits for its start time, or for another job, is queued."""
    return JobStatus.QUEUED if job.is_held_back else JobStatus.ACTIVE


def _set_aside(farm: Farm, task: Task, now: Moment) -> None:
    """Pause a task that waits. A suspended attempt stays: its Worker may come back, and then goes on."""
    if task.is_reserved:
        end_attempt(farm, task, now)
    farm.move(task, TaskStatus.PAUSED)


def _run_again(farm: Farm, task: Task, now: Moment) -> None:
    job = task.job
    end_attempt(farm, task, now)
    for entry in task.failed_by:
        job.failures.get((entry.worker, task.type), set()).discard(task.index)
    if task.failed_with_job:
        task.failed_with_job = False
        job.failed_with_job -= 1
    task.failed_by, task.lost, task.retry_at_s, task.is_pause_wanted = (), 0, 0.0, False
    task.activity, task.result, task.started_at, task.finished_at = "", None, None, None
    task.requeued_by = farm.number_of_next_change
    set_steps(task, 0)
    farm.frames_forgotten(task)
    farm.move(task, TaskStatus.PAUSED if job.status in _SET_ASIDE else TaskStatus.QUEUED)


def _with_those_that_belong(job: Job, chosen: Iterable[Task]) -> list[Task]:
    """Add what depends on the chosen tasks, and the failed or canceled ones that they wait for; in their order."""
    found: dict[int, Task] = {}
    spreading = list(chosen)
    if len(spreading) == len(job.tasks):
        return list(job.tasks)
    while spreading:
        task = spreading.pop()
        if task.index not in found:
            found[task.index] = task
            spreading.extend(other for other in task.dependants if not _was_cancelled_by_a_person(other))
    spreading = list(found.values())
    while spreading:
        for index in spreading.pop().depends_on:
            other = job.tasks[index]
            if index not in found and other.status in (TaskStatus.FAILED, TaskStatus.CANCELED):
                found[index] = other
                spreading.append(other)
    return [found[index] for index in sorted(found)]


def _was_cancelled_by_a_person(task: Task) -> bool:
    return task.status is TaskStatus.CANCELED and not task.failed_with_job
