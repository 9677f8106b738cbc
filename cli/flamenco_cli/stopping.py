"""Running something until it ends, or until the person stops it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from flamenco_runtime.service import stop_on_signals

T = TypeVar("T")


async def until_stopped(work: Coroutine[Any, Any, T], *, on_stop: Callable[[], None]) -> T | None:
    """Run ``work`` and return its result; SIGINT and SIGTERM cancel it, let it clean up, and make it None.

    A second signal changes nothing: whatever cleans up has its own time limits.
    """
    with stop_on_signals() as stop:
        task = asyncio.create_task(work)
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            on_stop()
            task.cancel()
        stopping.cancel()
        await asyncio.wait({task, stopping})
    return None if task.cancelled() else task.result()
