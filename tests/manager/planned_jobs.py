"""Jobs to submit in a history: to the model, and as the Server sends them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from naive_records import NO_NEEDS, Brief, NaiveJob, NaiveNeeds, NaiveTask
from virtual_manager import EPOCH

from flamenco_core.wire.definitions import JobDefinition, NeededJob, TaskDefinition
from flamenco_core.wire.worker_api import Command

TYPES = ("misc", "blender")


@dataclass(frozen=True, repr=False)
class TaskPlan(Brief):
    """A task to submit; see TaskDefinition."""

    depends_on: Sequence[int] = ()
    type: str = "misc"
    priority: int = 50
    needs: NaiveNeeds = NO_NEEDS


@dataclass(frozen=True, repr=False)
class JobPlan(Brief):
    """A job to submit; ``starts_in_s``: seconds from now, ``needs_jobs``: (its number here, ended)."""

    tasks: Sequence[TaskPlan]
    priority: int = 50
    project: str = ""
    needs: NaiveNeeds = NO_NEEDS
    starts_in_s: int | None = None
    max_workers: int | None = None
    needs_jobs: Sequence[tuple[int, bool]] = ()
    start_paused: bool = False
    runtime_limit: float | None = None
    silence_limit: float | None = None


def wired(job: NaiveJob, plan: JobPlan, tasks: Sequence[NaiveTask]) -> tuple[JobDefinition, list[TaskDefinition]]:
    """Write a job as the Server sends it."""
    definition = JobDefinition(
        job.id,
        f"job {job.number}",
        "test",
        plan.priority,
        "admin",
        EPOCH + timedelta(seconds=job.created),
        len(tasks),
        project=plan.project,
        start_paused=plan.start_paused,
        start_after=None if job.start_after is None else EPOCH + timedelta(seconds=job.start_after),
        max_workers=plan.max_workers,
        needs_jobs=[NeededJob(other, ended) for other, ended in job.needs_jobs],
        task_runtime_limit_s=plan.runtime_limit,
        task_silence_limit_s=plan.silence_limit,
        **_needs(plan.needs),
    )
    tasks_wired = [
        TaskDefinition(
            task.index,
            task.id,
            f"task {task.index}",
            task.type,
            [Command("echo", {"message": ""}, task.steps_total)],
            priority=task.priority,
            depends_on=task.depends_on,
            **_needs(task.needs),
        )
        for task in tasks
    ]
    return definition, tasks_wired


def _needs(needs: NaiveNeeds) -> dict[str, Any]:
    return {"tag": needs.tag, "memory_bytes": needs.memory, "gpu": needs.gpu, "limits": needs.limits}
