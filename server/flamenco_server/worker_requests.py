"""What people may ask of a Worker: what is refused, and the order for the rest. Pure.

All of it is its Manager's to do; a Worker shows what is asked beside what is true.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flamenco_core.errors import Conflict
from flamenco_core.wire.manager_api import SleepSchedule, SleepScheduleSchema
from flamenco_server.asking import NOW_LIFE, Asker, Step, ask
from flamenco_server.records import Worker

WantedStatus = Literal["awake", "asleep", "offline", "restart"]

_SCHEDULE = SleepScheduleSchema()


class CannotRestart(Conflict):
    """A Worker that nobody would start again."""

    type = "cannot-restart"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Nothing starts the Worker {name!r} again once it ends: shut it down instead, and start it by hand."
        )


@dataclass(frozen=True, slots=True)
class Unblock:
    """Which blocks are lifted: those of one job and one type of task; None: of every one."""

    job: str | None = None
    task_type: str | None = None


def set_status(worker: Worker, by: Asker, status: WantedStatus, *, lazy: bool) -> Step[Worker]:
    """Have it wake, sleep, restart or shut down: now, or (``lazy``) after its current task. Raises CannotRestart."""
    if status == "restart" and not worker.can_restart:
        raise CannotRestart(worker.name)
    wanted = {"status": status, "lazy": lazy}
    order = by.order("worker.status", {"worker": worker.id, **wanted}, None if lazy else NOW_LIFE)
    return ask(worker, "status", wanted, order)


def set_tags(worker: Worker, by: Asker, tags: Sequence[str]) -> Step[Worker]:
    """Say which tags it has, instead of those that it had."""
    return ask(worker, "tags", tags, by.order("worker.tags", {"worker": worker.id, "tags": tags}))


def set_schedule(worker: Worker, by: Asker, schedule: SleepSchedule | None) -> Step[Worker]:
    """Say when it sleeps; None: never by itself."""
    wanted: Any = _SCHEDULE.dump(schedule) if schedule else None
    return ask(worker, "schedule", wanted, by.order("worker.schedule", {"worker": worker.id, "schedule": wanted}))


def approve(worker: Worker, by: Asker) -> Step[Worker]:
    """Let it take tasks; nothing is asked if it may already."""
    if worker.approved or "approved" in worker.asks:
        return Step(worker)
    return ask(worker, "approved", True, by.order("worker.approve", {"worker": worker.id}))


def forget(worker: Worker, by: Asker) -> Step[Worker]:
    """Remove it; it may register again, as a new one."""
    if "forgotten" in worker.asks:
        return Step(worker)
    return ask(worker, "forgotten", True, by.order("worker.forget", {"worker": worker.id}))


def unblock(worker: Worker, by: Asker, blocks: Unblock) -> Step[Worker]:
    """Let it have tasks again that it is blocked from."""
    details = {key: value for key, value in (("job", blocks.job), ("task_type", blocks.task_type)) if value is not None}
    return ask(worker, "unblocked", details, by.order("worker.unblock", {"worker": worker.id, **details}))
