"""What Workers say, as worker-api.md words it (6, 14, 15.2): part of the naive model of the farm."""

from collections.abc import Sequence

from naive_farm import NaiveFarm
from naive_records import ENDED, LEAVING, NaiveTask, NaiveWorker, Word

SAYABLE = (None, "active", "completed", "failed")


def heard(farm: NaiveFarm, worker: NaiveWorker) -> None:
    """Any message revives a Worker, and an attempt of it that counted as lost is not counted any more."""
    if worker.status == "error":
        worker.status, worker.before_error = worker.before_error or "starting", None
    if worker.given_away is not None:
        (task, attempt), worker.given_away = worker.given_away, None
        if attempt in task.lost and task.status not in ENDED:
            task.lost.remove(attempt)
            farm.tally["losses taken back"] += 1
    worker.seen = farm.now


def sign_on(farm: NaiveFarm, worker: NaiveWorker, types: Sequence[str]) -> str:
    worker.status, worker.before_error = "starting", None
    worker.types = types
    worker.signed_on_since = farm.held(worker) is not None
    worker.given_away = None
    worker.seen = farm.now
    return (worker.requested or "awake") if worker.approved else "asleep"


def sign_off(farm: NaiveFarm, worker: NaiveWorker) -> None:
    heard(farm, worker)
    was, is_asked_for = worker.status, worker.requested in LEAVING
    if is_asked_for:
        worker.requested, worker.lazy = None, False
    if worker.requested is None and (was == "awake" or (was == "asleep" and worker.approved)):
        worker.requested, worker.lazy = was, False
    worker.status, worker.before_error = "offline", None
    farm.release(worker, is_lost=not is_asked_for)


def say_status(farm: NaiveFarm, worker: NaiveWorker, status: str) -> None:
    heard(farm, worker)
    if worker.requested == status:
        worker.requested, worker.lazy = None, False
    worker.status, worker.before_error = status, None
    if status != "awake":
        farm.release(worker)


def word(farm: NaiveFarm, worker: NaiveWorker, said: Word) -> str:
    """Judge an update: applied, repeated, stale, unknown, or bad."""
    task = farm.task(said.task)
    if task is None:
        return "unknown"
    if not is_holder(farm, worker, task, said.attempt):
        return _late_word(farm, worker, task, said)
    if said.status not in SAYABLE:
        return "bad"
    run = farm.runs[task.id, task.attempt]
    if said.seq is not None and said.seq <= run.seq:
        _note_frames(farm, task, task.attempt, said)
        return "repeated"
    if said.attempt is None and not task.begun and said.status != "active":
        task.touched = farm.now
        return "applied" if said.status is None else "stale"
    _apply(farm, worker, task, said)
    return "applied"


def _apply(farm: NaiveFarm, worker: NaiveWorker, task: NaiveTask, said: Word) -> None:
    if task.reserved is not None:
        farm.tally["went on to a task had ahead of time"] += 1
        _go_on_to(farm, worker, task)
    if task.is_suspended:
        farm.tally["suspended attempts resumed"] += 1
        farm.becomes_active(task)
    task.touched = farm.now
    run = farm.runs[task.id, task.attempt]
    run.seq = run.seq if said.seq is None else said.seq
    _note_frames(farm, task, task.attempt, said)
    if said.steps is not None:
        task.steps = max(0, min(said.steps, task.steps_total))
    if said.status == "active":
        task.begun, task.begun_at = True, task.begun_at if task.begun else farm.now
    elif said.status == "failed":
        farm.fail(task)
    elif said.status == "completed":
        task.steps, task.pause_wanted = task.steps_total, False
        farm.tally["tasks completed"] += 1
        farm.end_attempt(task)
        task.status = "completed"
        farm.look_at_end(task.job)


def may_run(farm: NaiveFarm, worker: NaiveWorker, task_id: str, attempt: int | None) -> tuple[bool, bool]:
    """Tell whether it may go on, and whether it is to change its status first."""
    task = farm.task(task_id)
    if task is None or task.job.status in ENDED:
        return (False, False)
    if worker.requested is not None and not worker.lazy:
        return (False, True)
    if not is_holder(farm, worker, task, attempt):
        _note_word(farm, worker, task)
        return (False, False)
    if task.is_suspended:
        farm.becomes_active(task)
    task.touched = farm.now
    return (True, False)


def is_holder(farm: NaiveFarm, worker: NaiveWorker, task: NaiveTask, attempt: int | None) -> bool:
    has = task.holder == worker.id or (task.reserved == worker.id and attempt is not None)
    return has and attempt in (None, task.attempt)


def _go_on_to(farm: NaiveFarm, worker: NaiveWorker, task: NaiveTask) -> None:
    """A Worker runs one task at a time: by beginning the next one it is done with the one before."""
    others = [other for other in farm.tasks() if other.reserved == worker.id and other is not task]
    farm.release(worker)
    for other in others:
        other.reserved = worker.id
    farm.hold(worker, task)


def _late_word(farm: NaiveFarm, worker: NaiveWorker, task: NaiveTask, said: Word) -> str:
    _note_word(farm, worker, task)
    farm.tally["late words"] += 1
    mine = [number for (other, number), run in farm.runs.items() if other == task.id and run.worker == worker.id]
    if said.attempt is None:
        is_newest = bool(mine) and max(mine) == task.attempt
        return "repeated" if is_newest and said.status == task.status else "stale"
    if said.attempt not in mine:
        return "stale"
    _note_frames(farm, task, said.attempt, said)
    is_known = said.seq is not None and said.seq <= farm.runs[task.id, said.attempt].seq
    return "repeated" if is_known else "stale"


def _note_word(farm: NaiveFarm, worker: NaiveWorker, task: NaiveTask) -> None:
    if worker.id in task.marks:
        farm.tally["words of Flamenco 3 Workers about tasks that left them"] += 1
        task.marks[worker.id] = farm.now


def _note_frames(farm: NaiveFarm, task: NaiveTask, attempt: int, said: Word) -> None:
    if attempt > task.fresh_after:
        for frame in said.frames:
            task.frames[frame] = max(attempt, task.frames.get(frame, 0))
