"""Amounts and times as people write them."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamenco_cli.amounts import BadAmount, duration_of, duration_text, limits_of, memory_of, start_of
from flamenco_cli.sleep_times import BadSleepTimes, window_of, window_text
from flamenco_core.wire.manager_api import DAYS

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("1024", 1024),
        ("8GB", 8_000_000_000),
        ("8 gb", 8_000_000_000),
        ("8G", 8_000_000_000),
        ("1.5TB", 1_500_000_000_000),
        ("512MB", 512_000_000),
        ("16GiB", 16 * 2**30),
        ("2kib", 2048),
        ("5b", 5),
    ],
)
def test_memory_is_read_in_the_units_that_are_written(text: str, size_bytes: int) -> None:
    assert memory_of(text) == size_bytes


@pytest.mark.parametrize("text", ["", "much", "8XB", "-8GB", "8,5GB", "GB", "1e9", "٨GB", "8GB8"])
def test_what_is_no_memory_is_refused(text: str) -> None:
    with pytest.raises(BadAmount, match="--memory"):
        memory_of(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5400), ("2h", 7200), ("1h30m", 5400), ("1H 30M", 5400), ("1.5d", 129_600), ("5s", 5)]
)
def test_a_length_of_time_is_read_in_the_units_that_are_written(text: str, seconds: float) -> None:
    assert duration_of(text, "--x") == seconds


@pytest.mark.parametrize("text", ["", "90", "0m", "-5m", "long", "5 m", "1,5h", "m", "1h30", "٥m", "1e3s"])
def test_what_is_no_length_of_time_is_refused_by_its_option(text: str) -> None:
    with pytest.raises(BadAmount, match="--task-time"):
        duration_of(text, "--task-time")


@given(st.integers(1, 10**8))
def test_a_length_of_time_that_is_written_is_read_as_the_same(seconds: int) -> None:
    assert duration_of(duration_text(seconds), "--x") == seconds


@pytest.mark.parametrize(("seconds", "text"), [(5400, "1h30m"), (90_061, "1d1h1m1s"), (0.5, "0.5s"), (86_400, "1d")])
def test_a_length_of_time_is_written_short(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("18:30", "2026-01-31T18:30:00+01:00"),
        ("12:00", "2026-02-01T12:00:00+01:00"),
        ("8:05", "2026-02-01T08:05:00+01:00"),
        ("2026-02-01", "2026-02-01T00:00:00+01:00"),
        ("2026-02-01 08:00", "2026-02-01T08:00:00+01:00"),
        ("2026-02-01T08:00:00Z", "2026-02-01T08:00:00+00:00"),
        (" 2026-02-01T08:00+05:30 ", "2026-02-01T08:00:00+05:30"),
    ],
)
def test_a_start_is_the_next_such_time_or_the_moment_that_is_written(text: str, moment: str) -> None:
    assert start_of(text, NOON) == datetime.fromisoformat(moment)


@pytest.mark.parametrize("text", ["", "soon", "25:00", "12:60", "31.01.2026", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadAmount, match="--start-after"):
        start_of(text, NOON)


def test_limits_have_a_number_or_are_one() -> None:
    assert limits_of(["renderman=2", "nuke", "a b=10"]) == {"renderman": 2, "nuke": 1, "a b": 10}


@pytest.mark.parametrize("text", ["", "=1", "renderman=", "renderman=0", "renderman=-1", "renderman=x", "r=9999999"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(BadAmount, match="--limit"):
        limits_of([text])


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("22:00-07:00", ("22:00", "07:00", "mon,tue,wed,thu,fri,sat,sun")),
        ("9:00-17:30 mon-fri", ("09:00", "17:30", "mon,tue,wed,thu,fri")),
        ("0:00-0:00 sun", ("00:00", "00:00", "sun")),
        ("22:00-07:00 Fri-Mon", ("22:00", "07:00", "mon,fri,sat,sun")),
        ("22:00-07:00  sat, sun,mon-tue ", ("22:00", "07:00", "mon,tue,sat,sun")),
        ("22:00-07:00 sun-sun", ("22:00", "07:00", "sun")),
    ],
)
def test_times_of_sleep_have_days_or_are_daily(text: str, window: tuple[str, str, str]) -> None:
    start, end, days = window
    assert window_of(text) == {"start": start, "end": end, "days": days.split(",")}


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "no start and end"),
        ("22:00", "no start and end"),
        ("22-7 mon", "no start and end"),
        ("24:00-07:00", "no time 24:00"),
        ("22:00-07:60", "no time 07:60"),
        ("22:00-07:00 monday", "'monday' is no day"),
        ("22:00-07:00 mon-", "'' is no day"),
        ("22:00-07:00 mon fri", "'mon fri' is no day"),
        ("22:00-07:00 mon,,fri", "'' is no day"),
    ],
)
def test_what_names_no_times_of_the_week_is_refused_with_an_example(text: str, advice: str) -> None:
    with pytest.raises(BadSleepTimes, match=advice) as caught:
        window_of(text)
    assert "'22:00-07:00 mon-fri'" in str(caught.value)


CLOCKS = st.times().map("{:%H:%M}".format)


@given(CLOCKS, CLOCKS, st.sets(st.sampled_from(DAYS), min_size=1))
def test_what_is_shown_of_a_window_can_be_typed_again(start: str, end: str, chosen: set[str]) -> None:
    window: dict[str, Any] = {"start": start, "end": end, "days": [day for day in DAYS if day in chosen]}
    assert window_of(window_text(window)) == window


def test_days_in_a_row_are_shown_as_a_range() -> None:
    window = {"start": "22:00", "end": "07:00", "days": ["mon", "tue", "thu", "fri", "sat"]}
    assert window_text(window) == "22:00-07:00 mon,tue,thu-sat"
