"""The farm's limits: named counters of which tasks hold some while they are active; and caps of projects. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flamenco_manager.model import Kind


@dataclass(frozen=True, slots=True)
class UsedUp:
    """A counter that has no room for one more task of a kind. ``capacity`` None: the farm has no limit of this name."""

    name: str
    is_project: bool
    used: int
    wanted: int
    capacity: int | None


class Limits:
    """How much of what is used. A project's cap is a counter like any other: each active task holds one of it."""

    def __init__(self) -> None:
        self._capacity: dict[str, int] = {}
        self._caps: dict[str, int] = {}
        self._used: dict[str, int] = {}
        self._active: dict[str, int] = {}

    def set(self, capacity: Mapping[str, int], caps: Mapping[str, int]) -> None:
        """Take over the farm's settings; what is used beyond a lowered limit goes on until it ends."""
        self._capacity, self._caps = dict(capacity), dict(caps)

    def take(self, kind: Kind) -> None:
        """Note that a task of this kind became active."""
        self._add(kind, 1)

    def give(self, kind: Kind) -> None:
        """Note that a task of this kind is not active any more."""
        self._add(kind, -1)

    def used_up(self, kind: Kind) -> UsedUp | None:
        """Return the first counter that has no room for one more task of this kind, or None."""
        for name, wanted in kind.limits:
            capacity, used = self._capacity.get(name), self._used.get(name, 0)
            if capacity is None or used + wanted > capacity:
                return UsedUp(name, False, used, wanted, capacity)
        cap = self._caps.get(kind.project) if kind.project else None
        active = self._active.get(kind.project, 0)
        if cap is not None and active >= cap:
            return UsedUp(kind.project, True, active, 1, cap)
        return None

    def is_counted(self, kind: Kind) -> bool:
        """Tell whether tasks of this kind hold something that others may wait for."""
        return bool(kind.limits) or kind.project in self._caps

    def in_use(self) -> Iterator[tuple[str, int]]:
        """Yield the limits that are held, and how much of each."""
        return ((name, used) for name, used in self._used.items() if used)

    def _add(self, kind: Kind, sign: int) -> None:
        for name, held in kind.limits:
            self._used[name] = self._used.get(name, 0) + sign * held
        if kind.project:
            self._active[kind.project] = self._active.get(kind.project, 0) + sign
