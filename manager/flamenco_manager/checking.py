"""Whether what a Manager keeps fits together: counts, lists, who holds what. Pure; each question is about one moment.

Each function yields what is wrong, in words. None of them mends anything.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_manager.farm import Farm
from flamenco_manager.model import Job, Task, Worker
from flamenco_manager.scheduler import listed
from flamenco_manager.task_rules import ended_as, is_full, is_live, is_runnable, is_stuck

RESTART = "Restart the Manager: it reads everything anew from its store."
REPAIR = "'flamenco manager repair' would "
LOST = "Put a backup back: 'flamenco manager restore FILE'."

Statement = tuple[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be.

    ``about`` names the kind of thing and its id, ``advice`` says what to do; ``mending`` are the statements on the
    stored rows that do it, where that can be done.
    """

    about: str
    what: str
    advice: str = RESTART
    mending: Sequence[Statement] = ()

    def __str__(self) -> str:
        return f"{self.about}: {self.what} {self.advice}"

    @property
    def is_repairable(self) -> bool:
        """``flamenco manager repair`` mends it."""
        return REPAIR in self.advice

    def document(self) -> dict[str, object]:
        """Return it as programs read it."""
        return {"about": self.about, "what": self.what, "advice": self.advice, "is_repairable": self.is_repairable}


Check = Callable[[Farm, Job], Iterator[Finding]]


def check_farm(farm: Farm) -> Iterator[Finding]:
    """Look at everything in memory."""
    for job in farm.jobs.values():
        if job.is_whole:
            yield from check_whole_job(farm, job)
        for task in job.tasks:
            yield from check_task(farm, task)
    for worker in farm.workers.values():
        yield from check_worker(farm, worker)
    yield from check_limits(farm)


def check_whole_job(farm: Farm, job: Job) -> Iterator[Finding]:
    """Look at a job, but for what ``check_task`` says of each of its tasks."""
    for check in JOB_CHECKS:
        yield from check(farm, job)


def check_task(farm: Farm, task: Task) -> Iterator[Finding]:
    """Look at a task: what it waits for, who holds it, whether it is listed for hand-out."""
    about, job = f"task {task.id}", task.job
    if farm.tasks.get(task.id) is not task:
        yield Finding(about, "It is not found by its id.")
    waits_for = [job.tasks[index] for index in task.depends_on]
    open_now = sum(other.status is not TaskStatus.COMPLETED for other in waits_for)
    stuck_now = sum(map(is_stuck, waits_for))
    if (task.open_dependencies, task.stuck_dependencies) != (open_now, stuck_now):
        counted = f"{task.open_dependencies} open and {task.stuck_dependencies} stuck"
        yield Finding(about, f"It waits for {open_now} open and {stuck_now} stuck tasks, not for {counted} ones.")
    yield from _check_holder(task, about)
    if is_runnable(task) and not task.is_listed:
        yield Finding(about, "It could run, and is in no list of what is handed out.")


def _check_holder(task: Task, about: str) -> Iterator[Finding]:
    worker, job = task.worker, task.job
    if task.status is TaskStatus.ACTIVE and not task.is_held:
        yield Finding(about, "It is active, and no attempt holds it.")
    if task.status is TaskStatus.ACTIVE and job.status not in (JobStatus.ACTIVE, JobStatus.PAUSE_REQUESTED):
        yield Finding(about, f"It is active in a job that is {job.status}.")
    if task.is_held and (worker is None or worker.task is not task):
        yield Finding(about, f"An attempt of {_name(worker)} holds it, and that Worker does not know.")
    if task.is_reserved and (worker is None or task not in worker.reserved):
        yield Finding(about, f"It is next at {_name(worker)}, and that Worker does not have it.")
    if task.is_reserved and (task.is_held or task.status is not TaskStatus.QUEUED):
        yield Finding(about, f"It is handed out ahead of time, and is {task.status}.")
    if job.status.is_ended and (task.is_held or task.is_reserved):
        yield Finding(about, f"A Worker has it, though its job is {job.status}.")


def check_worker(farm: Farm, worker: Worker) -> Iterator[Finding]:
    """Look at a Worker: what it holds must be held by it."""
    about = f"Worker {worker.id}"
    held = worker.task
    if held is not None and (not held.is_held or held.worker is not worker or farm.tasks.get(held.id) is not held):
        yield Finding(about, f"It has task {held.id}, which is not held by it.")
    for task in worker.reserved:
        if not task.is_reserved or task.worker is not worker or farm.tasks.get(task.id) is not task:
            yield Finding(about, f"It has task {task.id} ahead of time, which is not reserved for it.")


def check_limits(farm: Farm) -> Iterator[Finding]:
    """Tasks hold of the farm's limits while they are active, and only then."""
    used: Counter[str] = Counter()
    for worker in farm.workers.values():
        if worker.task is not None and worker.task.status is TaskStatus.ACTIVE:
            used.update(dict(worker.task.kind.limits))
    counted = dict(farm.limits.in_use())
    for name in sorted({*used, *counted}):
        if used[name] != counted.get(name, 0):
            yield Finding(f"limit {name}", f"{used[name]} of it are in use, and {counted.get(name, 0)} are counted.")


def end_of(job: Job) -> JobStatus | None:
    """Tell what a job must be by the statuses of its tasks; None: it has not ended."""
    return ended_as(job.counts, live=job.live, failed_with_job=job.failed_with_job, cancelled=job.is_cancelled)


def counts_in_words(counts: Mapping[Any, int]) -> str:
    """Write counts: ``2 completed, 1 queued``."""
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()) if count) or "none"


def _check_counts(_: Farm, job: Job) -> Iterator[Finding]:
    found = Counter(task.status for task in job.tasks)
    if _counted(job.counts) != _counted(found):
        what = f"Its tasks are {counts_in_words(found)}; counted are {counts_in_words(job.counts)}."
        yield Finding(f"job {job.id}", what)


def _check_sums(_: Farm, job: Job) -> Iterator[Finding]:
    for name in ("steps_completed", "steps_total", "failed_with_job"):
        found, counted = sum(getattr(task, name) for task in job.tasks), getattr(job, name)
        if found != counted:
            yield Finding(f"job {job.id}", f"Its {name} is {counted}; its tasks make {found}.")


def _check_live(_: Farm, job: Job) -> Iterator[Finding]:
    found = sum(map(is_live, job.tasks))
    if found != job.live:
        yield Finding(f"job {job.id}", f"{found} of its tasks can go on, and {job.live} are counted.")


def _check_failures(_: Farm, job: Job) -> Iterator[Finding]:
    found: dict[tuple[str, str], set[int]] = {}
    for task in job.tasks:
        for entry in task.failed_by:
            found.setdefault((entry.worker, task.type), set()).add(task.index)
    if {key: indexes for key, indexes in job.failures.items() if indexes} != found:
        yield Finding(f"job {job.id}", "Who failed which of its tasks is not what its tasks say.")


def _check_status(_: Farm, job: Job) -> Iterator[Finding]:
    """I6: the status of a job follows from those of its tasks, and from what people asked."""
    end, is_over = end_of(job), job.status.is_ended or job.status is JobStatus.PAUSED
    if end is not (job.status if is_over else None):
        yield Finding(f"job {job.id}", f"It is {job.status}, and by its tasks it {_must_be(end)}.", LOOK_AT_START)
    if job.is_held_back and job.status in (JobStatus.ACTIVE, JobStatus.PAUSE_REQUESTED):
        yield Finding(f"job {job.id}", f"It is {job.status}, though it is held back.")


def _check_lists(farm: Farm, job: Job) -> Iterator[Finding]:
    """Look at what is listed: in one list, of its kind; the job stands in those of its kinds unless it is full."""
    about = f"job {job.id}"
    entries = [(kind, task) for kind, heap in job.ready.items() for _, _, task in heap]
    if len(entries) != sum(task.is_listed for task in job.tasks) or not all(task.is_listed for _, task in entries):
        yield Finding(about, "Its lists of what is handed out do not hold just the tasks that are said to be in them.")
    if any(task.kind is not kind for kind, task in entries):
        yield Finding(about, "One of its tasks is in the list of another kind of tasks.")
    if job.is_passed_over != is_full(job):
        yield Finding(about, f"It has {'not ' if job.is_passed_over else ''}as many Workers as it may have.")
    for kind in job.ready:
        if farm.scheduler.has_entered(job, kind) == job.is_passed_over:
            yield Finding(about, f"Among the jobs with {kind.type} tasks it is not where it belongs.")
    if job.status.is_ended and any(True for _ in listed(job)):
        yield Finding(about, f"It is {job.status}, and some of its tasks are listed to be handed out.")


LOOK_AT_START = f"The Manager mends this when it starts; {REPAIR}do it as well."

JOB_CHECKS: Sequence[Check] = (
    _check_counts,
    _check_sums,
    _check_live,
    _check_failures,
    _check_status,
    _check_lists,
)
"""What is looked at of a job, each in one go; none of it is said of one that is still on its way."""


def _must_be(end: JobStatus | None) -> str:
    return "has not ended" if end is None else f"must be {end}"


def _counted(counts: Mapping[TaskStatus, int]) -> dict[TaskStatus, int]:
    return {status: count for status, count in counts.items() if count}


def _name(worker: Worker | None) -> str:
    return "a Worker that is gone" if worker is None else f"Worker {worker.id}"
