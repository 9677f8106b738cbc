"""How many connections one address may hold, so that it cannot take what there is for all (quality.md, section 5)."""

import ipaddress
from collections import Counter
from collections.abc import Sequence
from enum import Enum

from flamenco_core.errors import TooMany
from flamenco_runtime.proxies import Network, mapped

_IPV6_SITE_BITS = 64
"""Whoever has one IPv6 address has all of its network (RFC 4291, 2.5.4): they count as one."""


class TooManyConnections(TooMany):
    """An address that holds as many connections as it may asks for something on another."""

    type = "too-many-connections"


class Room(Enum):
    """What there is for one more connection of an address."""

    ENOUGH = "enough"
    NONE = "none"
    """Its next request is told so."""
    OVERRUN = "overrun"
    """There are as many again that are being told: this one is closed without a word."""


class Crowd:
    """Counts the connections of each address. ``most`` None: there may be any number; so there may of ``uncounted``."""

    def __init__(self, most: int | None, uncounted: Sequence[Network]) -> None:
        self.most = most
        self._uncounted = uncounted
        self._held: Counter[Network] = Counter()

    def enter(self, address: str) -> tuple[Network | None, Room]:
        """Count a connection; returns what to ``leave`` with when it ends (None: nothing), and the room for it."""
        origin = self._origin(address) if self.most is not None else None
        if origin is None or self.most is None:
            return None, Room.ENOUGH
        self._held[origin] += 1
        held = self._held[origin]
        if held <= self.most:
            return origin, Room.ENOUGH
        return origin, Room.NONE if held <= 2 * self.most else Room.OVERRUN

    def leave(self, origin: Network | None) -> None:
        """Count a connection no more."""
        if origin is None:
            return
        self._held[origin] -= 1
        if not self._held[origin]:
            del self._held[origin]

    def _origin(self, address: str) -> Network | None:
        """Return whom a connection counts for, if anybody."""
        try:
            network = mapped(ipaddress.ip_network(address.partition("%")[0]))
        except ValueError:  # no network at all, as of a socket in a folder
            return None
        if any(network.version == one.version and network.subnet_of(one) for one in self._uncounted):  # type: ignore[arg-type]
            return None
        return network.supernet(new_prefix=_IPV6_SITE_BITS) if network.version == 6 else network
