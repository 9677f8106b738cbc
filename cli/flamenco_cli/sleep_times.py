"""When a Worker sleeps, as people write it: ``22:00-07:00 mon-fri``. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flamenco_core.errors import BadInput
from flamenco_core.wire.manager_api import DAYS

EXAMPLE = "22:00-07:00 mon-fri"

_TIMES = re.compile(r"(?P<start>[0-9]{1,2}:[0-9]{2})-(?P<end>[0-9]{1,2}:[0-9]{2})")


class BadSleepTimes(BadInput):
    """A text that names no times of the week."""

    type = "bad-sleep-times"

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"{text!r}: {why} Write it as in {EXAMPLE!r}; without days it is every day.")


def window_of(text: str) -> dict[str, Any]:
    """Read times and days, as the Server takes them; an end before the start is a day later. Raises BadSleepTimes."""
    times, _, days = text.strip().partition(" ")
    match = _TIMES.fullmatch(times)
    if match is None:
        raise BadSleepTimes(text, f"{times!r} is no start and end.")
    start, end = (_time_of(text, match[name]) for name in ("start", "end"))
    return {"days": _days_of(text, days.strip()), "start": start, "end": end}


def window_text(window: Mapping[str, Any]) -> str:
    """Write times and days as ``window_of`` reads them, days in a row as a range."""
    return f"{window['start']}-{window['end']} {','.join(_runs(window['days']))}"


def _time_of(text: str, written: str) -> str:
    hours, minutes = (int(part) for part in written.split(":"))
    if hours > 23 or minutes > 59:
        raise BadSleepTimes(text, f"there is no time {written}.")
    return f"{hours:02}:{minutes:02}"


def _days_of(text: str, days: str) -> Sequence[str]:
    chosen = {day for part in days.lower().split(",") for day in _part_of(text, part.strip())} if days else {*DAYS}
    return [day for day in DAYS if day in chosen]


def _part_of(text: str, part: str) -> Iterable[str]:
    first, dash, last = (word.strip() for word in part.partition("-"))
    for day in (first, last) if dash else (first,):
        if day not in DAYS:
            raise BadSleepTimes(text, f"{day!r} is no day; days are {', '.join(DAYS)}.")
    if not dash:
        return [first]
    begin, length = DAYS.index(first), (DAYS.index(last) - DAYS.index(first)) % len(DAYS) + 1
    return [DAYS[(begin + step) % len(DAYS)] for step in range(length)]


def _runs(days: Sequence[str]) -> Iterable[str]:
    run: list[str] = []
    for day in [*(day for day in DAYS if day in days), None]:
        if run and (day is None or DAYS.index(day) != DAYS.index(run[-1]) + 1):
            yield run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(run)
            run = []
        if day is not None:
            run.append(day)
