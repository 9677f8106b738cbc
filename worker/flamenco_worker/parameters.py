"""Typed parameters of commands: a frozen dataclass each, read from the JSON of the task."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_type_hints

from flamenco_worker.failures import BadParameters

P = TypeVar("P")


def read_parameters(kind: type[P], command: str, given: Mapping[str, Any]) -> P:
    """Fill the dataclass ``kind`` from what a task gives for its command.

    Keys are written as most are in the protocol (``inputGlob``), fields as in Python (``input_glob``); a field whose
    key breaks that rule has it in its metadata, as ``key``. Unknown keys are left: they may be for newer Workers.
    Raises BadParameters naming the parameter.
    """
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for item in fields(kind):  # type: ignore[arg-type]
        key = item.metadata.get("key") or _protocol_name(item.name)
        if given.get(key) is not None:
            values[item.name] = _converted(hints[item.name], given[key], f"{command}: {key}")
        elif item.default is MISSING and item.default_factory is MISSING:
            raise BadParameters(f"{command}: the parameter {key!r} is missing.")
    return kind(**values)


def _protocol_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _converted(kind: object, value: object, named: str) -> object:
    return _CONVERSIONS[kind](value, named)


def _text(value: object, named: str) -> str:
    if not isinstance(value, str):
        raise BadParameters(f"{named} must be a text, not {value!r}.")
    if "\0" in value:
        raise BadParameters(f"{named} contains a NUL character.")
    return value


def _number(value: object, named: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadParameters(f"{named} must be a number, not {value!r}.")
    return value


def _texts(value: object, named: str) -> tuple[str, ...]:
    """Read a list; items that are numbers become text, as Flamenco 3 does."""
    if not isinstance(value, list | tuple):
        raise BadParameters(f"{named} must be a list, not {value!r}.")
    return tuple(_text(item if isinstance(item, str) else str(item), named) for item in value)


_CONVERSIONS: dict[object, Callable[[object, str], object]] = {
    str: _text,
    str | None: _text,
    float: _number,
    tuple[str, ...]: _texts,
}
