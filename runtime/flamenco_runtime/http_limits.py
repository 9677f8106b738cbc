"""How long clients may take, and how much they may hold; services can be given other limits, tests shorter ones."""

import ipaddress
from dataclasses import dataclass

from aiohttp import web

from flamenco_runtime.proxies import Network

LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of one service. A slow network is no attack, so what a body may take grows with what has come of it."""

    headers_s: float = 10.0
    """Until all headers are there, from the connection on, or from the first byte of the next request."""
    body_s: float = 10.0
    """Until a body is there that does not come at ``least_bytes_per_s``."""
    unread_s: float = 4.0
    """How long the rest of a body is still taken, and thrown away, after its request was answered: a client that is cut
    off while it sends may not see the answer."""
    least_bytes_per_s: float = 16 * 1024
    keep_alive_s: float = 75.0
    """Idle connections stay open longer than the gaps between a Worker's polls (worker-api.md, section 1)."""

    connections_per_address: int | None = None
    """So many connections may come from one address; None: any number."""
    uncounted: tuple[Network, ...] = LOOPBACK
    """Addresses that may hold any number all the same; listed proxies may too, since they speak for many."""
    crowded_s: float = 2.0
    """``headers_s`` where there are too many: such a connection is held only to tell them so."""

    def patience_s(self, size_bytes: int) -> float:
        """Return how long a body may take of which so much has come."""
        return self.body_s + size_bytes / self.least_bytes_per_s


HTTP_LIMITS = web.AppKey("http_limits", HttpLimits)
_DEFAULT = HttpLimits()


def limits_of(request: web.Request) -> HttpLimits:
    """Return the limits of the service that serves a request."""
    return request.config_dict.get(HTTP_LIMITS, _DEFAULT)
