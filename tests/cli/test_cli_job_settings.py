"""``--set KEY=VALUE`` for every type of setting."""

import pytest

from flamenco_cli.job_settings import BadSetting, converted, settings_of
from flamenco_cli.records import JobType, Setting


def setting(kind: str, key: str = "knob") -> Setting:
    return Setting(
        key=key, type=kind, choices=None, default=None, required=False, visibility="visible", description="A knob."
    )


def job_type(*settings: Setting) -> JobType:
    return JobType(name="some-type", label="Some type", description="", etag="e", settings=settings)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", "", ""),
        ("string", "1", "1"),
        ("string", "true", "true"),
        ("string", " a=b ", " a=b "),
        ("int32", "10", 10),
        ("int32", "-3", -3),
        ("int32", "+3", 3),
        ("int32", "007", 7),
        ("float", "0.5", 0.5),
        ("float", "24", 24.0),
        ("float", "-1e3", -1000.0),
        *[("bool", word, True) for word in ("true", "True", "yes", "ON", "1")],
        *[("bool", word, False) for word in ("false", "False", "no", "OFF", "0")],
        ("a-type-of-tomorrow", "text", "text"),
    ],
)
def test_a_text_becomes_a_value_of_the_setting_s_type(kind: str, text: str, value: object) -> None:
    found = converted(setting(kind), text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "advice"),
    [
        *[("int32", text, "whole number") for text in ("", "many", "1.0", "1e3", "0x10", "1_000", "٣", " 1", "9" * 30)],
        *[("float", text, "a number") for text in ("", "fast", "1,5", "nan", "inf", "-inf", "1e999", "1_0")],
        *[("bool", text, "true or false") for text in ("", "maybe", "2", "y", " true")],
    ],
)
def test_what_the_type_does_not_take_is_refused_with_what_it_does(kind: str, text: str, advice: str) -> None:
    with pytest.raises(BadSetting, match=advice) as caught:
        converted(setting(kind), text)
    assert "knob" in str(caught.value)
    assert repr(text) in str(caught.value)


def test_only_the_first_equals_sign_parts_key_and_value() -> None:
    assert settings_of(job_type(setting("string")), ["knob=a=b"]) == {"knob": "a=b"}


def test_of_two_values_the_later_one_wins() -> None:
    assert settings_of(job_type(setting("int32")), ["knob=1", "knob=2"]) == {"knob": 2}


@pytest.mark.parametrize("text", ["knob", "=1", ""])
def test_what_is_no_key_and_value_is_refused(text: str) -> None:
    with pytest.raises(BadSetting, match="KEY=VALUE"):
        settings_of(job_type(setting("string")), [text])


def test_an_unknown_key_is_answered_with_the_known_ones() -> None:
    with pytest.raises(BadSetting, match=r"no setting 'nob'\. It has: knob, lever\."):
        settings_of(job_type(setting("string", "lever"), setting("string", "knob")), ["nob=1"])
    with pytest.raises(BadSetting, match="It has: none"):
        settings_of(job_type(), ["nob=1"])
