"""How a Worker lets go of a task. Pure."""

from flamenco_manager.farm import Farm
from flamenco_manager.model import Moment, Task, Worker


def end_attempt(farm: Farm, task: Task, now: Moment) -> None:
    """End the attempt that holds a task, if one does: what its Worker says of it from now on comes too late."""
    worker = task.worker
    if worker is None or not task.is_held:
        return
    task.is_held = False
    worker.task, worker.has_signed_on_since = None, False
    farm.attempt_ended(task)
    farm.task_changed(task)
    farm.worker_changed(worker)
    farm.touch_worker(worker)
    if not worker.knows_attempts:
        _mark(farm, worker, task, now)


def note_word(farm: Farm, worker: Worker, task: Task, now: Moment) -> None:
    """Note that a Worker still talks about a task that left it."""
    if task.marks and worker.id in task.marks:
        _mark(farm, worker, task, now)


def _mark(farm: Farm, worker: Worker, task: Task, now: Moment) -> None:
    """Keep a task from a Flamenco 3 Worker that may still send what an earlier run of it had to say."""
    until_s = now.monotonic_s + farm.policy.flamenco3_mark_s
    task.marks = {**(task.marks or {}), worker.id: until_s}
    farm.wake_at(until_s)
    farm.task_changed(task)
