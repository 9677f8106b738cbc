"""When a Worker sleeps by its schedule. Pure: the time is an argument.

A window is one stretch of time: from the moment at which the clocks of its time zone first show its start, until they
show its end and never less again. So nothing needs deciding anew on the days when clocks change: what falls into the
hour that is skipped begins or ends when it is skipped, and in an hour that comes twice nobody wakes for half an hour.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from marshmallow import ValidationError

from flamenco_core.errors import BadInput
from flamenco_core.paths import shown
from flamenco_core.wire.manager_api import DAYS, SleepSchedule, SleepScheduleSchema, SleepWindow
from flamenco_runtime.json_body import invalid

MOST_WINDOWS = 100
LOOK_AHEAD = timedelta(days=16)
"""Two weeks, and a little: a day that is skipped altogether (Apia, 2011) hides a window that comes once a week."""
LOOK_BACK = timedelta(days=2)
"""Windows that began so long ago may not be over: each lasts up to a day, and clocks go back by up to another."""

_SECOND = timedelta(seconds=1)
_SCHEDULE = SleepScheduleSchema()

Stretch = tuple[datetime, datetime]


class BadSchedule(BadInput):
    """A sleep schedule that cannot be kept; the message names the field."""

    type = "bad-sleep-schedule"


def read_schedule(document: object) -> SleepSchedule | None:
    """Read the schedule in an order; null is none. Raises BadSchedule, and BadInput for what is no schedule at all."""
    if document is None:
        return None
    try:
        schedule: SleepSchedule = _SCHEDULE.load(document)  # type: ignore[arg-type]
    except ValidationError as error:
        bad = invalid(error)
        raise BadSchedule(f"The sleep schedule is not accepted. {bad}", bad.errors) from error
    zone_of(schedule)
    if len(schedule.windows) > MOST_WINDOWS:
        raise BadSchedule(
            f"windows has {len(schedule.windows)} entries; {MOST_WINDOWS} are the most.", {"windows": "Too many."}
        )
    return schedule


def asleep_at(schedule: SleepSchedule, wall: datetime) -> bool:
    """Tell whether a schedule wants its Worker to be asleep. Raises BadSchedule for an unknown time zone."""
    return schedule.is_active and any(
        start <= wall < end for start, end in _stretches(schedule, wall - LOOK_BACK, wall + LOOK_BACK)
    )


def next_change(schedule: SleepSchedule, wall: datetime) -> datetime | None:
    """Return when ``asleep_at`` next becomes another than it is at ``wall``; None: not for two weeks, so never.

    Raises BadSchedule for an unknown time zone.
    """
    if not schedule.is_active:
        return None
    horizon = wall + LOOK_AHEAD
    for start, end in _joined(sorted(_stretches(schedule, wall - LOOK_BACK, horizon))):
        if start > wall:
            return start
        if wall < end:
            return end if end < horizon else None
    return None


def zone_of(schedule: SleepSchedule) -> ZoneInfo:
    """Return the time zone of a schedule. Raises BadSchedule if this machine does not know it."""
    try:
        return ZoneInfo(schedule.time_zone)
    except (KeyError, ValueError, OSError) as error:  # unknown; no name at all; the name of a folder
        raise BadSchedule(
            f"time_zone cannot be {shown(schedule.time_zone)}: the Manager knows no time zone of that name. "
            "Write one such as Europe/Amsterdam.",
            {"time_zone": "Not a time zone that is known here."},
        ) from error


def _stretches(schedule: SleepSchedule, after: datetime, before: datetime) -> Iterator[Stretch]:
    """Yield the stretches of all windows that start on days between two times, and some around them."""
    zone = zone_of(schedule)
    day, last = after.astimezone(zone).date(), before.astimezone(zone).date()
    while day <= last:
        for window in schedule.windows:
            if DAYS[day.weekday()] in window.days:
                start, end = _on(zone, day, window)
                if start < end:  # else the clocks skipped all of it
                    yield start, end
        day += timedelta(days=1)


def _on(zone: ZoneInfo, day: date, window: SleepWindow) -> Stretch:
    start, end = time.fromisoformat(window.start), time.fromisoformat(window.end)
    last_day = day + timedelta(days=1) if end <= start else day
    return _reached(zone, datetime.combine(day, start)), _left(zone, datetime.combine(last_day, end))


def _joined(stretches: list[Stretch]) -> Iterator[Stretch]:
    """Yield sorted stretches, those that touch or overlap as one."""
    whole: Stretch | None = None
    for start, end in stretches:
        if whole is not None and start <= whole[1]:
            whole = (whole[0], max(whole[1], end))
            continue
        if whole is not None:
            yield whole
        whole = (start, end)
    if whole is not None:
        yield whole


def _reached(zone: ZoneInfo, local: datetime) -> datetime:
    """Return when the clocks first show ``local``, or something later because they skip it."""
    first, second = _both(zone, local)
    return first if first <= second else _skip(zone, local, second, first)


def _left(zone: ZoneInfo, local: datetime) -> datetime:
    """Return when the clocks show ``local`` and nothing earlier any more, or something later because they skip it."""
    first, second = _both(zone, local)
    if second < first:
        return _skip(zone, local, second, first)
    # Clocks that are put back to just ``local`` show nothing earlier again.
    return second if _shown(zone, second - _SECOND) < local else first


def _both(zone: ZoneInfo, local: datetime) -> tuple[datetime, datetime]:
    """Return when the clocks show ``local``: twice the same, two times if they are put back; or the wrong way round.

    The latter says that the clocks skip it; the moment at which they do is in between (PEP 495).
    """
    there = local.replace(tzinfo=zone)
    return there.astimezone(UTC), there.replace(fold=1).astimezone(UTC)


def _skip(zone: ZoneInfo, local: datetime, low: datetime, high: datetime) -> datetime:
    """Return when the clocks skip ``local``: after ``low``, at ``high`` at the latest."""
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        if _shown(zone, middle) < local:
            low = middle
        else:
            high = middle
    return high


def _shown(zone: ZoneInfo, moment: datetime) -> datetime:
    """Return what the clocks show at a moment."""
    return moment.astimezone(zone).replace(tzinfo=None)
