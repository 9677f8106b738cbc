"""What Workers and people said to a Manager that is being disturbed, and what they were answered (Jepsen's record).

Moments are counted, not timed: whatever gets the lower number happened, or began, before.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field


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
    """A person queued a completed task again; ``began`` when that was asked, ``answered`` when it was reported."""

    task: str
    began: int
    answered: int | None = None


@dataclass
class Happenings:
    """The record."""

    hand_outs: list[HandOut] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    requeues: list[Requeue] = field(default_factory=list)
    breaks: int = 0
    tally: Counter[str] = field(default_factory=Counter)
    _moment: int = 0

    def moment(self) -> int:
        """Return the number of this moment."""
        self._moment += 1
        return self._moment

    @property
    def ends(self) -> Iterator[Said]:
        """All that was said of ends."""
        return (one for one in self.said if one.status in ("completed", "failed"))

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

    def logs(self) -> dict[tuple[str, int], bytes]:
        """Return what each attempt printed, of what was answered, whatever the answer."""
        found: dict[tuple[str, int], bytes] = defaultdict(bytes)
        for one in self.said:
            if one.log and one.answered is not None:
                found[one.task, one.attempt] += one.log
        return found
