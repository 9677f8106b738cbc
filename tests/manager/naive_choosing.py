"""Who gets which task, and what holds one back, as jobs.md words it: part of the naive model of the farm."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from naive_farm import NaiveFarm
from naive_records import ENDED, SET_ASIDE, WAITING, NaiveTask, NaiveWorker


@dataclass(frozen=True)
class Handed:
    """A hand-out as it was seen: task and attempt, and those that came ahead of time."""

    task: str
    attempt: int
    ahead: Sequence[tuple[str, int]] = ()


Answer = Handed | str | None
"""What a Worker that asks is told: a task, what it is to be, ``not awake``, or that there is nothing."""


def is_runnable(farm: NaiveFarm, task: NaiveTask) -> bool:
    return task.status in WAITING and task.reserved is None and is_begun_and_ready(farm, task)


def is_begun_and_ready(farm: NaiveFarm, task: NaiveTask) -> bool:
    """What is asked of a task to run, but for its own status."""
    is_ready = all(other.status == "completed" for other in task.waits_for)
    return is_ready and task.job.status in ("queued", "active") and not farm.is_held_back(task.job)


def what_is_used_up(farm: NaiveFarm, task: NaiveTask) -> set[str]:
    """The counters that have no room for one more such task: codes of reasons."""
    active = [other for other in farm.tasks() if other.status == "active"]
    capacities, caps = farm.settings["limits"], farm.settings["project_caps"]
    assert isinstance(capacities, dict)
    assert isinstance(caps, dict)
    found = set()
    for name, wanted in (farm.needs_of(task).limits or {}).items():
        used = sum((farm.needs_of(other).limits or {}).get(name, 0) for other in active)
        if wanted and name not in capacities:
            found.add("no-such-limit")
        elif wanted and used + wanted > capacities[name]:
            found.add("limit")
    project = task.job.project
    if project in caps and sum(other.job.project == project for other in active) >= caps[project]:
        found.add("project-cap")
    most = task.job.max_workers
    if most is not None and sum(other.job is task.job for other in active) >= most:
        found.add("max-workers")
    farm.tally.update(f"held back: {code}" for code in found)
    return found


def refusal(farm: NaiveFarm, worker: NaiveWorker, task: NaiveTask) -> str | None:
    """Why a Worker that is awake and able does not get this task."""
    reason = _refusal(farm, worker, task)
    farm.tally[f"refused: {reason}"] += reason is not None
    return reason


def _refusal(farm: NaiveFarm, worker: NaiveWorker, task: NaiveTask) -> str | None:
    if (worker.id, task.type) in task.job.blocked:
        return "blocked"
    if worker.id in task.marks and farm.now < task.marks[worker.id] + farm.number("flamenco3_mark_s"):
        return "marked"
    if worker.id not in task.failed_by:
        return None
    for other in farm.awake_and_able(task):
        if other.id not in task.failed_by and (other.id, task.type) not in task.job.blocked:
            return "failed-it"
    return "retry-later" if farm.now < task.retry_at else None


def is_allowed(farm: NaiveFarm, worker: NaiveWorker, task: NaiveTask) -> bool:
    """Whether a Worker may have a task that nobody hands to it again, and nobody else gets."""
    return (
        is_runnable(farm, task)
        and farm.fits(worker, task)
        and not what_is_used_up(farm, task)
        and refusal(farm, worker, task) is None
    )


def best(farm: NaiveFarm, worker: NaiveWorker) -> list[NaiveTask]:
    """The tasks of which a Worker must get one: none that it may have comes before them; the oldest job's first."""
    allowed = [task for task in farm.tasks() if is_allowed(farm, worker, task)]
    if not allowed:
        return []
    first = min(_rank(farm, task) for task in allowed)
    jobs = {task.job.number: task.job for task in allowed if _rank(farm, task) == first}
    chosen = []
    for _, job in sorted(jobs.items()):
        mine = [task for task in allowed if task.job is job]
        chosen.append(min(mine, key=lambda task: (-task.priority, task.index)))
    return chosen


def _rank(farm: NaiveFarm, task: NaiveTask) -> tuple[float, float, float]:
    """Where a task's job stands: lower is better, equal is as good."""
    job = task.job
    active = sum(other.status == "active" for other in job.tasks) if farm.settings["policy"] == "balanced" else 0
    return (-job.priority, active, job.created)


def ask(farm: NaiveFarm, worker: NaiveWorker, answer: Answer, *, most: int = 1, parked: Iterable[str] = ()) -> None:
    """Let a Worker ask; fails unless ``answer`` is one that the rules allow. ``parked`` ask at the same time."""
    farm.give_back_reserved(worker)
    farm.tally["asks"] += 1
    if worker.requested is not None or not worker.approved:
        assert answer == (worker.requested or "asleep"), f"told {answer}, not {worker.requested or 'asleep'}"
        return
    if worker.status != "awake":
        assert answer == "not awake"
        return
    held = farm.held(worker)
    if held is not None and worker.signed_on_since:
        farm.count_lost(held)
    if held is not None and held.holder is not None and _goes_on(farm, worker, held):
        _take(farm, worker, held, answer, most=1)
        return
    farm.release(worker)
    _get_best(farm, worker, answer, most, parked)


def _get_best(farm: NaiveFarm, worker: NaiveWorker, answer: Answer, most: int, parked: Iterable[str]) -> None:
    while candidates := best(farm, worker):
        chosen = _chosen(farm, candidates, answer)
        if chosen is None:
            if lose_hopeless(farm, parked):
                continue
            raise AssertionError(f"{worker.id} got {answer}, and should have got one of {[t.id for t in candidates]}")
        if chosen.is_suspended:
            farm.give_away(chosen)
        if is_runnable(farm, chosen):
            _take(farm, worker, chosen, answer, most=most)
            return
    assert answer is None, f"{worker.id} got {answer}, and should have got nothing"


def lose_hopeless(farm: NaiveFarm, parked: Iterable[str]) -> bool:
    """Let waiting Workers look: what is given away once too often ends as failed, and nobody gets it."""
    is_change = False
    for worker_id in parked:
        worker = farm.workers[worker_id]
        while (candidates := best(farm, worker)) and _is_hopeless(farm, candidates[0]):
            farm.give_away(candidates[0])
            is_change = True
    return is_change


def _chosen(farm: NaiveFarm, candidates: Sequence[NaiveTask], answer: Answer) -> NaiveTask | None:
    if _is_hopeless(farm, candidates[0]):
        return candidates[0]
    wanted = answer.task if isinstance(answer, Handed) else None
    return next((task for task in candidates if task.id == wanted), None)


def _is_hopeless(farm: NaiveFarm, task: NaiveTask) -> bool:
    return task.is_suspended and len(task.lost) + 1 >= farm.number("lost_attempts")


def _goes_on(farm: NaiveFarm, worker: NaiveWorker, task: NaiveTask) -> bool:
    """Whether a task that its Worker holds, but does not run, is handed to it again: if it is runnable."""
    if not farm.fits(worker, task):
        return False
    if task.status == "active":
        return is_begun_and_ready(farm, task) and not task.pause_wanted
    return is_runnable(farm, task) and not what_is_used_up(farm, task) and not task.pause_wanted


def _take(farm: NaiveFarm, worker: NaiveWorker, task: NaiveTask, answer: Answer, *, most: int) -> None:
    assert isinstance(answer, Handed), f"{worker.id} was told {answer}, and should have got {task.id}"
    assert answer.task == task.id, f"{worker.id} got {answer.task}, and should have got {task.id}"
    farm.hand_out(worker, task)
    assert answer.attempt == task.attempt, f"attempt {answer.attempt} of {task.id}, not {task.attempt}"
    assert len(answer.ahead) <= most - 1
    for task_id, attempt in answer.ahead:
        _take_ahead(farm, worker, task, task_id, attempt)


def _take_ahead(farm: NaiveFarm, worker: NaiveWorker, first: NaiveTask, task_id: str, attempt: int) -> None:
    """Tasks of the same job, in their order, of which nothing is counted and nothing has gone wrong yet."""
    job = first.job
    mine = [task for task in job.tasks if is_allowed(farm, worker, task) and task.type == first.type]
    easy = [task for task in mine if not (task.failed_by or task.lost or task.holder)]
    easy = [task for task in easy if farm.needs_of(task) == farm.needs_of(first)]
    assert easy, f"{task_id} was handed out ahead of time, and may not be"
    task = min(easy, key=lambda one: (-one.priority, one.index))
    assert task.id == task_id, f"{task_id} was handed out ahead of time, and {task.id} comes first"
    assert job.max_workers is None
    assert not farm.needs_of(task).limits
    farm.reserve(worker, task)
    assert task.attempt == attempt


def reasons(farm: NaiveFarm, task: NaiveTask) -> set[str]:
    """All that is true of why a task does not run: codes."""
    if task.status == "active":
        return {"running"}
    if task.status in ENDED:
        return {"ended"}
    if task.reserved is not None:
        return {"next"}
    return _of_the_job(farm, task) | what_is_used_up(farm, task) | _of_the_workers(farm, task)


def is_idle(farm: NaiveFarm, worker: NaiveWorker) -> bool:
    """It has nothing to run, now or next."""
    return worker.id not in {name for task in farm.tasks() for name in (task.holder, task.reserved)}


def _of_the_job(farm: NaiveFarm, task: NaiveTask) -> set[str]:
    job, found = task.job, set()
    if job.status in SET_ASIDE:
        found.add("job-paused")
    if job.status in ENDED:
        found.add("job-ended")
    if farm.is_held_back(job):
        if job.start_after is not None and farm.now < job.start_after:
            found.add("start-time")
        if not all(farm.is_met(job_id, ended) for job_id, ended in job.needs_jobs):
            found.add("waits-for-job")
    if task.status == "paused" and job.status in ("queued", "active"):
        found.add("paused")
    if any(other.status != "completed" for other in task.waits_for):
        found.add("waits-for-tasks")
    return found


def _of_the_workers(farm: NaiveFarm, task: NaiveTask) -> set[str]:
    here = [worker for worker in farm.workers.values() if not worker.gone]
    able = [worker for worker in here if farm.fits(worker, task)]
    if not able:
        return {"no-gpu", "no-memory", "no-tag", "no-type", "no-workers"}
    working = farm.awake_and_able(task)
    refused = {worker.id: refusal(farm, worker, task) for worker in working}
    fit = [worker for worker in working if refused[worker.id] is None]
    found = {why for why in refused.values() if why}
    found |= {"soon" if is_idle(farm, worker) else "busy" for worker in fit}
    for worker in able:
        if not worker.approved:
            found.add("not-approved")
        elif worker.status == "asleep":
            found.add("asleep")
        elif worker.status != "awake":
            found.add("offline")
        elif not worker.is_at_work:
            found.add("leaving")
    return found
