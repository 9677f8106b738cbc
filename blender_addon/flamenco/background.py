"""Calls that may take long run on threads of their own; what comes of them is handed over on Blender's main thread.

Blender's data may be touched on its main thread only, and nothing there may wait. So a call gets plain values, runs
on a daemon thread (Blender quits without waiting for it), and its outcome lies in a queue until a timer fetches it.
"""

import logging
import queue
import threading
import traceback
from collections.abc import Callable
from typing import Generic, TypeVar

from .problems import Problem

T = TypeVar("T")
log = logging.getLogger(__name__)


class Outcome(Generic[T]):
    """What became of a call: a value, or a problem to show."""

    def __init__(self, value: "T | None", problem: "Problem | None") -> None:
        self._value = value
        self.problem = problem

    def get(self) -> T:
        """Return the value. Raises the problem if there is one."""
        if self.problem is not None:
            raise self.problem
        return self._value  # type: ignore[return-value] # a call without a problem gave one


def outcome_of(call: Callable[[], T]) -> Outcome[T]:
    """Run a call here and now. What nobody foresaw becomes a problem whose details are the traceback."""
    try:
        return Outcome(call(), None)
    except Problem as problem:
        return Outcome(None, problem)
    except Exception as error:  # the border of the thread: shown to the artist, and logged
        log.exception("a call of the Flamenco add-on failed")
        message = f"The add-on met an error that it does not know ({error}). Copy the details for whoever helps you."
        return Outcome(None, Problem(message, traceback.format_exc()))


class Background:
    """Starts calls, and delivers their outcomes to whoever calls ``deliver``: the main thread."""

    def __init__(self) -> None:
        self._ended: "queue.SimpleQueue[Callable[[], None]]" = queue.SimpleQueue()

    def start(self, call: Callable[[], T], then: Callable[[Outcome[T]], None]) -> None:
        """Run ``call`` on a thread; ``then`` gets its outcome in a later ``deliver``."""

        def run() -> None:
            outcome = outcome_of(call)
            self._ended.put(lambda: then(outcome))

        threading.Thread(target=run, name="flamenco", daemon=True).start()

    def deliver(self) -> bool:
        """Hand over the outcomes that wait. Returns whether there was one."""
        delivered = False
        while not self._ended.empty():
            self._ended.get()()
            delivered = True
        return delivered
