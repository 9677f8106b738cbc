"""How the link to the Server is, for whoever watches: up or not, and how far reports lag behind."""

from collections.abc import Callable

from flamenco_manager.model import Moment


class LinkWatch:
    """Is told by the link what happens to it, and asks ``now`` when that was."""

    def __init__(self, now: Callable[[], Moment]) -> None:
        self._now = now
        self.is_up = False
        self.since = now()
        """Since when it is up, or not."""
        self._unreported_s: float | None = None
        """Monotonic: when the oldest change happened that may not be in a report."""
        self._unacknowledged_s: float | None = None
        """Monotonic: when the oldest change happened of the report that waits for the Server's word."""

    def linked(self) -> None:
        """Note that the Server answered as it should."""
        self._is(up=True)

    def lost(self) -> None:
        """Note that it did not."""
        self._is(up=False)

    def changed(self) -> None:
        """Note that there is something to report."""
        if self._unreported_s is None:
            self._unreported_s = self.now_s

    @property
    def now_s(self) -> float:
        """The present; monotonic."""
        return self._now().monotonic_s

    def waits(self) -> None:
        """Note that a report waits for the Server's word; of one from an earlier run we know no age but ours."""
        if self._unacknowledged_s is None:
            self._unacknowledged_s = self.since.monotonic_s

    def froze(self, began_s: float, *, is_all: bool) -> None:
        """Note that what had changed before ``began_s`` is in a report now; ``is_all``: all of that."""
        self._unacknowledged_s = began_s if self._unreported_s is None else self._unreported_s
        if is_all:
            self._unreported_s = began_s

    def reported_all(self, began_s: float) -> None:
        """Note that nothing that had changed before ``began_s`` is left to be reported."""
        if self._unreported_s is not None and self._unreported_s <= began_s:
            self._unreported_s = None

    def acknowledged(self) -> None:
        """Note that the Server has the report."""
        self._unacknowledged_s = None

    @property
    def lag_s(self) -> float:
        """The age of the oldest change that the Server has not acknowledged, in seconds; 0 if it has all."""
        waiting = [since for since in (self._unreported_s, self._unacknowledged_s) if since is not None]
        return max(0.0, self.now_s - min(waiting)) if waiting else 0.0

    def _is(self, *, up: bool) -> None:
        if up != self.is_up:
            self.is_up, self.since = up, self._now()
