"""A thread beside the event loop that does works in order; those that come while it is busy go together.

Handing a work to a thread and its outcome back costs more than many a work itself. So, as with group commit: while the
thread is busy the next works gather, and all of them cost two hand-overs. When it is idle a work begins at once.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class Lane:
    """One thread, and the works that wait for it. Belongs to one event loop; closed from anywhere."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._guard = threading.Lock()
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._is_busy = False

    def run(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Do ``work`` after all that was given before; the future holds what it returned or raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._guard:
            self._waiting.append((work, future))
            if self._is_busy:
                return future
            self._is_busy = True
        self._thread.submit(self._work_through, loop)
        return future

    @property
    def waiting(self) -> int:
        """How many works wait for their turn."""
        return len(self._waiting)

    def close(self, last: Callable[[], None] = lambda: None) -> None:
        """Do what still waits, then ``last``, then end the thread. Blocks."""
        self._thread.submit(last).result()
        self._thread.shutdown()

    def _work_through(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            with self._guard:
                works, self._waiting = self._waiting, []
                if not works:
                    self._is_busy = False
                    return
            outcomes = [_outcome(work) for work, _ in works]
            futures = [future for _, future in works]
            try:
                loop.call_soon_threadsafe(_resolve, futures, outcomes)
            except RuntimeError:  # the loop has ended; nobody waits any more
                continue


class _Raised:
    def __init__(self, error: Exception) -> None:
        self.error = error


def _outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:  # noqa: BLE001 (it belongs to whoever waits for it)
        return _Raised(error)


def _resolve(futures: list["asyncio.Future[Any]"], outcomes: list[Any]) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        if future.done():
            continue
        if isinstance(outcome, _Raised):
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome)
