"""How many new Workers a Manager takes in, so that nobody fills its store with them (quality.md, section 5).

Pure: ``now`` is an argument.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from flamenco_core.errors import TooMany
from flamenco_manager import asked_of_workers
from flamenco_manager.farm import Farm
from flamenco_manager.model import Moment, Worker

HOUR_S = 3600.0
NEVER_CAME = timedelta(hours=1)
"""A Worker signs on right after it registered. One that has not, and is not approved, is forgotten after this."""
STAYED_AWAY = timedelta(days=7)
"""One that did, but was not approved and is not heard of any more, is forgotten after this. Should it come back, it
registers anew."""


class TooManyNewcomers(TooMany):
    """No new Worker is taken in just now."""

    type = "too-many-new-workers"
    retry_after_s = 300


@dataclass(frozen=True, slots=True)
class NewcomerLimits:
    """How many new Workers are taken in whom nobody has vouched for, by the registration token or from this machine."""

    most_awaiting: int = 1000
    """So many may await approval."""
    most_per_hour: int = 256
    """So many may come from one address in an hour."""


class Newcomers:
    """Says whether there is room for a new Worker."""

    def __init__(self, limits: NewcomerLimits) -> None:
        self._limits = limits
        self._came: dict[str, deque[float]] = {}
        """When the last ones came, by their address."""

    def check_room(self, farm: Farm, address: str, now: Moment, *, is_approved: bool) -> None:
        """Count one more from an address. Raises TooManyNewcomers, then it does not count."""
        self._forget_before(now.monotonic_s - HOUR_S)
        if len(self._came.get(address, ())) >= self._limits.most_per_hour:
            raise TooManyNewcomers(
                f"{self._limits.most_per_hour} new Workers came from {address} within an hour: try again later, bring "
                "the registration token, or ask whoever runs the Manager to allow more (new_workers_per_hour)."
            )
        if not is_approved and self._awaiting(farm) >= self._limits.most_awaiting:
            raise TooManyNewcomers(
                f"{self._limits.most_awaiting} Workers await approval, and no more may: ask whoever runs the farm to "
                "approve or forget some, or bring the registration token."
            )
        self._came.setdefault(address, deque()).append(now.monotonic_s)

    def _forget_before(self, moment_s: float) -> None:
        for address, times in list(self._came.items()):
            while times and times[0] <= moment_s:
                times.popleft()
            if not times:
                del self._came[address]

    @staticmethod
    def _awaiting(farm: Farm) -> int:
        return sum(not worker.is_approved for worker in farm.workers.values())


def forget_gone(farm: Farm, now: Moment) -> Sequence[Worker]:
    """Forget, and return, the Workers that nobody has approved and that are not heard of any more."""
    gone = [worker for worker in farm.workers.values() if not worker.is_approved and _is_gone(worker, now)]
    for worker in gone:
        asked_of_workers.forget(farm, worker, now, "Nobody approved it, and it was not heard of any more.")
    return gone


def _is_gone(worker: Worker, now: Moment) -> bool:
    """Tell whether nobody need count on a Worker. Where we were away ourselves, it gets an hour to come back."""
    patience = NEVER_CAME if worker.status is None else STAYED_AWAY
    is_long_ago = worker.last_seen is None or now.wall - worker.last_seen > patience
    return is_long_ago and now.monotonic_s - worker.seen_s > HOUR_S
