"""Long work that says now and then how far it has come."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
Tell = Callable[[str, float], Awaitable[None]]
"""Told what is done now, and which share of that is done, from 0 to 1."""
OnProgress = Callable[[float], None]
"""Called with the share that is done, in whatever thread does it."""

TELL_EVERY_S = 0.5


async def telling(doing: str, tell: Tell, work: Callable[[OnProgress], T]) -> T:
    """Do some work in a thread, and tell now and then how far it has come."""
    share = 0.0

    def note(done: float) -> None:
        nonlocal share
        share = done

    task = asyncio.ensure_future(asyncio.to_thread(work, note))
    while True:
        await tell(doing, share)
        done, _ = await asyncio.wait({task}, timeout=TELL_EVERY_S)
        if done:
            return task.result()
