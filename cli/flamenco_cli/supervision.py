"""What to do when a supervised service ends. Pure: time comes in as seconds, decisions come out."""

from dataclasses import dataclass

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STABLE_AFTER_S = 60.0
"""A service that lived so long is forgiven its earlier ends."""
MOST_FAILED_STARTS = 3
"""A service that ended so often without ever answering will not do better: its settings or its data are at fault."""


@dataclass(frozen=True)
class History:
    """What is remembered of a service: how often in a row it ended soon, and whether it ever answered."""

    quick_ends: int = 0
    has_answered: bool = False

    def answered(self) -> "History":
        """Remember that it answered."""
        return History(self.quick_ends, has_answered=True)


@dataclass(frozen=True)
class StartAgain:
    """Start it again after a pause."""

    pause_s: float


@dataclass(frozen=True)
class GiveUp:
    """Stop trying, and say so."""

    starts: int


def after_end(history: History, *, lived_s: float) -> tuple[History, StartAgain | GiveUp]:
    """Decide what follows when a service ended by itself after ``lived_s`` seconds.

    Pauses double from FIRST_PAUSE_S to LONGEST_PAUSE_S, and begin anew after a long life. Only a service that never
    answered is given up.
    """
    quick_ends = 1 if lived_s >= STABLE_AFTER_S else history.quick_ends + 1
    history = History(quick_ends, history.has_answered)
    if not history.has_answered and quick_ends >= MOST_FAILED_STARTS:
        return history, GiveUp(quick_ends)
    doublings = min(quick_ends - 1, 16)  # far beyond the longest pause; keeps the power small
    return history, StartAgain(min(FIRST_PAUSE_S * 2**doublings, LONGEST_PAUSE_S))
