"""The job type ``simple-blender-render``: what its settings may be, and which tasks they make."""

import re
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flamenco_core.frames import parse_frames
from flamenco_core.wire.definitions import Needs
from flamenco_server.job_settings import BadSettings, check_settings
from flamenco_server.job_type import AuthoredTask, JobToCompile
from flamenco_server.job_types.simple_blender_render import JOB_TYPE, automatic_chunk_size

JOB_ID = "9a7d6f3e-0000-4000-8000-000000000001"
NEEDED = {"frames": "1-10", "blendfile": "scene.blend", "render_output_path": "/out/shot"}


def compiled(*, files: frozenset[str] = frozenset({"scene.blend"}), **settings: Any) -> list[AuthoredTask]:
    checked = check_settings(JOB_TYPE, {**NEEDED, **settings})
    created = datetime(2026, 1, 31, tzinfo=UTC)
    return list(JOB_TYPE.compile(JobToCompile(JOB_ID, "shot", 50, created, checked, files=files)))


def renders(tasks: list[AuthoredTask]) -> list[AuthoredTask]:
    return [task for task in tasks if task.type == "blender"]


def frames_given_to_blender(task: AuthoredTask) -> list[int]:
    """Read ``--render-frame`` as Blender does: ``1..4,7``."""
    args = task.commands[0].parameters["args"]
    parts = [part.split("..") for part in args[args.index("--render-frame") + 1].split(",")]
    return [frame for part in parts for frame in range(int(part[0]), int(part[-1]) + 1)]


PARTS = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40), st.integers(1, 5)), min_size=1, max_size=5)


@settings(deadline=None)
@given(parts=PARTS, chunk_size=st.integers(0, 50))
def test_every_frame_is_rendered_once_and_no_chunk_is_too_long_or_joins_a_gap(
    parts: list[tuple[int, int, int]], chunk_size: int
) -> None:
    text = ", ".join(f"{first}-{first + length}:{step}" for first, length, step in parts)
    wanted = {frame for first, length, step in parts for frame in range(first, first + length + 1, step)}
    steps = {step for _, _, step in parts} | {1}
    tasks = renders(compiled(frames=text, chunk_size=chunk_size))
    chunks = [frames_given_to_blender(task) for task in tasks]
    assert sorted(frame for chunk in chunks for frame in chunk) == sorted(wanted)
    for task, chunk in zip(tasks, chunks, strict=True):
        assert 1 <= len(chunk) <= (chunk_size or automatic_chunk_size(len(wanted)))
        assert {after - before for before, after in pairwise(chunk)} <= steps
        assert len({after - before for before, after in pairwise(chunk)}) <= 1
        assert task.frames is not None
        assert list(task.frames) == chunk
        assert list(parse_frames(task.commands[0].parameters["frames"])) == chunk
        assert task.commands[0].steps == len(chunk)


@settings(deadline=None)
@given(gaps=st.lists(st.tuples(st.integers(1, 20), st.integers(1, 9)), min_size=2, max_size=6), size=st.integers(1, 50))
def test_frames_on_both_sides_of_a_gap_are_never_in_one_task(gaps: list[tuple[int, int]], size: int) -> None:
    parts, frame = [], 1
    for length, gap in gaps:
        parts.append(range(frame, frame + length))
        frame += length + gap
    text = ", ".join(f"{part[0]}-{part[-1]}" for part in parts)
    for task in renders(compiled(frames=text, chunk_size=size)):
        first, *_, last = [*frames_given_to_blender(task)] * 2
        assert any(first in part and last in part for part in parts)


@pytest.mark.parametrize(
    ("frames", "chunk_size", "names"),
    [
        ("1-10", 4, ["render-1-4", "render-5-8", "render-9-10"]),
        ("1-3, 10-12", 10, ["render-1-3", "render-10-12"]),
        ("1-9:4, 20", 2, ["render-1-5:4", "render-9", "render-20"]),
        ("5", 3, ["render-5"]),
        ("1-3", 1_000_000, ["render-1-3"]),
    ],
)
def test_a_task_is_named_after_its_frames(frames: str, chunk_size: int, names: list[str]) -> None:
    assert [task.name for task in renders(compiled(frames=frames, chunk_size=chunk_size))] == names


@pytest.mark.parametrize(("count", "size"), [(1, 1), (12, 1), (13, 2), (24, 2), (25, 3), (120, 10), (100_000, 10)])
def test_without_a_chunk_size_a_short_animation_makes_about_a_dozen_tasks(count: int, size: int) -> None:
    assert automatic_chunk_size(count) == size
    assert len(renders(compiled(frames=f"1-{min(count, 120)}"))) == -(-min(count, 120) // size)


@settings(deadline=None)
@given(count=st.integers(1, 1_000_000))
def test_an_automatic_chunk_has_one_to_ten_frames(count: int) -> None:
    assert 1 <= automatic_chunk_size(count) <= 10


@pytest.mark.parametrize(
    ("settings", "has_video"),
    [
        ({}, True),
        *(({"format": name}, True) for name in ("PNG", "JPEG", "TIFF", "WEBP")),
        *(({"format": name}, False) for name in ("OPEN_EXR", "OPEN_EXR_MULTILAYER")),
        ({"preview_video": False}, False),
        ({"frames": "7"}, False),
        ({"frames": "7, 9"}, True),
    ],
)
def test_a_video_is_made_where_the_format_allows_it_and_it_waits_for_every_frame(
    settings: dict[str, Any], has_video: bool
) -> None:
    tasks = compiled(**{"chunk_size": 3, **settings})
    videos = [task for task in tasks if task.type == "ffmpeg"]
    assert len(videos) == has_video
    for task in renders(tasks):
        assert list(task.depends_on) == []
    for video in videos:
        assert video is tasks[-1]
        assert list(video.depends_on) == list(range(len(tasks) - 1))
        assert (video.name, video.frames) == ("preview-video", None)


def test_a_video_needs_neither_the_jobs_memory_and_gpu_nor_its_licences() -> None:
    of_job = Needs(tag="film", memory_bytes=64_000_000_000, gpu="OPTIX", limits={"renderman": 1})
    *frames, video = compiled()
    assert video.type == "ffmpeg"
    assert video.needs.over(of_job) == Needs(tag="film", memory_bytes=0, gpu="", limits={})
    assert {frame.needs.over(of_job) == of_job for frame in frames} == {True}


def test_the_command_says_to_blender_what_the_settings_say() -> None:
    task, *_ = compiled(frames="1-3, 8", chunk_size=10, format="JPEG", scene="Shot 1")
    (command,) = task.commands
    assert command.name == "blender-render"
    assert command.parameters["exe"] == "{blender}"
    assert command.parameters["exeArgs"] == "{blenderArgs}"
    assert command.parameters["args"] == [
        *("--scene", "Shot 1"),
        *("--render-output", "/out/shot/######"),
        *("--render-format", "JPEG"),
        *("--render-frame", "1..3"),
    ]


def test_without_a_scene_blender_takes_the_files_own() -> None:
    assert "--scene" not in compiled()[0].commands[0].parameters["args"]


@pytest.mark.parametrize(("run_scripts", "option"), [(True, "-y"), (False, "-Y")])
def test_the_files_scripts_run_only_if_the_job_says_so(run_scripts: bool, option: str) -> None:
    assert compiled(run_scripts=run_scripts)[0].commands[0].parameters["argsBefore"] == [option]
    assert compiled()[0].commands[0].parameters["argsBefore"] == ["-Y"]


def test_a_file_of_the_job_is_opened_in_its_checkout_and_another_where_it_is() -> None:
    sent = compiled(blendfile="scene.blend")[0].commands[0].parameters["blendfile"]
    assert sent == f"{{jobs}}/{JOB_ID}/scene.blend"
    in_place = compiled(blendfile="/nas/scene.blend")[0].commands[0].parameters["blendfile"]
    assert in_place == "/nas/scene.blend"


@pytest.mark.parametrize(
    ("output", "pattern", "glob", "video"),
    [
        ("/out", "/out/######", "/out/*.png", "/out/scene-1-10.mp4"),
        ("/out/", "/out/######", "/out/*.png", "/out/scene-1-10.mp4"),
        ("/out/shot_####", "/out/shot_####", "/out/shot_*.png", "/out/scene-1-10.mp4"),
        ("{render}/a", "{render}/a/######", "{render}/a/*.png", "{render}/a/scene-1-10.mp4"),
        (r"D:\out", r"D:\out\######", r"D:\out\*.png", r"D:\out\scene-1-10.mp4"),
        (r"\\nas\out\s_##", r"\\nas\out\s_##", r"\\nas\out\s_*.png", r"\\nas\out\scene-1-10.mp4"),
        ("/", "/######", "/*.png", "/scene-1-10.mp4"),
    ],
)
def test_frames_and_their_video_go_into_one_folder(output: str, pattern: str, glob: str, video: str) -> None:
    tasks = compiled(render_output_path=output)
    args = tasks[0].commands[0].parameters["args"]
    assert args[args.index("--render-output") + 1] == pattern
    parameters = tasks[-1].commands[0].parameters
    assert (parameters["inputGlob"], parameters["outputFile"]) == (glob, video)
    assert parameters["inputPattern"] == pattern + ".png"
    assert (parameters["frames"], parameters["fps"]) == ("1-10", 24.0)


@pytest.mark.parametrize(
    ("blendfile", "name"),
    [
        ("a/b/my shot.v2.blend", "my_shot.v2"),
        ("/nas/$(rm -rf ~);'x'.blend", "rm_-rf_x"),
        (r"C:\films\Käse.blend", "Käse"),
        ("/nas/....blend", "video"),
    ],
)
def test_a_video_has_a_name_that_no_shell_reads(blendfile: str, name: str) -> None:
    video = compiled(blendfile=blendfile)[-1].commands[0].parameters["outputFile"]
    assert video == f"/out/shot/{name}-1-10.mp4"


def test_compiling_twice_makes_the_same_tasks() -> None:
    settings = {"frames": "1-100:3, 200-240", "chunk_size": 7}
    assert compiled(**settings) == compiled(**settings)


def test_the_outline_names_the_frames_and_where_they_go() -> None:
    checked = check_settings(JOB_TYPE, {**NEEDED, "frames": "3, 1-2, 9"})
    outline = JOB_TYPE.outline(checked)
    assert (str(outline.frames), outline.output) == ("1-3, 9", "/out/shot/######")


REFUSED = [
    ("frames", "", "is missing"),
    ("frames", None, "is missing"),
    ("frames", "10-1", "Write 1-10"),
    ("frames", "1-10:0", "step"),
    ("frames", "all", "'all' is not a frame range"),
    ("frames", 7, "7 is not a text"),
    ("frames", "1-1048575", "beyond frame 1048574"),
    ("chunk_size", -1, "-1 is less than 0"),
    ("chunk_size", 1_000_001, "1000001 is more than 1000000"),
    ("chunk_size", 1.5, "1.5 is not a whole number"),
    ("chunk_size", "4", "'4' is not a whole number"),
    ("chunk_size", True, "true is not a whole number"),
    ("chunk_size", 2**31, "is not a whole number"),
    ("fps", 0, "0.0 is less than 0.1"),
    ("fps", 1000.1, "1000.1 is more than 1000"),
    ("fps", "24", "'24' is not a number"),
    ("fps", float("inf"), "inf is not a number"),
    ("fps", False, "false is not a number"),
    ("format", "BMP", "'BMP' is not one of PNG, JPEG"),
    ("format", "png", "'png' is not one of PNG"),
    ("format", "FFMPEG", "is not one of"),
    ("preview_video", "yes", "'yes' is not true or false"),
    ("preview_video", 1, "1 is not true or false"),
    ("run_scripts", 0, "0 is not true or false"),
    ("scene", 3, "3 is not a text"),
    ("scene", "a\0b", "NUL"),
    ("scene", "x" * 10_001, "longer than 10000"),
    ("blendfile", "", "is missing"),
    ("blendfile", None, "is missing"),
    ("render_output_path", "", "is missing"),
    ("render_output_path", "renders/shot", "absolute"),
    ("render_output_path", "//renders", "relative to the blend file"),
    ("render_output_path", "/out/../etc", "'..'"),
    ("render_output_path", r"C:\out\..\x", "'..'"),
    ("render_output_path", "C:out", "absolute"),
    ("render_output_path", "/out/####/shot", "# in a folder"),
    ("render_output_path", "/out\nx", "control character"),
]


@pytest.mark.parametrize(("key", "value", "words"), REFUSED)
def test_a_bad_setting_is_named_with_what_is_wrong(key: str, value: Any, words: str) -> None:
    with pytest.raises(BadSettings) as refused:
        check_settings(JOB_TYPE, {**NEEDED, key: value})
    assert list(refused.value.errors) == [f"settings.{key}"]
    assert words in refused.value.errors[f"settings.{key}"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("chunk_size", 0), ("chunk_size", 1_000_000), ("fps", 0.1), ("fps", 1000), ("fps", 24)),
        *(("frames", "0-1048574:2"), ("scene", ""), ("scene", "x" * 10_000), ("scene", "--python-expr")),
    ],
)
def test_what_lies_within_the_limits_is_taken(key: str, value: Any) -> None:
    assert check_settings(JOB_TYPE, {**NEEDED, key: value})[key] == value


def test_every_setting_is_in_the_table_of_what_is_refused() -> None:
    assert {key for key, *_ in REFUSED} == {setting.key for setting in JOB_TYPE.settings}


def test_defaults_are_filled_in() -> None:
    checked = check_settings(JOB_TYPE, NEEDED)
    assert checked == {
        **NEEDED,
        "chunk_size": 0,
        "format": "PNG",
        "fps": 24.0,
        "preview_video": True,
        "run_scripts": False,
        "scene": "",
    }
    assert all(not re.search(r"\.$", setting.label) for setting in JOB_TYPE.settings)
