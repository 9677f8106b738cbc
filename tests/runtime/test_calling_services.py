import asyncio
import itertools
import socket
from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest
from aiohttp import web

from flamenco_core.errors import (
    BadInput,
    Conflict,
    FlamencoError,
    Forbidden,
    NotFound,
    NotSignedIn,
    Outdated,
    TooLarge,
    Unavailable,
)
from flamenco_runtime.http_client import Reply, Unreachable, error_of, pauses, send, wait_or_stop
from flamenco_runtime.problems import problems
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address
from flamenco_runtime.strict_json import BadJson


class BlobsMissing(Conflict):
    type = "blobs-missing"


ERRORS: list[tuple[FlamencoError, type[FlamencoError]]] = [
    (BadInput("bad", {"settings.frames": "abc is not a frame range"}), BadInput),
    (BadJson("bad"), BadInput),
    (TooLarge("bad"), TooLarge),
    (NotSignedIn("bad"), NotSignedIn),
    (Forbidden("bad"), Forbidden),
    (NotFound("bad"), NotFound),
    (Conflict("bad"), Conflict),
    (BlobsMissing("bad"), Conflict),
    (Outdated("bad"), Outdated),
    (Unavailable("bad"), Unavailable),
    (FlamencoError("bad"), Unavailable),
]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async def fail(request: web.Request) -> web.Response:
        raise ERRORS[int(request.match_info["number"])][0]

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read(), headers={"X-Kind": request.content_type})

    app = web.Application(middlewares=[problems])
    app.router.add_get("/errors/{number}", fail)
    app.router.add_post("/echo", echo)
    async with listening(app, Address("127.0.0.1", 0)) as address:
        yield address.url


@pytest.mark.parametrize("number", range(len(ERRORS)), ids=[type(error).__name__ for error, _ in ERRORS])
async def test_an_error_comes_back_as_the_kind_that_was_raised(
    url: str, session: aiohttp.ClientSession, number: int
) -> None:
    raised, kind = ERRORS[number]
    with pytest.raises(kind) as caught:
        await send(session, "GET", f"{url}/errors/{number}")
    assert type(caught.value) is kind
    assert str(caught.value) == "bad"
    assert caught.value.type == raised.type
    if isinstance(raised, BadInput) and isinstance(caught.value, BadInput):
        assert caught.value.errors == raised.errors


async def test_a_document_travels_as_json_and_comes_back(url: str, session: aiohttp.ClientSession) -> None:
    reply = await send(session, "POST", f"{url}/echo", document={"a": [1, "ü"]})
    assert reply.json() == {"a": [1, "ü"]}
    assert reply.headers["x-kind"] == "application/json"


async def test_bytes_travel_as_they_are(url: str, session: aiohttp.ClientSession) -> None:
    assert (await send(session, "POST", f"{url}/echo", data=b"\0\xff")).body == b"\0\xff"


async def test_nobody_there_is_unreachable_and_the_message_says_where(session: aiohttp.ClientSession) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/api"
        with pytest.raises(Unreachable, match=f"Cannot reach {url}: ") as caught:
            await send(session, "GET", f"{url}?token=secret")
    assert "secret" not in str(caught.value).split(": ")[0]


@pytest.mark.parametrize("url", ["nonsense", "ftp://localhost/", "http://", "http://localhost:99999/"])
async def test_a_url_that_is_none_is_unreachable(session: aiohttp.ClientSession, url: str) -> None:
    with pytest.raises(Unreachable):
        await send(session, "GET", url)


async def test_a_connection_that_breaks_in_the_middle_is_unreachable(session: aiohttp.ClientSession) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable):
            await send(session, "GET", f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_succeed_later_is_unavailable(status: int) -> None:
    assert type(error_of(Reply(status, b"", {}))) is Unavailable


@pytest.mark.parametrize("status", [400, 405, 415, 418, 422])
def test_what_is_our_own_fault_is_bad_input(status: int) -> None:
    assert type(error_of(Reply(status, b"", {}))) is BadInput


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"5", b"\xff", b'{"errors": ["x"]}', b'{"errors": 5, "type": null}', b'{"detail": ""}'],
)
def test_an_answer_that_is_no_problem_document_still_makes_an_error(body: bytes) -> None:
    error = error_of(Reply(422, body, {}))
    assert str(error) == "The answer was HTTP status 422."
    assert error.type == "bad-input"


def test_messages_of_the_flamenco_3_protocol_are_understood() -> None:
    assert str(error_of(Reply(409, orjson.dumps({"code": 409, "message": "not yours"}), {}))) == "not yours"


def test_a_stranger_who_answers_is_recognised() -> None:
    with pytest.raises(Unavailable, match="is that really a Flamenco service"):
        Reply(200, b"<html>", {}).json()


def test_pauses_grow_to_the_longest_and_are_spread() -> None:
    made = list(itertools.islice(pauses(first_s=1, longest_s=8), 50))
    for pause, whole in zip(made, [1, 2, 4, *[8] * 47], strict=True):
        assert whole / 2 <= pause <= whole
    assert len(set(made)) > 40


async def test_waiting_ends_when_told_to_stop() -> None:
    stop = asyncio.Event()
    assert not await wait_or_stop(stop, 0.001)
    waiting = asyncio.create_task(wait_or_stop(stop, 1000))
    stop.set()
    assert await waiting


async def test_a_cancellation_that_comes_together_with_the_stop_is_not_lost() -> None:
    stop = asyncio.Event()
    waiting = asyncio.create_task(wait_or_stop(stop, 1000))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    stop.set()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
