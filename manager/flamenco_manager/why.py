"""Why a task does not run: the first reason that holds it back, and those behind it (jobs.md, ux.md). Pure.

Everything is asked of the functions that decide: ``is_runnable`` and its parts, ``limits.used_up``, ``is_full``,
``lack_of`` and ``refusal``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_manager.choosing import Refusal, refusal
from flamenco_manager.farm import Farm
from flamenco_manager.fitting import ANY_GPU, Lack, can_take, lack_of
from flamenco_manager.model import Job, Moment, Task, Worker
from flamenco_manager.task_rules import is_full

MOST_NAMES = 20
"""A reason names at most so many tasks or Workers."""
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that holds a task back. ``workers`` are names, ``act`` is what would help, ``code`` never changes."""

    code: str
    text: str
    count: int | None = None
    workers: Sequence[str] = ()
    act: str = ""

    def document(self) -> dict[str, object]:
        """Return it as it travels; what is not known is left out."""
        said: dict[str, object] = {"code": self.code, "text": self.text}
        if self.count is not None:
            said["count"] = self.count
        if self.workers:
            said["workers"] = list(self.workers[:MOST_NAMES])
        if self.act:
            said["act"] = self.act
        return said


def why(farm: Farm, task: Task, now: Moment) -> list[Reason]:
    """Return what holds a task back, the first that matters first; for one that runs or has ended, just that."""
    if (settled := _settled(task)) is not None:
        return [settled]
    reasons = [*_of_the_job(task.job, now), *_of_the_task(task), *_of_the_farm(farm, task)]
    of_workers = [reason for reason in _of_the_workers(farm, task, now) if not reasons or reason.code != "soon"]
    return reasons + of_workers


def _settled(task: Task) -> Reason | None:
    holder = task.worker.name if task.worker is not None else "a Worker"
    if task.status is TaskStatus.ACTIVE:
        return Reason("running", f"It runs on {holder}.")
    if task.status.is_ended:
        act = "" if task.status is TaskStatus.COMPLETED else "requeue it"
        return Reason("ended", f"It has ended, as {task.status}.", act=act)
    if task.is_reserved:
        return Reason("next", f"{holder} runs it next.")
    return None


def _of_the_job(job: Job, now: Moment) -> Iterator[Reason]:
    if job.status in (JobStatus.PAUSED, JobStatus.PAUSE_REQUESTED):
        yield Reason("job-paused", "Its job is paused.", act="resume the job")
    if job.status.is_ended:
        yield Reason("job-ended", f"Its job has ended, as {job.status}.", act="requeue it")
    if not job.is_held_back:
        return
    if job.start_after is not None and now.wall < job.start_after:
        yield Reason("start-time", f"Its job starts at {job.start_after:%Y-%m-%d %H:%M} UTC.")
    for needed in job.needs_jobs:
        if not needed.is_met:
            end = "ends" if needed.ended else "is completed"
            yield Reason("waits-for-job", f"Its job waits until job {needed.id} {end}.")


def _of_the_task(task: Task) -> Iterator[Reason]:
    if task.status is TaskStatus.PAUSED and task.job.status.is_runnable:
        yield Reason("paused", "It is paused.", act="requeue it, or resume the job")
    waits_for = [task.job.tasks[index] for index in task.depends_on]
    unfinished = [other.name for other in waits_for if other.status is not TaskStatus.COMPLETED]
    if unfinished:
        stuck = [other.name for other in waits_for if other.status in (TaskStatus.FAILED, TaskStatus.CANCELED)]
        act = f"requeue {_listed(stuck)}" if stuck else ""
        yield Reason("waits-for-tasks", f"It waits for {_listed(unfinished)}.", len(unfinished), act=act)


def _of_the_farm(farm: Farm, task: Task) -> Iterator[Reason]:
    if farm.awaits_server:
        text = "The Manager's store was restored: it hands out nothing until the Server has said what it knows."
        yield Reason("restored", text, act="wait until the Server can be reached")
    used_up = farm.limits.used_up(task.kind)
    if used_up is not None and used_up.is_project:
        text = f"Project {used_up.name} has as many Workers as it may have ({used_up.capacity})."
        yield Reason("project-cap", text, used_up.used, act="wait, or raise the project's cap")
    elif used_up is not None and used_up.capacity is None:
        text = f"The farm has no limit called {used_up.name}."
        yield Reason("no-such-limit", text, act=f"add {used_up.name} to the farm's settings")
    elif used_up is not None:
        text = (
            f"The limit {used_up.name} is used up: {used_up.used} of {used_up.capacity}, and it wants {used_up.wanted}."
        )
        yield Reason("limit", text, used_up.used, act="wait, or raise the limit")
    if is_full(task.job):
        text = f"Its job has as many Workers as it may have ({task.job.max_workers})."
        yield Reason("max-workers", text, task.job.max_workers, act="raise the job's number of Workers")


def _of_the_workers(farm: Farm, task: Task, now: Moment) -> Iterator[Reason]:
    workers = list(farm.workers.values())
    able = [worker for worker in workers if can_take(worker, task.kind)]
    if not able:
        yield _what_all_lack(workers, task)
        return
    awake = [worker for worker in able if worker.is_at_work]
    refused = {worker.id: refusal(farm, worker, task, now) for worker in awake}
    willing = [worker for worker in awake if refused[worker.id] is None]
    free = [worker for worker in willing if worker.is_idle]
    busy = [worker for worker in willing if not worker.is_idle]
    if free:
        yield Reason("soon", f"{_people(free)} can take it at once.", len(free), _names(free))
        return
    if busy:
        place = farm.scheduler.ahead_of(task) + 1
        who = f"All {len(busy)} Workers that can take it are" if len(busy) > 1 else "The one Worker that can take it is"
        text = f"{who} busy; it is number {place} in line."
        yield Reason("busy", text, place, _names(busy))
    yield from _those_who_refuse(awake, refused)
    yield from _those_not_awake(able)


def _what_all_lack(workers: Sequence[Worker], task: Task) -> Reason:
    kind = task.kind
    lacks = {worker.id: lack_of(worker, kind) for worker in workers}

    def having(*missing: Lack) -> list[Worker]:
        return [worker for worker in workers if lacks[worker.id] in missing]

    if near := having(Lack.GPU):
        wanted = "GPU" if kind.gpu == ANY_GPU else f"GPU for {kind.gpu}"
        return Reason("no-gpu", f"No Worker that would fit has a {wanted}.", len(near), _names(near))
    if near := having(Lack.MEMORY):
        text = f"No Worker that would fit has {kind.memory_bytes / MEBIBYTE:,.0f} MiB of memory."
        return Reason("no-memory", text, len(near), _names(near))
    if near := having(Lack.TAG):
        text = f"No Worker with tasks of type {kind.type} has the tag {kind.tag}."
        return Reason("no-tag", text, len(near), _names(near), "change the job's tag, or tag a Worker")
    if not workers:
        return Reason("no-workers", "There are no Workers yet.", 0, act="start one: flamenco worker")
    return Reason("no-type", f"No Worker takes tasks of type {kind.type}.", len(workers), act="add such a Worker")


def _those_who_refuse(awake: Iterable[Worker], refused: dict[str, Refusal | None]) -> Iterator[Reason]:
    of: Callable[[Refusal], list[Worker]] = lambda kind: [w for w in awake if refused[w.id] is kind]  # noqa: E731
    if workers := of(Refusal.BLOCKED):
        text = f"{_people(workers)} failed too many such tasks of this job."
        yield Reason("blocked", text, len(workers), _names(workers), "unblock it")
    if workers := of(Refusal.WAITS):
        yield Reason(
            "retry-later", f"{_people(workers)} failed it and will try again soon.", len(workers), _names(workers)
        )
    if workers := of(Refusal.FAILED_IT):
        yield Reason("failed-it", f"{_people(workers)} failed it.", len(workers), _names(workers))
    if workers := of(Refusal.MARKED):
        yield Reason(
            "marked", f"{_people(workers)} may still send results of an earlier run.", len(workers), _names(workers)
        )


def _those_not_awake(able: Sequence[Worker]) -> Iterator[Reason]:
    if workers := [worker for worker in able if not worker.is_approved]:
        yield Reason("not-approved", f"{_are(workers)} not approved yet.", len(workers), _names(workers), "approve it")
    known = [worker for worker in able if worker.is_approved]
    if workers := [worker for worker in known if worker.status is WorkerStatus.ASLEEP]:
        yield Reason("asleep", f"{_are(workers)} asleep.", len(workers), _names(workers), "wake it")
    if workers := [worker for worker in known if worker.status is WorkerStatus.AWAKE and not worker.is_at_work]:
        yield Reason("leaving", f"{_are(workers)} asked to stop working.", len(workers), _names(workers))
    if workers := [worker for worker in known if worker.status not in (WorkerStatus.AWAKE, WorkerStatus.ASLEEP)]:
        yield Reason("offline", f"{_are(workers)} not in touch.", len(workers), _names(workers), "start it")


def _people(workers: Sequence[Worker]) -> str:
    return workers[0].name if len(workers) == 1 else f"{len(workers)} Workers"


def _are(workers: Sequence[Worker]) -> str:
    return f"{_people(workers)} {'is' if len(workers) == 1 else 'are'}"


def _names(workers: Iterable[Worker]) -> list[str]:
    return [worker.name for worker in workers]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    return shown if len(names) <= MOST_NAMES else f"{shown} and {len(names) - MOST_NAMES} more"
