"""Farms for tests of the pure rules."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flamenco_core.identifiers import task_id
from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.definitions import JobDefinition, NeededJob, Needs
from flamenco_core.wire.worker_api import Hardware, SavedFrame, TaskUpdate, WorkerSignOn
from flamenco_manager import asked_of_jobs, attempts, job_rules, leases, worker_rules
from flamenco_manager.attempts import Answer, HandOut, Verdict
from flamenco_manager.farm import Farm
from flamenco_manager.model import Job, Moment, Policy, Task, Worker
from flamenco_manager.task_rules import ended_as, is_full, is_runnable
from flamenco_manager.waiting import JobState

EPOCH = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Site:
    """A farm with a clock that moves when it is told to, past the grace of its start."""

    def __init__(self, **policy: float) -> None:
        self.farm = Farm(Policy(start_up_grace_s=0.0, **policy))  # type: ignore[arg-type]
        self.passed_s = 0.0
        leases.begin(self.farm, self.now)
        self.number = 0

    @property
    def now(self) -> Moment:
        return Moment(EPOCH + timedelta(seconds=self.passed_s), 1000.0 + self.passed_s)

    def job(self, waits_for: Sequence[Sequence[int]] = ((),), **details: Any) -> Job:
        """Add a job; the arguments are those of ``arrives``."""
        return self.arrives(self.announced(), waits_for, **details)

    def announced(self) -> Job:
        """Add a job that is still on its way."""
        self.number += 1
        job = Job(id=f"00000000-0000-4000-8000-{self.number:012}", key=self.number)
        job_rules.announce(self.farm, job)
        return job

    def arrives(
        self,
        job: Job,
        waits_for: Sequence[Sequence[int]] = ((),),
        *,
        priority: int = 50,
        priorities: Sequence[int] | None = None,
        needs: Needs | None = None,
        asked: Mapping[str, object] | None = None,
        others: Mapping[str, JobState] | None = None,
        **task: object,
    ) -> Job:
        """Let a job come; for each task, the indexes that it waits for.

        ``asked`` are more members of its definition; ``others`` are jobs that left memory.
        """
        more: dict[str, Any] = dict(asked or {})
        count = len(waits_for)
        definition = JobDefinition(job.id, "shot", "test", priority, "admin", self.now.wall, count, **more)
        job_rules.define(self.farm, job, definition)
        task_type = str(task.pop("type", "misc"))
        tasks = [
            Task(
                **{  # type: ignore[arg-type]
                    "id": task_id(job.id, index),
                    "key": (job.key << 20) + index,
                    "job": job,
                    "index": index,
                    "name": f"task-{index}",
                    "kind": self.farm.kind_of(job, task_type, needs),
                    "needs": needs,
                    "priority": priorities[index] if priorities else 50,
                    "steps_total": 1,
                    "depends_on": indexes,
                    **task,
                }
            )
            for index, indexes in enumerate(waits_for)
        ]
        job_rules.start(self.farm, job, tasks, self.now, others)
        return job

    def worker(
        self,
        *,
        ours: bool = True,
        types: Sequence[str] = ("misc", "blender"),
        awake: bool = True,
        tags: Iterable[str] = (),
        hardware: Hardware | None = None,
    ) -> Worker:
        """Add an approved Worker that is awake."""
        self.number += 1
        worker = Worker(
            f"00000000-0000-4000-9000-{self.number:012}", b"", f"w{self.number}", "linux", "127.0.0.1", types
        )
        worker.is_approved, worker.tags, worker.hardware = True, frozenset(tags), hardware
        self.farm.workers[worker.id] = worker
        self.sign_on(worker, ours=ours)
        if awake:
            worker_rules.say_status(self.farm, worker, WorkerStatus.AWAKE, self.now)
        return worker

    def sign_on(self, worker: Worker, *, ours: bool = True) -> WorkerStatus:
        features = ("attempt",) if ours else ()
        said = WorkerSignOn(worker.name, tuple(worker.task_types), "4", features=features)
        return worker_rules.sign_on(self.farm, worker, said, self.now)

    def comes_back(self, worker: Worker) -> Answer:
        """Let a Worker that had died start again, and ask."""
        self.sign_on(worker, ours=worker.knows_attempts)
        worker_rules.say_status(self.farm, worker, WorkerStatus.AWAKE, self.now)
        return attempts.ask(self.farm, worker, self.now)

    def ask(self, worker: Worker, most: int = 1) -> Answer:
        worker_rules.heard(self.farm, worker, self.now)
        return attempts.ask(self.farm, worker, self.now, most)

    def takes_ahead(self, worker: Worker, most: int = 16) -> tuple[Task, list[Task]]:
        """Let a Worker take a task, and short ones ahead of time."""
        answer = self.ask(worker, most)
        assert isinstance(answer, HandOut), answer
        return answer.task, [ahead.task for ahead in answer.ahead]

    def runs(self, worker: Worker, task: Task, seconds: float, status: str = "completed") -> Verdict:
        """Let a Worker begin a task, and end it so many seconds later."""
        self.says(worker, task, "active")
        self.passes(seconds, *self.farm.workers.values())
        return self.says(worker, task, status)

    def takes(self, worker: Worker) -> Task:
        """Let a Worker take a task; there must be one."""
        answer = self.ask(worker)
        assert isinstance(answer, HandOut), answer
        return answer.task

    def says(self, worker: Worker, task: Task, status: str | None = None, **said: object) -> Verdict:
        """Let a Worker say something of a task, about its present attempt unless told otherwise."""
        if worker.knows_attempts:
            said.setdefault("attempt", task.attempt)
        worker_rules.heard(self.farm, worker, self.now)
        update = TaskUpdate(task_status=TaskStatus(status) if status else None, **said)  # type: ignore[arg-type]
        return attempts.update(self.farm, worker, task, update, self.now)

    def passes(self, seconds: float, *present: Worker) -> None:
        """Let time pass, with a tick each second; ``present`` Workers stay in touch."""
        end = self.passed_s + seconds
        while self.passed_s < end:
            self.passed_s = min(self.passed_s + 1.0, end)
            leases.tick(self.farm, self.now, {worker.id for worker in present})

    def pause(self, job: Job) -> None:
        asked_of_jobs.pause(self.farm, job, self.now)

    def resume(self, job: Job) -> None:
        asked_of_jobs.resume(self.farm, job, self.now)

    def cancel(self, job: Job) -> None:
        job_rules.cancel(self.farm, job, self.now)

    def requeue(self, job: Job, *indexes: int, which: str = "chosen", seen: int | None = None) -> int:
        chosen = asked_of_jobs.select(job, which, [job.tasks[index].id for index in indexes])
        return asked_of_jobs.requeue(self.farm, job, chosen, self.now, seen)

    def completes(self, *jobs: Job) -> None:
        """Let a new Worker complete all that it gets; that must be all of these jobs."""
        worker = self.worker()
        while isinstance(answer := self.ask(worker), HandOut):
            self.says(worker, answer.task, "completed")
        assert [job.status for job in jobs] == [JobStatus.COMPLETED] * len(jobs)

    def check(self) -> None:
        """Compare everything that is kept with what it is kept of."""
        check_farm(self.farm)


def check_farm(farm: Farm) -> None:
    """Compare everything that a farm keeps with what it is kept of: the invariants of quality.md 4.1."""
    for job in farm.jobs.values():
        _check_job(farm, job)
        _check_listed(job)
    for worker in farm.workers.values():
        mine = [task for task in farm.tasks.values() if task.worker is worker]
        assert [task for task in mine if task.is_held] == ([worker.task] if worker.task else [])
        assert {task.id for task in mine if task.is_reserved} == {task.id for task in worker.reserved}
    _check_limits(farm)


def statuses(job: Job) -> list[TaskStatus]:
    return [task.status for task in job.tasks]


def needed(job: Job, *, ended: bool = False) -> NeededJob:
    """One that another job waits for, as it stands in that one's definition."""
    return NeededJob(job.id, ended)


def a_saved_frame(number: int) -> SavedFrame:
    return SavedFrame(number, f"/out/{number}.png", 10, "a" * 64)


def _check_job(farm: Farm, job: Job) -> None:
    if job.status is JobStatus.UNDER_CONSTRUCTION:
        return
    counts = {status: sum(task.status is status for task in job.tasks) for status in TaskStatus}
    assert {status: count for status, count in job.counts.items() if count} == {
        status: count for status, count in counts.items() if count
    }
    assert job.steps_completed == sum(task.steps_completed for task in job.tasks)
    assert job.failed_with_job == sum(task.failed_with_job for task in job.tasks)
    assert {key: failed for key, failed in job.failures.items() if failed} == _failures(job)
    assert not (job.is_held_back and job.status in (JobStatus.ACTIVE, JobStatus.PAUSE_REQUESTED))
    for task in job.tasks:
        waits_for = [job.tasks[index] for index in task.depends_on]
        assert task.open_dependencies == sum(other.status is not TaskStatus.COMPLETED for other in waits_for)
        if task.status is TaskStatus.ACTIVE:
            assert task.is_held
            assert task.worker is not None
            assert task.worker.task is task
            assert job.status in (JobStatus.ACTIVE, JobStatus.PAUSE_REQUESTED)
        if task.is_reserved:
            assert task.status is TaskStatus.QUEUED
            assert not task.is_held
        if job.status.is_ended:
            assert not is_runnable(task)
            assert not task.is_held
            assert not task.is_reserved
    assert job.live == sum(_lives(job, task) for task in job.tasks)
    end = ended_as(counts, live=job.live, failed_with_job=job.failed_with_job, cancelled=job.is_cancelled)
    assert end == (job.status if job.status.is_ended or job.status is JobStatus.PAUSED else None)


def _check_listed(job: Job) -> None:
    """All that is runnable is listed, once, in the list of its kind; each list is a heap."""
    listed = [task for heap in job.ready.values() for _, _, task in heap]
    assert len({task.id for task in listed}) == len(listed)
    assert {task.id for task in listed} == {task.id for task in job.tasks if task.is_listed}
    assert all(task.is_listed for task in job.tasks if is_runnable(task))
    for kind, heap in job.ready.items():
        assert all(task.kind is kind for _, _, task in heap)
        assert all(heap[(at - 1) // 2][:2] < heap[at][:2] for at in range(1, len(heap)))
    assert job.is_passed_over == is_full(job)


def _check_limits(farm: Farm) -> None:
    """Tasks hold of limits while they are active, and only then."""
    used: dict[str, int] = {}
    for task in farm.tasks.values():
        if task.status is TaskStatus.ACTIVE:
            for name, held in task.kind.limits:
                used[name] = used.get(name, 0) + held
    assert dict(farm.limits.in_use()) == used


def _failures(job: Job) -> dict[tuple[str, str], set[int]]:
    found: dict[tuple[str, str], set[int]] = {}
    for task in job.tasks:
        for entry in task.failed_by:
            found.setdefault((entry.worker, task.type), set()).add(task.index)
    return found


def _lives(job: Job, task: Task) -> bool:
    """The naive reading of "active, runnable, or may become so without anybody's doing"."""
    if task.status is TaskStatus.ACTIVE:
        return True
    if not task.status.is_waiting:
        return False
    return all(
        job.tasks[index].status is TaskStatus.COMPLETED or _lives(job, job.tasks[index]) for index in task.depends_on
    )
