from typing import Any

import pytest

from blender_addon.job_type_documents import EVERY_SETTING, FRAMES, a_job_type, a_setting
from flamenco.job_types import JobType, read_job_types
from flamenco.problems import Problem
from flamenco.setting_values import (
    Resolved,
    changes_for,
    linked_values,
    resolve,
    values_to_send,
    with_change,
    without_change,
)


def job_type(*settings: dict[str, Any], name: str = "job-type") -> JobType:
    return read_job_types([a_job_type(name, *settings)])[0]


def resolved(of: JobType, changes: dict[str, Any], **names: Any) -> dict[str, Resolved]:
    return resolve(of, changes, linked_values(of, changes, names))


def test_a_change_wins_over_an_expression_and_an_expression_over_a_default() -> None:
    of = job_type(
        *(a_setting(key, default="default", eval=code) for key, code in [("a", "x"), ("b", "x"), ("c", None)])
    )
    values = resolved(of, {"a": "changed"}, x="from the scene")
    assert [(values[key].value, values[key].origin) for key in "abc"] == [
        ("changed", "changed"),
        ("from the scene", "linked"),
        ("default", "default"),
    ]


def test_an_expression_that_fails_gives_way_to_the_default() -> None:
    of = job_type(a_setting("a", default="default", eval="unknown"))
    assert resolved(of, {})["a"] == Resolved("default", "default", None)


def test_an_expression_that_fails_without_a_default_says_so_and_nothing_is_sent() -> None:
    values = resolved(job_type(a_setting("a", eval="unknown")), {})
    assert "its expression uses the unknown name unknown. Type a value." in str(values["a"].problem)
    with pytest.raises(Problem, match="unknown name"):
        values_to_send(values)


def test_expressions_may_use_other_settings() -> None:
    of = job_type(
        a_setting("path", eval="settings.root + '/' + settings.name"), a_setting("root"), a_setting("name", eval="n")
    )
    assert resolved(of, {"root": "/out"}, n="shot")["path"].value == "/out/shot"


def test_expressions_that_need_each_other_are_refused() -> None:
    of = job_type(a_setting("a", eval="settings.b"), a_setting("b", eval="settings.a"))
    values = resolved(of, {})
    assert "needs its own value, through A" in str(values["b"].problem)
    assert "needs B, which has no value" in str(values["a"].problem)


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [("float", 24, 24.0), ("int32", 3.0, 3), ("string", "x", "x"), ("bool", True, True)],
)
def test_values_of_expressions_get_the_type_of_the_setting(kind: str, given: Any, value: Any) -> None:
    found = resolved(job_type(a_setting("a", kind, eval="x")), {}, x=given)["a"].value
    assert found == value
    assert found.__class__ is value.__class__


@pytest.mark.parametrize(
    ("kind", "given"), [("int32", 3.5), ("int32", True), ("bool", 1), ("string", 5), ("float", "x")]
)
def test_values_of_a_wrong_type_are_a_problem(kind: str, given: Any) -> None:
    assert "not of the type" in str(resolved(job_type(a_setting("a", kind, eval="x")), {}, x=given)["a"].problem)


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        (a_setting("n", "int32", propargs={"min": 1}), 0, "N is 0; it must be at least 1."),
        (a_setting("n", "float", propargs={"max": 2}), 2.5, "N is 2.5; it must be at most 2."),
        (a_setting("n", "int32"), 2**31, "N is 2147483648, which is too large a number."),
        (a_setting("n", choices=["a", "b"]), "c", "N cannot be c. Choose one of a, b."),
        (a_setting("n", required=True), "", "N is needed: What n is for."),
        (FRAMES, "10-1", "Frames: '10-1' ends before it begins. Write 1-10 instead."),
        (FRAMES, "abc", "Frames: 'abc' is not a frame range."),
    ],
)
def test_a_value_that_cannot_be_says_what_would_be_right(setting: dict[str, Any], value: Any, problem: str) -> None:
    assert str(resolved(job_type(setting), {setting["key"]: value})[setting["key"]].problem).startswith(problem)


def test_changes_are_remembered_per_job_type_and_forgotten_by_a_reset() -> None:
    one, other = job_type(a_setting("a"), name="one"), job_type(a_setting("a"), name="other")
    text = with_change(with_change("", one, "a", "1"), other, "a", "2")
    assert (changes_for(text, one), changes_for(text, other)) == ({"a": "1"}, {"a": "2"})
    text = without_change(text, one, "a")
    assert (changes_for(text, one), changes_for(text, other)) == ({}, {"a": "2"})
    assert without_change(text, other, "a") == ""


@pytest.mark.parametrize("text", ["", "{", "[]", '{"job-type": 3}', '{"job-type": {"a": [1], "gone": 1}}'])
def test_a_file_from_elsewhere_never_breaks_the_panel(text: str) -> None:
    assert changes_for(text, job_type(a_setting("a"))) == {}


def test_every_setting_with_a_value_is_sent_also_those_that_the_panel_hides() -> None:
    of = read_job_types([EVERY_SETTING])[0]
    changes = {"frames": "1", "render_output_path": "/out", "fps": 25.0, "blendfile": "a.blend", "notes": "hello"}
    sent = values_to_send(resolved(of, changes))
    assert set(sent) == {setting.key for setting in of.settings}
    assert (sent["never_shown"], sent["only_on_the_web"], sent["notes"]) == (7, "web", "hello")


@pytest.mark.parametrize("wrong", [{"key": "not a name"}, {"key": "a", "type": "complex"}, {"key": "class"}, {}])
def test_a_job_type_that_cannot_be_shown_asks_for_the_right_add_on(wrong: dict[str, Any]) -> None:
    document = a_job_type("odd")
    document["settings"] = [{"type": "string", **wrong}]
    with pytest.raises(Problem, match="Install the add-on that belongs to this Server"):
        read_job_types([document])
