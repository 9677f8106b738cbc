"""Asking: one step in the store, then those who wait for it are told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from flamenco_core.errors import BadInput
from flamenco_server.asking import Step
from flamenco_server.events import Change, EventBus
from flamenco_server.records import Job, Task, Worker

MOST_CHOSEN = 10_000
"""Tasks that can be chosen at a time; for more there are ``all``, ``failed`` and ``not-completed``."""


class AskStore(Protocol):
    """Jobs, tasks and Workers, on disk, for whoever asks something of them.

    Each change is one step: ``decide`` is a pure function that gets the object as it is and says what it becomes; its
    orders are issued to the object's Manager in the same step. What ``decide`` raises leaves everything as it was.
    """

    async def change_job(self, job_id: str, decide: Callable[[Job], Step[Job]]) -> Job:
        """Change a job. Raises NoSuchJob."""

    async def change_task(self, task_id: str, decide: Callable[[Task, Job], Step[Task]]) -> tuple[Task, Job]:
        """Change a task; ``decide`` gets its job, too, and both are returned. Raises NoSuchTask."""

    async def change_worker(self, worker_id: str, decide: Callable[[Worker], Step[Worker]]) -> Worker:
        """Change a Worker. Raises NoSuchWorker."""


class JobTasks(Protocol):
    """Tasks, on disk."""

    async def tasks_by_id(self, task_ids: Sequence[str]) -> Sequence[Task]:
        """Return those of the tasks that exist, in any order."""


@dataclass(frozen=True, slots=True)
class Steering:
    """What asking needs."""

    store: AskStore
    bus: EventBus

    async def job(self, job_id: str, decide: Callable[[Job], Step[Job]]) -> Job:
        """Ask something of a job. Raises NoSuchJob, and what ``decide`` raises."""
        job = await self.store.change_job(job_id, decide)
        self._tell(Change("job", job.id), job.manager_id)
        return job

    async def task(self, task_id: str, decide: Callable[[Task, Job], Step[Task]]) -> Task:
        """Ask something of a task. Raises NoSuchTask, and what ``decide`` raises."""
        task, job = await self.store.change_task(task_id, decide)
        self._tell(Change("task", task.id, task.job), job.manager_id)
        return task

    async def worker(self, worker_id: str, decide: Callable[[Worker], Step[Worker]]) -> Worker:
        """Ask something of a Worker. Raises NoSuchWorker, and what ``decide`` raises."""
        worker = await self.store.change_worker(worker_id, decide)
        self._tell(Change("worker", worker.id), worker.manager_id)
        return worker

    def _tell(self, change: Change, manager_id: str | None) -> None:
        self.bus.publish([change, *([Change("order", manager_id)] if manager_id else [])])


async def check_chosen(tasks: JobTasks, job_id: str, task_ids: Sequence[str]) -> None:
    """Check that chosen tasks are of the job. Raises BadInput that names those that are not."""
    known = {task.id for task in await tasks.tasks_by_id(task_ids) if task.job == job_id}
    foreign = [task_id for task_id in task_ids if task_id not in known]
    if foreign:
        message = f"are not tasks of this job: {', '.join(foreign[:3])}{' …' if len(foreign) > 3 else ''}"
        raise BadInput(f"tasks: {len(foreign)} of them {message}.", {"tasks": message})
