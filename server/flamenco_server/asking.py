"""What people ask of jobs, tasks and Workers, and what becomes of it (manager-api.md, "Orders"). Pure.

What is asked of something that a Manager has becomes an order, and stands beside the object until the Manager has
answered it. Asking and noting it is one step on one object, so that nothing is lost in between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from flamenco_core.errors import Conflict
from flamenco_core.identifiers import new_id
from flamenco_core.statuses import JobStatus
from flamenco_server.orders import NewOrder
from flamenco_server.records import REQUEUE, Asked, Asks, Job, Task, Worker

T = TypeVar("T", Job, Task, Worker)

NOT_DONE = {"dropped": "Its Manager did not do it.", "expired": "It reached its Manager too late to make sense."}
"""What is said of an order that was not done, where the Manager does not say why."""
NOW_LIFE = timedelta(seconds=60)
"""For how long it makes sense to do at once what was to be done at once."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and when."""

    name: str
    now: datetime

    def order(self, kind: str, details: Mapping[str, Any], life: timedelta | None = None) -> NewOrder:
        """Make an order; ``life``: how long it makes sense."""
        return NewOrder(new_id(), kind, details, self.name, self.now, self.now + life if life else None)


@dataclass(frozen=True, slots=True)
class Step(Generic[T]):
    """One change of an object together with the orders for its Manager.

    ``ends_tasks``: the job ends here and now, as no Manager has it; its tasks end with it.
    """

    object: T
    orders: Sequence[NewOrder] = ()
    ends_tasks: bool = False


class NoManagerYet(Conflict):
    """Only a Manager could do that, and none has the job."""

    type = "no-manager-yet"

    def __init__(self, name: str, status: JobStatus) -> None:
        what = f"It is {status}: submit it again." if status.is_ended else "Try again once one has fetched it."
        super().__init__(f"No Manager has the job {name!r}. {what}")


class JobInBin(Conflict):
    """A deleted job hears of nothing but undelete."""

    type = "job-in-bin"

    def __init__(self, name: str) -> None:
        super().__init__(f"The job {name!r} is deleted: undelete it first.")


def check_present(job: Job) -> None:
    """Refuse to ask anything of a deleted job. Raises JobInBin."""
    if job.deleted_at is not None:
        raise JobInBin(job.name)


def ask(thing: T, about: str, value: Any, order: NewOrder, *more: NewOrder) -> Step[T]:
    """Note what is asked of an object, and send the order that carries it."""
    asks = {**thing.asks, about: Asked(value, order.asked_by, order.id)}
    return Step(replace(thing, asks=asks, refused=""), [order, *more])


def answered(thing: T, order_id: str, result: str, why: str) -> T:
    """Return an object after its Manager has answered an order: it has done it, or says why not."""
    about = next((about for about, asked in thing.asks.items() if asked.order == order_id), None)
    told = "" if result == "done" else why or NOT_DONE.get(result, result)
    if about is None:
        return replace(thing, refused=told) if told else thing
    return replace(thing, asks=without(thing.asks, about), refused=told)


def without(asks: Asks, about: str) -> Asks:
    """Return what is asked but for one thing."""
    return {name: asked for name, asked in asks.items() if name != about}


def shown_status(reported: JobStatus, asked: str | None, *, requeued: bool = False) -> JobStatus:
    """Tell what people see of a job: what they asked for, until its Manager has answered; or until it has ended.

    ``asked`` is what it shall do; ``requeued``: some of it shall run again, and that was asked first.
    """
    if requeued and asked is None:
        return JobStatus.REQUEUEING
    status = expected_base(reported, requeued=requeued)
    if status.is_ended:
        return status
    if asked in ("cancel", "delete"):
        return JobStatus.CANCEL_REQUESTED
    if asked == "pause" and status is not JobStatus.PAUSED:
        return JobStatus.PAUSE_REQUESTED
    return status


def expected_base(reported: JobStatus, *, requeued: bool) -> JobStatus:
    """Tell what a job is once what shall run again does so."""
    return JobStatus.ACTIVE if requeued and reported.is_ended else reported


def shown(job: Job) -> Job:
    """Return a job with the status that people see."""
    return replace(job, status=shown_status(job.reported_status, job.asked_state, requeued=REQUEUE in job.asks))
