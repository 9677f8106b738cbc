"""Bodies that nobody should send, each with what the answer has to name."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import marshmallow
import orjson

from flamenco_core.wire.schema import WireSchema

WRONG: Mapping[str, list[Any]] = {
    "String": [1, 1.5, True, [], {}, None],
    "Uuid": [1, "not-a-uuid", "6f1c2b1e9a2d4a538f5b0d6c4d1b7a10", "", "6f1c2b1e-9a2d-4a53-8f5b-0d6c4d1b7a1\u0661"],
    "Integer": ["1", 1.5, True, [], {}, None, 2**63, -(2**63), 10**30],
    "Boolean": ["true", 1, "yes", [], None],
    "Enum": ["nonsense", "AWAKE", "", 1, [], None],
    "List": [1, "x", {}, None, [[]]],
    "ListOf": [1, "x", {}, None, [[]], ["x"] * 20_000],
    "Dict": [1, "x", [], None],
    "Nested": [1, "x", [], None],
    "Timestamp": ["yesterday", 1, "0001-01-01T00:00:00+23:59", None],
}
"""Values that no field of a kind takes; of a kind that is not here a test fails, so that somebody thinks of it."""


@dataclass(frozen=True)
class Case:
    """A body, how it is sent, and what comes of it. ``named`` stands in the message."""

    name: str
    body: bytes
    named: str
    status: int = 400
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    is_chunked: bool = False
    """It is sent without saying how long it is."""


def hostile_bodies(good: Mapping[str, Any], limit_bytes: int) -> Iterator[Case]:
    """Yield what is wrong with any JSON. ``good`` is a document that would be taken."""
    yield from _no_json(good)
    yield from _odd_json(good)
    yield from _wrong_headers(good)
    yield from _too_much(good, limit_bytes)


def wrong_fields(
    schema: WireSchema, good: Mapping[str, Any], wrap: Callable[[dict[str, Any]], Any] = dict, prefix: str = ""
) -> Iterator[Case]:
    """Yield documents in which one field is missing or wrong; ``prefix`` stands before its name in the message."""
    for name, declared in schema.fields.items():
        key = declared.data_key or name
        if declared.required:
            rest = {other: value for other, value in good.items() if other != key}
            yield Case(f"without-{key}", _json(wrap(rest)), prefix + key)
        for number, value in enumerate(_wrong_for(declared)):
            yield Case(f"{key}-{number}", _json(wrap({**good, key: value})), prefix + key)


def _json(document: Any) -> bytes:
    """Write JSON, also with integers of more than 64 bits."""
    return json.dumps(document).encode()


def _wrong_for(declared: marshmallow.fields.Field[Any]) -> list[Any]:
    kind = type(declared).__name__
    values = [value for value in WRONG[kind] if value is not None or not declared.allow_none]
    for rule in declared.validators:
        if isinstance(rule, marshmallow.validate.Length) and rule.max is not None and kind == "String":
            values.append("x" * (rule.max + 1))
        if isinstance(rule, marshmallow.validate.Range):
            values += [bound for bound in (_below(rule.min), _above(rule.max)) if bound is not None]
    return values


def _below(bound: Any) -> Any:
    return None if bound is None else bound - 1


def _above(bound: Any) -> Any:
    return None if bound is None else bound + 1


def _no_json(good: Mapping[str, Any]) -> Iterator[Case]:
    whole = orjson.dumps(good)
    not_json = "not valid JSON"
    yield Case("empty", b"", not_json)
    yield Case("words", b"nonsense", not_json)
    yield Case("cut-off", whole[:-1], not_json)
    yield Case("followed", whole + b"{}", not_json)
    yield Case("bom", b"\xef\xbb\xbf" + whole, not_json)
    yield Case("utf-16", whole.decode().encode("utf-16"), not_json)
    yield Case("nul", b"\x00" + whole, not_json)
    yield Case("comment", b"// hello\n" + whole, not_json)
    yield Case("quotes", whole.replace(b'"', b"'"), not_json)
    yield Case("comma", whole[:-1] + b",}", not_json)
    yield Case("newline-in-text", whole[:-1] + b',"x": "a\nb"}', not_json)
    for name, body in {"list": b"[]", "null": b"null", "text": b'"text"', "number": b"5", "true": b"true"}.items():
        yield Case(name, body, "body: Invalid input")


def _odd_json(good: Mapping[str, Any]) -> Iterator[Case]:
    begin = orjson.dumps(good)[:-1]
    first = next(iter(good))
    odd = {
        "nan": b"NaN",
        "infinity": b"-Infinity",
        "large-float": b"1e400",
        "large-integer": b"9" * 400,
        "latin-1": b'"\xe9"',
        "surrogate": b'"\\ud83d"',
        "raw-surrogate": b'"\xed\xa0\xbd"',
        "deep": b"[" * 150 + b"]" * 150,
        "deeper": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    }
    for name, value in odd.items():
        yield Case(name, begin + b',"oddity":' + value + b"}", "oddity")
    for blank in ("", " ", "\n"):
        yield Case(f"twice{blank!r}", begin + f',"{first}"{blank}:1}}'.encode(), f"{first}: given twice")
    yield Case("twice-within", begin + b',"x":{"k":1,"k":2}}', "k: given twice")
    yield Case("twice-escaped", begin + b',"k\\u0061":1,"ka":2}', "ka: given twice")


def _wrong_headers(good: Mapping[str, Any]) -> Iterator[Case]:
    whole = orjson.dumps(good)
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "image/png",
        "x",
    ):
        yield Case(f"as-{kind}", whole, "Content-Type", headers={"Content-Type": kind})
    yield Case("as-utf-16", whole, "utf-16", headers={"Content-Type": "application/json; charset=utf-16"})
    bomb = gzip.compress(b" " * 50_000_000 + whole)
    for encoding in ("gzip", "deflate", "br"):
        headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
        yield Case(f"compressed-{encoding}", bomb, "Content-Encoding", 415, headers)


def _too_much(good: Mapping[str, Any], limit_bytes: int) -> Iterator[Case]:
    begin = orjson.dumps(good)[:-1]
    values = b",".join([b"{}"] * 210_000)
    yield Case("many-values", begin + b',"x":[' + values + b"]}", "values")
    keys = b",".join(b'"%d":1' % number for number in range(100_000))
    yield Case("many-keys", begin + b',"x":{' + keys + b',"0":1}}', "0: given twice")
    large = begin + b',"x":"' + b"x" * limit_bytes + b'"}'
    yield Case("too-large", large, f"{limit_bytes} bytes", 413)
    yield Case("too-large-unsaid", large, f"{limit_bytes} bytes", 413, is_chunked=True)
