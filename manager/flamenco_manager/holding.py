"""How a Worker lets go of a task. Pure."""

from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_manager.farm import Farm
from flamenco_manager.model import Moment, Task, Worker
from flamenco_manager.task_rules import is_runnable


def end_attempt(farm: Farm, task: Task, now: Moment) -> None:
    """End the attempt that holds a task, if one does: what its Worker says of it from now on comes too late."""
    worker = task.worker
    if worker is None or not (task.is_held or task.is_reserved):
        return
    if task.is_reserved:
        task.is_reserved = False
        task.activity = ""  # it is next nowhere any more
        worker.reserved.remove(task)
    else:
        task.is_held = False
        worker.task, worker.has_signed_on_since = None, False
        farm.attempt_ended(task)
        if not worker.knows_attempts:
            _mark(farm, worker, task, now)
    farm.task_changed(task)
    farm.worker_changed(worker)
    farm.touch_worker(worker)


def give_back_reserved(farm: Farm, worker: Worker, now: Moment) -> None:
    """Take back all that a Worker had ahead of time; nobody is to blame."""
    for task in list(worker.reserved):
        give_back(farm, task, now)


def give_back(farm: Farm, task: Task, now: Moment) -> None:
    """Take back a task that a Worker had ahead of time."""
    end_attempt(farm, task, now)
    if is_runnable(task):
        farm.list_runnable([task])


def queue(farm: Farm, task: Task, status: TaskStatus = TaskStatus.QUEUED) -> None:
    """Let a task wait again, by itself; where people paused it or its job, it is paused (jobs.md, "Statuses")."""
    is_paused = task.is_pause_wanted or task.job.status in (JobStatus.PAUSED, JobStatus.PAUSE_REQUESTED)
    farm.move(task, TaskStatus.PAUSED if is_paused else status)


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
