from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict

from flamenco_runtime.proxies import TRUSTED_PROXIES, client_address, is_forwarded, read_proxies
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address

ALONE = ""
LOCAL = "127.0.0.0/8"


@pytest.fixture
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    async def who(asked: web.Request) -> web.Response:
        return web.json_response({"address": client_address(asked), "forwarded": is_forwarded(asked)})

    app = web.Application()
    app[TRUSTED_PROXIES] = read_proxies(request.param)
    app.router.add_get("/", who)
    async with listening(app, Address("127.0.0.1", 0)) as address:
        yield address.url


async def seen(url: str, *headers: tuple[str, str]) -> dict[str, object]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=CIMultiDict(headers)) as answer:
        return dict(await answer.json())


FORWARDED = [
    (ALONE, [], "127.0.0.1"),
    (ALONE, [("X-Forwarded-For", "192.0.2.1")], "127.0.0.1"),
    (ALONE, [("X-Real-IP", "192.0.2.1")], "127.0.0.1"),
    ("10.0.0.0/8", [("X-Forwarded-For", "192.0.2.1")], "127.0.0.1"),
    (LOCAL, [], "127.0.0.1"),
    (LOCAL, [("X-Forwarded-For", "192.0.2.1")], "192.0.2.1"),
    (LOCAL, [("X-Forwarded-For", "203.0.113.9, 192.0.2.1")], "192.0.2.1"),
    (LOCAL, [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "192.0.2.1")], "192.0.2.1"),
    (LOCAL, [("X-Forwarded-For", "192.0.2.1, 127.0.0.9")], "192.0.2.1"),
    (LOCAL, [("X-Forwarded-For", "127.0.0.8, 127.0.0.9")], "127.0.0.8"),
    (LOCAL, [("X-Forwarded-For", "192.0.2.1, nonsense")], "127.0.0.1"),
    (LOCAL, [("X-Forwarded-For", "nonsense, 127.0.0.9")], "127.0.0.9"),
    (LOCAL, [("X-Forwarded-For", " , ,")], "127.0.0.1"),
    (LOCAL, [("X-Forwarded-For", ", ".join(["127.0.0.2"] * 500))], "127.0.0.2"),
    (LOCAL, [("X-Real-IP", "192.0.2.1")], "192.0.2.1"),
    (LOCAL, [("X-Forwarded-For", "192.0.2.1"), ("X-Real-IP", "203.0.113.9")], "192.0.2.1"),
    (LOCAL, [("X-Forwarded-For", "2001:db8::1")], "2001:db8::1"),
    ("127.0.0.1, 10.1.0.0/16", [("X-Forwarded-For", "192.0.2.1, 10.1.2.3")], "192.0.2.1"),
    ("127.0.0.1,::ffff:10.1.2.3", [("X-Forwarded-For", "192.0.2.1, 10.1.2.3")], "192.0.2.1"),
    ("127.0.0.1", [("X-Forwarded-For", "192.0.2.1, ::ffff:127.0.0.1")], "192.0.2.1"),
]


@pytest.mark.parametrize(("url", "headers", "expected"), FORWARDED, indirect=["url"], ids=range(len(FORWARDED)))
async def test_what_proxies_say_is_believed_of_listed_ones_only(
    url: str, headers: list[tuple[str, str]], expected: str
) -> None:
    told = await seen(url, *headers)
    assert told == {"address": expected, "forwarded": bool(headers)}


@pytest.mark.parametrize("url", [LOCAL], indirect=True)
async def test_whoever_says_that_he_forwards_is_known_as_that(url: str) -> None:
    assert (await seen(url, ("Forwarded", "for=192.0.2.1")))["forwarded"] is True


@pytest.mark.parametrize("value", ["", " , ", [], ()])
def test_none_may_be_listed(value: object) -> None:
    assert read_proxies(value) == ()


@pytest.mark.parametrize("value", ["proxy.example", "10.0.0.0/40", "10.0.0.1; 10.0.0.2", ["x"], 5.5, "300.1.1.1"])
def test_what_is_no_address_is_refused_with_what_would_be_right(value: object) -> None:
    with pytest.raises(ValueError, match=r"write addresses or networks"):
        read_proxies(value)


def test_a_list_and_a_text_say_the_same() -> None:
    assert read_proxies(["10.0.0.5", "192.168.0.0/16"]) == read_proxies("10.0.0.5, 192.168.0.0/16")
