"""Amounts as people write them: memory, times to come, limits. Pure."""

import re
from collections.abc import Iterable
from datetime import datetime, time, timedelta

from flamenco_core.errors import BadInput

_UNITS = {
    "": 1,
    "b": 1,
    **{f"{letter}{more}": 1000**power for power, letter in enumerate("kmgt", start=1) for more in ("", "b")},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", start=1)},
}
_MEMORY = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?)\s*(?P<unit>[a-z]*)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[smhd]\s*)+", re.ASCII)
_DURATION_PART = re.compile(r"([0-9.]+)([smhd])", re.ASCII)
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}", re.ASCII)


class BadAmount(BadInput):
    """A text that is not what was asked for."""

    type = "bad-amount"


def memory_of(text: str) -> int:
    """Read an amount of memory, in bytes: ``8GB``, ``512 MB``, ``16GiB``, or bytes. Raises BadAmount."""
    match = _MEMORY.fullmatch(text.strip().lower())
    unit = _UNITS.get(match["unit"]) if match else None
    if match is None or unit is None:
        raise BadAmount(f"--memory: {text!r} is no amount of memory. Write it as in 8GB or 512MB.")
    return int(float(match["number"]) * unit)


def duration_of(text: str, option: str) -> float:
    """Read how long something may take, in seconds: ``90m``, ``2h``, ``1h 30m``. Raises BadAmount."""
    written = text.strip().lower()
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(written))
    if not _DURATION.fullmatch(written) or not seconds:
        raise BadAmount(f"{option}: {text!r} is no length of time. Write it as in 90m, 2h or 1h30m.")
    return seconds


def duration_text(seconds: float) -> str:
    """Write a length of time as ``duration_of`` reads it."""
    parts, left = list[str](), seconds
    for unit in ("d", "h", "m"):
        count, left = divmod(left, _SECONDS[unit])
        parts += [f"{count:.0f}{unit}"] if count else []
    return "".join([*parts, *([f"{left:.10g}s"] if left or not parts else [])])


def start_of(text: str, now: datetime) -> datetime:
    """Read when something may start: a date and time, or the next ``18:30``; local, unless it says otherwise.

    ``now`` is aware, in the zone that is meant by local. Raises BadAmount.
    """
    written = text.strip()
    try:
        if _CLOCK.fullmatch(written):
            today = datetime.combine(now.date(), time.fromisoformat(written.zfill(5)), now.tzinfo)
            return today if today > now else today + timedelta(days=1)
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        message = f"--start-after: {text!r} is no time. Write it as in 18:30 or '2026-02-01 08:00'."
        raise BadAmount(message) from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=now.tzinfo)


def limits_of(texts: Iterable[str]) -> dict[str, int]:
    """Read named limits, each as ``NAME`` or ``NAME=N``. Raises BadAmount."""
    limits: dict[str, int] = {}
    for text in texts:
        name, sign, count = text.partition("=")
        if not name or (sign and not (count.isascii() and count.isdecimal() and 0 < int(count) < 10**6)):
            raise BadAmount(f"--limit: {text!r} is no limit. Write it as in renderman or renderman=2.")
        limits[name] = int(count) if sign else 1
    return limits
