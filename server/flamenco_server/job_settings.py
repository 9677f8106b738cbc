"""Checking the settings of a submission against the description of its job type."""

import math
from collections.abc import Mapping
from typing import Any

from flamenco_core.errors import BadInput
from flamenco_core.paths import shown
from flamenco_server.job_type import JobType, Setting, Settings, SettingValue

INT32 = range(-(2**31), 2**31)
LONGEST_TEXT = 10_000
"""Characters of a setting."""

_WANTED = {
    "string": "a text, such as {example!r}",
    "int32": "a whole number, such as {example}",
    "float": "a number, such as {example}",
    "bool": "true or false",
}
_EXAMPLES: dict[str, SettingValue] = {"string": "text", "int32": 1, "float": 1.5, "bool": True}


class BadSettings(BadInput):
    """Settings that the job type cannot take; ``errors`` has one message per setting."""

    type = "bad-settings"

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{key}: {message}" for key, message in errors.items()), errors)


def check_settings(job_type: JobType, given: Mapping[str, Any]) -> Settings:
    """Return the settings of a job: what was given, and defaults for the rest. Raises BadSettings."""
    known = {setting.key: setting for setting in job_type.settings}
    errors = {
        f"settings.{key}": f"{job_type.name} has no such setting; it has {', '.join(known)}."
        for key in given
        if key not in known
    }
    checked: dict[str, SettingValue] = {}
    for key, setting in known.items():
        try:
            value = _checked(setting, given.get(key))
        except ValueError as error:
            errors[f"settings.{key}"] = str(error)
            continue
        if value is not None:
            checked[key] = value
    if errors:
        raise BadSettings(errors)
    return checked


def _checked(setting: Setting, value: Any) -> SettingValue | None:
    """Return the value to use, None for none. Raises ValueError."""
    if value is None:
        value = setting.default
    if value is None or (value == "" and setting.required):
        if setting.required:
            raise ValueError(f"is missing: {setting.description or setting.label}")
        return None
    right = _of_type(setting, value)
    _check_choice(setting, right)
    _check_limits(setting, right)
    if setting.check is not None:
        setting.check(right)
    return right


def _of_type(setting: Setting, value: Any) -> SettingValue:
    match setting.type, value:
        case ("bool", bool()):
            return value
        case ("string", str()):
            return _text(value)
        case ("int32", int()) if not isinstance(value, bool) and value in INT32:
            return value
        case ("float", int() | float()) if not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    example = _EXAMPLES[setting.type] if setting.default is None else setting.default
    wanted = _WANTED[setting.type].format(example=example)
    raise ValueError(f"{_written(value)} is not {wanted}.")


def _text(value: str) -> str:
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"is longer than {LONGEST_TEXT} characters.")
    if "\0" in value:
        raise ValueError("has a NUL character, which no program takes.")
    return value


def _check_choice(setting: Setting, value: SettingValue) -> None:
    if setting.choices is not None and value not in setting.choices:
        raise ValueError(f"{_written(value)} is not one of {', '.join(setting.choices)}.")


def _check_limits(setting: Setting, value: SettingValue) -> None:
    if isinstance(value, str):
        return
    if "min" in setting.propargs and value < setting.propargs["min"]:
        raise ValueError(f"{value} is less than {setting.propargs['min']}, the least that is possible.")
    if "max" in setting.propargs and value > setting.propargs["max"]:
        raise ValueError(f"{value} is more than {setting.propargs['max']}, the most that is possible.")


def _written(value: Any) -> str:
    """Write a foreign value for a message, as its sender would in JSON."""
    if isinstance(value, str):
        return shown(value)
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else shown(str(value)).strip("'")
