"""Which addresses this machine has, and datagrams to groups of machines in the local network."""

import contextlib
import ipaddress
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import ifaddr

EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 (recognised, not bound)
HOPS = 2
"""How many networks a datagram to a group may pass (UPnP Device Architecture 1.1, section 1.3)."""

Interface = ipaddress.IPv4Interface
"""An address of this machine, with the network that it is in."""


def own_interfaces() -> list[Interface]:
    """Return the IPv4 addresses of this machine, loopback excepted."""
    return [
        interface
        for adapter in ifaddr.get_adapters()
        for address in adapter.ips
        if isinstance(address.ip, str)
        and not (interface := Interface(f"{address.ip}/{address.network_prefix}")).ip.is_loopback
    ]


def interfaces_of(host: str) -> list[Interface]:
    """Return those addresses of this machine under which others reach a service that listens on ``host``.

    None if it listens on loopback only. Blocks while a name is looked up; raises OSError when it is unknown.
    """
    own = own_interfaces()
    if host in EVERYWHERE:
        return own
    named = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, socket.AF_UNSPEC, socket.SOCK_STREAM)}
    return [interface for interface in own if str(interface.ip) in named]


@contextmanager
def group_receiver(group: str, port: int, interfaces: Sequence[Interface]) -> Iterator[socket.socket]:
    """Yield a socket that gets what is sent to a group, on each of these addresses that can.

    Only that, and nothing that is sent to this machine alone, where the system can tell them apart. Raises OSError.
    """
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        receiver.setblocking(False)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _bind(receiver, group, port)
        for interface in interfaces:
            membership = socket.inet_aton(group) + interface.ip.packed
            with contextlib.suppress(OSError):  # an interface without multicast
                receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        yield receiver
    finally:
        receiver.close()


def group_sender(interface: Interface) -> socket.socket:
    """Open a socket that sends to groups from one address of this machine, and gets the answers. Raises OSError."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sender.setblocking(False)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface.ip.packed)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOPS)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        sender.bind((str(interface.ip), 0))
    except OSError:
        sender.close()
        raise
    return sender


def _bind(receiver: socket.socket, group: str, port: int) -> None:
    try:
        receiver.bind((group, port))
    except OSError:  # a system that binds to own addresses only
        receiver.bind(("", port))
