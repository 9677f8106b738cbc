"""The life of an attempt: handed out, heard of, suspended, lost, ended (jobs.md, "Attempts" and what follows it)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from flamenco_core.errors import BadInput
from flamenco_core.statuses import TaskStatus, WorkerStatus
from flamenco_core.wire.worker_api import SavedFrame, TaskUpdate
from flamenco_manager import failures, job_rules
from flamenco_manager.choosing import best_for, gets_again, next_ahead, note_duration
from flamenco_manager.failures import MOST_TEXT
from flamenco_manager.farm import Farm
from flamenco_manager.holding import end_attempt, give_back, give_back_reserved, note_word, queue
from flamenco_manager.model import Moment, Task, Worker
from flamenco_manager.task_rules import is_runnable, set_steps

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
    """A task for a Worker, as of this moment; ``ahead``: tasks of the same job that it may run after that."""

    task: Task
    attempt: int
    ahead: Sequence["HandOut"] = ()


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


def ask(farm: Farm, worker: Worker, now: Moment, most: int = 1) -> Answer:
    """Answer a Worker that asks for a task, and so runs nothing. Order of checks: worker-api.md 6.6.

    With ``most`` > 1 it may get short tasks ahead of time (15.6).
    """
    give_back_reserved(farm, worker, now)
    if farm.awaits_server:
        return None
    if worker.status_requested is not None:
        return StatusWanted(worker.status_requested)
    if not worker.is_approved:
        return StatusWanted(WorkerStatus.ASLEEP)
    if worker.status is not WorkerStatus.AWAKE:
        return NotAwake.NOT_AWAKE
    held = worker.task
    if held is not None:
        if worker.has_signed_on_since:
            failures.count_lost(farm, held, now)
        if held.is_held and gets_again(farm, worker, held):
            return _hand_out(farm, worker, held, now)
        release(farm, worker, now, "The Worker asked for another task.")
    return _best_for(farm, worker, now, most)


def take_back(farm: Farm, handed: HandOut, now: Moment) -> None:
    """Undo a hand-out whose answer could not be delivered; nobody is to blame."""
    for ahead in handed.ahead:
        give_back_ahead(farm, ahead.task, ahead.attempt, now)
    task = handed.task
    if task.is_held and task.attempt == handed.attempt and task.worker is not None:
        release(farm, task.worker, now, "Its Worker could not be reached.")


def give_back_ahead(farm: Farm, task: Task, attempt: int, now: Moment) -> bool:
    """Take back a task that was handed out ahead of time, unless it has begun; tells whether it was taken back."""
    if not task.is_reserved or task.attempt != attempt:
        return False
    give_back(farm, task, now)
    return True


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
    if task.is_reserved:
        _begin_reserved(farm, worker, task, now)
    _resume(farm, task, now)
    task.touched_s = now.monotonic_s
    if said.log:
        task.output_s = now.monotonic_s
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
    if worker.must_stop:
        return MayRun(yes=False, reason="The Worker is to change its status first.", status_wanted=True)
    if not _is_holder(worker, task, attempt):
        note_word(farm, worker, task, now)
        return MayRun(yes=False, reason=_why_not(worker, task))
    if not task.is_reserved:
        _resume(farm, task, now)
    task.touched_s = now.monotonic_s
    return MayRun(yes=True)


def suspend(farm: Farm, worker: Worker, now: Moment) -> None:
    """Let others have the task of a Worker that fell silent; until one takes it, the attempt can be resumed."""
    give_back_reserved(farm, worker, now)
    task = worker.task
    if task is not None and task.status is TaskStatus.ACTIVE:
        task.activity = f"{worker.name} has gone silent; any other Worker may take over."
        queue(farm, task)
        job_rules.look_at_end(farm, task.job, now)


def release(farm: Farm, worker: Worker, now: Moment, reason: str, *, is_lost: bool = False) -> None:
    """End the attempt of a Worker that does not run its task any more; the task is queued, unless lost too often."""
    give_back_reserved(farm, worker, now)
    task = worker.task
    if task is None:
        return
    task.activity = reason
    if is_lost:
        failures.count_lost(farm, task, now)
    if not task.is_held:
        return  # it was lost once too often
    end_attempt(farm, task, now)
    if task.status is TaskStatus.ACTIVE:
        queue(farm, task)
    farm.task_changed(task)
    job_rules.look_at_end(farm, task.job, now)


def record_frames(farm: Farm, task: Task, attempt: int, frames: Sequence[SavedFrame]) -> None:
    """Record frames that an attempt saved, also when it tells of them after it ended: they are whole all the same."""
    if attempt <= task.fresh_after:
        return  # a person has queued the task since: all of it is rendered again
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


def _best_for(farm: Farm, worker: Worker, now: Moment, most: int) -> Answer:
    while (task := best_for(farm, worker, now)) is not None:
        if task.is_held:  # suspended: its Worker has been silent, and now it is given away
            _give_away(farm, task, now)
        if is_runnable(task):
            handed = _hand_out(farm, worker, task, now)
            ahead = [_reserve(farm, worker, other) for other in next_ahead(farm, worker, task, now, most - 1)]
            return HandOut(task, handed.attempt, ahead) if ahead else handed
    return None


def _hand_out(farm: Farm, worker: Worker, task: Task, now: Moment) -> HandOut:
    is_again = task.is_held and task.worker is worker
    if is_again and task.attempt:
        farm.attempt_ended(task)
    task.has_begun = is_again and task.has_begun and not worker.knows_attempts
    task.attempt = farm.next_attempt(task)
    task.activity = f"Handed to {worker.name}"
    _hold(farm, worker, task, now)
    return HandOut(task, task.attempt)


def _reserve(farm: Farm, worker: Worker, task: Task) -> HandOut:
    """Let a Worker have a task ahead of time: it stays queued, and nobody else gets it."""
    task.attempt = farm.next_attempt(task)
    task.worker, task.is_reserved, task.has_begun, task.seq = worker, True, False, 0
    task.activity = f"Next at {worker.name}"
    worker.reserved.append(task)
    farm.task_changed(task)
    return HandOut(task, task.attempt)


def _begin_reserved(farm: Farm, worker: Worker, task: Task, now: Moment) -> None:
    """Let a Worker hold a task that it had ahead of time; what it held before is over, since it runs one at a time."""
    worker.reserved.remove(task)
    task.is_reserved = False
    others, worker.reserved = worker.reserved, []
    release(farm, worker, now, "The Worker went on to its next task.")
    worker.reserved = others
    _hold(farm, worker, task, now)


def _hold(farm: Farm, worker: Worker, task: Task, now: Moment) -> None:
    task.worker, task.is_held, task.seq = worker, True, 0
    task.touched_s = task.begun_s = task.output_s = now.monotonic_s
    task.started_at, task.finished_at = now.wall, None
    set_steps(task, 0)
    worker.task, worker.has_signed_on_since = task, False
    if task.status is not TaskStatus.ACTIVE:
        farm.move(task, TaskStatus.ACTIVE)
    job_rules.worked_on(farm, task.job, now)
    farm.task_changed(task)
    farm.worker_changed(worker)


def _give_away(farm: Farm, task: Task, now: Moment) -> None:
    silent = task.worker
    assert silent is not None
    failures.count_lost(farm, task, now)
    if task.is_held:
        end_attempt(farm, task, now)
        silent.lost_task = task


def _is_holder(worker: Worker, task: Task, attempt: int | None) -> bool:
    holds = task.is_held or (task.is_reserved and attempt is not None)
    return holds and task.worker is worker and attempt in (None, task.attempt)


def _judge_late(farm: Farm, worker: Worker, task: Task, said: TaskUpdate, now: Moment) -> Verdict:
    note_word(farm, worker, task, now)
    if task.worker is not worker or task.is_held:
        return Verdict.STALE
    if said.attempt is None:
        return Verdict.REPEATED if said.task_status is task.status else Verdict.STALE
    if said.attempt != task.attempt:
        return Verdict.STALE
    record_frames(farm, task, task.attempt, said.frames)
    return Verdict.REPEATED if said.seq is not None and said.seq <= task.seq else Verdict.STALE


def _judge_before_begin(task: Task, said: TaskUpdate, now: Moment) -> Verdict:
    """Judge what a Flamenco 3 Worker says before it said ``active``: it comes from its queue, about an earlier run."""
    task.touched_s = now.monotonic_s
    return Verdict.APPLIED if said.task_status is None else Verdict.STALE


def _resume(farm: Farm, task: Task, now: Moment) -> None:
    if task.is_suspended:
        farm.move(task, TaskStatus.ACTIVE)
        job_rules.worked_on(farm, task.job, now)


def _apply_status(farm: Farm, task: Task, said: TaskUpdate, now: Moment) -> None:
    task.result = said.result if said.result is not None else task.result
    if said.task_status is TaskStatus.ACTIVE:
        if not task.has_begun:  # saying so again does not make its time begin again
            task.begun_s = now.monotonic_s
        task.has_begun = True
    elif said.task_status is TaskStatus.COMPLETED:
        _complete(farm, task, now)
    elif said.task_status is TaskStatus.FAILED:
        failures.fail(farm, task, task.activity or "The Worker gave no reason.", now)


def _complete(farm: Farm, task: Task, now: Moment) -> None:
    set_steps(task, task.steps_total)
    task.finished_at, task.is_pause_wanted = now.wall, False
    note_duration(task, now.monotonic_s - task.begun_s)
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
