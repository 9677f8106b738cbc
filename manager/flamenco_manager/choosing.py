"""Which task a Worker gets, and why not another: the one place that decides, and that is asked to explain. Pure."""

from collections.abc import Callable, Iterable
from enum import Enum
from functools import cache

from flamenco_manager.failures import is_blocked
from flamenco_manager.farm import Farm
from flamenco_manager.fitting import can_take
from flamenco_manager.model import Kind, Moment, Task, Worker
from flamenco_manager.task_rules import is_due, is_full, is_runnable

RECENT_WEIGHT = 0.25
"""How much the newest duration counts in the mean of a job's."""


class Refusal(Enum):
    """Why a Worker that could take a task does not get it now."""

    BLOCKED = "blocked"
    """It failed too many such tasks of the job."""
    MARKED = "marked"
    """A Flamenco 3 Worker that may still talk about an earlier run of the task."""
    FAILED_IT = "failed it"
    """It failed the task, and another Worker, awake, has not."""
    WAITS = "waits"
    """It failed the task, as did all others, and waits a while before it tries again."""


def best_for(farm: Farm, worker: Worker, now: Moment) -> Task | None:
    """Return the first task that a Worker may have now, or None."""
    awake = cache(lambda kind: tuple(farm.awake_workers(kind)))  # asked for once, not for each task that it failed
    return farm.scheduler.first(
        lambda kind: can_take(worker, kind) and farm.limits.used_up(kind) is None,
        lambda job, kind: not is_blocked(worker, job, kind.type),
        lambda task: _refusal(worker, task, now, awake) is None,
    )


def gets_again(farm: Farm, worker: Worker, held: Task) -> bool:
    """Tell whether a Worker that runs nothing gets again what it holds; else that attempt ends.

    What a suspended attempt held of limits may be used up by now.
    """
    if held.is_suspended and (not is_runnable(held) or is_full(held.job) or farm.limits.used_up(held.kind) is not None):
        return False
    return is_due(held) and not held.is_pause_wanted and can_take(worker, held.kind)


def refusal(farm: Farm, worker: Worker, task: Task, now: Moment) -> Refusal | None:
    """Tell why a Worker that is awake and can take a task's kind does not get this one; None: it does."""
    return _refusal(worker, task, now, farm.awake_workers)


def next_ahead(farm: Farm, worker: Worker, first: Task, now: Moment, most: int) -> list[Task]:
    """Choose tasks that a Worker may have ahead of time, after ``first``: short ones of the same job and kind.

    So many that they make about ``ahead_s`` of work by what earlier ones took, and no more than its share: other
    Workers that are awake shall find work too. None where something is counted (limits, caps, Workers per job).
    """
    job, kind = first.job, first.kind
    typical_s = job.typical_s.get(kind.type)
    if most < 1 or typical_s is None or job.max_workers is not None or farm.limits.is_counted(kind):
        return []
    listed = len(job.ready.get(kind, ()))  # with the first one, which is still among them
    wanted = min(most, int(farm.policy.ahead_s / max(typical_s, 0.001)) - 1)
    if listed < (wanted + 1) * len(farm.workers):  # else there is enough for all of them, awake or not
        wanted = min(wanted, listed // max(1, sum(1 for _ in farm.awake_workers(kind))) - 1)
    return farm.scheduler.next_of(job, kind, lambda task: _is_easy(farm, worker, task, now), wanted)


def note_duration(task: Task, seconds: float) -> None:
    """Remember how long a task took, as a measure for those that come."""
    before = task.job.typical_s.get(task.type)
    newest = max(0.0, seconds)
    task.job.typical_s[task.type] = newest if before is None else before + RECENT_WEIGHT * (newest - before)


def _refusal(worker: Worker, task: Task, now: Moment, awake: Callable[[Kind], Iterable[Worker]]) -> Refusal | None:
    if is_blocked(worker, task.job, task.type):
        return Refusal.BLOCKED
    if task.marks and task.marks.get(worker.id, 0.0) > now.monotonic_s:
        return Refusal.MARKED
    failed_it = {entry.worker for entry in task.failed_by}
    if worker.id not in failed_it:
        return None
    for other in awake(task.kind):
        if other.id not in failed_it and not is_blocked(other, task.job, task.type):
            return Refusal.FAILED_IT
    return Refusal.WAITS if task.retry_at_s > now.monotonic_s else None


def _is_easy(farm: Farm, worker: Worker, task: Task, now: Moment) -> bool:
    if task.failed_by or task.lost or task.is_held:
        return False
    return refusal(farm, worker, task, now) is None
