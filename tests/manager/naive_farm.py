"""The farm as jobs.md and worker-api.md word it, and nothing cleverer.

A model to compare the Manager's rules with, written from those pages and not from the rules: no counts and no lists are
kept, everything is looked up and counted anew each time. What Workers say is in ``naive_words``, what time brings in
``naive_time``, who gets which task in ``naive_choosing``, what people may ask in ``naive_requests``.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from naive_records import ENDED, SET_ASIDE, WAITING, NaiveJob, NaiveNeeds, NaiveTask, NaiveWorker, Run


class NaiveFarm:
    """All of a site, and what happens to it by itself and through its Workers."""

    def __init__(self, settings: Mapping[str, object], tally: Counter[str]) -> None:
        self.tally = tally
        """How often which rule had to decide."""
        self.settings: dict[str, object] = dict(settings)
        self.jobs: dict[str, NaiveJob] = {}
        self.workers: dict[str, NaiveWorker] = {}
        self.runs: dict[tuple[str, int], Run] = {}
        self.now = self.ticked = self.started = 0.0
        self.step = 0
        """The number of what happens now."""

    # What there is.

    def tasks(self) -> Iterator[NaiveTask]:
        for job in self.jobs.values():
            yield from () if job.erased else job.tasks

    def task(self, task_id: str) -> NaiveTask | None:
        return next((task for task in self.tasks() if task.id == task_id), None)

    def held(self, worker: NaiveWorker) -> NaiveTask | None:
        """What a Worker holds: one task at most (I1)."""
        mine = [task for task in self.tasks() if task.holder == worker.id]
        assert len(mine) <= 1, f"{worker.id} holds {[task.id for task in mine]}"
        return mine[0] if mine else None

    def number(self, name: str) -> float:
        value = self.settings[name]
        assert isinstance(value, int | float)
        return value

    # Jobs: "One rule ends a job", and when they begin.

    def is_live(self, task: NaiveTask) -> bool:
        """Active, runnable, or may become runnable without somebody's doing."""
        if task.status == "active":
            return True
        if task.status not in WAITING:
            return False
        return all(other.status == "completed" or self.is_live(other) for other in task.waits_for)

    def look_at_end(self, job: NaiveJob) -> None:
        if job.status in ENDED or job.status == "under-construction":
            return
        if any(map(self.is_live, job.tasks)):
            if job.status == "pause-requested" and not any(task.status == "active" for task in job.tasks):
                self.pause_what_waits(job)
            return
        if all(task.status == "completed" for task in job.tasks):
            job.status = "completed"
        elif any(task.status == "paused" for task in job.tasks):
            job.status = "paused"
        elif job.cancelled or not any(task.status == "failed" or task.canceled_by_failure for task in job.tasks):
            job.status = "canceled"
        else:
            job.status = "failed"

    def pause_what_waits(self, job: NaiveJob) -> None:
        """What waits in a job that is about to be paused runs only by a resume: the job is paused, and so is that."""
        job.status = "paused"
        for task in job.tasks:
            if task.status in WAITING:
                task.status = "paused"

    def is_met(self, job_id: str, ended: bool) -> bool:
        """Deleted counts as ended, not as completed; so does a job that is gone."""
        other = self.jobs.get(job_id)
        if other is None or other.erased or other.deleted:
            return ended
        return other.status == "completed" or (ended and other.status in ENDED)

    def is_held_back(self, job: NaiveJob) -> bool:
        if job.started:
            return False
        is_early = job.start_after is not None and self.now < job.start_after
        return is_early or not all(self.is_met(job_id, ended) for job_id, ended in job.needs_jobs)

    def look_at_waiting_jobs(self) -> None:
        """A job that waits for another stays queued."""
        for job in self.jobs.values():
            if job.status == "active" and self.is_held_back(job):
                job.status = "queued"

    # Attempts.

    def end_attempt(self, task: NaiveTask) -> None:
        task.reserved = None
        if task.holder is not None:
            worker = self.workers[task.holder]
            worker.signed_on_since = False
            task.holder = None
            if not worker.ours:
                task.marks[worker.id] = self.now

    def wait_again(self, task: NaiveTask, status: str = "queued") -> None:
        """It becomes queued or soft-failed by itself; where people paused it or its job, paused instead."""
        task.status = "paused" if task.pause_wanted or task.job.status in SET_ASIDE else status

    def hold(self, worker: NaiveWorker, task: NaiveTask) -> None:
        task.holder, task.reserved = worker.id, None
        task.touched = task.begun_at = task.output_at = self.now
        task.steps = 0
        worker.signed_on_since = False
        self.tally["tasks begun or handed out"] += 1
        self.runs[task.id, task.attempt] = Run(worker.id)
        task.job.started = True
        self.becomes_active(task)

    def becomes_active(self, task: NaiveTask) -> None:
        task.status = "active"
        if task.job.status == "queued":
            task.job.status = "active"
        elif task.job.status == "paused":
            task.job.status = "pause-requested"

    def hand_out(self, worker: NaiveWorker, task: NaiveTask) -> None:
        is_again = task.holder == worker.id
        self.tally["handed to the same Worker again"] += is_again
        task.begun = is_again and task.begun and not worker.ours
        task.attempt += 1
        self.hold(worker, task)

    def reserve(self, worker: NaiveWorker, task: NaiveTask) -> None:
        task.attempt += 1
        task.reserved, task.begun = worker.id, False
        self.tally["handed out ahead of time"] += 1
        self.runs[task.id, task.attempt] = Run(worker.id)

    def give_away(self, task: NaiveTask) -> None:
        """A suspended attempt counts as lost, until its Worker turns out to have been out of touch only."""
        assert task.holder is not None
        self.tally["suspended and given away"] += 1
        silent, attempt = self.workers[task.holder], task.attempt
        self.count_lost(task)
        if task.holder is not None:
            self.end_attempt(task)
            silent.given_away = (task, attempt)

    def give_back_reserved(self, worker: NaiveWorker) -> None:
        for task in self.tasks():
            if task.reserved == worker.id:
                task.reserved = None

    def release(self, worker: NaiveWorker, *, is_lost: bool = False) -> None:
        """It runs its task no more: that attempt ends, and the task waits again."""
        self.give_back_reserved(worker)
        task = self.held(worker)
        if task is None:
            return
        if is_lost:
            self.count_lost(task)
        if task.holder is None:
            return
        self.end_attempt(task)
        if task.status == "active":
            self.wait_again(task)
        self.look_at_end(task.job)

    def take_back(self, task_id: str, attempt: int, ahead: Sequence[tuple[str, int]]) -> None:
        """The answer could not be delivered: nobody is to blame."""
        for other, number in ahead:
            self.give_back_ahead(other, number)
        task = self.task(task_id)
        if task is not None and task.holder is not None and task.attempt == attempt:
            self.release(self.workers[task.holder])

    def give_back_ahead(self, task_id: str, attempt: int) -> bool:
        task = self.task(task_id)
        if task is None or task.reserved is None or task.attempt != attempt:
            return False
        task.reserved = None
        return True

    # Failures.

    def count_lost(self, task: NaiveTask) -> None:
        task.lost.append(task.attempt)
        self.tally["attempts lost"] += 1
        if len(task.lost) >= self.number("lost_attempts"):
            self.tally["tasks failed by losses"] += 1
            self.end_attempt(task)
            self.fail_for_good(task)

    def has_failed(self, task: NaiveTask) -> bool:
        """By its failures, or because its Workers disappeared."""
        is_failing = len(task.failed_by) >= self.number("failed_attempts")
        return is_failing or len(task.lost) >= self.number("lost_attempts")

    def tries_again(self, task: NaiveTask) -> bool:
        """Once a blocked Worker's failures do not count; losses of a task that has not failed were judged before."""
        return task.status == "soft-failed" or (task.status == "failed" and not self.has_failed(task))

    def fail(self, task: NaiveTask) -> None:
        assert task.holder is not None
        worker = self.workers[task.holder]
        task.failed_by.append(worker.id)
        self.tally["attempts failed"] += 1
        self.end_attempt(task)
        self.block_if_at_fault(worker, task)
        if len(task.failed_by) >= self.number("failed_attempts"):
            self.fail_for_good(task)
            return
        if task.failed_by:
            pauses = self.settings["retry_pauses_s"]
            assert isinstance(pauses, Sequence)
            task.retry_at = self.now + pauses[min(len(task.failed_by), len(pauses)) - 1]
        self.wait_again(task, "soft-failed" if task.failed_by else "queued")
        self.look_at_end(task.job)

    def block_if_at_fault(self, worker: NaiveWorker, last: NaiveTask) -> None:
        """Blocking is looked at first; what the blocked Worker failed is as if it had never had it."""
        job = last.job
        failed = [task for task in job.tasks if task.type == last.type and worker.id in task.failed_by]
        if len(failed) < self.number("block_after"):
            return
        others = [
            other
            for other in self.awake_and_able(last)
            if other is not worker
            and (other.id, last.type) not in job.blocked
            and not any(other.id in task.failed_by for task in failed)
        ]
        if not others:
            return
        job.blocked.add((worker.id, last.type))
        self.tally["Workers blocked"] += 1
        for task in failed:
            task.failed_by = [one for one in task.failed_by if one != worker.id]
            if task is not last and self.tries_again(task):
                self.tally["queued again by blocking"] += 1
                task.retry_at = 0.0
                self.wait_again(task)
        for task in job.tasks:
            if task.reserved == worker.id and task.type == last.type:
                task.reserved = None

    def fail_for_good(self, task: NaiveTask) -> None:
        task.status, task.pause_wanted = "failed", False
        job = task.job
        failed = sum(other.status == "failed" for other in job.tasks)
        if failed >= self.number("job_failed_tasks") and failed / len(job.tasks) >= self.number("job_failed_share"):
            self.tally["jobs failed by too many tasks"] += 1
            for other in job.tasks:
                if other.status not in ENDED:
                    other.canceled_by_failure = True
                    self.cancel(other)
            job.status = "failed"
        self.look_at_end(job)

    def cancel(self, task: NaiveTask) -> None:
        self.end_attempt(task)
        task.status, task.pause_wanted = "canceled", False

    # Who could take what.

    def needs_of(self, task: NaiveTask) -> NaiveNeeds:
        """What it asks for in the end; what is empty asks for nothing."""
        own, of_job = task.needs, task.job.needs
        return NaiveNeeds(
            (of_job.tag if own.tag is None else own.tag) or None,
            (of_job.memory if own.memory is None else own.memory) or None,
            (of_job.gpu if own.gpu is None else own.gpu) or None,
            (of_job.limits if own.limits is None else own.limits) or None,
        )

    def fits(self, worker: NaiveWorker, task: NaiveTask) -> bool:
        needs = self.needs_of(task)
        return (
            task.type in worker.types
            and (not needs.tag or needs.tag in worker.tags)
            and worker.memory >= (needs.memory or 0)
            and (not needs.gpu or needs.gpu in worker.gpus or (needs.gpu == "any" and bool(worker.gpus)))
        )

    def awake_and_able(self, task: NaiveTask) -> list[NaiveWorker]:
        return [worker for worker in self.workers.values() if worker.is_at_work and self.fits(worker, task)]
