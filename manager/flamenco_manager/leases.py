"""What happens when nothing is heard: time-outs (jobs.md, "Time-outs"). Pure: ``now`` is an argument."""

from collections.abc import Set as AbstractSet

from flamenco_core.statuses import TaskStatus, WorkerStatus
from flamenco_manager import attempts, worker_rules
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
            worker.task.touched_s = now.monotonic_s


def tick(farm: Farm, now: Moment, present: AbstractSet[str] = frozenset()) -> None:
    """Time out whom nothing was heard of; ``present`` are the Workers that wait for an answer from us just now."""
    if now.monotonic_s - farm.ticked_s > TICK_S + LATE_S:
        begin(farm, now)
    farm.ticked_s = now.monotonic_s
    farm.wake_due(now.monotonic_s)
    for worker_id in present:
        worker_rules.heard(farm, farm.worker(worker_id), now)
    if now.monotonic_s - farm.started_s < farm.policy.start_up_grace_s:
        return
    for worker in farm.workers.values():
        if worker.status in _IN_TOUCH and now.monotonic_s - worker.seen_s > _patience_s(farm, worker):
            _lose_touch(farm, worker)
        elif _is_task_untouched(farm, worker, now):
            _fail_untouched(farm, worker, now)


def _patience_s(farm: Farm, worker: Worker) -> float:
    if worker.task is None:
        return farm.policy.idle_worker_timeout_s
    return farm.policy.worker_timeout_s if worker.task.has_begun else farm.policy.starting_worker_timeout_s


def _lose_touch(farm: Farm, worker: Worker) -> None:
    worker.status_before_error, worker.status = worker.status, WorkerStatus.ERROR
    attempts.suspend(farm, worker)
    farm.worker_changed(worker)
    farm.offer_work(workers=len(farm.workers))


def _is_task_untouched(farm: Farm, worker: Worker, now: Moment) -> bool:
    task = worker.task
    return (
        task is not None
        and task.status is TaskStatus.ACTIVE
        and now.monotonic_s - task.touched_s > farm.policy.task_timeout_s
    )


def _fail_untouched(farm: Farm, worker: Worker, now: Moment) -> None:
    task = worker.task
    assert task is not None
    minutes = farm.policy.task_timeout_s / 60
    task.activity = f"{worker.name} said nothing about this task for {minutes:g} minutes."
    attempts.fail(farm, task, task.activity, now)
    farm.task_changed(task)
