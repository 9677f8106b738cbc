"""The time that a job still takes, as a range."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamenco_cli.time_left import ENOUGH, TimeLeft, TimeLeftEstimate


def watched(done_at: list[tuple[float, int]], total: int = 100, *, already: int = 0) -> TimeLeftEstimate:
    estimate = TimeLeftEstimate(total, already, 0.0)
    for now_s, done in done_at:
        estimate.update(done, now_s)
    return estimate


@pytest.mark.parametrize("frames", range(ENOUGH))
def test_below_three_frames_it_is_being_measured(frames: int) -> None:
    assert watched([(float(done), done) for done in range(1, frames + 1)]).at(10) is None


def test_frames_that_were_done_before_we_began_to_watch_tell_no_pace() -> None:
    assert watched([(1, 51), (2, 52)], already=50).at(2) is None
    left = watched([(1, 51), (2, 52), (3, 53)], already=50).at(3)
    assert left is not None
    assert left.least_s == pytest.approx(47)


def test_an_even_pace_leaves_no_range() -> None:
    left = watched([(2.0 * done, done) for done in range(1, 11)]).at(20)
    assert left is not None
    assert left.least_s == pytest.approx(left.most_s) == pytest.approx(180)


def test_a_slow_start_widens_the_range_upwards() -> None:
    left = watched([(100.0 + done, done) for done in range(1, 31)]).at(130)
    assert left is not None
    assert left.least_s == pytest.approx(70, rel=0.1)
    assert left.most_s == pytest.approx(70 * 130 / 30)


def test_a_job_that_hangs_promises_less_and_less() -> None:
    estimate = watched([(float(done), done) for done in range(1, 11)])
    now, later = estimate.at(10), estimate.at(1000)
    assert now is not None
    assert later is not None
    assert later.least_s > now.most_s


def test_all_done_is_nothing_left() -> None:
    assert watched([(1, 1), (2, 2), (3, 3)], total=3).at(3) == TimeLeft(0, 0)


def test_no_time_passed_says_nothing() -> None:
    assert watched([(0, 3)]).at(0) is None


@given(st.lists(st.floats(0.01, 1000), min_size=ENOUGH, max_size=40), st.floats(0, 1000))
def test_the_range_is_never_upside_down(steps_s: list[float], more_s: float) -> None:
    now_s, estimate = 0.0, TimeLeftEstimate(100, 0, 0.0)
    for done, step_s in enumerate(steps_s, start=1):
        now_s += step_s
        estimate.update(done, now_s)
    left = estimate.at(now_s + more_s)
    assert left is not None
    assert 0 < left.least_s <= left.most_s


@pytest.mark.parametrize(
    ("least_s", "most_s", "text"),
    [
        (0, 0, "1 s"),
        (3, 3.2, "3 s"),
        (3, 5, "3–5 s"),
        (0.2, 1, "0–1 s"),
        (99, 99.4, "99 s"),
        (40, 130, "1–2 min"),
        (2400, 3300, "40–55 min"),
        (3600, 7200, "1–2 h"),
        (5990, 5999, "100 min"),
        (6000, 6001, "2 h"),
    ],
)
def test_it_is_written_in_one_unit(least_s: float, most_s: float, text: str) -> None:
    assert str(TimeLeft(least_s, most_s)) == text
