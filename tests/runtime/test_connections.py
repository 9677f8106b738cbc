"""Clients that are slow, silent, or speak no HTTP; the limits are short here, and the rules are the same."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from flamenco_core.wire.schema import WireSchema
from flamenco_runtime.http_limits import HttpLimits
from flamenco_runtime.json_body import json_reply, read_json, read_limited
from flamenco_runtime.problems import problems
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address

QUICK = HttpLimits(headers_s=0.3, body_s=0.3, unread_s=0.3, least_bytes_per_s=10_000)
GET = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
UNHURRIED = HttpLimits(headers_s=3600, body_s=3600)


class Anything(WireSchema):
    record = dict


@asynccontextmanager
async def serving(limits: HttpLimits) -> AsyncIterator[Address]:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def size(request: web.Request) -> web.Response:
        return json_reply({"size": len(await read_limited(request, 10**8))})

    async def document(request: web.Request) -> web.Response:
        await read_json(request, Anything())
        return json_reply({})

    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(1.0)  # longer than the limits are for requests
        return web.Response(text="at last")

    app = web.Application(middlewares=[problems])
    app.add_routes([web.get("/hello", hello), web.post("/size", size), web.get("/slow", slow), web.post("/no", hello)])
    app.add_routes([web.post("/json", document)])
    async with listening(app, Address("127.0.0.1", 0), limits) as address:
        yield address


@pytest.fixture
async def address() -> AsyncIterator[Address]:
    async with serving(QUICK) as where:
        yield where


class Client:
    """A connection whose bytes are sent one by one, if need be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def drip(self, pieces: Iterable[bytes], every_s: float = 0.05) -> None:
        """Send piece after piece until the other side has enough of it."""
        try:
            for piece in pieces:
                await self.send(piece)
                await asyncio.sleep(every_s)
        except ConnectionError:
            return

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer: status, headers, body."""
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(first.split()[1]), headers, body

    async def end(self) -> bytes:
        """Wait until the other side closes; returns what it says before."""
        try:
            async with asyncio.timeout(20):
                return await self.reader.read()
        except ConnectionResetError:
            return b""


@asynccontextmanager
async def client(address: Address) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def test_a_silent_connection_is_closed_without_a_word(address: Address) -> None:
    with capture_logs() as lines:
        async with client(address) as silent:
            assert await silent.end() == b""
    assert lines == []


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET /hello HTTP/1.1\r\n"],
        [bytes([byte]) for byte in b"GET /hello HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 1000],
        itertools.chain([b"GET /hello HTTP/1.1\r\nHost: x\r\n"], (b"X-%d: y\r\n" % n for n in range(1000))),
    ],
    ids=["stalled", "dripping", "header-by-header"],
)
async def test_headers_that_do_not_come_in_time_are_answered_408_and_closed(
    address: Address, pieces: Iterable[bytes]
) -> None:
    with capture_logs() as lines:
        async with client(address) as slow:
            dripping = asyncio.create_task(slow.drip(pieces))
            status, headers, body = await slow.answer()
            assert await slow.end() == b""
            dripping.cancel()
    assert (status, headers["connection"]) == (408, "close")
    assert orjson.loads(body)["code"] == 408
    assert "headers" in orjson.loads(body)["message"]
    [line] = lines
    assert (line["status"], line["address"]) == (408, "127.0.0.1")


async def test_headers_of_a_later_request_have_to_come_in_time_as_well(address: Address) -> None:
    async with client(address) as slow:
        await slow.send(GET)
        assert (await slow.answer())[0] == 200
        await slow.send(GET[:20])
        assert (await slow.answer())[0] == 408
        assert await slow.end() == b""


async def test_an_idle_connection_is_kept_for_its_own_time_and_used_again() -> None:
    async with serving(HttpLimits(headers_s=0.3)) as address, client(address) as idle:
        for _ in range(3):
            await idle.send(GET)
            assert (await idle.answer())[0] == 200
            await asyncio.sleep(0.4)  # longer than headers may take; between requests that says nothing


def test_connections_are_kept_longer_than_flamenco_3_workers_pause() -> None:
    assert HttpLimits().keep_alive_s >= 75


async def test_an_idle_connection_is_closed_in_the_end() -> None:
    async with serving(HttpLimits(keep_alive_s=0.2)) as address, client(address) as idle:
        await idle.send(GET)
        assert (await idle.answer())[0] == 200
        assert await idle.end() == b""


async def test_a_long_answer_is_no_slow_request(address: Address) -> None:
    async with client(address) as patient:
        await patient.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await patient.answer())[2] == b"at last"
        await patient.send(GET)
        assert (await patient.answer())[2] == b"hello"


def posting(path: str, length: int) -> bytes:
    headers = f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
    return f"POST {path} HTTP/1.1\r\n{headers}\r\n".encode()


@pytest.mark.parametrize("path", ["/size", "/json"])
@pytest.mark.parametrize("pieces", [[b"{"], [b"x"] * 1000], ids=["stalled", "dripping"])
async def test_a_body_that_does_not_come_is_answered_408_and_closed(
    address: Address, path: str, pieces: list[bytes]
) -> None:
    async with client(address) as slow:
        dripping = asyncio.create_task(slow.drip([posting(path, 1_000_000), *pieces]))
        status, headers, body = await slow.answer()
        dripping.cancel()
        assert (status, headers["connection"], headers["content-type"]) == (408, "close", "application/problem+json")
        problem = orjson.loads(body)
        assert problem["type"] == "too-slow"
        assert "bytes came within" in problem["detail"]
        await slow.end()


async def test_a_body_that_comes_slowly_but_well_is_waited_for() -> None:
    """It takes a second, longer than one that does not come at all may take."""
    async with serving(HttpLimits(body_s=0.5, least_bytes_per_s=100)) as address, client(address) as slow:
        sending = asyncio.create_task(slow.drip([posting("/size", 60_000), *[b"x" * 3000] * 20]))
        status, _, body = await slow.answer()
        await sending
        assert (status, orjson.loads(body)) == (200, {"size": 60_000})


async def test_patience_grows_with_what_has_come() -> None:
    limits = HttpLimits()
    assert limits.patience_s(0) + limits.unread_s <= 15
    assert limits.patience_s(8 * 1024 * 1024) > 300


async def test_a_body_that_nobody_reads_is_waited_for_no_longer_than_said(address: Address) -> None:
    async with client(address) as slow:
        await slow.send(posting("/no", 300))
        assert (await slow.answer())[0] == 200
        async with asyncio.timeout(10 * QUICK.unread_s):
            assert await slow.end() == b""


async def test_the_rest_of_a_body_that_nobody_reads_is_no_new_request(address: Address) -> None:
    """What still comes of it is thrown away; the connection is used again, and no stray answer waits there."""
    async with client(address) as talkative:
        await talkative.send(posting("/no", 300))
        assert (await talkative.answer())[0] == 200
        for _ in range(3):
            await talkative.send(b"x" * 100)
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        await talkative.send(GET)
        assert (await talkative.answer())[2] == b"hello"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET /hello HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost x\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /size HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"GET " + b"/" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: x\r\nA\x00: b\r\n\r\n",
    ],
    ids=["words", "tls", "version", "colon", "header", "headers", "length", "lengths", "both", "coding", "path", "nul"],
)
async def test_what_is_no_http_is_answered_400_as_json_with_one_line_in_the_log(request_bytes: bytes) -> None:
    async with serving(UNHURRIED) as address:
        with capture_logs() as lines:
            async with client(address) as stranger:
                await stranger.drip([request_bytes], every_s=0)
                status, headers, body = await stranger.answer()
                await stranger.end()
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    problem = orjson.loads(body)
    assert (problem["code"], problem["status"]) == (400, 400)
    assert problem["message"] == problem["detail"] != ""
    [line] = lines
    assert line["error"] == problem["message"]
    assert "\n" not in line["error"]
    assert len(line["error"]) <= 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP", "zstd", "gzip, gzip", "x" * 500])
async def test_a_compressed_body_is_refused_unread(address: Address, encoding: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address.url}/json", data=b"{}", headers=posted_as(encoding)) as answer,
    ):
        assert answer.status == 415
        problem = await answer.json(content_type=None)
    assert problem["type"] == "unsupported-encoding"
    assert encoding[:50] in problem["detail"]
    assert len(problem["detail"]) < 300


async def test_a_body_said_to_be_as_it_is_is_taken(address: Address) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address.url}/json", data=b"{}", headers=posted_as("identity")) as answer,
    ):
        assert answer.status == 200


def posted_as(encoding: str) -> dict[str, str]:
    return {"Content-Encoding": encoding, "Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json; charset=utf-8", 200),
        ('application/json; charset="UTF-8"', 200),
        ("application/json; charset=utf-16", 400),
        ("application/json; charset=latin-1", 400),
    ],
)
async def test_json_is_in_utf_8(address: Address, kind: str, status: int) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address.url}/json", data=b"{}", headers={"Content-Type": kind}) as answer,
    ):
        assert answer.status == status


async def test_hundreds_who_stall_do_not_keep_others_waiting_and_are_all_let_go(address: Address) -> None:
    """H6 of quality.md 4.2: stalled bodies and headers were held for ever."""

    async def stall(pieces: list[bytes]) -> None:
        async with client(address) as slow:
            await slow.drip(pieces)
            await slow.end()

    stalling = [asyncio.create_task(stall([posting("/size", 1000), b"x"])) for _ in range(100)]
    stalling += [asyncio.create_task(stall([b"GET / HTTP/1.1\r\n"])) for _ in range(100)]
    async with client(address) as other:
        await other.send(GET)
        assert (await other.answer())[0] == 200
    async with asyncio.timeout(60):
        await asyncio.gather(*stalling)


async def test_stopping_does_not_wait_for_idle_connections() -> None:
    async with serving(UNHURRIED) as address:
        connection: Any = client(address)
        idle = await connection.__aenter__()
        await idle.send(GET)
        await idle.answer()
        silent: Any = client(address)
        await silent.__aenter__()
    assert await idle.end() == b""
    await connection.__aexit__(None, None, None)
    await silent.__aexit__(None, None, None)
