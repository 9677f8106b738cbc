"""Announcing this Manager by multicast DNS, where Workers of ours look for it first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from zeroconf import Error, NonUniqueNameException
from zeroconf.asyncio import AsyncServiceInfo

from flamenco_core import VERSION
from flamenco_core.identifiers import new_id
from flamenco_core.wire.discovery import MDNS_TYPE
from flamenco_manager.ssdp import Place
from flamenco_runtime.multicast import multicast

LONGEST_NAME_BYTES = 63
"""Of a service instance (RFC 6763, section 4.1.1)."""


class NotAnnounced(OSError):
    """The network does not let us; the message says why."""


@asynccontextmanager
async def announced_by_mdns(name: str, place: Place) -> AsyncIterator[None]:
    """Be found under this name while the context lasts; another number behind it, if it is taken. Raises OSError."""
    addresses = [str(interface.ip) for interface in place.interfaces]
    async with multicast(addresses) as zeroconf:
        info = AsyncServiceInfo(
            MDNS_TYPE,
            f"{instance_name(name)}.{MDNS_TYPE}",
            port=place.port,
            properties={"version": VERSION, "path": "/", **_of_tls(place)},
            server=f"flamenco-{new_id()[:8]}.local.",  # not the machine's own name, which others announce
            parsed_addresses=addresses,
        )
        try:
            await (await zeroconf.async_register_service(info, allow_name_change=True))
        except (Error, NonUniqueNameException) as error:
            raise NotAnnounced(f"{error or type(error).__name__}") from error
        yield


def _of_tls(place: Place) -> dict[str, str]:
    """Return what a Worker must know to speak TLS: without it, a Manager speaks HTTP under its addresses."""
    if place.scheme == "http":
        return {}
    return {"scheme": place.scheme, **({"host": place.hosts[0]} if place.hosts else {})}


def instance_name(name: str) -> str:
    """Make a name that a service may have of that of a Manager: no control characters, and not too long."""
    printable = "".join(char for char in name if char.isprintable()).strip()
    room = LONGEST_NAME_BYTES - len("-999")
    return printable.encode()[:room].decode(errors="ignore") or "Flamenco Manager"
