"""What people and programs look at: the farm as public documents (``documents.py`` lists their keys)."""

from collections.abc import Collection, Sequence
from typing import Protocol

from flamenco_core.errors import NotFound
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_runtime.clock import Clock
from flamenco_server.documents import (
    Document,
    frame_document,
    job_detail,
    job_document,
    manager_document,
    state_document,
    task_detail,
    task_document,
    worker_document,
)
from flamenco_server.records import Frame, Job, Manager, Page, Task, Worker, WorkerState

PAGE = 100
"""How many rows a list has when nobody says so."""
LARGEST_PAGE = 200


class NoSuchJob(NotFound):
    """No job has this id."""

    type = "no-such-job"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id}; flamenco jobs lists those that there are.")


class NoSuchTask(NotFound):
    """No task has this id."""

    type = "no-such-task"

    def __init__(self, task_id: str) -> None:
        super().__init__(f"There is no task {task_id}; the list of its job's tasks has those that there are.")


class NoSuchWorker(NotFound):
    """No Worker has this id."""

    type = "no-such-worker"

    def __init__(self, worker_id: str) -> None:
        super().__init__(f"There is no Worker {worker_id}; flamenco workers lists those that there are.")


class FarmReader(Protocol):
    """The reading side of a store."""

    async def job(self, job_id: str) -> Job:
        """Return one job. Raises NoSuchJob."""

    async def jobs(
        self, limit: int, after: int | None, status: JobStatus | None, *, deleted: bool = False
    ) -> Page[Job]:
        """Return jobs, newest first, beginning below the number ``after``; ``deleted``: those in the bin."""

    async def jobs_by_id(self, job_ids: Collection[str]) -> Sequence[Job]:
        """Return those of the jobs that exist, in any order."""

    async def task(self, task_id: str) -> Task:
        """Return one task with its commands. Raises NoSuchTask."""

    async def tasks(self, job_id: str, limit: int, after: int | None, status: TaskStatus | None) -> Page[Task]:
        """Return tasks of a job by index, beginning behind the index ``after``. Raises NoSuchJob."""

    async def tasks_by_id(self, task_ids: Collection[str]) -> Sequence[Task]:
        """Return those of the tasks that exist, without commands, in any order."""

    async def frames(self, job_id: str, only: Collection[int] | None = None) -> Sequence[Frame]:
        """Return each frame that a job is to render, or ``only`` these of them, by number. Raises NoSuchJob."""

    async def worker(self, worker_id: str) -> Worker:
        """Return one Worker. Raises NoSuchWorker."""

    async def workers(self) -> Sequence[Worker]:
        """Return all Workers by name."""

    async def worker_states(self, worker_id: str, limit: int, after: int | None) -> Page[WorkerState]:
        """Return what a Worker was, the newest first, beginning below the number ``after``. Raises NoSuchWorker."""

    async def managers(self) -> Sequence[Manager]:
        """Return all Managers by name."""


class FarmView:
    """The farm as people see it: each method returns documents that are ready to be sent."""

    def __init__(self, store: FarmReader, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def jobs(
        self, limit: int = PAGE, after: str | None = None, status: JobStatus | None = None, *, deleted: bool = False
    ) -> dict[str, list[Document] | str | None]:
        """Return ``{"jobs": [...], "next": cursor or None}``, newest first; ``after`` is a cursor from before.

        ``deleted``: those in the bin; they stand in no other list.
        """
        page = await self._store.jobs(limit, _position(after), status, deleted=deleted)
        return {"jobs": [job_document(job) for job in page.items], "next": _cursor(page.next)}

    async def job(self, job_id: str) -> Document:
        """Return one job with its files. Raises NoSuchJob."""
        return job_detail(await self._store.job(job_id))

    async def jobs_now(self, job_ids: Collection[str]) -> list[Document]:
        """Return the present state of these jobs, as lists show them."""
        return [job_document(job) for job in await self._store.jobs_by_id(job_ids)]

    async def tasks(
        self, job_id: str, limit: int = PAGE, after: str | None = None, status: TaskStatus | None = None
    ) -> dict[str, list[Document] | str | None]:
        """Return ``{"tasks": [...], "next": cursor or None}`` in the order of their index. Raises NoSuchJob."""
        page = await self._store.tasks(job_id, limit, _position(after), status)
        return {"tasks": [task_document(task) for task in page.items], "next": _cursor(page.next)}

    async def task(self, task_id: str) -> Document:
        """Return one task with its commands. Raises NoSuchTask."""
        return task_detail(await self._store.task(task_id))

    async def tasks_now(self, task_ids: Collection[str]) -> list[Document]:
        """Return the present state of these tasks, as lists show them."""
        return [task_document(task) for task in await self._store.tasks_by_id(task_ids)]

    async def frames(self, job_id: str, only: Collection[int] | None = None) -> dict[str, list[Document]]:
        """Return ``{"frames": [...]}``: each frame that the job is to render, or only these. Raises NoSuchJob."""
        return {"frames": await self._frames(job_id, only)}

    async def frames_now(self, job_id: str, only: Collection[int]) -> list[Document]:
        """Return the present state of these frames; nothing if there is no such job."""
        try:
            return await self._frames(job_id, only)
        except NoSuchJob:
            return []

    async def workers(self) -> dict[str, list[Document]]:
        """Return ``{"workers": [...]}`` by name."""
        return {"workers": await self.workers_now()}

    async def workers_now(self) -> list[Document]:
        """Return the present state of all Workers."""
        return [worker_document(worker) for worker in await self._store.workers()]

    async def worker(self, worker_id: str) -> Document:
        """Return one Worker. Raises NoSuchWorker."""
        return worker_document(await self._store.worker(worker_id))

    async def worker_states(
        self, worker_id: str, limit: int = PAGE, after: str | None = None
    ) -> dict[str, list[Document] | str | None]:
        """Return ``{"states": [...], "next": cursor or None}``, the newest first. Raises NoSuchWorker."""
        page = await self._store.worker_states(worker_id, limit, _position(after))
        return {"states": [state_document(state) for state in page.items], "next": _cursor(page.next)}

    async def managers(self) -> dict[str, list[Document]]:
        """Return ``{"managers": [...]}`` by name."""
        return {"managers": await self.managers_now()}

    async def managers_now(self) -> list[Document]:
        """Return the present state of all Managers."""
        now = self._clock()
        return [manager_document(manager, now) for manager in await self._store.managers()]

    async def _frames(self, job_id: str, only: Collection[int] | None) -> list[Document]:
        return [frame_document(frame) for frame in await self._store.frames(job_id, only)]


def _position(cursor: str | None) -> int | None:
    return int(cursor) if cursor else None


def _cursor(position: int | None) -> str | None:
    return None if position is None else str(position)
