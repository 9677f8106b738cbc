"""What a service takes on at a time, and that it comes back to nothing whatever happens."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from flamenco_core.errors import Unavailable
from flamenco_runtime.http_client import LONGEST_RETRY_AFTER_S, pause_after, send
from flamenco_runtime.json_body import read_limited
from flamenco_runtime.overload import SAY_SO_EVERY_S, Load, Overloaded
from flamenco_runtime.problems import problems
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address

DEADLINE_S = 20.0
KIB = 1024


@dataclass
class Service:
    """Reads bodies, and answers once it may."""

    load: Load
    url: str = ""
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def answer(self, request: web.Request) -> web.Response:
        with self.load.taken_on(request):
            await read_limited(request, 1024 * KIB)
            await self._tell()
            await self.may_answer.wait()
        return web.Response(text="done")

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S), self._changed:
            await self._changed.wait_for(condition)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@asynccontextmanager
async def serving(load: Load) -> AsyncIterator[tuple[Service, aiohttp.ClientSession]]:
    service = Service(load)
    app = web.Application(middlewares=[problems], client_max_size=10**9)
    app.router.add_post("/", service.answer)
    async with (
        listening(app, Address("127.0.0.1", 0)) as address,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        service.url = address.url
        yield service, session


async def test_more_requests_than_it_takes_on_are_told_to_come_later_at_once() -> None:
    async with serving(Load(2, 10**9)) as (service, session):
        first = [asyncio.create_task(send(session, "POST", service.url)) for _ in range(2)]
        await service.until(lambda: service.load.requests == 2)
        with pytest.raises(Unavailable, match="2 requests are under way") as told:
            await send(session, "POST", service.url)
        assert told.value.type == "overloaded"
        assert told.value.retry_after_s == Overloaded.retry_after_s
        service.may_answer.set()
        assert [(await call).body for call in first] == [b"done", b"done"]
        assert (await send(session, "POST", service.url)).body == b"done"
        assert (service.load.requests, service.load.refused) == (0, 1)


async def test_bodies_hold_so_much_together_and_one_alone_may_be_larger() -> None:
    async with serving(Load(100, 300 * KIB)) as (service, session):
        large = b"x" * 250 * KIB
        first = asyncio.create_task(send(session, "POST", service.url, data=large))
        await service.until(lambda: service.load.size_bytes == len(large))
        with pytest.raises(Unavailable, match="requests under way hold"):
            await send(session, "POST", service.url, data=large)
        small = asyncio.create_task(send(session, "POST", service.url, data=b"x" * KIB))
        await service.until(lambda: service.load.size_bytes == len(large) + KIB)
        service.may_answer.set()
        await asyncio.gather(first, small)
        assert (await send(session, "POST", service.url, data=b"x" * 900 * KIB)).body == b"done"
        assert service.load.size_bytes == 0


async def test_a_caller_that_goes_away_gives_back_what_it_held() -> None:
    async with serving(Load(100, 10**9)) as (service, session):
        call = asyncio.create_task(send(session, "POST", service.url, data=b"x" * 200 * KIB))
        await service.until(lambda: service.load.size_bytes == 200 * KIB)
        call.cancel()
        await asyncio.wait({call})
        async with asyncio.timeout(DEADLINE_S):
            while service.load.requests or service.load.size_bytes:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.01)


def test_the_log_tells_of_it_once_a_minute_however_many_there_are() -> None:
    passed = [0.0]
    load = Load(0, 0, lambda: passed[0])
    with capture_logs() as lines:
        for now_s in (0.0, 1.0, SAY_SO_EVERY_S - 1, SAY_SO_EVERY_S, SAY_SO_EVERY_S + 1):
            passed[0] = now_s
            with pytest.raises(Overloaded):
                load.check()
    assert [line["log_level"] for line in lines] == ["warning", "warning"]
    assert load.refused == 5


def unavailable(retry_after_s: int | None) -> Unavailable:
    error = Unavailable("busy")
    error.retry_after_s = retry_after_s
    return error


def test_who_is_told_when_to_come_again_waits_that_long_within_reason() -> None:
    assert pause_after(unavailable(None), iter([0.3])) == 0.3
    assert 5 <= pause_after(unavailable(5), iter([0.3])) <= 7.5
    assert pause_after(unavailable(1), iter([9.0])) == 9.0
    assert pause_after(unavailable(10**8), iter([0.3])) <= LONGEST_RETRY_AFTER_S * 1.5


@pytest.mark.parametrize("header", ["", "soon", "-1", "1.5", "²", "9" * 400, "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_a_retry_after_that_is_no_number_of_seconds_is_passed_over(header: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": header.encode().decode("latin-1")})

    app = web.Application()
    app.router.add_get("/", answer)
    async with listening(app, Address("127.0.0.1", 0)) as address, aiohttp.ClientSession() as session:
        with pytest.raises(Unavailable) as told:
            await send(session, "GET", address.url)
    assert told.value.retry_after_s is None
