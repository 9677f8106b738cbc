"""What a failure means: for the task, for its Worker, for the job (jobs.md, "Failure of a task by a Worker"). Pure.

Blocking is looked at first: when the Worker is the one at fault, neither task nor job is.
"""

from collections.abc import Iterable

from flamenco_core.statuses import TaskStatus
from flamenco_core.wire.reports import FailedAttempt
from flamenco_manager import job_rules
from flamenco_manager.farm import Farm
from flamenco_manager.holding import end_attempt, give_back, queue
from flamenco_manager.model import Job, Moment, Task, Worker

MOST_TEXT = 500
"""Activities and reasons are cut to so many characters: they stand in lists."""


def fail(farm: Farm, task: Task, reason: str, now: Moment) -> None:
    """End the attempt that holds a task as a failure of its Worker."""
    worker, job = task.worker, task.job
    assert worker is not None
    task.failed_by = [*task.failed_by, FailedAttempt(worker.id, reason[:MOST_TEXT])]
    job.failures.setdefault((worker.id, task.type), set()).add(task.index)
    end_attempt(farm, task, now)
    if _is_the_one_at_fault(farm, worker, task):
        _block(farm, worker, task, now)
    if len(task.failed_by) >= farm.policy.failed_attempts:
        fail_for_good(farm, task, now)
        return
    if task.failed_by:
        pauses = farm.policy.retry_pauses_s
        task.retry_at_s = now.monotonic_s + pauses[min(len(task.failed_by), len(pauses)) - 1]
        farm.wake_at(task.retry_at_s)
    if task.status is TaskStatus.ACTIVE:
        queue(farm, task, TaskStatus.SOFT_FAILED if task.failed_by else TaskStatus.QUEUED)
    job_rules.look_at_end(farm, job, now)


def count_lost(farm: Farm, task: Task, now: Moment) -> None:
    """Count that the attempt which holds a task is lost with its Worker; too many of them end the task as failed."""
    task.lost += 1
    farm.task_changed(task)
    if task.lost < farm.policy.lost_attempts:
        return
    task.activity = f"Its Worker disappeared {task.lost} times."
    end_attempt(farm, task, now)
    fail_for_good(farm, task, now)


def fail_for_good(farm: Farm, task: Task, now: Moment) -> None:
    """End a task as failed, and look at what that means for its job."""
    task.finished_at, task.is_pause_wanted = now.wall, False
    farm.move(task, TaskStatus.FAILED)
    job_rules.task_failed(farm, task.job, now)


def unblock(farm: Farm, worker: Worker, jobs: Iterable[Job], task_type: str | None) -> int:
    """Let a Worker have tasks again that it was blocked from; returns how many blocks were lifted."""
    lifted = 0
    for job in jobs:
        of_worker = {block for block in job.blocked if block[0] == worker.id and task_type in (None, block[1])}
        if of_worker:
            job.blocked -= of_worker
            lifted += len(of_worker)
            farm.job_changed(job)
    if lifted:
        farm.worker_changed(worker)
        farm.offer_work(workers=1)
    return lifted


def is_blocked(worker: Worker, job: Job, task_type: str) -> bool:
    """Tell whether a Worker gets no more tasks of this type in this job."""
    return bool(job.blocked) and (worker.id, task_type) in job.blocked


def _is_the_one_at_fault(farm: Farm, worker: Worker, task: Task) -> bool:
    """Tell whether a Worker failed so many tasks of a kind that it is blocked from them.

    Only if another, awake, could take the work and is not failing those tasks too; else the job is at fault.
    """
    job = task.job
    failed = job.failures[worker.id, task.type]
    if len(failed) < farm.policy.block_after:
        return False
    return any(
        not is_blocked(other, job, task.type) and job.failures.get((other.id, task.type), set()).isdisjoint(failed)
        for other in farm.awake_workers(task.kind)
    )


def _tries_again(farm: Farm, task: Task) -> bool:
    """Tell whether a task is queued again now that a blocked Worker's failures of it do not count.

    One that failed also without them stays so: what kills its Workers must not walk on through the farm.
    """
    if task.status is TaskStatus.FAILED:
        return task.lost < farm.policy.lost_attempts and len(task.failed_by) < farm.policy.failed_attempts
    return task.status is TaskStatus.SOFT_FAILED


def _block(farm: Farm, worker: Worker, last: Task, now: Moment) -> None:
    """Block a Worker from a type of tasks in a job; the tasks that it failed are as if it had never had them."""
    job, task_type = last.job, last.type
    job.blocked.add((worker.id, task_type))
    for index in sorted(job.failures.pop((worker.id, task_type))):
        task = job.tasks[index]
        task.failed_by = [entry for entry in task.failed_by if entry.worker != worker.id]
        farm.task_changed(task)
        if task is not last and _tries_again(farm, task):
            task.finished_at, task.retry_at_s = None, 0.0
            queue(farm, task)
    for task in [task for task in worker.reserved if task.job is job and task.type == task_type]:
        give_back(farm, task, now)
    farm.job_changed(job)
    farm.worker_changed(worker)
    farm.offer_work(workers=len(farm.workers))
