import asyncio
from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import RAISE, Schema, fields

from flamenco_core.errors import BadInput
from flamenco_runtime.json_body import MIB, MOST_LEVELS, BadJson, json_reply, load_json, read_json
from flamenco_runtime.problems import problems
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address


class Point(Schema):
    x = fields.Integer(strict=True)
    more = fields.Dict()


class Shape(Schema):
    class Meta:
        unknown = RAISE

    name = fields.String(required=True)
    points = fields.List(fields.Nested(Point))


ANYTHING = Schema.from_dict({"value": fields.Raw(allow_none=True)})()


def nested(levels: int) -> bytes:
    """Write an object of so many levels, the outermost included."""
    return b'{"value":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def test_a_document_is_loaded_through_its_schema() -> None:
    assert load_json(Shape(), b'{"name": "a", "points": [{"x": 1}]}') == {"name": "a", "points": [{"x": 1}]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"{'a': 1}",
        b'{"value": NaN}',
        b'{"value": Infinity}',
        b'{"value": 1e999}',
        b'{"value": 01}',
        b'{"value": 1} x',
        b'{"value": "\x00"}',
        b'{"value": "\xff"}',
        b'{"value": "\\ud800"}',
        b'{"value": "\xed\xa0\x80"}',
        b'\xff\xfe{"value": 1}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadJson, match="The body is not valid JSON: "):
        load_json(ANYTHING, body)


@pytest.mark.parametrize("levels", [MOST_LEVELS + 1, 200, 255, 1000, 1024, 1025, 100_000])
def test_deeply_nested_json_is_refused(levels: int) -> None:
    with pytest.raises(BadJson):
        load_json(ANYTHING, nested(levels))


@pytest.mark.parametrize("levels", [2, 3, MOST_LEVELS])
def test_what_is_nested_less_is_read_and_can_be_written_inside_of_an_answer(levels: int) -> None:
    loaded = load_json(ANYTHING, nested(levels))
    assert orjson.dumps({"jobs": [{"settings": loaded}]})


@given(st.recursive(st.none() | st.text(max_size=3), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_flat_enough_document_is_read(value: object) -> None:
    assert load_json(ANYTHING, orjson.dumps({"value": value})) == {"value": value}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b"{}", {"name": "Missing data for required field."}),
        (b"[]", {"": "Invalid input type."}),
        (b'{"name": 1}', {"name": "Not a valid string."}),
        (b'{"name": "a", "nam": 1}', {"nam": "Unknown field."}),
        (b'{"name": "a", "points": [{"x": 1}, {"x": "1"}]}', {"points.1.x": "Not a valid integer."}),
        (b'{"name": "a", "points": [5]}', {"points.0": "Invalid input type."}),
    ],
)
def test_each_wrong_field_is_named_by_its_path(body: bytes, errors: dict[str, str]) -> None:
    with pytest.raises(BadInput) as caught:
        load_json(Shape(), body)
    assert caught.value.errors == errors
    assert not isinstance(caught.value, BadJson)
    for path, message in errors.items():
        assert f"{path or 'body'}: {message}" in str(caught.value)


def test_a_message_names_five_fields_at_most_and_errors_has_all() -> None:
    body = orjson.dumps({"name": "a", "points": [{"x": "1"}] * 100})
    with pytest.raises(BadInput) as caught:
        load_json(Shape(), body)
    assert len(caught.value.errors) == 100
    assert len(str(caught.value)) < 300


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async def shape(request: web.Request) -> web.Response:
        return json_reply(await read_json(request, Shape()), status=201)

    app = web.Application(middlewares=[problems])
    app.router.add_post("/shapes", shape)
    async with listening(app, Address("127.0.0.1", 0)) as address:
        yield f"{address.url}/shapes"


async def test_a_body_travels_as_json(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.post(url, json={"name": "größe"}) as answer:
        assert answer.status == 201
        assert answer.content_type == "application/json"
        assert await answer.json() == {"name": "größe"}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream"])
async def test_a_body_that_is_not_said_to_be_json_is_refused(url: str, kind: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=b'{"name": "a"}', headers={"Content-Type": kind}) as answer,
    ):
        assert answer.status == 400
        assert (await answer.json(content_type=None))["type"] == "bad-json"


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(url: str) -> None:
    host, port = url.removeprefix("http://").removesuffix("/shapes").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /shapes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n"
    )
    answer = await reader.readuntil(b"}")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"type":"too-large"' in answer
    writer.close()


async def test_a_body_that_hides_its_size_is_refused_once_it_is_too_large(url: str) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 1000 * MIB:
            sent += MIB
            yield b" " * MIB

    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(url, data=endless(), headers={"Content-Type": "application/json"}) as answer:
                assert answer.status == 413
        except aiohttp.ClientConnectionError:
            pass  # closed while we were still sending, which is as well
    assert sent < 100 * MIB
