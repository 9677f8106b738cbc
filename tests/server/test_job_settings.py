"""Checking settings against the description of their job type, whichever it is."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flamenco_server.job_settings import LONGEST_TEXT, BadSettings, check_settings
from flamenco_server.job_type import JobType, Setting


def a_type(*settings: Setting) -> JobType:
    return JobType("own", "Own", "", settings, compile=lambda _: iter(()))


def errors(job_type: JobType, given: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(BadSettings) as refused:
        check_settings(job_type, given)
    return refused.value.errors


def test_all_that_is_wrong_is_told_at_once() -> None:
    job_type = a_type(
        Setting(key="count", type="int32", label="Count", default=1),
        Setting(key="path", type="string", label="Path", description="Where it goes.", required=True),
        Setting(key="kind", type="string", label="Kind", choices=["a", "b"], default="a"),
    )
    assert errors(job_type, {"count": "x", "kind": "c", "other": 1}) == {
        "settings.count": "'x' is not a whole number, such as 1.",
        "settings.path": "is missing: Where it goes.",
        "settings.kind": "'c' is not one of a, b.",
        "settings.other": "own has no such setting; it has count, path, kind.",
    }


def test_a_setting_without_a_value_is_left_out() -> None:
    job_type = a_type(
        Setting(key="a", type="string", label="A"), Setting(key="b", type="string", label="B", default="x")
    )
    assert check_settings(job_type, {}) == {"b": "x"}
    assert check_settings(job_type, {"a": None, "b": None}) == {"b": "x"}
    assert check_settings(job_type, {"a": ""}) == {"a": "", "b": "x"}


def test_a_required_text_may_not_be_empty() -> None:
    job_type = a_type(Setting(key="a", type="string", label="The A", required=True))
    assert errors(job_type, {"a": ""}) == {"settings.a": "is missing: The A"}


def test_a_check_of_the_settings_own_sees_only_what_has_the_right_type() -> None:
    seen: list[Any] = []

    def even(number: int) -> None:
        seen.append(number)
        if number % 2:
            raise ValueError(f"{number} is odd.")

    job_type = a_type(Setting(key="n", type="int32", label="N", required=True, check=even, propargs={"max": 10}))
    assert check_settings(job_type, {"n": 4}) == {"n": 4}
    assert errors(job_type, {"n": 3}) == {"settings.n": "3 is odd."}
    for wrong in ("4", 12, 4.0):
        assert "settings.n" in errors(job_type, {"n": wrong})
    assert seen == [4, 3]


def test_foreign_text_in_a_message_is_short_and_printable() -> None:
    job_type = a_type(Setting(key="n", type="int32", label="N", default=1))
    for wrong in ("\x1b[31mred\n" * 100, "\u202eevil", ["x" * 1000], {"a": "\n"}):
        message = errors(job_type, {"n": wrong})["settings.n"]
        assert len(message) < 150
        assert message.isprintable()


TYPES = {"string": str, "int32": int, "float": float, "bool": bool}
NESTED = st.lists(st.integers()) | st.dictionaries(st.text(), st.none())
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), NESTED)


@settings(deadline=None)
@given(kind=st.sampled_from(sorted(TYPES)), value=VALUES)
def test_whatever_comes_is_taken_as_the_settings_type_or_refused(kind: Any, value: Any) -> None:
    job_type = a_type(Setting(key="key", type=kind, label="Key", required=True))
    try:
        checked = check_settings(job_type, {"key": value})["key"]
    except BadSettings:
        assert list(errors(job_type, {"key": value})) == ["settings.key"]
        return
    assert type(checked) is TYPES[kind]
    assert checked == value
    assert not isinstance(checked, float) or math.isfinite(checked)
    assert not isinstance(checked, str) or (len(checked) <= LONGEST_TEXT and "\0" not in checked)
    assert type(checked) is not int or -(2**31) <= checked < 2**31
