"""A line between two programs that loses, doubles, delays and re-orders what they say; drawn from a seed."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address

_PASSED_ON = ("Content-Type", "Preference-Applied", "Retry-After", "Content-Encoding", "Content-Range")
_OWN = ("Host", "Content-Length", "Transfer-Encoding", "Accept-Encoding")
FATES = ("lost", "answer lost", "doubled", "late copy")
LATEST = 30
"""A delayed copy comes at most so many calls later."""


@dataclass(frozen=True)
class _Call:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class BadLine:
    """``share``: of so many calls something becomes that should not; 0: none."""

    target: Callable[[], str]
    rng: random.Random
    share: float
    tally: Counter[str] = field(default_factory=Counter)
    url: str = ""
    _late: list[tuple[int, _Call]] = field(default_factory=list)
    _calls: int = 0
    _http: aiohttp.ClientSession = field(init=False)

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        call = _Call(
            request.method,
            request.raw_path,
            {name: value for name, value in request.headers.items() if name not in _OWN},
            await request.read(),
        )
        await self._deliver_late()
        fate = self.rng.choice(FATES) if self.rng.random() < self.share else ""
        self.tally[fate or "passed on"] += 1
        if fate == "lost":
            return _hang_up(request)
        if fate == "doubled":
            await self._deliver(call)
        if fate == "late copy":
            self._late.append((self._calls + self.rng.randint(1, LATEST), call))
        answer = await self._deliver(call)
        if answer is None or fate == "answer lost":
            return _hang_up(request)
        return answer

    async def _deliver_late(self) -> None:
        """Deliver those whose time has come, in any order, and let nobody hear of the answer."""
        self._calls += 1
        due = [call for when, call in self._late if when <= self._calls]
        self._late = [(when, call) for when, call in self._late if when > self._calls]
        self.rng.shuffle(due)
        for call in due:
            await self._deliver(call)

    async def _deliver(self, call: _Call) -> web.Response | None:
        try:
            async with self._http.request(
                call.method,
                self.target() + call.path,
                data=call.body or None,
                headers=call.headers,
                skip_auto_headers=("Content-Type",),
            ) as answer:
                kept = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
                return web.Response(status=answer.status, body=await answer.read() or None, headers=kept)
        except (aiohttp.ClientError, OSError):
            return None


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


@asynccontextmanager
async def bad_line(target: Callable[[], str], seed: int, share: float) -> AsyncIterator[BadLine]:
    """Lay a line to whatever ``target`` says."""
    line = BadLine(target, random.Random(seed), share)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", line.pass_on)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False) as line._http,
        listening(app, Address("127.0.0.1", 0)) as address,
    ):
        line.url = address.url
        yield line
