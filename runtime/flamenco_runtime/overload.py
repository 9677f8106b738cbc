"""How much a service takes on at a time: requests under way, and bytes of their bodies in memory.

More are refused at once instead of being gathered: whoever is told so comes again later, and memory has an end.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from aiohttp import web

from flamenco_core.errors import Unavailable

log = structlog.get_logger()

SAY_SO_EVERY_S = 60.0
"""So often at most the log tells of it, however many are refused."""


class Overloaded(Unavailable):
    """There is more to do than this service takes on at a time."""

    type = "overloaded"
    retry_after_s = 2


@dataclass(slots=True)
class Held:
    """What one request holds of the load."""

    load: "Load"
    size_bytes: int = 0

    def add(self, size_bytes: int) -> None:
        """Count bytes of its body. Raises Overloaded; a request that is alone is never too large."""
        load = self.load
        if load.size_bytes + size_bytes > load.most_bytes and load.size_bytes > self.size_bytes:
            raise load.refusal(f"requests under way hold {load.size_bytes} bytes")
        self.size_bytes += size_bytes
        load.size_bytes += size_bytes


HELD = web.RequestKey("held", Held)
"""Where a request that counts keeps what it holds."""


class Load:
    """What is under way: requests that are ``taken_on``, and of their bodies what ``read_limited`` has read."""

    def __init__(self, most_requests: int, most_bytes: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.most_requests = most_requests
        self.most_bytes = most_bytes
        self.requests = 0
        self.size_bytes = 0
        self.refused = 0
        """How many were refused since the start."""
        self.obstacle: Callable[[], None] = lambda: None
        """Called for each request; raises Unavailable while nothing that comes could be done."""
        self._monotonic = monotonic
        self._said_s = float("-inf")

    @contextmanager
    def taken_on(self, request: web.Request) -> Iterator[None]:
        """Count a request while the context lasts. Raises as ``check`` does."""
        self.check()
        held = request[HELD] = Held(self)
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1
            self.size_bytes -= held.size_bytes

    def check(self) -> None:
        """Refuse a request that does not count itself, when there are too many that do.

        Raises Overloaded, and what the obstacle raises.
        """
        self.obstacle()
        if self.requests >= self.most_requests:
            raise self.refusal(f"{self.requests} requests are under way")

    def refusal(self, why: str) -> Overloaded:
        """Make the error that refuses a request; once in a while the log tells of it."""
        self.refused += 1
        now_s = self._monotonic()
        if now_s - self._said_s >= SAY_SO_EVERY_S:
            self._said_s = now_s
            log.warning("more comes than can be taken on; the rest is told to come later", why=why)
        return Overloaded(f"There is too much to do just now: {why}. Try again in a moment.")
