"""Reading JSON as RFC 8259 has it and no further, and saying what is wrong with the rest. Pure.

orjson reads it; what it lets pass (keys that come twice) is looked for only where there is a sign of it, and what it
refuses is read once more by a patient reader, to name the field.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from flamenco_core.errors import BadInput

MOST_LEVELS = 100
"""How deeply JSON may be nested. What we keep must also fit into answers, and orjson writes 254 levels."""
EXPLAINED_BYTES = 64 * 1024
"""A larger body that cannot be read is told by position alone: looking closer would take too long."""

_SPACED_KEY = re.compile(rb'"[ \t\r\n]+:')
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|[\[{]|[\]}]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


class BadJson(BadInput):
    """A body that is not the JSON that was asked for."""

    type = "bad-json"


class _Odd(NamedTuple):
    """Something that is no JSON, in its place in a document."""

    what: str


def parse_json(body: bytes | str, *, most_values: int | None = None) -> Any:
    """Parse JSON. Raises BadJson, with the field in ``errors`` where there is one that is wrong.

    ``most_values``: how many values there may be in all, those within others counted too.
    """
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _explained(raw, str(error)) from error
    keys, values, levels = _measured(document)
    if levels > MOST_LEVELS:
        raise _too_deep(raw)
    if most_values is not None and values > most_values:
        raise BadJson(f"The body has {values} values, and may have {most_values}.")
    if not _has_distinct_keys(raw, keys):
        json.loads(raw, object_pairs_hook=_without_repeats)
    return document


def parse_json_lines(lines: Sequence[bytes]) -> list[Any]:
    """Parse lines of JSON, each a document; the same as ``parse_json`` for each of them, quicker. Raises BadJson."""
    try:
        documents = [orjson.loads(line) for line in lines]
    except orjson.JSONDecodeError:
        return [parse_json(line) for line in lines]  # which names the field
    keys, _, levels = _measured(documents)
    if levels > MOST_LEVELS or not _has_distinct_keys(b"\n".join(lines), keys):
        return [parse_json(line) for line in lines]
    return documents


def _measured(document: object) -> tuple[int, int, int]:
    """Count keys, values and levels; what is far too deep is not looked at to its end."""
    keys, values, levels = 0, 0, 0
    nodes: list[Any] = [document] if isinstance(document, dict | list) else []
    while nodes and levels <= MOST_LEVELS:
        levels += 1
        within: list[Any] = []
        for node in nodes:
            values += len(node)
            if isinstance(node, dict):
                keys += len(node)
                within += [child for child in node.values() if isinstance(child, (dict, list))]
            else:
                within += [child for child in node if isinstance(child, (dict, list))]
        nodes = within
    return keys, values, levels


def _has_distinct_keys(raw: bytes, keys: int) -> bool:
    """Tell whether no key came twice, of which orjson keeps the last; False where that cannot be told so easily.

    Outside of texts a quote before a colon ends a key, and within texts a backslash stands before it. So where there
    are as many such quotes as keys, none came twice; unless a text ends in a backslash, or blanks are between the two.
    """
    ends = raw.count(b'":') - raw.count(b'\\":')
    return ends == keys and b'\\\\"' not in raw and not _SPACED_KEY.search(raw)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        name = _shortened(repeated)
        raise BadJson(f"The body is not accepted: {name}: given twice.", {name: "Given twice."})
    return document


def _explained(raw: bytes, complaint: str) -> BadJson:
    """Say what is wrong with what cannot be parsed, and in which field."""
    if "depth" in complaint or "recursion" in complaint.lower():
        return _too_deep(raw)
    odd = _first_odd(raw) if len(raw) <= EXPLAINED_BYTES else None
    if odd is None:
        return BadJson(f"The body is not valid JSON: {complaint}.")
    path, what = odd
    return BadJson(f"The body is not valid JSON: {path or 'body'}: {what}.", {path: f"{what}."})


def _first_odd(raw: bytes) -> tuple[str, str] | None:
    """Find the first value that only a patient reader takes, and its path."""
    try:
        document = json.loads(
            raw.decode("utf-8", "surrogateescape"), parse_constant=_Odd, parse_float=_float, parse_int=_whole
        )
    except (ValueError, RecursionError):
        return None
    return next(_odd_ones(document, ""), None)


def _float(text: str) -> float | _Odd:
    number = float(text)
    return _Odd("too large a number") if math.isinf(number) else number


def _whole(text: str) -> int | _Odd:
    return _Odd("too large a number") if math.isinf(float(text)) else 0


def _odd_ones(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, _Odd):
        yield path, node.what if " " in node.what else f"{node.what} is no number"
    elif isinstance(node, str) and _SURROGATE.search(node):
        yield path, "not a text in UTF-8"
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _odd_ones(key, _joined(path, "(a key)"))
            yield from _odd_ones(value, _joined(path, _shortened(key)))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _odd_ones(value, _joined(path, str(index)))


def _too_deep(raw: bytes) -> BadJson:
    """Name the field, of those at the top, that is nested too deeply."""
    levels, field = 0, ""
    for token in _TOKEN.finditer(raw, 0, EXPLAINED_BYTES):
        if token[1] is not None:
            field = _shortened(token[1].decode("utf-8", "replace")) if levels == 1 else field
        else:
            levels += 1 if token[0] in (b"[", b"{") else -1
        if levels > MOST_LEVELS:
            break
    message = f"nested more than {MOST_LEVELS} levels deep."
    return BadJson(f"The body is not accepted: {field or 'body'}: {message}", {field: message.capitalize()})


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shortened(key: str) -> str:
    text = _SURROGATE.sub("\ufffd", key)
    return text if len(text) <= 100 else f"{text[:100]}…"
