"""Looking for a Manager by multicast DNS, under the name that ours announce."""

import asyncio
import ipaddress
import re
from collections.abc import Callable, Sequence

import structlog
from zeroconf import Error, IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo

from flamenco_core.wire.discovery import MDNS_TYPE
from flamenco_runtime.multicast import multicast
from flamenco_runtime.network import Interface

log = structlog.get_logger()

DETAILS_WITHIN_MS = 3000
"""How long the network is asked for address and port of a name that was heard."""

_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.?", re.IGNORECASE | re.ASCII)

Found = Callable[[str], None]
"""Called with each URL of each Manager that is heard of."""


async def search_by_mdns(interfaces: Sequence[Interface], found: Found) -> None:
    """Listen for Managers in the networks that this machine is in, for ever. Raises OSError."""
    addresses = [str(interface.ip) for interface in interfaces]
    async with (
        multicast(addresses) as network,
        asyncio.TaskGroup() as group,
    ):

        def heard(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
            if state_change is not ServiceStateChange.Removed:
                group.create_task(_look_up(zeroconf, service_type, name, found))

        browser = AsyncServiceBrowser(network.zeroconf, MDNS_TYPE, handlers=[heard])
        try:
            await asyncio.get_running_loop().create_future()  # until we are cancelled
        finally:
            await browser.async_cancel()


async def _look_up(zeroconf: Zeroconf, service_type: str, name: str, found: Found) -> None:
    info = AsyncServiceInfo(service_type, name)
    try:
        is_complete = await info.async_request(zeroconf, DETAILS_WITHIN_MS)
    except Error as error:
        log.debug("a Manager that was heard of cannot be asked for", name=name, error=str(error))
        return
    if not is_complete or info.port is None:
        log.debug("a Manager that was heard of gives no address", name=name)
        return
    said = info.decoded_properties
    path, scheme, host = (said.get("path") or "/").rstrip("/"), said.get("scheme") or "http", said.get("host")
    if (path and not path.startswith("/")) or scheme not in ("http", "https"):
        return
    if host and _HOST.fullmatch(host):  # the name for which it has its certificate
        found(f"{scheme}://{host}:{info.port}{path}")
    for address in info.ip_addresses_by_version(IPVersion.All):
        if not address.is_link_local or address.version == 4:
            found(f"{scheme}://{_in_url(address)}:{info.port}{path}")


def _in_url(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)
