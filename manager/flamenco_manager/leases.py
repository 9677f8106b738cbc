"""What happens when nothing is heard: time-outs (jobs.md, "Time-outs"). Pure: ``now`` is an argument."""

from collections.abc import Set as AbstractSet

from flamenco_core.statuses import TaskStatus, WorkerStatus
from flamenco_manager import asked_of_workers, failures, idle_jobs, waiting, worker_rules
from flamenco_manager.farm import Farm
from flamenco_manager.model import Moment, Worker

TICK_S = 1.0
"""How often ``tick`` is called."""
LATE_S = 5.0
"""A tick that comes so much later than it should means that we were stopped ourselves."""

_IN_TOUCH = frozenset({WorkerStatus.STARTING, WorkerStatus.AWAKE, WorkerStatus.ASLEEP})


def begin(farm: Farm, now: Moment) -> None:
    """Start all leases anew: the Manager has just started, or was stopped for a while."""
    farm.ticked_s = now.monotonic_s
    for worker in farm.workers.values():
        worker.seen_s = now.monotonic_s
        if worker.task is not None:
            for task in (worker.task, *worker.reserved):
                task.touched_s = task.begun_s = task.output_s = now.monotonic_s


def tick(farm: Farm, now: Moment, present: AbstractSet[str] = frozenset()) -> None:
    """Time out whom nothing was heard of; ``present`` are the Workers that wait for an answer from us just now."""
    if now.monotonic_s - farm.ticked_s > TICK_S + LATE_S:
        begin(farm, now)
    farm.ticked_s = now.monotonic_s
    farm.wake_due(now.monotonic_s)
    waiting.start_those_due(farm, now)
    idle_jobs.explain_some(farm, now)
    asked_of_workers.follow_schedules(farm, now)
    for worker_id in present & farm.workers.keys():
        worker_rules.heard(farm, farm.worker(worker_id), now)
    if now.monotonic_s - farm.started_s < farm.policy.start_up_grace_s:
        return
    for worker in farm.workers.values():
        if worker.status in _IN_TOUCH and now.monotonic_s - worker.seen_s > _patience_s(farm, worker):
            worker_rules.lose_touch(farm, worker, now)
        elif (reason := _overdue(farm, worker, now)) is not None:
            _fail_overdue(farm, worker, reason, now)


def _patience_s(farm: Farm, worker: Worker) -> float:
    if worker.task is None:
        return farm.policy.idle_worker_timeout_s
    return farm.policy.worker_timeout_s if worker.task.has_begun else farm.policy.starting_worker_timeout_s


def _overdue(farm: Farm, worker: Worker, now: Moment) -> str | None:
    """Tell why the task of a Worker that is in touch has failed by taking too long, or None."""
    task = worker.task
    if task is None or task.status is not TaskStatus.ACTIVE:
        return None
    if now.monotonic_s - task.touched_s > farm.policy.task_timeout_s:
        return f"{worker.name} said nothing about this task for {farm.policy.task_timeout_s / 60:g} minutes."
    job = task.job
    if job.task_runtime_limit_s is not None and now.monotonic_s - task.begun_s > job.task_runtime_limit_s:
        return f"It ran for longer than its job allows ({job.task_runtime_limit_s:g} s)."
    if job.task_silence_limit_s is not None and now.monotonic_s - task.output_s > job.task_silence_limit_s:
        return f"It was without output for longer than its job allows ({job.task_silence_limit_s:g} s)."
    return None


def _fail_overdue(farm: Farm, worker: Worker, reason: str, now: Moment) -> None:
    task = worker.task
    assert task is not None
    task.activity = reason
    failures.fail(farm, task, reason, now)
    farm.task_changed(task)
