"""Who calls, when proxies stand between: what they say of it is believed of listed ones, and of nobody else."""

import ipaddress
from collections.abc import Iterator, Sequence

from aiohttp import web

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

TRUSTED_PROXIES = web.AppKey("trusted_proxies", tuple[Network, ...])
FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Real-IP")
"""Headers in which somebody says that he forwards for another."""
_MOST_HOPS = 32


def read_proxies(value: object) -> tuple[Network, ...]:
    """Read addresses or networks, as a list or with commas between. Raises ValueError with what would be right."""
    listed = value if isinstance(value, list | tuple) else str(value).split(",")
    texts = [text for one in listed if (text := str(one).strip())]
    try:
        return tuple(mapped(ipaddress.ip_network(text, strict=False)) for text in texts)
    except ValueError:
        raise ValueError("write addresses or networks, with commas between: 10.0.0.5, 192.168.0.0/16") from None


def client_address(request: web.Request) -> str:
    """Return the address of whoever calls, as far as it is certain.

    That is the other end of the connection; where that is a listed proxy, the last address in ``X-Forwarded-For`` that
    is none, or ``X-Real-IP``.
    """
    proxies = request.config_dict.get(TRUSTED_PROXIES, ())
    address = request.remote or ""
    if not _is_listed(address, proxies):
        return address
    for hop in _hops(request):
        if not _is_address(hop):
            return address
        address = hop
        if not _is_listed(address, proxies):
            return address
    return address


def is_forwarded(request: web.Request) -> bool:
    """Tell whether somebody says that he forwards this for another, whether he is believed or not."""
    return any(header in request.headers for header in FORWARDING)


def is_believed(request: web.Request) -> bool:
    """Tell whether ``client_address`` is that of the caller himself: nobody forwarded, or only listed proxies did."""
    return not is_forwarded(request) or client_address(request) != (request.remote or "")


def _hops(request: web.Request) -> Iterator[str]:
    """Yield who sent it on to whom, the last one first."""
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
    yield from (hops or request.headers.getall("X-Real-IP", []))[: -_MOST_HOPS - 1 : -1]


def _is_listed(address: str, proxies: Sequence[Network]) -> bool:
    if not proxies or not _is_address(address):
        return False
    network = mapped(ipaddress.ip_network(address))
    return any(network.version == proxy.version and network.subnet_of(proxy) for proxy in proxies)  # type: ignore[arg-type]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def mapped(network: Network) -> Network:
    """Return an IPv4 network that is written as IPv6 as what it is."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is None or network.prefixlen < 96:
        return network
    return ipaddress.ip_network((int(mapped), network.prefixlen - 96))
