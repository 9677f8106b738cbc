"""What Workers say of tasks, in time or late: log text goes to its place, the rest to the farm's rules."""

from collections.abc import Sequence
from typing import Protocol

import structlog

from flamenco_core.errors import Conflict, NotFound
from flamenco_core.wire.worker_api import SavedFrame, TaskUpdate
from flamenco_manager import attempts
from flamenco_manager.attempts import Verdict
from flamenco_manager.foreman import Foreman
from flamenco_manager.model import Task, Worker
from flamenco_manager.stores.farm_store import Also, PastAttempt
from flamenco_manager.task_logs import TaskLogs

log = structlog.get_logger()


class NoSuchTask(NotFound):
    """No task has this id, or its job was erased."""

    type = "no-such-task"


class AttemptOver(Conflict):
    """The Worker does not hold the task any more."""

    type = "attempt-over"


class Store(Protocol):
    """What the store knows of attempts that have left memory."""

    async def past_attempt(self, task_id: str, worker_id: str, attempt: int | None) -> PastAttempt | None:
        """Find an attempt that a Worker made (its last one, if ``attempt`` is None)."""

    async def has_task(self, task_id: str) -> bool:
        """Tell whether there is such a task, also in a job that has ended."""

    def late_frames(self, past: PastAttempt, frames: Sequence[SavedFrame]) -> Also:
        """Make the part of a transaction that stores frames of a job that has left memory."""


class Uploader(Protocol):
    """Who sends logs to the Server."""

    async def queue_log(self, task_key: int, attempt: int) -> None:
        """Let a log be sent again."""


class TaskUpdates:
    """Takes updates of tasks."""

    def __init__(self, foreman: Foreman, store: Store, logs: TaskLogs, uploader: Uploader) -> None:
        self._foreman = foreman
        self._store = store
        self._logs = logs
        self._uploader = uploader

    async def take(self, worker: Worker, task_id: str, said: TaskUpdate) -> None:
        """Apply an update; it is on disk on return. Raises NoSuchTask, AttemptOver, BadTaskStatus."""
        task = self._foreman.farm.tasks.get(task_id)
        if task is None or task.worker is not worker or said.attempt not in (None, task.attempt):
            await self._take_late(worker, task_id, task, said)
            return
        attempt = task.attempt
        await self._place_log(task.job.id, task, attempt, said)
        verdict = attempts.update(self._foreman.farm, worker, task, said, self._foreman.now())
        await self._foreman.settle()
        if said.log and verdict is not Verdict.APPLIED:
            await self._uploader.queue_log(task.key, attempt)
        if verdict is Verdict.STALE:
            raise _over(task)

    async def _place_log(self, job: str, task: Task, attempt: int, said: TaskUpdate) -> None:
        is_repeat = said.log_at is None and said.seq is not None and said.seq <= task.seq
        if said.log and not is_repeat:
            await self._logs.place(job, task.id, attempt, said.log, said.log_at)
        if said.task_status is not None and said.task_status.is_ended:
            await self._logs.sync(job, task.id, attempt)

    async def _take_late(self, worker: Worker, task_id: str, task: Task | None, said: TaskUpdate) -> None:
        """Take what is said of an attempt that has ended: its log and frames are kept, and nothing else changes."""
        if task is not None:
            attempts.update(self._foreman.farm, worker, task, said, self._foreman.now())
            await self._foreman.settle()
        past = await self._store.past_attempt(task_id, worker.id, said.attempt)
        if past is None:
            if not await self._store.has_task(task_id):
                raise NoSuchTask(f"There is no task {task_id}.")
            raise AttemptOver("The task was not given to this Worker.")
        await self._keep_late(task_id, task, past, said)
        if not _is_repeat(past, said):
            raise AttemptOver(f"Attempt {past.attempt} of this task is over.")

    async def _keep_late(self, task_id: str, task: Task | None, past: PastAttempt, said: TaskUpdate) -> None:
        if said.log and said.log_at is not None:
            await self._logs.place(past.job, task_id, past.attempt, said.log, said.log_at)
            await self._uploader.queue_log(past.task_key, past.attempt)
        elif said.log and not _is_repeat(past, said):
            await self._logs.place(past.job, task_id, past.attempt, said.log, None)
            await self._uploader.queue_log(past.task_key, past.attempt)
        if said.frames and task is not None:
            attempts.record_frames(self._foreman.farm, task, past.attempt, said.frames)
            await self._foreman.settle()
        elif said.frames:
            await self._foreman.settle(also=self._store.late_frames(past, said.frames))


def _is_repeat(past: PastAttempt, said: TaskUpdate) -> bool:
    if said.seq is not None:
        return said.seq <= past.seq
    return said.attempt is None and past.is_newest and said.task_status == past.task_status


def _over(task: Task) -> AttemptOver:
    if task.is_held:
        return AttemptOver("This was said of an earlier run of the task.")
    return AttemptOver(f"This attempt is over; the task is {task.status}.")
