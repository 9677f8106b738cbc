"""Announcing this Manager by multicast DNS, where Workers of ours look for it first."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from zeroconf import Error, IPVersion, NonUniqueNameException
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from flamenco_core import VERSION
from flamenco_core.identifiers import new_id
from flamenco_core.wire.discovery import MDNS_TYPE
from flamenco_manager.ssdp import Place

LONGEST_NAME_BYTES = 63
"""Of a service instance (RFC 6763, section 4.1.1)."""


class NotAnnounced(OSError):
    """The network does not let us; the message says why."""


@asynccontextmanager
async def announced_by_mdns(name: str, place: Place) -> AsyncIterator[None]:
    """Be found under this name while the context lasts; another number behind it, if it is taken. Raises OSError."""
    addresses = [str(interface.ip) for interface in place.interfaces]
    async with _multicast(addresses) as zeroconf:
        info = AsyncServiceInfo(
            MDNS_TYPE,
            f"{instance_name(name)}.{MDNS_TYPE}",
            port=place.port,
            properties={"version": VERSION, "path": "/"},
            server=f"flamenco-{new_id()[:8]}.local.",  # not the machine's own name, which others announce
            parsed_addresses=addresses,
        )
        try:
            await (await zeroconf.async_register_service(info, allow_name_change=True))
        except (Error, NonUniqueNameException) as error:
            raise NotAnnounced(f"{error or type(error).__name__}") from error
        yield


@asynccontextmanager
async def _multicast(addresses: Sequence[str]) -> AsyncIterator[AsyncZeroconf]:
    """Open the network; it is closed also where we are cancelled while it starts, which its own context forgets."""
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


def instance_name(name: str) -> str:
    """Make a name that a service may have of that of a Manager: no control characters, and not too long."""
    printable = "".join(char for char in name if char.isprintable()).strip()
    room = LONGEST_NAME_BYTES - len("-999")
    return printable.encode()[:room].decode(errors="ignore") or "Flamenco Manager"
