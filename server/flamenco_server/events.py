"""That something changed: told within the Server, never recorded. Whoever cares looks up the present state."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["job", "task", "frame", "worker", "manager", "order", "answer", "link"]


@dataclass(frozen=True, slots=True)
class Change:
    """An object that changed. ``job`` is the one that a task or frame belongs to; a frame's ``id`` is its number.

    An ``order`` has its Manager's id: it has orders to fetch. An ``answer`` has the id of the order that was answered.
    A ``link`` is a Manager's request to be linked; no id: all of them.
    """

    kind: Kind
    id: str
    job: str | None = None


Listener = Callable[[Change], None]


class EventBus(Protocol):
    """Carries changes to every part of the Server, in every process of it. Published only after the commit."""

    def publish(self, changes: Iterable[Change]) -> None:
        """Tell all listeners."""

    def listening(self, listener: Listener) -> AbstractContextManager[None]:
        """Call ``listener`` in the event loop for each change, while the context lasts; it must be quick."""


class InProcessBus:
    """The engine for a Server of one process."""

    def __init__(self) -> None:
        self._listeners: dict[object, Listener] = {}

    def publish(self, changes: Iterable[Change]) -> None:
        """Tell all listeners, in this call."""
        for change in changes:
            for listener in list(self._listeners.values()):
                listener(change)

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Call ``listener`` for each change while the context lasts."""
        key = object()
        self._listeners[key] = listener
        try:
            yield
        finally:
            del self._listeners[key]
