"""What follows when a service of ``flamenco up`` ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamenco_cli.supervision import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    MOST_FAILED_STARTS,
    STABLE_AFTER_S,
    GiveUp,
    History,
    StartAgain,
    after_end,
)


def pauses_of(history: History, lives_s: list[float]) -> list[float | None]:
    """The pauses after lives of such lengths; None where it is given up."""
    pauses: list[float | None] = []
    for lived_s in lives_s:
        history, decision = after_end(history, lived_s=lived_s)
        pauses.append(decision.pause_s if isinstance(decision, StartAgain) else None)
    return pauses


def test_a_service_that_answered_is_started_again_after_pauses_that_double() -> None:
    assert pauses_of(History().answered(), [1.0] * 9) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_long_life_is_forgiven_the_ends_before_it() -> None:
    assert pauses_of(History().answered(), [1, 1, STABLE_AFTER_S, 1]) == [0.5, 1, 0.5, 1]


def test_a_life_just_short_of_stable_counts_as_quick() -> None:
    assert pauses_of(History().answered(), [1, STABLE_AFTER_S - 0.001]) == [0.5, 1]


def test_a_service_that_never_answered_is_given_up_after_three_starts() -> None:
    assert pauses_of(History(), [1.0] * 3) == [0.5, 1, None]
    history, decision = after_end(History(quick_ends=MOST_FAILED_STARTS - 1), lived_s=0)
    assert decision == GiveUp(MOST_FAILED_STARTS)
    assert history.quick_ends == MOST_FAILED_STARTS


def test_having_answered_is_remembered_however_often_it_ends() -> None:
    history = History(quick_ends=2).answered()
    assert history == History(quick_ends=2, has_answered=True)
    history, decision = after_end(history, lived_s=0)
    assert history.has_answered
    assert isinstance(decision, StartAgain)


@given(st.integers(0, 10_000), st.floats(0, 1e9))
def test_no_service_that_answered_is_ever_given_up_and_no_pause_is_out_of_bounds(quick: int, lived_s: float) -> None:
    _, decision = after_end(History(quick, has_answered=True), lived_s=lived_s)
    assert isinstance(decision, StartAgain)
    assert FIRST_PAUSE_S <= decision.pause_s <= LONGEST_PAUSE_S


@pytest.mark.parametrize("lived_s", [0.0, STABLE_AFTER_S])
def test_the_first_end_is_always_followed_by_the_shortest_pause(lived_s: float) -> None:
    assert after_end(History(), lived_s=lived_s)[1] == StartAgain(FIRST_PAUSE_S)
