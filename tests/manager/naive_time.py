"""What time brings, as jobs.md words it ("Time-outs"): part of the naive model of the farm."""

from naive_farm import NaiveFarm
from naive_records import IN_TOUCH, NaiveTask, NaiveWorker
from naive_words import heard

LATEST_TICK_S = 6.0
"""A tick that comes later than this after the one before it: the Manager was stopped itself."""


def tick(farm: NaiveFarm, present: set[str]) -> None:
    """Look for silence; ``present`` wait for an answer just now, which counts as being heard of."""
    if farm.now - farm.ticked > LATEST_TICK_S:
        begin_leases(farm)
    farm.ticked = farm.now
    for worker_id in present:
        heard(farm, farm.workers[worker_id])
    if farm.now - farm.started < farm.number("start_up_grace_s"):
        return
    for worker in farm.workers.values():
        if worker.gone:
            continue
        if worker.status in IN_TOUCH and farm.now - worker.seen > _patience(farm, worker):
            _lose_touch(farm, worker)
        elif (task := farm.held(worker)) is not None and task.status == "active" and _is_overdue(farm, task):
            farm.tally["tasks failed by taking too long"] += 1
            farm.fail(task)


def begin_leases(farm: NaiveFarm) -> None:
    farm.ticked = farm.now
    for worker in farm.workers.values():
        worker.seen = farm.now
    for task in farm.tasks():
        if task.holder is not None or task.reserved is not None:
            task.touched = task.begun_at = task.output_at = farm.now


def restart(farm: NaiveFarm) -> None:
    """The Manager was killed, and starts again."""
    farm.started = farm.now
    farm.tally["restarts"] += 1
    begin_leases(farm)


def _patience(farm: NaiveFarm, worker: NaiveWorker) -> float:
    task = farm.held(worker)
    if task is None:
        return farm.number("idle_worker_timeout_s")
    return farm.number("worker_timeout_s" if task.begun else "starting_worker_timeout_s")


def _lose_touch(farm: NaiveFarm, worker: NaiveWorker) -> None:
    worker.before_error, worker.status = worker.status, "error"
    farm.tally["Workers given up for silence"] += 1
    farm.give_back_reserved(worker)
    task = farm.held(worker)
    if task is not None and task.status == "active":
        farm.wait_again(task)
        farm.look_at_end(task.job)


def _is_overdue(farm: NaiveFarm, task: NaiveTask) -> bool:
    job = task.job
    return (
        farm.now - task.touched > farm.number("task_timeout_s")
        or (job.runtime_limit is not None and farm.now - task.begun_at > job.runtime_limit)
        or (job.silence_limit is not None and farm.now - task.output_at > job.silence_limit)
    )
