"""The life of an attempt: handed out, heard of, suspended, lost, ended (jobs.md, "Attempts" and what follows it)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from flamenco_core.errors import BadInput
from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.manager_api import FailedAttempt
from flamenco_core.wire.worker_api import SavedFrame, TaskUpdate
from flamenco_manager import job_rules
from flamenco_manager.farm import Farm
from flamenco_manager.holding import end_attempt, note_word
from flamenco_manager.model import Moment, Task, Worker
from flamenco_manager.task_rules import is_runnable, set_steps

MOST_TEXT = 500
"""Activities and reasons are cut to so many characters: they stand in lists."""


SAYABLE = (None, TaskStatus.ACTIVE, TaskStatus.COMPLETED, TaskStatus.FAILED)
"""What a Worker may say that its task is; the other statuses are the Manager's to set."""


class BadTaskStatus(BadInput):
    """A status that no Worker may set."""

    type = "bad-task-status"


class NotAwake(Enum):
    """The answer to a Worker that asks for a task in a state in which it gets none."""

    NOT_AWAKE = "not awake"


@dataclass(frozen=True, slots=True)
class StatusWanted:
    """The answer to a Worker that is to be something else first."""

    status: WorkerStatus


@dataclass(frozen=True, slots=True)
class HandOut:
    """A task for a Worker, as of this moment."""

    task: Task
    attempt: int


Answer = HandOut | StatusWanted | NotAwake | None


class Verdict(Enum):
    """What became of an update."""

    APPLIED = "applied"
    REPEATED = "repeated"
    """It, or a newer one, was applied before: nothing changes, and all is well."""
    STALE = "stale"
    """The attempt is over."""


@dataclass(frozen=True, slots=True)
class MayRun:
    """Whether a Worker may go on with a task, and if not, why."""

    yes: bool
    reason: str = ""
    status_wanted: bool = False


def ask(farm: Farm, worker: Worker, now: Moment) -> Answer:
    """Answer a Worker that asks for a task, and so runs nothing. Order of checks: worker-api.md 6.6."""
    if worker.status_requested is not None:
        return StatusWanted(worker.status_requested)
    if not worker.is_approved:
        return StatusWanted(WorkerStatus.ASLEEP)
    if worker.status is not WorkerStatus.AWAKE:
        return NotAwake.NOT_AWAKE
    held = worker.task
    if held is not None:
        if worker.has_signed_on_since:
            _count_lost(farm, held, now)
        if held.status is TaskStatus.ACTIVE or (held.is_held and is_runnable(held)):
            return _hand_out(farm, worker, held, now)
        release(farm, worker, now, "The Worker asked for another task.")
    return _best_for(farm, worker, now)


def take_back(farm: Farm, handed: HandOut, now: Moment) -> None:
    """Undo a hand-out whose answer could not be delivered; nobody is to blame."""
    task = handed.task
    if task.is_held and task.attempt == handed.attempt and task.worker is not None:
        release(farm, task.worker, now, "Its Worker could not be reached.")


def update(farm: Farm, worker: Worker, task: Task, said: TaskUpdate, now: Moment) -> Verdict:
    """Apply what a Worker says of a task (worker-api.md 6.7, 14 and 15.2). Raises BadTaskStatus."""
    if not _is_holder(worker, task, said.attempt):
        return _judge_late(farm, worker, task, said, now)
    if said.seq is not None and said.seq <= task.seq:
        record_frames(farm, task, task.attempt, said.frames)
        return Verdict.REPEATED
    if said.task_status not in SAYABLE:
        raise BadTaskStatus(f"A Worker cannot set the status {said.task_status}: say active, completed or failed.")
    if said.attempt is None and not task.has_begun and said.task_status is not TaskStatus.ACTIVE:
        return _judge_before_begin(task, said, now)
    _resume(farm, task)
    task.touched_s = now.monotonic_s
    task.seq = said.seq if said.seq is not None else task.seq
    record_frames(farm, task, task.attempt, said.frames)
    if said.activity is not None:
        task.activity = said.activity[:MOST_TEXT]
    if said.steps_completed is not None:
        set_steps(task, said.steps_completed)
        farm.job_changed(task.job)
    if said.task_status is not None:
        _apply_status(farm, task, said, now)
    farm.task_changed(task)
    return Verdict.APPLIED


def may_run(farm: Farm, worker: Worker, task: Task | None, attempt: int | None, now: Moment) -> MayRun:
    """Answer whether a Worker may go on (worker-api.md 6.8); a suspended attempt is resumed by the question."""
    if task is None:
        return MayRun(yes=False, reason="The task is unknown here, or its job has ended.")
    if worker.status_requested is not None:
        return MayRun(yes=False, reason="The Worker is to change its status first.", status_wanted=True)
    if not _is_holder(worker, task, attempt):
        note_word(farm, worker, task, now)
        return MayRun(yes=False, reason=_why_not(worker, task))
    _resume(farm, task)
    task.touched_s = now.monotonic_s
    return MayRun(yes=True)


def suspend(farm: Farm, worker: Worker) -> None:
    """Let others have the task of a Worker that fell silent; until one takes it, the attempt can be resumed."""
    task = worker.task
    if task is not None and task.status is TaskStatus.ACTIVE:
        task.activity = f"{worker.name} has gone silent; any other Worker may take over."
        farm.move(task, TaskStatus.QUEUED)


def release(farm: Farm, worker: Worker, now: Moment, reason: str, *, is_lost: bool = False) -> None:
    """End the attempt of a Worker that does not run its task any more; the task is queued, unless lost too often."""
    task = worker.task
    if task is None:
        return
    task.activity = reason
    if is_lost:
        _count_lost(farm, task, now)
    if not task.is_held:
        return  # it was lost once too often
    end_attempt(farm, task, now)
    if task.status is TaskStatus.ACTIVE:
        farm.move(task, TaskStatus.QUEUED)
    farm.task_changed(task)
    job_rules.look_at_end(farm, task.job, now)


def fail(farm: Farm, task: Task, reason: str, now: Moment) -> None:
    """End the attempt that holds a task as a failure of its Worker (jobs.md, "Failure of a task by a Worker")."""
    worker = task.worker
    assert worker is not None
    task.failed_by.append(FailedAttempt(worker.id, reason[:MOST_TEXT]))
    end_attempt(farm, task, now)
    if len(task.failed_by) >= farm.policy.failed_attempts:
        _fail_for_good(farm, task, now)
        return
    pauses = farm.policy.retry_pauses_s
    task.retry_at_s = now.monotonic_s + pauses[min(len(task.failed_by), len(pauses)) - 1]
    farm.wake_at(task.retry_at_s)
    farm.move(task, TaskStatus.SOFT_FAILED)


def record_frames(farm: Farm, task: Task, attempt: int, frames: Sequence[SavedFrame]) -> None:
    """Record frames that an attempt saved, also when it tells of them after it ended: they are whole all the same."""
    for frame in frames:
        if task.status is not TaskStatus.COMPLETED:
            task.saved_frames = task.saved_frames or set()
            task.saved_frames.add(frame.frame)
        farm.frame_saved(task, attempt, frame)


def heard_without_sign_on(farm: Farm, worker: Worker) -> None:
    """Take back that an attempt counted as lost: its Worker had only been out of touch."""
    task = worker.lost_task
    if task is None:
        return
    worker.lost_task = None
    farm.worker_changed(worker)
    if task.lost and not task.status.is_ended:
        task.lost -= 1
        farm.task_changed(task)


def _best_for(farm: Farm, worker: Worker, now: Moment) -> Answer:
    task_types = frozenset(worker.task_types)
    while (task := farm.scheduler.first(task_types, lambda task: _fits(farm, worker, task, now))) is not None:
        if task.is_held:  # suspended: its Worker has been silent, and now it is given away
            _give_away(farm, task, now)
        if is_runnable(task):
            return _hand_out(farm, worker, task, now)
    return None


def _fits(farm: Farm, worker: Worker, task: Task, now: Moment) -> bool:
    if task.marks and task.marks.get(worker.id, 0.0) > now.monotonic_s:
        return False
    failed_it = {entry.worker for entry in task.failed_by}
    if worker.id not in failed_it:
        return True
    if any(other.id not in failed_it for other in farm.awake_workers(task.type)):
        return False
    return task.retry_at_s <= now.monotonic_s


def _hand_out(farm: Farm, worker: Worker, task: Task, now: Moment) -> HandOut:
    is_again = task.is_held and task.worker is worker
    if is_again and task.attempt:
        farm.attempt_ended(task)
    task.has_begun = is_again and task.has_begun and not worker.knows_attempts
    task.attempt += 1
    task.worker, task.is_held, task.seq = worker, True, 0
    task.activity = f"Handed to {worker.name}"
    task.touched_s, task.started_at, task.finished_at = now.monotonic_s, now.wall, None
    set_steps(task, 0)
    worker.task, worker.has_signed_on_since = task, False
    if task.job.status is JobStatus.QUEUED:
        job_rules.begin(farm, task.job, now)
    if task.status is not TaskStatus.ACTIVE:
        farm.move(task, TaskStatus.ACTIVE)
    farm.task_changed(task)
    farm.job_changed(task.job)
    farm.worker_changed(worker)
    return HandOut(task, task.attempt)


def _give_away(farm: Farm, task: Task, now: Moment) -> None:
    silent = task.worker
    assert silent is not None
    _count_lost(farm, task, now)
    if task.is_held:
        end_attempt(farm, task, now)
        silent.lost_task = task


def _count_lost(farm: Farm, task: Task, now: Moment) -> None:
    task.lost += 1
    farm.task_changed(task)
    if task.lost < farm.policy.lost_attempts:
        return
    task.activity = f"Its Worker disappeared {task.lost} times."
    end_attempt(farm, task, now)
    _fail_for_good(farm, task, now)


def _fail_for_good(farm: Farm, task: Task, now: Moment) -> None:
    task.finished_at = now.wall
    farm.move(task, TaskStatus.FAILED)
    job_rules.task_failed(farm, task.job, now)


def _is_holder(worker: Worker, task: Task, attempt: int | None) -> bool:
    return task.is_held and task.worker is worker and attempt in (None, task.attempt)


def _judge_late(farm: Farm, worker: Worker, task: Task, said: TaskUpdate, now: Moment) -> Verdict:
    note_word(farm, worker, task, now)
    if task.worker is not worker or task.is_held:
        return Verdict.STALE
    if said.attempt is None:
        return Verdict.REPEATED if said.task_status is task.status else Verdict.STALE
    if said.attempt == task.attempt and said.seq is not None and said.seq <= task.seq:
        record_frames(farm, task, task.attempt, said.frames)
        return Verdict.REPEATED
    return Verdict.STALE


def _judge_before_begin(task: Task, said: TaskUpdate, now: Moment) -> Verdict:
    """Judge what a Flamenco 3 Worker says before it said ``active``: it comes from its queue, about an earlier run."""
    task.touched_s = now.monotonic_s
    return Verdict.APPLIED if said.task_status is None else Verdict.STALE


def _resume(farm: Farm, task: Task) -> None:
    if task.is_suspended:
        farm.move(task, TaskStatus.ACTIVE)


def _apply_status(farm: Farm, task: Task, said: TaskUpdate, now: Moment) -> None:
    task.result = said.result if said.result is not None else task.result
    if said.task_status is TaskStatus.ACTIVE:
        task.has_begun = True
    elif said.task_status is TaskStatus.COMPLETED:
        _complete(farm, task, now)
    elif said.task_status is TaskStatus.FAILED:
        fail(farm, task, task.activity or "The Worker gave no reason.", now)


def _complete(farm: Farm, task: Task, now: Moment) -> None:
    set_steps(task, task.steps_total)
    task.finished_at = now.wall
    end_attempt(farm, task, now)
    farm.move(task, TaskStatus.COMPLETED)
    task.saved_frames = None  # nobody will ask what is missing
    job_rules.look_at_end(farm, task.job, now)


def _why_not(worker: Worker, task: Task) -> str:
    if task.worker is not worker:
        return "The task was given to another Worker, or to nobody."
    if task.is_held:
        return f"This attempt is over; attempt {task.attempt} holds the task now."
    return f"The task is {task.status}."
