"""The rules of jobs.md about the statuses of tasks and jobs. Pure: they change the model, and know nothing else.

``set_status`` is the only place that changes a task's status; so the counts of its job are always right.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flamenco_core.frames import FrameRange, frames_of, parse_frames
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_manager.model import Job, Policy, Task

_DEAD = frozenset({TaskStatus.FAILED, TaskStatus.CANCELED, TaskStatus.PAUSED})


def is_runnable(task: Task) -> bool:
    """Tell whether a Worker may have it as far as its job goes; limits, and what concerns one Worker, come on top."""
    return task.status.is_waiting and not task.is_reserved and is_due(task)


def is_due(task: Task) -> bool:
    """Tell whether nothing of its job keeps a task from running, whoever holds it."""
    job = task.job
    return not task.open_dependencies and job.status.is_runnable and not job.is_held_back and not job.is_changing


def is_full(job: Job) -> bool:
    """Tell whether as many Workers as a job may have are at work on it."""
    return job.max_workers is not None and job.counts.get(TaskStatus.ACTIVE, 0) >= job.max_workers


@dataclass
class Links:
    """What is counted of the tasks of a job as they stand."""

    counts: dict[TaskStatus, int] = field(default_factory=dict)
    live: int = 0
    failed_with_job: int = 0
    steps_completed: int = 0
    steps_total: int = 0
    failures: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    by_id: dict[str, Task] = field(default_factory=dict)


def link(tasks: Sequence[Task]) -> Links:
    """Tie tasks, in the order of their indexes, to those that they wait for, and count everything.

    That takes long for many tasks, and concerns nobody before ``take_over``.
    """
    links, counts = Links(by_id={task.id: task for task in tasks}), dict.fromkeys(TaskStatus, 0)
    dependants: dict[int, list[Task]] = {}
    for task in tasks:
        if task.depends_on:
            dependencies = [tasks[index] for index in task.depends_on]
            for index in task.depends_on:
                dependants.setdefault(index, []).append(task)
            task.open_dependencies = sum(one.status is not TaskStatus.COMPLETED for one in dependencies)
            task.stuck_dependencies = sum(map(is_stuck, dependencies))  # lower indexes are settled already
        counts[task.status] += 1
        links.live += is_live(task)
        links.failed_with_job += task.failed_with_job
        links.steps_completed += task.steps_completed
        links.steps_total += task.steps_total
        for entry in task.failed_by:
            links.failures.setdefault((entry.worker, task.type), set()).add(task.index)
    for index, waiting in dependants.items():
        tasks[index].dependants = waiting
    links.counts = {status: count for status, count in counts.items() if count}
    return links


def take_over(job: Job, tasks: Sequence[Task], links: Links) -> None:
    """Give a job its tasks, that are linked."""
    job.tasks, job.counts, job.live, job.failures = tasks, links.counts, links.live, links.failures
    job.failed_with_job, job.steps_completed = links.failed_with_job, links.steps_completed
    job.steps_total = links.steps_total


def set_status(task: Task, status: TaskStatus) -> list[Task]:
    """Change a task's status and whatever is counted by it; returns the tasks that it made ready to run."""
    was, was_stuck, was_live = task.status, is_stuck(task), is_live(task)
    counts = task.job.counts
    counts[was] -= 1
    counts[status] = counts.get(status, 0) + 1
    task.status = status
    task.job.live += is_live(task) - was_live
    if is_stuck(task) != was_stuck:
        _spread(task, 1 if is_stuck(task) else -1)
    opened = (was is TaskStatus.COMPLETED) - (status is TaskStatus.COMPLETED)
    if opened:
        for dependant in task.dependants:
            dependant.open_dependencies += opened
    may_be_ready = task.dependants if opened < 0 else [task]
    return [one for one in may_be_ready if is_runnable(one)]


def set_steps(task: Task, steps_completed: int) -> None:
    """Set how many steps are done, between none and all of them, and its job's sum."""
    steps = max(0, min(steps_completed, task.steps_total))
    task.job.steps_completed += steps - task.steps_completed
    task.steps_completed = steps


def ended_as(
    counts: Mapping[TaskStatus, int], *, live: int, failed_with_job: int = 0, cancelled: bool = False
) -> JobStatus | None:
    """Tell how a job ends, or None while it has not ended.

    ``counts`` are of its tasks after the change that asks the question; ``live``: how many are active, runnable, or may
    become so without anybody's doing; ``failed_with_job``: those canceled because the job failed; ``cancelled``: people
    cancelled the job since its last requeue. Rule: jobs.md, "One rule ends a job".
    """
    if live:
        return None
    if counts.get(TaskStatus.COMPLETED, 0) == sum(counts.values()):
        return JobStatus.COMPLETED
    if counts.get(TaskStatus.PAUSED, 0):
        return JobStatus.PAUSED
    if cancelled or not (counts.get(TaskStatus.FAILED, 0) or failed_with_job):
        return JobStatus.CANCELED
    return JobStatus.FAILED


def has_failed_too_much(job: Job, policy: Policy) -> bool:
    """Tell whether so many tasks failed that the rest of the job is not worth trying."""
    failed = job.counts.get(TaskStatus.FAILED, 0)
    # A quotient, not a product: 7 of 100 are 7 %, but 0.07 * 100 is more than 7.
    return failed >= policy.job_failed_tasks and failed / len(job.tasks) >= policy.job_failed_share


def what_is_missing(job: Job) -> str:
    """Say what a failed job lacks: ``2 of 250 frames failed: 12, 55``; tasks by name where there are no frames.

    Where those that failed have been done since, it lacks those that were canceled because of them.
    """
    what, tasks = "failed", [task for task in job.tasks if task.status is TaskStatus.FAILED]
    if not tasks:
        what, tasks = "canceled because the job failed", [task for task in job.tasks if task.failed_with_job]
    missing = frames_of(frame for task in tasks for frame in _missing_frames(task))
    named: list[str] = []
    if len(missing):
        wanted = frames_of(frame for task in job.tasks for frame in _frames(task))
        named.append(f"{len(missing)} of {_counted(len(wanted), 'frame')} {what}: {_short(str(missing))}")
    others = [task for task in tasks if not _missing_frames(task)]
    if others:
        names = ", ".join(task.name for task in others)
        named.append(f"{len(others)} of {_counted(len(job.tasks), 'task')} {what}: {_short(names)}")
    return "; ".join(named)


def _missing_frames(task: Task) -> list[int]:
    saved = task.saved_frames or set()
    return [frame for frame in _frames(task) if frame not in saved]


def _frames(task: Task) -> Iterator[int]:
    return iter(parse_frames(task.frames) if task.frames else FrameRange(()))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _short(text: str, most: int = 200) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def is_stuck(task: Task) -> bool:
    """Tell whether it cannot complete without somebody's doing."""
    return task.status in _DEAD or (task.status.is_waiting and task.stuck_dependencies > 0)


def is_live(task: Task) -> bool:
    """Tell whether it is active, runnable, or may become so without anybody's doing."""
    return task.status is TaskStatus.ACTIVE or (task.status.is_waiting and task.stuck_dependencies == 0)


def _spread(task: Task, change: int) -> None:
    """Tell the tasks that wait for it, and those that wait for them, that it is stuck (1) or no longer so (-1)."""
    spreading = [task]
    while spreading:
        for dependant in spreading.pop().dependants:
            was_stuck, was_live = is_stuck(dependant), is_live(dependant)
            dependant.stuck_dependencies += change
            dependant.job.live += is_live(dependant) - was_live
            if is_stuck(dependant) != was_stuck:
                spreading.append(dependant)
