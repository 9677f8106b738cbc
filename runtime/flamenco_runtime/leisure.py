"""Work that can wait, beside work that cannot."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

RESTS = 3.0
"""What is done at leisure takes one part of the time, and resting so many."""


@asynccontextmanager
async def at_leisure(rests: float = RESTS) -> AsyncIterator[None]:
    """Rest after a piece of work, in proportion to how long it took; there is no rest after one that failed."""
    clock = asyncio.get_running_loop().time
    began_s = clock()
    yield
    await asyncio.sleep(rests * (clock() - began_s))
