import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamenco_worker.blender_arguments import (
    LAST_FRAME,
    OPEN,
    Action,
    BadArguments,
    frames_to_render,
    parse_arguments,
    shifted_frame,
)


def test_a_render_command_line_is_read_in_its_order() -> None:
    text = "-b -Y /in/a.blend --render-output /out/###### --render-format PNG --render-frame 1..10 -- x -f 7"
    line = parse_arguments(text.split())
    assert list(line.actions) == [
        Action(OPEN, "/in/a.blend"),
        Action("--render-output", "/out/######"),
        Action("--render-format", "PNG"),
        Action("--render-frame", "1..10"),
    ]
    assert not line.run_scripts
    assert line.threads is None


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("-o p", "--render-output p"),
        ("-F PNG", "--render-format PNG"),
        ("-x 1", "--use-extension 1"),
        ("-E CYCLES", "--engine CYCLES"),
        ("-S Scene", "--scene Scene"),
        ("-s 3", "--frame-start 3"),
        ("-e +3", "--frame-end +3"),
        ("-j 2", "--frame-jump 2"),
        ("-f 1,3..5", "--render-frame 1,3..5"),
        ("-a", "--render-anim"),
        ("-t 0", "--threads 0"),
        ("-P x.py", "--python x.py"),
        ("-y", "--enable-autoexec"),
        ("-Y", "--disable-autoexec"),
        ("-v", "--version"),
        ("-h", "--help"),
    ],
)
def test_short_and_long_names_mean_the_same(short: str, long: str) -> None:
    assert parse_arguments(short.split()) == parse_arguments(long.split())


@pytest.mark.parametrize(
    ("text", "runs"), [("", False), ("a.blend -y", True), ("-y -Y a.blend", False), ("-Y a.blend -y", True)]
)
def test_the_last_switch_decides_on_scripts_wherever_it_stands(text: str, runs: bool) -> None:
    assert parse_arguments(text.split()).run_scripts is runs


def test_threads_hold_for_the_whole_process() -> None:
    line = parse_arguments(["a.blend", "-f", "1", "-t", "3"])
    assert line.threads == 3
    assert [action.option for action in line.actions] == [OPEN, "--render-frame"]


@pytest.mark.parametrize(
    "text",
    [
        "--factory-startup -b -noaudio -q -d",
        "--log * --log-level 2 --log-file /tmp/l --log-show-timestamp",
        "-setaudio None --debug-cycles --debug-value 3 --offline-mode --python-use-system-env",
    ],
)
def test_what_bpy_cannot_change_is_accepted_and_does_nothing(text: str) -> None:
    assert parse_arguments(text.split()).actions == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--frobnicate", "Unknown argument '--frobnicate'"),
        ("-w", "Unknown argument '-w'"),
        ("-o", "'-o' needs a value behind it"),
        ("-f -- 1", "'-f' needs a value behind it"),
        ("-f abc", "'abc' in '-f abc' is not a frame"),
        ("-f 1,", "is not a frame"),
        ("-f 1-5", "is not a frame"),
        ("-f 3..1", "ends before it begins"),
        ("-f 1048575", "beyond the frames that Blender has"),
        ("-s x", "'x' is not a frame"),
        ("-e 1..2", "is not a frame"),
        ("-j 0", "'-j' needs a number from 1 to"),
        ("-t 1025", "'-t' needs a number from 0 to 1024 behind it, not '1025'"),
        ("-t ²", "'-t' needs a number"),
        ("-x yes", "'-x' needs 1 or 0 behind it, not 'yes'"),
        ("-F GIF", "Unknown format 'GIF' behind '-F'. Known are: TGA"),
        ("--python-exit-code 256", "from 0 to 255"),
    ],
)
def test_what_cannot_be_carried_out_is_named(text: str, message: str) -> None:
    with pytest.raises(BadArguments) as caught:
        parse_arguments(text.split(" "))
    assert message in str(caught.value)


@pytest.mark.parametrize("arguments", [[""], ["-o", ""], ["-S", ""]])
def test_an_empty_argument_is_refused(arguments: list[str]) -> None:
    with pytest.raises(BadArguments):
        parse_arguments(arguments)


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("7", [7]),
        ("1..3", [1, 2, 3]),
        ("5,7", [5, 7]),
        ("9,1..2,1", [9, 1, 2, 1]),
        # Seen in Blender 3.4, in a scene of frames 2 to 9:
        ("+1,-1", [3, 9]),
        ("+0", [2]),
        ("-3..-1", [7, 8, 9]),
        ("+0..-1", [2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_frames_to_render_are_those_of_blender(text: str, frames: list[int]) -> None:
    assert frames_to_render(text, 2, 9) == frames


@pytest.mark.parametrize(("text", "frame"), [("5", 5), ("+1", 3), ("-1", 1), ("-9", 0), ("999999999", LAST_FRAME)])
def test_the_scenes_range_is_shifted_as_in_blender(text: str, frame: int) -> None:
    assert shifted_frame(text, 2) == frame


def test_a_relative_frame_that_falls_off_the_scene_is_refused_when_it_is_known() -> None:
    parse_arguments(["-f", "-5"])
    with pytest.raises(BadArguments, match="goes beyond"):
        frames_to_render("-5", 1, 3)


@given(st.lists(st.integers(0, LAST_FRAME), min_size=1, max_size=30))
def test_any_list_of_frames_comes_back(frames: list[int]) -> None:
    assert frames_to_render(",".join(map(str, frames)), 1, 250) == frames


@given(st.lists(st.text(max_size=8) | st.sampled_from(["-f", "-o", "-t", "-x", "--", "-P"]), max_size=8))
def test_no_command_line_brings_the_parser_down(arguments: list[str]) -> None:
    with contextlib.suppress(BadArguments):
        parse_arguments(arguments)
