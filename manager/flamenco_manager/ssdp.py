"""Announcing this Manager by SSDP, as Flamenco 3 Workers look for it (worker-api.md, section 11)."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from flamenco_core.wire import discovery
from flamenco_runtime.clock import Clock
from flamenco_runtime.network import Interface, group_receiver, group_sender

log = structlog.get_logger()

NOTIFY_EVERY_S = discovery.LIFETIME_S / 3
"""An announcement is renewed before it runs out, twice, in case one is lost."""
GROUP = (discovery.SSDP_GROUP, discovery.SSDP_PORT)


@dataclass(frozen=True)
class Place:
    """Where a Manager is reached: these addresses of its machine, and the port.

    ``hosts``: names of it, where TLS wants one that stands in the certificate.
    """

    interfaces: Sequence[Interface]
    port: int
    scheme: str = "http"
    hosts: Sequence[str] = ()

    def urls(self, asked_by: str | None = None) -> list[str]:
        """Return a URL for each name, and each address; first those that whoever asks is in the same network with."""
        nearest = self.interfaces
        if asked_by is not None:
            asker = ipaddress.ip_address(asked_by)
            nearest = sorted(self.interfaces, key=lambda interface: asker not in interface.network)
        return [self._url(host) for host in (*self.hosts, *(str(interface.ip) for interface in nearest))]

    def url_in(self, interface: Interface) -> str:
        """Return the one URL that a network is told."""
        return self._url(self.hosts[0] if self.hosts else str(interface.ip))

    def _url(self, host: str) -> str:
        return f"{self.scheme}://{host}:{self.port}"


@asynccontextmanager
async def announced_by_ssdp(place: Place, clock: Clock, *, group: tuple[str, int] = GROUP) -> AsyncIterator[None]:
    """Answer those who look for a Manager, and tell the network that there is one, while the context lasts.

    Raises OSError when the port cannot be shared with others.
    """
    with group_receiver(*group, place.interfaces) as receiver:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Answering(place, clock), sock=receiver
        )
        notifying = asyncio.create_task(_notify_for_ever(place, group))
        try:
            yield
        finally:
            notifying.cancel()
            transport.close()
            await asyncio.wait({notifying})
            _tell(place, group, goodbye=True)


class _Answering(asyncio.DatagramProtocol):
    """Answers each question with one datagram per own address, which say where the Manager is."""

    def __init__(self, place: Place, clock: Clock) -> None:
        self._place = place
        self._clock = clock
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        """Keep what answers are sent with."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Answer a question; whatever else comes is no business of ours."""
        if not discovery.asks_for_managers(data) or not _is_near(addr[0]) or self._transport is None:
            return
        for url in self._place.urls(asked_by=addr[0]):
            self._transport.sendto(discovery.search_reply(url, self._clock()), addr)
        log.debug("a Worker looks for its Manager", address=addr[0])

    def error_received(self, exc: Exception) -> None:
        """Note that an answer did not arrive: who asked may be gone."""
        log.debug("an answer could not be sent", error=str(exc))


def _is_near(address: str) -> bool:
    """Tell whether an address is of a local network: nobody else is answered, who may not be the one who asks."""
    return not ipaddress.ip_address(address).is_global


async def _notify_for_ever(place: Place, group: tuple[str, int]) -> None:
    while True:
        _tell(place, group)
        await asyncio.sleep(NOTIFY_EVERY_S)


def _tell(place: Place, group: tuple[str, int], *, goodbye: bool = False) -> None:
    """Tell each network that this Manager is there, or goes."""
    for interface in place.interfaces:
        notice = discovery.byebye_notice() if goodbye else discovery.alive_notice(place.url_in(interface))
        with contextlib.suppress(OSError), contextlib.closing(group_sender(interface)) as sender:
            _send(sender, notice, group)


def _send(sender: socket.socket, notice: bytes, group: tuple[str, int]) -> None:
    sender.sendto(notice, group)
