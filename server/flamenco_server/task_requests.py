"""What people may ask of a task (jobs.md, "Of a task"): what is refused, and the order for the rest. Pure."""

from typing import Any

from flamenco_core.errors import Conflict
from flamenco_core.statuses import TaskStatus
from flamenco_server.asking import Asker, NoManagerYet, Step, ask, check_present
from flamenco_server.records import STATE, Job, Task


class TaskEnded(Conflict):
    """Too late to ask that of a task."""

    type = "task-ended"

    def __init__(self, name: str, status: TaskStatus, verb: str) -> None:
        super().__init__(f"The task {name!r} is {status} already; there is nothing left to {verb}.")


def cancel(task: Task, job: Job, by: Asker) -> Step[Task]:
    """Give a task up. Raises JobInBin, NoManagerYet, TaskEnded."""
    _check(task, job, "cancel")
    if _asked(task) == "cancel":
        return Step(task)
    return ask(task, STATE, "cancel", by.order("task.cancel", {"task": task.id}))


def pause(task: Task, job: Job, by: Asker) -> Step[Task]:
    """Set a task aside; an active one finishes. Raises JobInBin, NoManagerYet, TaskEnded."""
    _check(task, job, "pause")
    if _asked(task) == "pause" or (_asked(task) is None and task.status is TaskStatus.PAUSED):
        return Step(task)
    return ask(task, STATE, "pause", by.order("task.pause", {"task": task.id}))


def requeue(task: Task, job: Job, by: Asker) -> Step[Task]:
    """Run a task again, with all that depend on it. Raises JobInBin, NoManagerYet."""
    _check_job(job)
    details: dict[str, Any] = {"task": task.id}
    if task.rev is not None:
        details["rev"] = [task.rev.epoch, task.rev.commit]
    return ask(task, STATE, "requeue", by.order("task.requeue", details))


def _check(task: Task, job: Job, verb: str) -> None:
    _check_job(job)
    if task.status.is_ended and _asked(task) != "requeue":
        raise TaskEnded(task.name, task.status, verb)


def _check_job(job: Job) -> None:
    check_present(job)
    if job.manager_id is None:
        raise NoManagerYet(job.name, job.status)


def _asked(task: Task) -> str | None:
    asked = task.asks.get(STATE)
    return asked.value if asked else None
