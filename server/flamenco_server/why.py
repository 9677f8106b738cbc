"""Why a task does not run: its Manager's scheduler answers, by way of an order (jobs.md, "Why is it not running?")."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from flamenco_core.errors import Conflict, Unavailable
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_server.asking import Asker
from flamenco_server.events import Change, EventBus
from flamenco_server.orders import NewOrder, OrderAnswer, OrderStore
from flamenco_server.records import REQUEUE, Job, Manager, Page, Task

PATIENCE_S = 5.0
"""How long a Manager has to answer."""

_WAITING = (TaskStatus.QUEUED, TaskStatus.SOFT_FAILED, TaskStatus.PAUSED)

Reason = dict[str, Any]
"""``code``, ``text``, and maybe ``count``, ``workers`` (names), ``act`` (what would help)."""


class ManagerAway(Unavailable):
    """The one that knows is not there."""

    type = "manager-away"


class NoAnswer(Conflict):
    """A Manager did not want to say."""

    type = "no-answer"


class FarmLookup(Protocol):
    """Jobs, tasks and Managers, as they are known here."""

    async def job(self, job_id: str) -> Job:
        """Return one job. Raises NoSuchJob."""

    async def task(self, task_id: str) -> Task:
        """Return one task. Raises NoSuchTask."""

    async def tasks(self, job_id: str, limit: int, after: int | None, status: TaskStatus | None) -> Page[Task]:
        """Return tasks of a job by index, beginning behind the index ``after``. Raises NoSuchJob."""

    async def managers(self) -> Sequence[Manager]:
        """Return all Managers."""


@dataclass(frozen=True, slots=True)
class Why:
    """The reasons that hold a task back, the first that matters first; ``task`` None: no task of the job waits."""

    task: str | None
    reasons: Sequence[Reason]


@dataclass(frozen=True, slots=True)
class WhyDesk:
    """What asking a Manager needs. ``patience_s``: how long it is waited for."""

    farm: FarmLookup
    orders: OrderStore
    bus: EventBus
    patience_s: float = PATIENCE_S

    async def of_task(self, task_id: str, by: Asker) -> Why:
        """Tell why a task does not run. Raises NoSuchTask, ManagerAway, NoAnswer."""
        task = await self.farm.task(task_id)
        job = await self.farm.job(task.job)
        return Why(task.id, _known_here(job) or await self._ask(task, job, by))

    async def of_job(self, job_id: str, by: Asker) -> Why:
        """Tell why the first task of a job that waits does not run. Raises NoSuchJob, ManagerAway, NoAnswer."""
        job = await self.farm.job(job_id)
        known = _known_here(job)
        task = None if known else await self._first_waiting(job_id)
        if task is None:
            return Why(None, known or [_reason("nothing-waits", f"No task of it waits: the job is {job.status}.")])
        return Why(task.id, await self._ask(task, job, by))

    async def _first_waiting(self, job_id: str) -> Task | None:
        for status in _WAITING:
            page = await self.farm.tasks(job_id, 1, None, status)
            if page.items:
                return page.items[0]
        return None

    async def _ask(self, task: Task, job: Job, by: Asker) -> Sequence[Reason]:
        manager = await self._manager(job)
        if manager.is_away(by.now):
            raise _away(manager)
        if job.reported_status is JobStatus.UNDER_CONSTRUCTION:  # it has not taken the tasks in, so it knows of none
            return [_being_prepared(job)]
        order = by.order("task.why", {"task": task.id}, timedelta(seconds=self.patience_s))
        with self._noticing(order) as is_answered:
            await self.orders.issue(manager.id, order)
            self.bus.publish([Change("order", manager.id)])
            try:
                async with asyncio.timeout(self.patience_s):
                    await is_answered.wait()
            except TimeoutError:
                raise _away(await self._manager(job), self.patience_s) from None
        return _reasons(manager, await self.orders.order_answer(order.id))

    async def _manager(self, job: Job) -> Manager:
        return next(each for each in await self.farm.managers() if each.id == job.manager_id)

    @contextmanager
    def _noticing(self, order: NewOrder) -> Iterator[asyncio.Event]:
        """Yield an event that is set when the order is answered."""
        event = asyncio.Event()

        def notice(change: Change) -> None:
            if change == Change("answer", order.id):
                event.set()

        with self.bus.listening(notice):
            yield event


def _known_here(job: Job) -> Sequence[Reason]:
    """Return what holds a job back that its Manager need not be asked about."""
    if job.deleted_at is not None:
        return [_reason("deleted", "The job is deleted.", act="undelete it")]
    if job.reported_status.is_ended and REQUEUE not in job.asks:
        return [
            _reason("ended", f"The job is {job.status}: {job.activity or 'nothing of it waits.'}", act="requeue it")
        ]
    if job.manager_id is None:
        return [_being_prepared(job)]
    return []


def _being_prepared(job: Job) -> Reason:
    return _reason("preparing", f"The job is being prepared: {job.activity or 'its tasks are fetched'}.")


def _reason(code: str, text: str, **more: Any) -> Reason:
    return {"code": code, "text": text, **more}


def _reasons(manager: Manager, answered: OrderAnswer | None) -> Sequence[Reason]:
    assert answered is not None
    if answered.result != "done":
        raise NoAnswer(f"The Manager of site {manager.name} did not say: {answered.why or answered.result}")
    reasons = (answered.answer or {}).get("reasons")
    return reasons if isinstance(reasons, list) else []


def _away(manager: Manager, waited_s: float | None = None) -> ManagerAway:
    if manager.last_seen is None:
        return ManagerAway(f"The Manager of site {manager.name} has never been here: start it.")
    since = _clock_time(manager.last_seen)
    if waited_s is None:
        return ManagerAway(f"The Manager of site {manager.name} is away since {since}, and only it knows.")
    return ManagerAway(
        f"The Manager of site {manager.name} has not answered within {waited_s:g} s; it was last heard of at {since}."
    )


def _clock_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
