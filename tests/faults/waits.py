"""Waiting for what happens in another process, or in a loop that tells nobody."""

import asyncio
from collections.abc import Callable


async def eventually(condition: Callable[[], object], deadline_s: float = 60.0) -> None:
    """Wait until a condition is true; raises TimeoutError."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 (nobody tells us)
            await asyncio.sleep(0.01)
