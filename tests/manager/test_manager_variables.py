"""Variables in commands."""

from flamenco_core.wire.worker_api import Command
from flamenco_manager.variables import expand, for_platform, predefined

VALUES = for_platform(predefined("/farm/jobs"), "linux")


def test_texts_and_texts_in_lists_are_expanded_and_nothing_else() -> None:
    parameters = {
        "exe": "{blender}",
        "args": ["{jobs}/ID/a.blend", 7, 1.5, None, True, ["{jobs}"]],
        "nested": {"path": "{jobs}"},
        "{jobs}": "{unknown} {blenderArgs}",
        "fps": 24,
    }
    (expanded,) = expand([Command("blender-render", parameters, 3)], VALUES)
    assert expanded == Command(
        "blender-render",
        {
            "exe": "blender",
            "args": ["/farm/jobs/ID/a.blend", 7, 1.5, None, True, ["{jobs}"]],
            "nested": {"path": "{jobs}"},
            "{jobs}": "{unknown} -b",
            "fps": 24,
        },
        3,
    )


def test_a_value_for_the_platform_beats_one_for_all() -> None:
    assert for_platform(predefined("/x"), "windows")["blender"] == "blender.exe"
    assert for_platform(predefined("/x"), "plan9")["blender"] == "blender"
    assert "drive" not in for_platform({"drive": {"windows": "F:"}}, "linux")


def test_a_value_is_not_expanded_again() -> None:
    (expanded,) = expand([Command("echo", {"message": "{a}"})], {"a": "{b}", "b": "no"})
    assert expanded.parameters["message"] == "{b}"
