"""The thin modules, on a small stand-in of ``bpy``."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from blender_addon.bpy_stub import Layout, blender
from blender_addon.job_type_documents import EVERY_SETTING, SIMPLE_RENDER
from flamenco.job_progress import read_job
from flamenco.job_types import read_job_types
from flamenco.problems import Problem
from flamenco.server_client import Workers
from flamenco.session import Farm


@pytest.fixture
def bpy() -> Iterator[Any]:
    with blender() as stub:
        yield stub


@pytest.fixture
def session(bpy: Any) -> Any:
    from flamenco.properties import SESSION

    SESSION.farm = Farm("studio-farm", read_job_types([SIMPLE_RENDER, EVERY_SETTING]), Workers(6, 14))
    return SESSION


def drawn(bpy: Any) -> Layout:
    from flamenco.panels import FlamencoPanel

    panel = FlamencoPanel()
    panel.layout = Layout()
    panel.draw(bpy.context)
    return panel.layout


def evaluated(bpy: Any, session: Any) -> None:
    from flamenco.properties import chosen_job_type, evaluate_linked

    job_type = chosen_job_type(bpy.context.scene)
    assert job_type is not None
    session.linked[bpy.context.scene.name, job_type.name] = evaluate_linked(bpy.context.scene, job_type)


def test_the_panel_shows_each_setting_that_is_for_blender(bpy: Any, session: Any) -> None:
    bpy.context.scene.flamenco.chosen_type = "every-kind-of-setting"
    evaluated(bpy, session)
    shown = drawn(bpy).names("prop")
    wanted = [item["key"] for item in EVERY_SETTING["settings"] if item["visibility"] in ("visible", "submission")]
    assert shown == ["job_type", "job_name", *(f"setting_{key}" for key in wanted)]


def test_drawing_evaluates_nothing_and_asks_for_an_evaluation(bpy: Any, session: Any) -> None:
    bpy.path.abspath = lambda path: pytest.fail("an expression ran while Blender drew")
    drawn(bpy)
    assert session.scenes_looked_at == {"Scene"}


def test_the_panel_says_how_the_farm_is_and_what_would_be_rendered(bpy: Any, session: Any) -> None:
    evaluated(bpy, session)
    texts = drawn(bpy).texts()
    assert "studio-farm, 6 of 14 Workers free" in texts
    assert "24 frames, 960 × 540, Cycles" in texts


def test_without_a_server_the_panel_leads_to_the_preferences(bpy: Any, session: Any) -> None:
    session.disconnect(Problem("No Server is set."))
    layout = drawn(bpy)
    assert "No Server is set." in layout.texts()
    assert "preferences.addon_show" in layout.names("operator")


def test_a_changed_setting_has_a_reset_and_an_ended_job_no_cancel(bpy: Any, session: Any) -> None:
    from flamenco.properties import change_setting, chosen_job_type, reset_setting

    scene, job_type = bpy.context.scene, chosen_job_type(bpy.context.scene)
    change_setting(scene, job_type, "frames", "5")
    session.job = read_job({"id": "1", "name": "sh010", "status": "completed", "output": "/out/######"})
    layout = drawn(bpy)
    assert "flamenco.reset_setting" in layout.names("operator")
    assert "flamenco.cancel_job" not in layout.names("operator")
    assert "Frames are in /out" in layout.texts().splitlines()
    reset_setting(scene, job_type, "frames")
    assert "flamenco.reset_setting" not in drawn(bpy).names("operator")


def test_what_is_wrong_is_said_and_long_sentences_are_wrapped(bpy: Any, session: Any) -> None:
    session.problem = Problem("This is a sentence that is far too long for one line. " * 3)
    layout = drawn(bpy)
    assert "flamenco.copy_details" in layout.names("operator")
    assert max(len(line) for line in layout.texts().splitlines()) < 90


def field(bpy: Any, key: str) -> Any:
    """Return the property of a setting of the job type that has every kind."""
    from flamenco.properties import property_for

    bpy.context.scene.flamenco.chosen_type = "every-kind-of-setting"
    job_type = read_job_types([EVERY_SETTING])[0]
    setting = job_type.setting(key)
    assert setting is not None
    return property_for(job_type, setting)


@pytest.mark.parametrize(
    ("key", "kind", "given", "kept"),
    [
        ("title", "StringProperty", "x", "x"),
        ("samples", "IntProperty", 9999, 4096),
        ("scale", "FloatProperty", -1.0, 0.0),
        ("denoise", "BoolProperty", False, False),
        ("cache_folder", "StringProperty", "/c", "/c"),
        ("quality", "EnumProperty", 3, 3),
        ("tile_size", "EnumProperty", 1, 1),
    ],
)
def test_every_kind_of_setting_has_its_field_and_keeps_what_is_put_in(
    bpy: Any, session: Any, key: str, kind: str, given: Any, kept: Any
) -> None:
    made, group = field(bpy, key), SimpleNamespace(id_data=bpy.context.scene)
    assert made.kind == kind
    made.set(group, given)
    assert made.get(group) == kept


def test_limits_and_subtypes_reach_the_field(bpy: Any, session: Any) -> None:
    assert (field(bpy, "samples").min, field(bpy, "samples").soft_max) == (1, 512)
    assert field(bpy, "scale").precision == 2
    subtypes = {key: field(bpy, key).subtype for key in ("cache_folder", "sound", "video_name", "title")}
    assert subtypes == {"cache_folder": "DIR_PATH", "sound": "FILE_PATH", "video_name": "FILE_NAME", "title": "NONE"}
