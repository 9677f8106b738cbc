"""How many connections one address may hold. Tests come from addresses of this machine, which count here."""

import asyncio
import ipaddress
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from flamenco_runtime.connections import room_for_all
from flamenco_runtime.crowding import Crowd, Room
from flamenco_runtime.http_limits import LOOPBACK, HttpLimits
from flamenco_runtime.problems import problems
from flamenco_runtime.proxies import TRUSTED_PROXIES, Network, read_proxies
from flamenco_runtime.service import MOST_FILES, listening
from flamenco_runtime.settings import Address

OURS, THEIRS = "127.0.0.1", "127.0.0.2"
GET = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
TWO = HttpLimits(connections_per_address=2, uncounted=(), crowded_s=0.3)


@asynccontextmanager
async def serving(limits: HttpLimits, proxies: tuple[Network, ...] = ()) -> AsyncIterator[Address]:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application(middlewares=[problems, room_for_all])
    app[TRUSTED_PROXIES] = proxies
    app.add_routes([web.get("/hello", hello), web.post("/hello", hello)])
    async with listening(app, Address("127.0.0.1", 0), limits) as address, asyncio.timeout(30):
        yield address


@asynccontextmanager
async def connected(address: Address, origin: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(address.host, address.port, local_addr=(origin, 0))
    try:
        yield reader, writer
    finally:
        writer.close()


async def hold(stack: AsyncExitStack, address: Address, origin: str, count: int) -> list[Any]:
    """Open connections, and wait until the service has each of them: it answers."""
    found = []
    for _ in range(count):
        reader, writer = await stack.enter_async_context(connected(address, origin))
        writer.write(GET)
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        found.append((reader, writer))
    return found


async def asked(address: Address, origin: str, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
    connector = aiohttp.TCPConnector(local_addr=(origin, 0))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.request("GET" if body is None else "POST", f"{address.url}/hello", data=body) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.read()


@pytest.mark.parametrize("body", [None, b"x" * 200_000], ids=["get", "post"])
async def test_one_connection_too_many_is_told_so_and_when_to_try_again(body: bytes | None) -> None:
    async with serving(TWO) as address, AsyncExitStack() as stack:
        await hold(stack, address, THEIRS, 2)
        status, headers, answer = await asked(address, THEIRS, body)
        assert (status, headers["Connection"]) == (429, "close")
        assert int(headers["Retry-After"]) > 0
        problem = orjson.loads(answer)
        assert problem["type"] == "too-many-connections"
        assert THEIRS in problem["detail"]
        assert "connections_per_address" in problem["detail"]


async def test_others_do_not_notice() -> None:
    async with serving(TWO) as address, AsyncExitStack() as stack:
        await hold(stack, address, THEIRS, 2)
        assert (await asked(address, OURS))[0] == 200


async def test_whoever_was_there_first_is_served_on() -> None:
    async with serving(TWO) as address, AsyncExitStack() as stack:
        [(reader, writer), _] = await hold(stack, address, THEIRS, 2)
        assert (await asked(address, THEIRS))[0] == 429
        writer.write(GET)
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")


async def test_what_is_closed_makes_room() -> None:
    async with serving(TWO) as address, AsyncExitStack() as stack:
        async with AsyncExitStack() as first:
            await hold(first, address, THEIRS, 2)
            assert (await asked(address, THEIRS))[0] == 429
        while (await asked(address, THEIRS))[0] != 200:  # the service hears of it a little later
            pass
        await hold(stack, address, THEIRS, 2)


async def test_a_silent_connection_too_many_is_let_go_soon() -> None:
    limits = HttpLimits(connections_per_address=2, uncounted=(), headers_s=3600, crowded_s=0.1)
    async with serving(limits) as address, AsyncExitStack() as stack:
        await hold(stack, address, THEIRS, 2)
        reader, _ = await stack.enter_async_context(connected(address, THEIRS))
        assert await reader.read() == b""


async def test_twice_too_many_are_closed_without_a_word() -> None:
    limits = HttpLimits(connections_per_address=2, uncounted=(), headers_s=3600, crowded_s=3600)
    async with serving(limits) as address, AsyncExitStack() as stack:
        await hold(stack, address, THEIRS, 2)
        silent = [await stack.enter_async_context(connected(address, THEIRS)) for _ in range(3)]
        ends = [asyncio.create_task(reader.read()) for reader, _ in silent]
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1
        assert done.pop().result() == b""
        assert (await asked(address, OURS))[0] == 200
        for end in ends:
            end.cancel()


async def test_a_proxy_that_is_listed_may_hold_any_number() -> None:
    async with serving(TWO, read_proxies(THEIRS)) as address, AsyncExitStack() as stack:
        await hold(stack, address, THEIRS, 5)


async def test_this_machine_may_hold_any_number_unless_told_otherwise() -> None:
    async with serving(HttpLimits(connections_per_address=2)) as address, AsyncExitStack() as stack:
        await hold(stack, address, OURS, 5)


def test_an_ipv6_network_counts_as_one_and_an_ipv4_address_as_itself_however_it_is_written() -> None:
    crowd = Crowd(1, LOOPBACK)
    assert crowd.enter("2001:db8::1")[1] is Room.ENOUGH
    assert crowd.enter("2001:db8::2")[1] is Room.NONE
    assert crowd.enter("2001:db8:0:1::2")[1] is Room.ENOUGH
    assert crowd.enter("192.0.2.1")[1] is Room.ENOUGH
    assert crowd.enter("::ffff:192.0.2.1")[1] is Room.NONE
    assert crowd.enter("192.0.2.2")[1] is Room.ENOUGH
    assert crowd.enter("::ffff:127.0.0.1") == crowd.enter("::1") == (None, Room.ENOUGH)


def test_what_is_no_address_is_not_counted() -> None:
    crowd = Crowd(1, ())
    for _ in range(3):
        assert crowd.enter("") == (None, Room.ENOUGH)


def test_nothing_is_remembered_of_who_has_left() -> None:
    crowd = Crowd(2, ())
    places = [crowd.enter("192.0.2.1")[0] for _ in range(5)]
    assert set(places) == {ipaddress.ip_network("192.0.2.1/32")}
    for place in places:
        crowd.leave(place)
    assert not crowd._held
    assert crowd.enter("192.0.2.1")[1] is Room.ENOUGH


async def test_a_service_may_hold_as_many_files_as_the_system_allows_at_most() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        async with serving(HttpLimits()):
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(MOST_FILES, hard), hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
