"""Tasks as nearly all of them come, made of their documents without the schema, which takes twenty times as long.

A job may bring a million of them. Whatever is not plainly right is left to ``TaskDefinitionSchema``: only it refuses,
and says why.
"""

from collections.abc import Callable
from typing import Any

from flamenco_core.identifiers import is_uuid
from flamenco_core.wire.definitions import TaskDefinition
from flamenco_core.wire.schema import LARGEST_INTEGER
from flamenco_core.wire.worker_api import SHORT_TEXT_LENGTH, Command


def plain_task(document: Any) -> TaskDefinition | None:
    """Return what the schema makes of a parsed JSON document, or None: ask the schema."""
    if type(document) is not dict:
        return None
    get: Callable[..., Any] = document.get
    index, task, name, kind = get("index"), get("id"), get("name"), get("type")
    priority, dependencies, frames = get("priority", 50), get("depends_on", ()), get("frames")
    if not (
        _is_count(index)
        and type(task) is str
        and is_uuid(task)
        and type(name) is type(kind) is str
        and type(priority) is int
        and -LARGEST_INTEGER <= priority <= LARGEST_INTEGER
        and (dependencies == () or (type(dependencies) is list and all(map(_is_count, dependencies))))
        and (frames is None or type(frames) is str)
    ):
        return None
    commands = _plain_commands(get("commands"))
    if commands is None:
        return None
    if _NEEDS.keys().isdisjoint(document):
        return TaskDefinition(index, task, name, kind, commands, priority, dependencies, frames)
    needs = {key: get(key) for key in _NEEDS}
    if not all(needs[key] is None or is_plain(needs[key]) for key, is_plain in _NEEDS.items()):
        return None
    return TaskDefinition(index, task, name, kind, commands, priority, dependencies, frames, **needs)


def _plain_commands(documents: Any) -> list[Command] | None:
    if type(documents) is not list:
        return None
    commands = []
    for document in documents:
        if type(document) is not dict:
            return None
        name, parameters, steps = document.get("name"), document.get("parameters"), document.get("total_step_count", 0)
        if not (type(name) is str and len(name) <= SHORT_TEXT_LENGTH and type(parameters) is dict and _is_count(steps)):
            return None
        commands.append(Command(name, parameters, steps))
    return commands


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_INTEGER


def _is_text(value: Any) -> bool:
    return type(value) is str


def _are_counts(value: Any) -> bool:
    return type(value) is dict and all(map(_is_count, value.values()))


_NEEDS = {"tag": _is_text, "memory_bytes": _is_count, "gpu": _is_text, "limits": _are_counts}
