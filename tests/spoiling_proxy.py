"""A service that gets something wrong: a proxy before a real one, which spoils its answers."""

import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import aiohttp
from aiohttp import web

from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address


@dataclass(frozen=True)
class Given:
    """What the real service answered to what."""

    method: str
    path: str
    said: bytes
    status: int
    headers: dict[str, str]
    body: bytes

    def but(self, **changes: object) -> "Given":
        return replace(self, **changes)  # type: ignore[arg-type]


Spoil = Callable[[Given], Given]


@dataclass
class SpoilingProxy:
    """``spoil`` changes every answer; from the call number ``fails_from`` on, everything is answered with 500."""

    target: str
    spoil: Spoil = lambda given: given
    fails_from: int | None = None
    added_headers: dict[str, str] = field(default_factory=dict)
    calls: int = 0
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.calls += 1
        said = await request.read()
        if self.fails_from is not None and self.calls >= self.fails_from:
            return web.json_response({"code": 500, "message": "spoiled"}, status=500)
        given = self.spoil(await self._real(request, said))
        return web.Response(status=given.status, body=given.body or None, headers=given.headers)

    async def _real(self, request: web.Request, said: bytes) -> Given:
        headers = {name: value for name, value in request.headers.items() if name not in ("Host", "Content-Length")}
        async with self._http.request(
            request.method,
            self.target + request.raw_path,
            data=io.BytesIO(said) if said else None,
            headers=headers | self.added_headers,
            skip_auto_headers=("Content-Type",),
            allow_redirects=False,
        ) as response:
            kept = ("Content-Type", "Content-Range", "Preference-Applied", "WWW-Authenticate", "Retry-After")
            passed_on = {name: response.headers[name] for name in kept if name in response.headers}
            return Given(request.method, request.raw_path, said, response.status, passed_on, await response.read())


@asynccontextmanager
async def spoiling(target: str, **spoils: object) -> AsyncIterator[SpoilingProxy]:
    """Run a proxy on a free port."""
    proxy = SpoilingProxy(target, **spoils)  # type: ignore[arg-type]
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", proxy.answer)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as proxy._http,
        listening(app, Address("127.0.0.1", 0)) as address,
    ):
        proxy.url = address.url
        yield proxy
