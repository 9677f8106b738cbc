"""The values of a job's settings: what the artist changed, else what the scene gives, else the default.

What the artist changed is kept as JSON text in the scene, per job type, so that it is remembered with the file and
nothing of it depends on which settings the Server has today.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Literal

from .core import BadFrames, parse_frames
from .expressions import BadExpression, evaluate
from .job_types import TYPES, JobType, Setting, Value
from .problems import Problem

Origin = Literal["changed", "linked", "default"]
Changes = Mapping[str, Value]
INT32 = range(-(2**31), 2**31)


@dataclass(frozen=True)
class Resolved:
    """The value of a setting, where it comes from, and what is wrong with it."""

    value: "Value | None"
    origin: Origin
    problem: "str | None" = None


@dataclass(frozen=True)
class Linked:
    """What an expression gave: a value, or why there is none."""

    value: "Value | None"
    problem: "str | None" = None


def changes_for(text: str, job_type: JobType) -> Changes:
    """Read what the artist changed for a job type. What its settings cannot take any more is left out."""
    stored = _read(text).get(job_type.name, {})
    known = ((setting, stored.get(setting.key)) for setting in job_type.settings)
    return {setting.key: value for setting, value in known if value is not None and _has_type(setting, value)}


def with_change(text: str, job_type: JobType, key: str, value: Value) -> str:
    """Return the text with one more change. A whole number given for a float becomes one."""
    setting = job_type.setting(key)
    if setting is not None and setting.type == "float" and not isinstance(value, bool):
        value = float(value)
    changes = {**_read(text).get(job_type.name, {}), key: value}
    return json.dumps({**_read(text), job_type.name: changes})


def without_change(text: str, job_type: JobType, key: str) -> str:
    """Return the text without the change of one setting."""
    changes = {other: value for other, value in _read(text).get(job_type.name, {}).items() if other != key}
    kept = {name: values for name, values in _read(text).items() if name != job_type.name}
    return json.dumps({**kept, job_type.name: changes} if changes else kept) if kept or changes else ""


@lru_cache(maxsize=64)
def _read(text: str) -> "dict[str, dict[str, Any]]":
    """Read all changes. Text that this add-on did not write has none: a file of elsewhere must not break the panel."""
    try:
        document = json.loads(text or "{}")
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    return {name: values for name, values in document.items() if isinstance(values, dict)}


def linked_values(job_type: JobType, changes: Changes, names: Mapping[str, Any]) -> "dict[str, Linked]":
    """Evaluate the expressions of all settings that have one and were not changed.

    ``names`` are what expressions see; they also get ``settings``, the values of the other settings.
    """
    others = _OtherSettings(job_type, changes, names)
    unchanged = (setting for setting in job_type.settings if setting.eval and setting.key not in changes)
    return {setting.key: others.linked(setting) for setting in unchanged}


class _OtherSettings:
    """What an expression sees as ``settings``: each other setting's value, evaluated when it is asked for."""

    def __init__(self, job_type: JobType, changes: Changes, names: Mapping[str, Any]) -> None:
        self._job_type = job_type
        self._changes = changes
        self._names = {**names, "settings": self}
        self._known: dict[str, Linked] = {}
        self._under_way: set[str] = set()

    def __getattr__(self, key: str) -> "Value | None":
        setting = self._job_type.setting(key)
        if setting is None:
            raise BadExpression(f"uses settings.{key}, which this job type does not have")
        if key in self._changes:
            return self._changes[key]
        linked = self.linked(setting) if setting.eval else Linked(setting.default)
        if linked.problem:
            raise BadExpression(f"needs {setting.label}, which has no value")
        return linked.value

    def linked(self, setting: Setting) -> Linked:
        if setting.key in self._under_way:
            raise BadExpression(f"needs its own value, through {setting.label}")
        if setting.key not in self._known:
            self._under_way.add(setting.key)
            self._known[setting.key] = _linked(setting, self._names)
            self._under_way.discard(setting.key)
        return self._known[setting.key]


def _linked(setting: Setting, names: Mapping[str, Any]) -> Linked:
    try:
        return Linked(_as_type(setting, evaluate(setting.eval or "", names)))
    except BadExpression as error:
        return Linked(None, f"{setting.label} could not be taken from the scene: its expression {error}. Type a value.")


def _as_type(setting: Setting, value: Any) -> Value:
    if setting.type == "string" and isinstance(value, (str, PurePath)):
        return str(value)
    if setting.type == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if setting.type == "int32" and isinstance(value, float) and value.is_integer():
        return int(value)
    if not _has_type(setting, value):
        raise BadExpression(f"gives {value!r}, which is not of the type {setting.type}")
    return value  # type: ignore[no-any-return] # _has_type looked


def _has_type(setting: Setting, value: object) -> bool:
    if isinstance(value, bool):
        return setting.type == "bool"
    return isinstance(value, TYPES[setting.type])


def resolve(job_type: JobType, changes: Changes, linked: Mapping[str, Linked]) -> "dict[str, Resolved]":
    """Tell the value of every setting, from values that are known already: nothing is evaluated here."""
    return {setting.key: _resolve(setting, changes, linked.get(setting.key)) for setting in job_type.settings}


def _resolve(setting: Setting, changes: Changes, linked: "Linked | None") -> Resolved:
    if setting.key in changes:
        return Resolved(changes[setting.key], "changed", problem_with(setting, changes[setting.key]))
    if linked is None:
        return Resolved(setting.default, "default", problem_with(setting, setting.default))
    if linked.problem and setting.default is not None:
        return Resolved(setting.default, "default", problem_with(setting, setting.default))
    return Resolved(linked.value, "linked", linked.problem or problem_with(setting, linked.value))


def problem_with(setting: Setting, value: "Value | None") -> "str | None":
    """Say what is wrong with a value, and what would be right; None if nothing is."""
    if value is None or value == "":
        return f"{setting.label} is needed: {setting.description or 'give a value.'}" if setting.required else None
    if setting.choices and value not in setting.choices:
        return f"{setting.label} cannot be {value}. Choose one of {', '.join(map(str, setting.choices))}."
    if setting.key == "frames":
        return _problem_with_frames(setting, str(value))
    return None if isinstance(value, (bool, str)) else _problem_with_number(setting, value)


def _problem_with_number(setting: Setting, value: float) -> "str | None":
    least, most = setting.propargs.get("min"), setting.propargs.get("max")
    if least is not None and value < least:
        return f"{setting.label} is {value}; it must be at least {least}."
    if most is not None and value > most:
        return f"{setting.label} is {value}; it must be at most {most}."
    if setting.type == "int32" and value not in INT32:
        return f"{setting.label} is {value}, which is too large a number."
    return None


def _problem_with_frames(setting: Setting, text: str) -> "str | None":
    try:
        parse_frames(text)
    except BadFrames as error:
        return f"{setting.label}: {error}"
    return None


def values_to_send(resolved: Mapping[str, Resolved]) -> "dict[str, Value]":
    """Return the settings of a submission: all that have a value. Raises Problem with the first that is wrong."""
    wrong = [item.problem for item in resolved.values() if item.problem]
    if wrong:
        raise Problem(wrong[0], "\n".join(wrong))
    return {key: item.value for key, item in resolved.items() if item.value is not None}
