"""What Workers say of tasks, one by one or in batches, in time or late.

Log text goes to its place, the rest to the farm's rules. An update that comes alone is a batch of one.
"""

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog

from flamenco_core.errors import Conflict, NotFound
from flamenco_core.wire.worker_api import BatchedUpdate, BatchResult, TaskUpdate
from flamenco_manager import attempts
from flamenco_manager.attempts import BadTaskStatus, Verdict
from flamenco_manager.foreman import Foreman
from flamenco_manager.model import Task, Worker
from flamenco_manager.stores.farm_store import Also, LateWord, PastAttempt
from flamenco_manager.task_logs import TaskLogs

log = structlog.get_logger()

WORTH_A_LINE_S = 60.0
"""Batches whose oldest update is older than this get a line in the log: its Worker was out of touch."""

_APPLIED = BatchResult.APPLIED


class NoSuchTask(NotFound):
    """No task has this id, or its job was erased."""

    type = "no-such-task"


class AttemptOver(Conflict):
    """The Worker does not hold the task any more."""

    type = "attempt-over"


class Store(Protocol):
    """What the store knows of attempts that have left memory."""

    async def past_attempts(
        self, worker_id: str, asked: Sequence[tuple[str, int | None]]
    ) -> Sequence[PastAttempt | None]:
        """Find attempts that a Worker made, each by its task and number (None: its last one of that task)."""

    async def known_tasks(self, task_ids: Sequence[str]) -> set[str]:
        """Return those of these tasks that there are, also in jobs that have ended."""

    def late_words(self, late: Sequence[LateWord]) -> Also:
        """Make the part of a transaction that stores what is said of jobs that have left memory."""


class Uploader(Protocol):
    """Who sends logs to the Server."""

    async def queue_log(self, task_key: int, attempt: int) -> None:
        """Let a log be sent again."""


@dataclass(slots=True)
class _Word:
    """One update, and what becomes of it. ``attempt``: the one that it is about; 0: not the newest of ``task``."""

    task_id: str
    said: TaskUpdate
    task: Task | None
    attempt: int
    result: BatchResult = _APPLIED
    why: str = ""
    is_log_held: bool = False
    is_log_placed: bool = False


class TaskUpdates:
    """Takes updates of tasks."""

    def __init__(self, foreman: Foreman, store: Store, logs: TaskLogs, uploader: Uploader) -> None:
        self._foreman = foreman
        self._store = store
        self._logs = logs
        self._uploader = uploader

    async def take(self, worker: Worker, task_id: str, said: TaskUpdate) -> None:
        """Apply an update; it is on disk on return. Raises NoSuchTask, AttemptOver, BadTaskStatus."""
        word = self._word(worker, task_id, said)
        if word.task is not None and word.attempt and word.task.is_held:
            _check_status(said)
        await self._judge(worker, [word])
        if word.result is BatchResult.UNKNOWN:
            raise NoSuchTask(word.why)
        if word.result is BatchResult.STALE:
            raise AttemptOver(word.why)

    async def take_all(self, worker: Worker, batch: Sequence[BatchedUpdate]) -> list[BatchResult]:
        """Apply updates in their order, in one transaction, which is on disk on return. Raises BadTaskStatus."""
        self._note_age(batch)
        words = [self._word(worker, item.task.lower(), item) for item in batch]
        for word in words:
            _check_status(word.said)
        await self._judge(worker, words)
        return [word.result for word in words]

    async def release(self, worker: Worker, task_id: str, attempt: int) -> None:
        """Take back a task that a Worker had ahead of time and does not want. Raises NoSuchTask, AttemptOver."""
        farm = self._foreman.farm
        task = farm.tasks.get(task_id)
        if task is not None and task.worker is worker:
            is_taken = attempts.give_back_ahead(farm, task, attempt, self._foreman.now())
            await self._foreman.settle()
            if is_taken:
                return
        elif task is None and not await self._store.known_tasks([task_id]):
            raise NoSuchTask(f"There is no task {task_id}.")
        raise AttemptOver("The Worker does not have this task ahead of time, or not any more.")

    def _word(self, worker: Worker, task_id: str, said: TaskUpdate) -> _Word:
        task = self._foreman.farm.tasks.get(task_id)
        if task is None or task.worker is not worker or said.attempt not in (None, task.attempt):
            return _Word(task_id, said, task, 0)
        return _Word(task_id, said, task, task.attempt)

    async def _judge(self, worker: Worker, words: Sequence[_Word]) -> None:
        """Place the logs first, so that they are there when a result is seen; then let the rules judge in one go."""
        present = [(word, word.task) for word in words if word.task is not None and word.attempt]
        await self._place_logs(present)
        now, tasks = self._foreman.now(), self._foreman.farm.tasks
        for word in words:
            if word.task is not tasks.get(word.task_id):  # its job left memory meanwhile, and may be back as another
                word.task, word.attempt = None, 0
            if word.task is not None:
                self._hold_log(word, word.task)
                word.result, word.why = _outcome(
                    word.task, attempts.update(self._foreman.farm, worker, word.task, word.said, now)
                )
        await self._foreman.settle()
        present = [(word, task) for word, task in present if word.attempt]
        grown = {
            (task.key, word.attempt)
            for word, task in present
            if word.said.log and word.result is not _APPLIED and not (task.is_held and task.attempt == word.attempt)
        }
        if grown:
            await self._send_again(grown)
        late = [word for word in words if not word.attempt]
        if late:
            await self._judge_late(worker, late)

    async def _place_logs(self, present: Sequence[tuple[_Word, Task]]) -> None:
        """Place what is not held, and have all that was placed of attempts that end on disk."""
        direct = [(word, task) for word, task in present if word.said.log and not _is_repeat_without_place(word, task)]
        for word, _ in direct:
            word.is_log_held = self._logs.holds(word.said.log or "", word.said.log_at)
        placed = [(word, task) for word, task in direct if not word.is_log_held]
        if placed:
            await asyncio.gather(*[self._place_log(word, task) for word, task in placed])
        ended = {(task.job.id, task.id, word.attempt) for word, task in present if _ends(word.said)}
        unsynced = [attempt for attempt in ended if not self._logs.is_on_disk(*attempt)]
        if unsynced:
            await asyncio.gather(*[self._logs.sync(*attempt) for attempt in unsynced])

    async def _place_log(self, word: _Word, task: Task) -> None:
        said = word.said
        await self._logs.place(task.job.id, task.id, word.attempt, said.log or "", said.log_at)
        word.is_log_placed = True

    def _hold_log(self, word: _Word, task: Task) -> None:
        """Let the journal hold a small piece of a log, in the step that judges what else was said."""
        said = word.said
        if word.is_log_held and said.log and said.log_at is not None:
            piece = self._logs.hold(task.job.id, task.id, word.attempt, said.log, said.log_at)
            self._foreman.farm.log_said(task, piece)

    async def _judge_late(self, worker: Worker, late: Sequence[_Word]) -> None:
        """Judge what is said of attempts that have ended: logs and frames are kept, and nothing else changes."""
        pasts = await self._store.past_attempts(worker.id, [(word.task_id, word.said.attempt) for word in late])
        known = await self._store.known_tasks([word.task_id for word in late])
        found: list[tuple[_Word, PastAttempt]] = []
        for word, past in zip(late, pasts, strict=True):
            if past is not None:
                found.append((word, past))
                word.result = BatchResult.REPEATED if _is_repeat(past, word.said) else BatchResult.STALE
                word.why = f"Attempt {past.attempt} of this task is over."
            elif word.task_id in known:
                word.result, word.why = BatchResult.STALE, "The task was not given to this Worker."
            else:
                word.result, word.why = BatchResult.UNKNOWN, f"There is no task {word.task_id}."
        await self._keep_late(worker, found)

    async def _keep_late(self, worker: Worker, found: Sequence[tuple[_Word, PastAttempt]]) -> None:
        logs = [
            (word, past)
            for word, past in found
            if word.said.log
            and (word.is_log_placed or word.said.log_at is not None or word.result is not BatchResult.REPEATED)
        ]
        await asyncio.gather(
            *[
                self._logs.place(past.job, word.task_id, past.attempt, word.said.log or "", word.said.log_at)
                for word, past in logs
                if not word.is_log_placed
            ]
        )
        await self._send_again({(past.task_key, past.attempt) for _, past in logs})
        for word, past in found:
            if word.task is not self._foreman.farm.tasks.get(word.task_id):
                word.task = None  # as above
            if word.task is not None:
                attempts.record_frames(self._foreman.farm, word.task, past.attempt, word.said.frames)
        until = self._foreman.now().wall + timedelta(seconds=self._foreman.farm.policy.flamenco3_mark_s)
        gone = [
            LateWord(past, word.said.frames, {worker.id: until} if word.said.attempt is None else {})
            for word, past in found
            if word.task is None
        ]
        gone = [late for late in gone if late.frames or late.marks]
        await self._foreman.settle(self._store.late_words(gone) if gone else None)

    async def _send_again(self, logs: AbstractSet[tuple[int, int]]) -> None:
        """Let the Server get logs to which something was added after their attempts had ended."""
        await asyncio.gather(*[self._uploader.queue_log(task_key, attempt) for task_key, attempt in logs])

    def _note_age(self, batch: Sequence[BatchedUpdate]) -> None:
        moments = [item.at for item in batch if item.at is not None]
        oldest_s = (self._foreman.now().wall - min(moments)).total_seconds() if moments else 0.0
        if oldest_s >= WORTH_A_LINE_S:
            log.info("updates came late", updates=len(batch), oldest_s=round(oldest_s))


def _check_status(said: TaskUpdate) -> None:
    """Refuse a status that only the Manager sets, before anything is kept of the update. Raises BadTaskStatus."""
    if said.task_status not in attempts.SAYABLE:
        raise BadTaskStatus(f"A Worker cannot set the status {said.task_status}: say active, completed or failed.")


def _is_repeat_without_place(word: _Word, task: Task) -> bool:
    """Tell whether a log came that was here before, as far as we can know without its place."""
    return word.said.log_at is None and word.said.seq is not None and word.said.seq <= task.seq


def _ends(said: TaskUpdate) -> bool:
    return said.task_status is not None and said.task_status.is_ended


def _outcome(task: Task, verdict: Verdict) -> tuple[BatchResult, str]:
    if verdict is not Verdict.STALE:
        return BatchResult(verdict.value), ""
    if task.is_held:
        return BatchResult.STALE, "This was said of an earlier run of the task."
    return BatchResult.STALE, f"This attempt is over; the task is {task.status}."


def _is_repeat(past: PastAttempt, said: TaskUpdate) -> bool:
    if said.seq is not None:
        return said.seq <= past.seq
    return said.attempt is None and past.is_newest and said.task_status == past.task_status
