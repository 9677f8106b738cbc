"""How long a job still takes, told as a range (ux.md, "Time left")."""

from collections import deque
from dataclasses import dataclass

ENOUGH = 3
"""So many finished frames are needed before anything can be said."""
RECENT = 10
"""So many of the newest changes count as recent."""


@dataclass(frozen=True)
class TimeLeft:
    """Between ``least_s`` and ``most_s`` seconds."""

    least_s: float
    most_s: float

    def __str__(self) -> str:
        unit_s, unit = _unit(self.most_s)
        least, most = round(self.least_s / unit_s), round(self.most_s / unit_s)
        return f"{max(most, 1)} {unit}" if least >= most else f"{least}–{most} {unit}"


class TimeLeftEstimate:
    """Watches how many of ``total`` frames are done.

    The one end of the range is the pace since we began to watch, start-up of Blender included; the other is the recent
    pace. Time without a new frame slows both, so a job that hangs does not promise anything.
    """

    def __init__(self, total: int, done: int, now_s: float) -> None:
        self._total = total
        self._start = (now_s, done)
        self._done = done
        self._recent: deque[tuple[float, int]] = deque([self._start], maxlen=RECENT)

    def update(self, done: int, now_s: float) -> None:
        """Note how many are done now."""
        if done != self._done:
            self._done = done
            self._recent.append((now_s, done))

    def at(self, now_s: float) -> TimeLeft | None:
        """Return the time left, or None while it is being measured."""
        left = self._total - self._done
        if self._done - self._start[1] < ENOUGH:
            return None
        paces = [pace for since in (self._start, self._recent[0]) if (pace := self._pace(since, now_s)) > 0]
        return TimeLeft(left / max(paces), left / min(paces)) if paces else None

    def _pace(self, since: tuple[float, int], now_s: float) -> float:
        then_s, done = since
        return (self._done - done) / (now_s - then_s) if now_s > then_s else 0.0


def _unit(seconds: float) -> tuple[float, str]:
    if seconds < 100:
        return 1.0, "s"
    return (60.0, "min") if seconds < 100 * 60 else (3600.0, "h")
