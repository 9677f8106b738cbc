"""The job type ``echo-sleep-test``."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flamenco_core.wire.worker_api import Command
from flamenco_server.job_settings import BadSettings, check_settings
from flamenco_server.job_type import AuthoredTask, JobToCompile
from flamenco_server.job_types.echo_sleep_test import JOB_TYPE


def compiled(**settings: Any) -> list[AuthoredTask]:
    checked = check_settings(JOB_TYPE, settings)
    return list(JOB_TYPE.compile(JobToCompile("id", "nap", 50, datetime(2026, 1, 31, tzinfo=UTC), checked)))


def test_a_task_speaks_and_the_others_sleep_once_it_has() -> None:
    echo, *sleeps = compiled(message="hello", sleep_duration_seconds=0.5, sleep_repeats=3)
    assert (echo.name, echo.type, list(echo.depends_on)) == ("echo", "misc", [])
    assert echo.commands == [Command("echo", {"message": "hello"})]
    assert [task.name for task in sleeps] == ["sleep-1", "sleep-2", "sleep-3"]
    for task in sleeps:
        assert (task.type, list(task.depends_on)) == ("misc", [0])
        assert task.commands == [Command("sleep", {"duration_in_seconds": 0.5})]


def test_nobody_has_to_sleep() -> None:
    assert len(compiled(sleep_repeats=0)) == 1


def test_it_works_without_any_setting() -> None:
    assert len(compiled()) == 2


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("message", 1, "1 is not a text"),
        ("sleep_duration_seconds", -0.1, "-0.1 is less than 0"),
        ("sleep_duration_seconds", 86_400.5, "more than 86400"),
        ("sleep_duration_seconds", "5", "'5' is not a number"),
        ("sleep_repeats", -1, "-1 is less than 0"),
        ("sleep_repeats", 1_000_000, "1000000 is more than 999999"),
        ("sleep_repeats", 1.0, "1.0 is not a whole number"),
        ("slep", 1, "no such setting; it has message, sleep_duration_seconds, sleep_repeats"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_wrong(key: str, value: Any, words: str) -> None:
    with pytest.raises(BadSettings) as refused:
        check_settings(JOB_TYPE, {key: value})
    assert list(refused.value.errors) == [f"settings.{key}"]
    assert words in refused.value.errors[f"settings.{key}"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sleep_duration_seconds", 0),
        ("sleep_duration_seconds", 86_400),
        ("sleep_repeats", 0),
        ("sleep_repeats", 999_999),
    ],
)
def test_limits_are_inclusive(key: str, value: Any) -> None:
    assert check_settings(JOB_TYPE, {key: value})[key] == value
