"""The network of multicast DNS, opened and closed whatever happens meanwhile (RFC 6762, through ``zeroconf``)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from zeroconf import IPVersion
from zeroconf.asyncio import AsyncZeroconf


@asynccontextmanager
async def multicast(addresses: Sequence[str]) -> AsyncIterator[AsyncZeroconf]:
    """Open the network; it is closed also where we are cancelled while it starts, which its own context forgets.

    Raises OSError.
    """
    network = AsyncZeroconf(interfaces=addresses, ip_version=IPVersion.V4Only)
    try:
        await network.zeroconf.async_wait_for_start()
        yield network
    finally:
        closing, cancelled = asyncio.ensure_future(network.async_close()), False
        while not closing.done():
            try:
                await asyncio.wait({closing})
            except asyncio.CancelledError:  # its sockets would stay open; it takes a moment, and we end after it
                cancelled = True
        if cancelled:
            raise asyncio.CancelledError
