"""What each kind of order does (manager-api.md, "Orders"). What cannot be done raises; then the order is dropped."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from flamenco_core.errors import BadInput, NotFound
from flamenco_core.identifiers import is_uuid
from flamenco_core.statuses import JobStatus, WorkerStatus
from flamenco_core.wire.manager_api import Order
from flamenco_manager import asked_of_jobs, asked_of_workers, failures, job_rules
from flamenco_manager.asked_of_jobs import JobDeleted, NothingToRequeue, NotReadyYet
from flamenco_manager.farm import Farm
from flamenco_manager.farm_settings import FarmSettingsKeeper
from flamenco_manager.foreman import Foreman, put_back
from flamenco_manager.model import Job, Moment, Task, Worker
from flamenco_manager.stores.farm_store import Also, StoredJob
from flamenco_manager.task_rules import link
from flamenco_manager.waiting import still_hold
from flamenco_manager.why import why
from flamenco_runtime import garbage

HIGHEST_PRIORITY = 100


class NoSuchJob(NotFound):
    """No job has this id, or it was erased."""

    type = "no-such-job"


class NoSuchTask(NotFound):
    """No task has this id, or its job was erased."""

    type = "no-such-task"


class BadOrder(BadInput):
    """An order whose details are not those of its kind."""

    type = "bad-order"


class JobBook(Protocol):
    """What orders need to know of jobs, also of those that have left memory."""

    async def new_job_key(self) -> int:
        """Return the number of the next job in this store."""

    async def change_begun(self, order_id: str) -> int | None:
        """Return the number of the first change of a requeue that was begun and cut short, None if it was not."""

    def begin_requeue(self, order_id: str, change: int) -> Also:
        """Make the part of a transaction that notes that a requeue has begun."""

    async def job_status(self, job_id: str) -> str | None:
        """Return the stored status of a job, or None if it never came here, or was erased."""


class Archive(Protocol):
    """Where jobs are that have left memory."""

    async def load_job(self, job_id: str, farm: Farm, now: Moment) -> StoredJob | None:
        """Read a job that has left memory."""

    async def job_of_task(self, task_id: str) -> str | None:
        """Return the id of the job that a task belongs to."""


class Eraser(Protocol):
    """Who removes jobs for good."""

    def erasure(self, job_key: int, job_id: str) -> Also:
        """Make the part of a transaction that erases a job."""

    def wake(self) -> None:
        """Begin to remove what is left of erased jobs, once that is on disk."""


@dataclass(frozen=True)
class Outcome:
    """What became of an order; ``result`` None: it has begun, with this ``job``. ``also`` goes into its transaction."""

    result: str | None = "done"
    why: str = ""
    job: str | None = None
    answer: Mapping[str, Any] | None = None
    also: Also | None = None


DONE = Outcome()
Act = Callable[[Order], Awaitable[Outcome]]


class OrderActs:
    """Carries out orders in memory; whoever calls stores what changed."""

    def __init__(
        self,
        foreman: Foreman,
        book: JobBook,
        archive: Archive,
        eraser: Eraser,
        settings: FarmSettingsKeeper,
        follow: Callable[[Order], None],
    ) -> None:
        self._foreman = foreman
        self._farm = foreman.farm
        self._book = book
        self._archive = archive
        self._eraser = eraser
        self._settings = settings
        self._follow = follow
        """Called with each ``task.log`` order."""
        self._recalled: list[Job] = []
        self._acts: Mapping[str, Act] = {**self._acts_on_work(), **self._acts_on_the_farm()}

    def _acts_on_work(self) -> Mapping[str, Act]:
        return {
            "job.submit": self._submit,
            "job.cancel": self._cancel,
            "job.pause": self._on_job(asked_of_jobs.pausing),
            "job.resume": self._on_job(asked_of_jobs.resuming),
            "job.requeue": self._requeue,
            "job.priority": self._set_priority,
            "job.tag": self._set_tag,
            "job.delete": self._delete,
            "job.undelete": self._undelete,
            "job.erase": self._erase,
            "task.cancel": self._on_task(asked_of_jobs.cancel_task),
            "task.pause": self._on_task(asked_of_jobs.pause_task),
            "task.requeue": self._requeue_task,
            "task.log": self._send_log,
            "task.why": self._why,
        }

    def _acts_on_the_farm(self) -> Mapping[str, Act]:
        return {
            "worker.approve": self._on_worker(lambda farm, worker, now, _: asked_of_workers.approve(farm, worker, now)),
            "worker.status": self._on_worker(_request_status),
            "worker.tags": self._on_worker(_set_tags),
            "worker.schedule": self._on_worker(_set_schedule),
            "worker.forget": self._on_worker(lambda farm, worker, now, _: asked_of_workers.forget(farm, worker, now)),
            "worker.unblock": self._unblock,
            "tag.put": self._put_tag,
            "tag.delete": self._delete_tag,
            "settings": self._change_settings,
        }

    async def carry_out(self, order: Order) -> Outcome:
        """Do what an order asks. Raises FlamencoError when it cannot be done; nothing has changed then."""
        act = self._acts.get(order.kind)
        if act is None:
            return Outcome("dropped", f"This Manager does not know orders of the kind {order.kind!r}.")
        return await act(order)

    async def recall(self, job_id: str) -> Job:
        """Return a job, also one that has left memory: it comes back. Raises NoSuchJob."""
        job = self._farm.jobs.get(job_id)
        if job is not None:
            return job
        stored = await self._stored(job_id) if is_uuid(job_id) else None
        if stored is None:
            raise NoSuchJob(f"There is no job {job_id}.")
        links = await asyncio.to_thread(link, stored.tasks) if stored.job.status.is_ended else None
        put_back(self._farm, stored, self._foreman.now(), links)
        self._recalled.append(stored.job)
        return stored.job

    async def _stored(self, job_id: str) -> StoredJob | None:
        """Read a job that has left memory, and how those stand that it waits for."""
        while True:
            stored = await self._archive.load_job(job_id, self._farm, self._foreman.now())
            if stored is None or still_hold(self._farm, stored.others):
                return stored

    def let_go(self) -> None:
        """Let jobs that were recalled leave memory again, where they are still ended; call it once all is on disk."""
        for job in self._recalled:
            if job.status.is_ended and self._farm.jobs.get(job.id) is job:
                self._farm.forget(job)
        self._recalled.clear()
        self._eraser.wake()

    def _on_job(self, rule: Callable[[Farm, Job, Moment], Iterator[None]]) -> Act:
        async def act(order: Order) -> Outcome:
            job = await self._living_job(order)
            await self._through(rule(self._farm, job, self._foreman.now()))
            return DONE

        return act

    async def _through(self, pieces: Iterator[None], also: Also | None = None) -> None:
        """Go through a change of very many tasks; each piece is stored, and others get their turn after it.

        ``also`` is written with the first piece, if there is more than one.
        """
        for _ in pieces:
            await self._foreman.settle(also)
            also = None
            garbage.keep()

    def _on_task(self, rule: Callable[[Farm, Task, Moment], None]) -> Act:
        async def act(order: Order) -> Outcome:
            rule(self._farm, await self._task(order), self._foreman.now())
            return DONE

        return act

    def _on_worker(self, rule: Callable[[Farm, Worker, Moment, Mapping[str, Any]], None]) -> Act:
        async def act(order: Order) -> Outcome:
            rule(self._farm, self._farm.worker(_text(order, "worker")), self._foreman.now(), order.details)
            return DONE

        return act

    async def _living_job(self, order: Order) -> Job:
        """Return the job of an order, which must not be deleted. Raises NoSuchJob, JobDeleted."""
        job = await self.recall(_text(order, "job"))
        if job.is_deleted:
            raise JobDeleted("The job is deleted; undelete it first.")
        return job

    async def _task(self, order: Order) -> Task:
        task_id = _text(order, "task")
        job_id = await self._archive.job_of_task(task_id) if is_uuid(task_id) else None
        if job_id is None:
            raise NoSuchTask(f"There is no task {task_id}.")
        job = await self.recall(job_id)
        if job.is_deleted:
            raise JobDeleted("The task's job is deleted; undelete it first.")
        if task_id not in self._farm.tasks:
            raise NotReadyYet("The task's job is still on its way.")
        return self._farm.tasks[task_id]

    async def _submit(self, order: Order) -> Outcome:
        job_id = _text(order, "job")
        if not is_uuid(job_id):
            raise BadOrder("The order names no job.")
        if await self._book.job_status(job_id) is not None:
            return Outcome("done", "The job is here already.")
        job = Job(id=job_id, key=await self._book.new_job_key())
        job_rules.announce(self._farm, job)
        return Outcome(None, job=job_id)

    async def _cancel(self, order: Order) -> Outcome:
        job = await self._living_job(order)
        if job.status is JobStatus.CANCELED:  # its definition may have said so already, when it came
            return Outcome("done", "It is canceled already.")
        await self._through(job_rules.cancelling(self._farm, job, self._foreman.now()))
        return DONE

    async def _requeue(self, order: Order) -> Outcome:
        job = await self._living_job(order)
        chosen = asked_of_jobs.select(job, _text(order, "which"), _texts(order, "tasks"))
        begun, seen = await self._book.change_begun(order.id), _seen_change(order)
        if begun is not None:  # we died while it was carried out: what it had queued already stays as it is
            seen = begun - 1 if seen is None else min(begun - 1, seen)
        also = self._book.begin_requeue(order.id, self._farm.number_of_next_change) if begun is None else None
        try:
            await self._through(asked_of_jobs.requeueing(self._farm, job, chosen, self._foreman.now(), seen), also)
        except NothingToRequeue:
            if begun is None:
                raise
        return DONE

    async def _requeue_task(self, order: Order) -> Outcome:
        task = await self._task(order)
        asked_of_jobs.requeue(self._farm, task.job, [task], self._foreman.now(), _seen_change(order))
        return DONE

    async def _set_priority(self, order: Order) -> Outcome:
        priority = order.details.get("priority")
        if type(priority) is not int or not 0 <= priority <= HIGHEST_PRIORITY:
            raise BadOrder(f"A priority is a whole number from 0 to {HIGHEST_PRIORITY}, not {priority!r}.")
        asked_of_jobs.set_priority(self._farm, await self._living_job(order), priority)
        return DONE

    async def _set_tag(self, order: Order) -> Outcome:
        tag = order.details.get("tag")
        if tag is not None:
            tag = asked_of_workers.check_tag(tag)
        await self._through(asked_of_jobs.tagging(self._farm, await self._living_job(order), tag))
        return DONE

    async def _delete(self, order: Order) -> Outcome:
        job = await self.recall(_text(order, "job"))
        if job.is_deleted and job.status.is_ended:
            return Outcome("done", "It is deleted already.")
        await self._through(asked_of_jobs.deleting(self._farm, job, self._foreman.now()))
        return DONE

    async def _undelete(self, order: Order) -> Outcome:
        asked_of_jobs.undelete(self._farm, await self.recall(_text(order, "job")), self._foreman.now())
        return DONE

    async def _erase(self, order: Order) -> Outcome:
        job = await self.recall(_text(order, "job"))
        if not job.is_deleted:
            raise NotReadyYet("The job is not deleted; only deleted jobs are erased.")
        return Outcome(also=self._eraser.erasure(job.key, job.id))

    async def _why(self, order: Order) -> Outcome:
        reasons = why(self._farm, await self._task(order), self._foreman.now())
        return Outcome(answer={"reasons": [reason.document() for reason in reasons]})

    async def _send_log(self, order: Order) -> Outcome:
        self._follow(order)
        return DONE

    async def _unblock(self, order: Order) -> Outcome:
        worker = self._farm.worker(_text(order, "worker"))
        jobs = [await self._living_job(order)] if order.details.get("job") else list(self._farm.jobs.values())
        task_type = order.details.get("task_type")
        if not failures.unblock(self._farm, worker, jobs, task_type):
            return Outcome("done", f"{worker.name} is not blocked there.")
        return DONE

    async def _put_tag(self, order: Order) -> Outcome:
        asked_of_workers.check_tag(_text(order, "name"))
        return DONE

    async def _delete_tag(self, order: Order) -> Outcome:
        asked_of_workers.delete_tag(self._farm, _text(order, "name"))
        return DONE

    async def _change_settings(self, order: Order) -> Outcome:
        return Outcome(also=self._settings.change(order.details))


def _request_status(farm: Farm, worker: Worker, now: Moment, details: Mapping[str, Any]) -> None:
    try:
        status = WorkerStatus(details.get("status"))
    except ValueError:
        raise BadOrder(f"A Worker cannot be asked to be {details.get('status')!r}.") from None
    lazy = details.get("lazy", False)
    if not isinstance(lazy, bool):
        raise BadOrder(f"lazy is true or false, not {lazy!r}.")
    asked_of_workers.request_status(farm, worker, status, now, lazy=lazy)


def _set_tags(farm: Farm, worker: Worker, _: Moment, details: Mapping[str, Any]) -> None:
    asked_of_workers.set_tags(farm, worker, details.get("tags"))


def _set_schedule(farm: Farm, worker: Worker, now: Moment, details: Mapping[str, Any]) -> None:
    asked_of_workers.set_schedule(farm, worker, details.get("schedule"), now)


def _text(order: Order, key: str) -> str:
    return str(order.details.get(key, ""))


def _texts(order: Order, key: str) -> Sequence[str]:
    return [str(item) for item in order.details.get(key) or ()]


def _seen_change(order: Order) -> int | None:
    """Return the commit number of the ``rev`` that the person saw."""
    rev = order.details.get("rev")
    return int(rev[1]) if isinstance(rev, list) and len(rev) == 2 and isinstance(rev[1], int) else None
