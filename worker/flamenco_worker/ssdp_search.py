"""Looking for a Manager by SSDP, as Flamenco 3 Managers and ours can be found (worker-api.md, section 11)."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import structlog

from flamenco_core.wire import discovery
from flamenco_runtime.network import Interface, group_sender

log = structlog.get_logger()

ASK_EVERY_S = 1.0
GROUP = (discovery.SSDP_GROUP, discovery.SSDP_PORT)

Found = Callable[[str], None]
"""Called with the URL of each Manager that answers, however often."""


async def search_by_ssdp(interfaces: Sequence[Interface], found: Found, *, group: tuple[str, int] = GROUP) -> None:
    """Ask in each network that this machine is in, every second, for ever."""
    with ExitStack() as stack:
        transports: list[asyncio.DatagramTransport] = []
        for interface in interfaces:
            try:
                sender = group_sender(interface)
            except OSError as error:
                log.debug("cannot look for a Manager here", address=str(interface.ip), error=str(error))
                continue
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Listening(found), sock=sender
            )
            stack.callback(transport.close)
            transports.append(transport)
        while True:
            for transport in transports:
                transport.sendto(discovery.search_request(), group)
            await asyncio.sleep(ASK_EVERY_S)


class _Listening(asyncio.DatagramProtocol):
    def __init__(self, found: Found) -> None:
        self._found = found

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Take an answer."""
        url = discovery.manager_in_reply(data)
        if url is not None:
            self._found(url)

    def error_received(self, exc: Exception) -> None:
        """Note that a question could not be sent: the network may come back."""
        log.debug("cannot look for a Manager", error=str(exc))
