import asyncio
import json
from collections.abc import AsyncIterator, Callable

import aiohttp
import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import RAISE, Schema, fields

from flamenco_core.errors import BadInput
from flamenco_runtime.json_body import MIB, MOST_VALUES, json_reply, load_json, read_json
from flamenco_runtime.problems import problems
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address
from flamenco_runtime.strict_json import MOST_LEVELS, BadJson, parse_json, parse_json_lines


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


@pytest.mark.parametrize(
    ("body", "path", "what"),
    [
        (b'{"a": NaN}', "a", "NaN is no number."),
        (b'{"a": [1, {"b": -Infinity}]}', "a.1.b", "-Infinity is no number."),
        (b'{"a": 1e400}', "a", "too large a number."),
        (b'{"a": -' + b"9" * 400 + b"}", "a", "too large a number."),
        (b'{"a": {"b": "x\xff"}}', "a.b", "not a text in UTF-8."),
        (b'{"a": "\\ud800"}', "a", "not a text in UTF-8."),
        (b'{"a": "\xed\xa0\x80"}', "a", "not a text in UTF-8."),
        (b'{"a": 1, "b": 2, "a": 3}', "a", "Given twice."),
        (b'{"x": {"a": 1, "a" : 2}}', "a", "Given twice."),
        (b'{"a\\\\": 1, "a\\\\": 2}', "a\\", "Given twice."),
        (b'{"a": 1, "a"\n:2, "c\\\\": 3}', "a", "Given twice."),
        (b'{"a": 1, "a": 2, "c\\\\": 3}', "a", "Given twice."),
        (b'{"log": "he said \\"a\\": 1", "a": 1, "\\u0061": 2}', "a", "Given twice."),
        (nested(150).replace(b'"value"', b'"x": 1, "value"'), "value", "Nested more than 100 levels deep."),
        (b'{"x": [1], "deep": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001, "deep", "Nested more than 100 levels deep."),
        (b"[" * 500 + b"]" * 500, "", "Nested more than 100 levels deep."),
    ],
    ids=range(16),
)
def test_what_is_wrong_is_named_by_its_field(body: bytes, path: str, what: str) -> None:
    with pytest.raises(BadJson) as caught:
        parse_json(body)
    assert caught.value.errors == {path: what}
    assert f"{path or 'body'}: {what[0].lower()}{what[1:]}" in str(caught.value).replace(" NaN", " naN")


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(alphabet='"\\:,{} \nab\u0061é', max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('"\\:a b', max_size=4), inner, max_size=4),
        max_leaves=20,
    ),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " \t: ")]),
)
def test_lawful_json_is_read_however_it_is_written(document: object, separators: tuple[str, str]) -> None:
    for ascii_only in (True, False):
        written = json.dumps(document, separators=separators, ensure_ascii=ascii_only)
        assert parse_json(written.encode()) == parse_json(written) == json.loads(written)


@given(
    st.lists(st.tuples(st.text('"\\:ab', max_size=3), st.sampled_from(["", " ", "\n"])), min_size=2, max_size=6),
    st.text('"\\: a', max_size=10),
)
def test_a_key_that_comes_twice_is_never_missed(keys: list[tuple[str, str]], text: str) -> None:
    pairs = [f"{json.dumps(key)}{blank}:{json.dumps(text)}" for key, blank in keys]
    body = "{" + ",".join(pairs) + "}"
    if len({key for key, _ in keys}) == len(keys):
        assert parse_json(body) == {key: text for key, _ in keys}
    else:
        with pytest.raises(BadJson, match="given twice"):
            parse_json(body)


LINES = st.sampled_from(
    [
        b"{}",
        b'{"a": 1, "b": [{"a": 2}]}',
        b'{"a":1,"a":2}',
        b'{"a" :1}',
        b'{"a":"\\\\","b":"\\":"}',
        b'{"a":"\\\\","a":"\\":"}',
        b'{"a":1',
        b'"b":1}',
        b"{} {}",
        b"",
        b" ",
        b'"text"',
        b"[1, NaN]",
        nested(MOST_LEVELS),
        nested(MOST_LEVELS + 1),
    ]
)


@given(st.lists(LINES, max_size=4))
def test_lines_are_read_each_by_itself(lines: list[bytes]) -> None:
    """Whatever is wrong with one is found, and told as if it had come alone."""

    def one_by_one() -> list[object]:
        return [parse_json(line) for line in lines]

    assert _outcome(lambda: parse_json_lines(lines)) == _outcome(one_by_one)


def _outcome(read: Callable[[], list[object]]) -> object:
    try:
        return read()
    except BadJson as error:
        return str(error)


def test_a_body_may_have_so_many_values_and_no_more() -> None:
    body = b'{"a": [' + b",".join([b"{}"] * 999) + b"]}"
    assert parse_json(body, most_values=1000) == {"a": [{}] * 999}
    with pytest.raises(BadJson, match="1000 values, and may have 999"):
        parse_json(body, most_values=999)


async def test_a_body_of_too_many_values_is_refused_over_http(url: str) -> None:
    body = b'{"name": [' + b",".join([b"1"] * (MOST_VALUES + 1)) + b"]}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer,
    ):
        assert answer.status == 400
        assert "values" in (await answer.json(content_type=None))["detail"]


def test_a_large_body_that_cannot_be_read_is_told_by_position() -> None:
    with pytest.raises(BadJson, match=r"char 7\d{4}"):
        parse_json(b'{"a": "' + b"x" * 70_000 + b'", "b": NaN}')


def test_long_names_are_shortened_where_they_are_told() -> None:
    with pytest.raises(BadJson) as caught:
        parse_json(b'{"' + b"k" * 10_000 + b'": NaN}')
    assert len(str(caught.value)) < 300
