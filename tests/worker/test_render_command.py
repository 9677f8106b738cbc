"""Understanding and rewriting the command line of a blender-render."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamenco_core.frames import parse_frames
from flamenco_worker.failures import BadParameters
from flamenco_worker.render_command import OutputPattern, blenders_frames, understand

FACTS = Path("/flamenco/scene_facts.py")
ARGS = ["--scene", "Shot", "--render-output", "/out/dir/######", "--render-format", "PNG", "--render-frame", "1..3"]


def test_frames_go_into_the_attempts_folder_and_the_facts_are_asked_right_before_rendering() -> None:
    render = understand(["-b", "-Y"], "/farm/a.blend", ARGS, "1-3")
    assert render.frames == (1, 2, 3)
    assert render.output == OutputPattern(Path("/out/dir"), "######")
    arguments = render.arguments(missing=[1, 3], folder=Path("/out/dir/.flamenco/T-1"), facts_script=FACTS)
    assert arguments == [
        *["-b", "-Y", "/farm/a.blend", "--scene", "Shot", "--render-output", "/out/dir/.flamenco/T-1/######"],
        *["--render-format", "PNG", "--python", str(FACTS), "--render-frame", "1,3"],
    ]


def test_without_our_own_parameter_the_frames_are_read_from_the_arguments() -> None:
    assert understand([], "/a.blend", ["-o", "/out/#", "-f", "1..3,7"], None).frames == (1, 2, 3, 7)


@pytest.mark.parametrize("args", [["-o", "/out/#", "-f", "+1"], ["-o", "/out/#", "-a"], ["-o", "/out/#"]])
def test_frames_that_only_the_scene_knows_are_unknown(args: list[str]) -> None:
    assert understand([], "/a.blend", args, None).frames is None


@pytest.mark.parametrize("path", ["//out/####", "out/####"])
def test_an_output_relative_to_the_blend_file_is_left_to_blender(path: str) -> None:
    assert understand([], "/a.blend", ["-o", path, "-f", "1"], None).output is None


def test_a_blend_file_that_looks_like_an_option_is_refused() -> None:
    with pytest.raises(BadParameters, match="taken for an option"):
        understand(["-b"], "--python-expr", [], None)


def test_an_output_option_without_its_path_is_refused() -> None:
    with pytest.raises(BadParameters, match="without a path"):
        understand([], "/a.blend", ["-o"], None)


def test_a_frame_option_without_its_frames_is_left_to_blender() -> None:
    assert understand([], "/a.blend", ["-o", "/out/#", "-f"], None).frames is None


@pytest.mark.parametrize(
    ("name", "file", "expected"),
    [
        ("######", "000012.png", (12, "")),
        ("######", "1234567.png", (1234567, "")),
        ("######", "12.png", None),
        ("", "0012.exr", (12, "")),
        ("shot_", "shot_0012.png", (12, "")),
        ("a1_###.png", "a1_012.png", (12, "")),
        ("a##_###", "a##_012", (12, "")),
        ("######", "000012_L.png", (12, "L")),
        ("######_beauty", "000012_beauty.png", (12, "")),
        ("######", "x000012.png", None),
    ],
)
def test_a_files_frame_is_known_by_its_name(name: str, file: str, expected: tuple[int, str] | None) -> None:
    assert OutputPattern(Path("/out"), name).frame_of(file) == expected


def test_a_pattern_without_a_name_keeps_its_slash() -> None:
    assert OutputPattern(Path("/out"), "").inside(Path("/tmp/x")) == "/tmp/x/"


@given(st.sets(st.integers(0, 10_000), min_size=1, max_size=50))
def test_frames_are_written_as_blender_reads_them(frames: set[int]) -> None:
    assert list(parse_frames(blenders_frames(frames).replace("..", "-"))) == sorted(frames)


@given(st.lists(st.sampled_from(["-o", "-f", "-a", "/out/##", "1..3", "--scene", "x"]), max_size=8))
def test_any_arguments_are_understood_or_refused_with_a_message(args: list[str]) -> None:
    try:
        render = understand([], "/a.blend", args, None)
    except BadParameters:
        return
    written = render.arguments(missing=None, folder=None, facts_script=FACTS)
    assert [argument for argument in written if argument not in ("--python", str(FACTS))] == ["/a.blend", *args]
