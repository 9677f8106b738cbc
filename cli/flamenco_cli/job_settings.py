"""``--set KEY=VALUE``: texts become values of the types that the job type asks for."""

import math
import re
from collections.abc import Callable, Iterable

from flamenco_cli.records import JobType, Setting
from flamenco_core.errors import BadInput

_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class BadSetting(BadInput):
    """A setting that the job type does not have, or a value that it does not take."""

    type = "bad-setting"


def settings_of(job_type: JobType, given: Iterable[str]) -> dict[str, object]:
    """Convert ``KEY=VALUE`` texts by the job type; the Server checks ranges and choices. Raises BadSetting."""
    known = {setting["key"]: setting for setting in job_type["settings"]}
    settings: dict[str, object] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise BadSetting(f"{text!r} is not a setting. Write KEY=VALUE, for example --set chunk_size=10.")
        if key not in known:
            raise BadSetting(
                f"Job type {job_type['name']} has no setting {key!r}. It has: {', '.join(sorted(known)) or 'none'}."
            )
        settings[key] = converted(known[key], value)
    return settings


def converted(setting: Setting, text: str) -> object:
    """Read a value of a setting's type. Raises BadSetting."""
    convert, example = _CONVERSIONS.get(setting["type"], (str, "text"))
    try:
        return convert(text)
    except ValueError as error:
        raise BadSetting(f"Setting {setting['key']} cannot be {text!r}: write {example}.") from error


def _whole_number(text: str) -> int:
    if not _WHOLE_NUMBER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or "_" in text:
        raise ValueError(text)
    return number


def _truth(text: str) -> bool:
    if text.lower() not in _WORDS:
        raise ValueError(text)
    return _WORDS[text.lower()]


_CONVERSIONS: dict[str, tuple[Callable[[str], object], str]] = {
    "int32": (_whole_number, "a whole number, for example 10"),
    "float": (_number, "a number, for example 0.5"),
    "bool": (_truth, "true or false"),
}
