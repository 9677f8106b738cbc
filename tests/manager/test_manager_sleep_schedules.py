"""When Workers sleep: a naive reading of the clocks, minute by minute, must agree, in every time zone."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from functools import cache
from itertools import accumulate
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flamenco_core.wire.manager_api import DAYS, SleepSchedule, SleepWindow
from flamenco_manager.sleep_schedule import MOST_WINDOWS, BadSchedule, asleep_at, next_change, read_schedule

MINUTE = timedelta(minutes=1)
LONGEST_STEP_BACK = timedelta(hours=25)
"""No clock of any time zone was put back by more since 1975."""
ZONES = sorted(available_timezones() - {"localtime", "posixrules"})


def windows(*spans: tuple[str, str], days: str = " ".join(DAYS), zone: str = "UTC") -> SleepSchedule:
    return SleepSchedule(True, zone, tuple(SleepWindow(tuple(days.split()), start, end) for start, end in spans))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: str, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def changes(schedule: SleepSchedule, first: datetime, last: datetime) -> list[datetime]:
    """All times between two at which the schedule says something else."""
    found: list[datetime] = []
    moment: datetime | None = first
    while moment is not None and moment <= last:
        moment = next_change(schedule, moment)
        found += [moment] if moment is not None and moment <= last else []
    return found


@pytest.mark.parametrize(
    ("now", "is_asleep"),
    [
        ("21:59:59", False),
        ("22:00:00", True),
        ("23:59:59", True),
        ("00:00:00", True),
        ("06:29:59", True),
        ("06:30", False),
    ],
)
def test_a_window_across_midnight(now: str, is_asleep: bool) -> None:
    assert asleep_at(windows(("22:00", "06:30")), utc(f"2026-01-31T{now}")) is is_asleep


def test_several_windows_a_day_and_what_comes_next() -> None:
    schedule = windows(("09:00", "12:00"), ("13:00", "18:00"))
    assert changes(schedule, utc("2026-01-31T00:00"), utc("2026-01-31T23:59")) == [
        utc(f"2026-01-31T{hour}:00") for hour in ("09", "12", "13", "18")
    ]


def test_windows_that_overlap_or_touch_are_one() -> None:
    schedule = windows(("20:00", "23:00"), ("22:00", "02:00"), ("02:00", "04:00"), ("21:00", "21:30"))
    assert changes(schedule, utc("2026-01-31T12:00"), utc("2026-02-01T12:00")) == [
        utc("2026-01-31T20:00"),
        utc("2026-02-01T04:00"),
    ]


def test_a_window_belongs_to_the_day_on_which_it_starts() -> None:
    schedule = windows(("22:00", "06:00"), days="fri")  # 30 January 2026 is a Friday
    assert changes(schedule, utc("2026-01-28T00:00"), utc("2026-02-05T00:00")) == [
        utc("2026-01-30T22:00"),
        utc("2026-01-31T06:00"),
    ]


def test_an_end_like_the_start_is_a_day_later() -> None:
    schedule = windows(("08:00", "08:00"), days="mon")
    assert changes(schedule, utc("2026-02-01T00:00"), utc("2026-02-07T00:00")) == [
        utc("2026-02-02T08:00"),
        utc("2026-02-03T08:00"),
    ]


def test_who_sleeps_always_or_never_never_changes() -> None:
    noon = utc("2026-01-31T12:00")
    always, never = windows(("00:00", "00:00")), windows(("22:00", "06:00"), days="")
    off = SleepSchedule(False, "UTC", windows(("00:00", "00:00")).windows)
    assert [asleep_at(schedule, noon) for schedule in (always, never, off, windows())] == [True, False, False, False]
    assert [next_change(schedule, noon) for schedule in (always, never, off, windows())] == [None] * 4


def test_the_clock_is_that_of_the_time_zone() -> None:
    schedule = windows(("22:00", "06:00"), zone="Asia/Kolkata")
    assert changes(schedule, utc("2026-01-31T00:00"), utc("2026-01-31T23:59")) == [
        utc("2026-01-31T00:30"),
        utc("2026-01-31T16:30"),
    ]


BERLIN = "Europe/Berlin"  # 29 March 2026, 02:00 -> 03:00; 25 October 2026, 03:00 -> 02:00


def test_what_falls_into_a_skipped_hour_happens_when_it_is_skipped() -> None:
    skip = utc("2026-03-29T01:00")
    morning, evening = utc("2026-03-28T12:00"), utc("2026-03-29T12:00")
    starts_in_it = windows(("02:30", "04:00"), zone=BERLIN)
    assert changes(starts_in_it, morning, evening) == [skip, utc("2026-03-29T02:00")]
    ends_in_it = windows(("23:00", "02:30"), zone=BERLIN)
    assert changes(ends_in_it, morning, evening) == [utc("2026-03-28T22:00"), skip]
    inside = windows(("02:15", "02:45"), zone=BERLIN)
    assert changes(inside, morning, evening) == []
    assert not asleep_at(inside, skip)


def test_in_an_hour_that_comes_twice_a_window_is_still_one() -> None:
    morning, evening = utc("2026-10-24T12:00"), utc("2026-10-25T12:00")
    starts_in_it = windows(("02:30", "04:00"), zone=BERLIN)
    assert changes(starts_in_it, morning, evening) == [utc("2026-10-25T00:30"), utc("2026-10-25T03:00")]
    ends_in_it = windows(("01:00", "02:30"), zone=BERLIN)
    assert changes(ends_in_it, morning, evening) == [utc("2026-10-24T23:00"), utc("2026-10-25T01:30")]
    inside = windows(("02:15", "02:45"), zone=BERLIN)
    assert changes(inside, morning, evening) == [utc("2026-10-25T00:15"), utc("2026-10-25T01:45")]


def test_a_window_up_to_the_hour_that_comes_twice_ends_before_it() -> None:
    schedule = windows(("01:00", "02:00"), ("03:00", "04:00"), zone=BERLIN)
    assert changes(schedule, utc("2026-10-24T12:00"), utc("2026-10-25T12:00")) == [
        utc(f"2026-10-{moment}") for moment in ("24T23:00", "25T00:00", "25T02:00", "25T03:00")
    ]


def test_lord_howe_puts_its_clocks_forward_by_half_an_hour() -> None:
    zone = "Australia/Lord_Howe"  # 4 October 2026, 02:00 -> 02:30; 5 April 2026, 02:00 -> 01:30
    spring = windows(("02:10", "02:40"), zone=zone)
    assert changes(spring, local("2026-10-04T00:00", zone), local("2026-10-04T12:00", zone)) == [
        local("2026-10-04T02:30", zone),
        local("2026-10-04T02:40", zone),
    ]
    autumn = windows(("01:45", "01:50"), zone=zone)
    assert changes(autumn, local("2026-04-05T00:00", zone), local("2026-04-05T12:00", zone)) == [
        local("2026-04-05T01:45", zone),
        local("2026-04-05T01:50", zone, fold=1),
    ]


def test_in_apia_a_whole_friday_is_missing() -> None:
    zone = "Pacific/Apia"  # no 30 December 2011
    dateline = utc("2011-12-30T10:00")
    day, week = timedelta(days=1), timedelta(days=7)
    assert changes(windows(("09:00", "17:00"), days="fri", zone=zone), dateline - day, dateline + day) == []
    friday_night = windows(("22:00", "06:00"), days="fri", zone=zone)
    assert changes(friday_night, dateline - day, dateline + day) == [dateline, local("2011-12-31T06:00", zone)]
    thursday_night = windows(("22:00", "06:00"), days="thu", zone=zone)
    assert changes(thursday_night, dateline - day, dateline + day) == [local("2011-12-29T22:00", zone), dateline]
    fridays = windows(("09:00", "17:00"), days="fri", zone=zone)
    before = local("2011-12-23T17:00", zone)
    assert next_change(fridays, before) == local("2012-01-06T09:00", zone) > before + week


# A naive model: what all clocks showed up to now, and what they will show from now on, minute by minute.


class Clocks:
    """What the clocks of a zone show at each minute of some days, and around them."""

    def __init__(self, zone: str, first: datetime, minutes: int) -> None:
        margin = LONGEST_STEP_BACK // MINUTE
        there = ZoneInfo(zone)
        moments = [first + MINUTE * minute for minute in range(-margin, minutes + margin)]
        shown = [moment.astimezone(there).replace(tzinfo=None) for moment in moments]
        self.moments = moments[margin : margin + minutes]
        self.latest_so_far = list(accumulate(shown, max))[margin : margin + minutes]
        self.earliest_from_now = list(accumulate(reversed(shown), min))[::-1][margin : margin + minutes]

    def asleep(self, schedule: SleepSchedule) -> list[bool]:
        """Tell for each minute whether a window has been reached and not been left for good."""
        spans = list(self._spans(schedule))
        return [
            schedule.is_active and any(start <= latest and earliest < end for start, end in spans)
            for latest, earliest in zip(self.latest_so_far, self.earliest_from_now, strict=True)
        ]

    def _spans(self, schedule: SleepSchedule) -> Sequence[tuple[datetime, datetime]]:
        day, last = self.earliest_from_now[0].date() - timedelta(days=1), self.latest_so_far[-1].date()
        spans = []
        while day <= last:
            for window in schedule.windows:
                if DAYS[day.weekday()] in window.days:
                    start, end = time.fromisoformat(window.start), time.fromisoformat(window.end)
                    ends_on = day + timedelta(days=end <= start)
                    spans.append((datetime.combine(day, start), datetime.combine(ends_on, end)))
            day += timedelta(days=1)
        return spans


@cache
def turning_points(zone: str, year: int) -> Sequence[datetime]:
    """Days (UTC) on which the clocks of a zone are changed, or New Year."""
    there = ZoneInfo(zone)
    days = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in range(366)]
    offsets = [day.astimezone(there).utcoffset() for day in days]
    return [day for day, now, later in zip(days, offsets, offsets[1:], strict=False) if now != later] or days[:1]


@st.composite
def times_of_day(draw: st.DrawFn) -> str:
    """Mostly around the hours at which clocks are changed."""
    hour = draw(st.one_of(st.integers(0, 3), st.sampled_from([23, 22]), st.integers(0, 23)))
    minute = draw(st.one_of(st.sampled_from([0, 15, 30, 59]), st.integers(0, 59)))
    return f"{hour:02}:{minute:02}"


@st.composite
def cases(draw: st.DrawFn) -> tuple[SleepSchedule, datetime]:
    """A schedule, and the beginning of two days around a change of its clocks."""
    zone = draw(st.one_of(st.sampled_from(ZONES), st.sampled_from(["Pacific/Apia", "Australia/Lord_Howe", BERLIN])))
    turn = draw(st.sampled_from(turning_points(zone, draw(st.integers(1975, 2037)))))
    days = st.lists(st.sampled_from(DAYS), unique=True, max_size=7) | st.just(list(DAYS))
    window = st.builds(SleepWindow, days, times_of_day(), times_of_day())
    schedule = SleepSchedule(draw(st.sampled_from([True] * 9 + [False])), zone, draw(st.lists(window, max_size=3)))
    return schedule, turn - timedelta(hours=draw(st.integers(0, 24)))


@settings(max_examples=200, deadline=None)
@given(cases())
def test_a_minute_by_minute_reading_of_the_clocks_agrees(case: tuple[SleepSchedule, datetime]) -> None:
    schedule, first = case
    clocks = Clocks(schedule.time_zone, first, minutes=3 * 24 * 60)
    expected = clocks.asleep(schedule)
    assert [asleep_at(schedule, moment) for moment in clocks.moments[::37]] == expected[::37]
    turns = [
        moment
        for moment, before, after in zip(clocks.moments[1:], expected, expected[1:], strict=False)
        if before != after
    ]
    assert changes(schedule, clocks.moments[0], clocks.moments[-1]) == turns


@settings(max_examples=100, deadline=None)
@given(cases())
def test_it_changes_when_it_says_so_and_not_before(case: tuple[SleepSchedule, datetime]) -> None:
    schedule, moment = case
    change = next_change(schedule, moment)
    if change is None:
        assert {asleep_at(schedule, moment + timedelta(hours=hour)) for hour in range(15 * 24)} == {
            asleep_at(schedule, moment)
        }
    else:
        assert change > moment
        assert asleep_at(schedule, change) is not asleep_at(schedule, moment)
        assert asleep_at(schedule, change - timedelta(microseconds=1)) is asleep_at(schedule, moment)


# What comes in an order.

GOOD = {
    "is_active": True,
    "time_zone": "Europe/Amsterdam",
    "windows": [{"days": ["mon"], "start": "22:00", "end": "06:00"}],
}


def test_a_schedule_is_read_and_none_is_none() -> None:
    assert read_schedule(GOOD) == SleepSchedule(True, "Europe/Amsterdam", [SleepWindow(["mon"], "22:00", "06:00")])
    assert read_schedule(None) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"time_zone": "Europe/Atlantis"}, "time_zone"),
        ({"time_zone": "Europe"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"time_zone": "a\0b"}, "time_zone"),
        ({"time_zone": "\ud800"}, "time_zone"),
        ({"time_zone": ""}, "time_zone"),
        ({"time_zone": 1}, "time_zone"),
        ({"is_active": "yes"}, "is_active"),
        ({"windows": None}, "windows"),
        ({"windows": [{"days": ["monday"], "start": "22:00", "end": "06:00"}]}, "windows.0.days.0"),
        ({"windows": [{"days": ["mon"], "start": "24:00", "end": "06:00"}]}, "windows.0.start"),
        ({"windows": [{"days": ["mon"], "start": "22:00"}]}, "windows.0.end"),
        ({"windows": GOOD["windows"] * (MOST_WINDOWS + 1)}, "windows"),  # type: ignore[operator]
    ],
)
def test_a_bad_schedule_is_refused_and_the_field_is_named(change: dict[str, object], field: str) -> None:
    with pytest.raises(BadSchedule) as refused:
        read_schedule({**GOOD, **change})
    assert list(refused.value.errors) == [field]
    assert field in str(refused.value)


@pytest.mark.parametrize("document", [[], "22:00", 7, {}])
def test_what_is_no_schedule_is_refused(document: object) -> None:
    with pytest.raises(BadSchedule, match="sleep schedule"):
        read_schedule(document)
