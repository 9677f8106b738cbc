"""What Workers and people said to a Manager that is being disturbed, and what they were answered (Jepsen's record).

Moments are counted, not timed: whatever gets the lower number happened, or began, before.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count

from fake_server import FakeServer


@dataclass(slots=True)
class HandOut:
    """A task that a Worker was handed, and when it heard of that."""

    worker: str
    task: str
    attempt: int
    at: int


@dataclass(slots=True)
class Said:
    """An update: sent until it was answered. ``taken``: 204, it is so; False: 409, the attempt is over."""

    worker: str
    task: str
    attempt: int
    status: str | None
    log: bytes
    began: int
    answered: int | None = None
    taken: bool | None = None


@dataclass(slots=True)
class Requeue:
    """A person wanted a completed task done again; ``began`` is when that was asked."""

    task: str
    began: int


@dataclass
class Happenings:
    """The record. ``moment`` returns the number of this moment."""

    moment: Callable[[], int] = field(default_factory=lambda: partial(next, count(1)))
    hand_outs: list[HandOut] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    requeues: list[Requeue] = field(default_factory=list)
    breaks: int = 0
    tally: Counter[str] = field(default_factory=Counter)

    def until(self, moment: int) -> "Happenings":
        """Return what had happened by then; what was not answered yet may be so or not."""
        return Happenings(
            hand_outs=[one for one in self.hand_outs if one.at <= moment],
            said=[
                one if one.answered is not None and one.answered <= moment else replace(one, answered=None, taken=None)
                for one in self.said
                if one.began <= moment
            ],
            requeues=[one for one in self.requeues if one.began <= moment],
        )

    async def requeue(self, server: FakeServer, task: str, *along: str) -> None:
        """Let a person queue a completed task again; those ``along`` wait for it, and come with it."""
        self.tally["requeues"] += 1
        self.requeues += [Requeue(one, self.moment()) for one in (task, *along)]
        await server.issue("task.requeue", task=task)

    def acknowledged_completed(self) -> dict[str, list[Said]]:
        """Return, by task, what was said to be completed and was answered with 204."""
        found: dict[str, list[Said]] = defaultdict(list)
        for one in self.said:
            if one.status == "completed" and one.taken:
                found[one.task].append(one)
        return found

    def requeued(self) -> dict[str, list[Requeue]]:
        """Return the requeues by task."""
        found: dict[str, list[Requeue]] = defaultdict(list)
        for one in self.requeues:
            found[one.task].append(one)
        return found

    def logs_of_ended(self) -> dict[tuple[str, int], bytes]:
        """Return what attempts printed whose end was taken."""
        logs = self.logs()
        return {
            (one.task, one.attempt): logs[one.task, one.attempt]
            for one in self.said
            if one.status in ("completed", "failed") and one.taken and (one.task, one.attempt) in logs
        }

    def logs(self) -> dict[tuple[str, int], bytes]:
        """Return what each attempt printed, of what was answered, whatever the answer."""
        found: dict[tuple[str, int], bytes] = defaultdict(bytes)
        for one in self.said:
            if one.log and one.answered is not None:
                found[one.task, one.attempt] += one.log
        return found
