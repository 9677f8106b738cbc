"""What the log tells of a change of the farm, so that whoever reads it at night finds when what went wrong, and where.

Hand-outs and completed tasks are not told: a busy farm has thousands of them a second.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import structlog

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_manager.farm import Changes
from flamenco_manager.model import Job, Task

log = structlog.get_logger()

_FAILED = (TaskStatus.FAILED, TaskStatus.SOFT_FAILED)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log."""

    event: str
    facts: dict[str, Any]
    is_warning: bool = False

    def write(self) -> None:
        """Write it."""
        (log.warning if self.is_warning else log.info)(self.event, **self.facts)


def lines_of(changes: Changes) -> list[Line]:
    """Word what a step changed; call it before anything else changes, and write it once that is on disk."""
    if not changes.worker_states and not changes.ended_attempts:
        return []
    return [*_of_workers(changes), *_of_attempts(changes)]


def of_ended_job(job: Job) -> Line:
    """Word the end of a job."""
    facts = {"job": job.id, "status": str(job.status), "activity": job.activity}
    return Line("job ended", facts, is_warning=job.status is JobStatus.FAILED)


def _of_workers(changes: Changes) -> Iterator[Line]:
    for state in changes.worker_states:
        worker = changes.workers[state.worker]
        facts = {"worker": worker.name, "worker_id": worker.id, "status": str(state.status), "why": state.why}
        yield Line("worker changed", facts, is_warning=state.status is WorkerStatus.ERROR)


def _of_attempts(changes: Changes) -> Iterator[Line]:
    for task, attempt in changes.ended_attempts:
        if task.status in _FAILED:
            yield Line("task failed", _facts(task, attempt), is_warning=True)


def _facts(task: Task, attempt: int) -> dict[str, Any]:
    worker = task.worker
    return {
        "job": task.job.id,
        "task": task.id,
        "name": task.name,
        "attempt": attempt,
        "worker": worker.name if worker else None,
        "worker_id": worker.id if worker else None,
        "for_good": task.status is TaskStatus.FAILED,
        "why": task.activity,
    }
