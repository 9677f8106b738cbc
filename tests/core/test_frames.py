import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamenco_core.frames import LAST_FRAME, MOST_FRAMES, BadFrames, FrameRange, frames_of, parse_frames

FRAME = st.integers(0, 120)
PART = st.one_of(
    FRAME.map(str),
    st.tuples(FRAME, st.integers(0, 60)).map(lambda pair: f"{pair[0]}-{sum(pair)}"),
    st.tuples(FRAME, st.integers(0, 60), st.integers(1, 9)).map(lambda run: f"{run[0]}-{run[0] + run[1]}:{run[2]}"),
)
TEXT = st.lists(PART, min_size=1, max_size=8).map(", ".join)


def meant(text: str) -> set[int]:
    """Read a range in the plainest way: the frames of all parts together."""
    frames: set[int] = set()
    for part in text.split(","):
        run, _, step = part.strip().partition(":")
        first, _, last = run.partition("-")
        frames.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return frames


@pytest.mark.parametrize(
    ("text", "frames", "written"),
    [
        ("47", [47], "47"),
        ("0", [0], "0"),
        ("1-4", [1, 2, 3, 4], "1-4"),
        ("3, 5-7, 10-12", [3, 5, 6, 7, 10, 11, 12], "3, 5-7, 10-12"),
        ("1-20:5", [1, 6, 11, 16], "1-16:5"),
        ("1-3:5", [1], "1"),
        ("10-12,1-3", [1, 2, 3, 10, 11, 12], "1-3, 10-12"),
        (" 5 - 7 , 8 ", [5, 6, 7, 8], "5-8"),
        ("5-7, 8-10", [5, 6, 7, 8, 9, 10], "5-10"),
        ("1-5, 3-8", [1, 2, 3, 4, 5, 6, 7, 8], "1-8"),
        ("2-9 : 3", [2, 5, 8], "2-8:3"),
        ("3, 3, 3", [3], "3"),
        ("1-9:2, 5", [1, 3, 5, 7, 9], "1-3:2, 5, 7-9:2"),
        ("007", [7], "7"),
        (f"{LAST_FRAME}", [LAST_FRAME], f"{LAST_FRAME}"),
    ],
)
def test_a_range_is_read_and_written(text: str, frames: list[int], written: str) -> None:
    parsed = parse_frames(text)
    assert list(parsed) == frames
    assert str(parsed) == written
    assert len(parsed) == len(frames)
    assert all(frame in parsed for frame in frames)
    assert frames[-1] + 1 not in parsed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "No frames given. Write for example 1-250, or 3, 5-10, or 1-100:5."),
        ("  ", "No frames given. Write for example 1-250, or 3, 5-10, or 1-100:5."),
        ("abc", "'abc' is not a frame range. Write for example 1-250, or 3, 5-10, or 1-100:5."),
        ("10-1", "'10-1' ends before it begins. Write 1-10 instead."),
        ("2-1", "'2-1' ends before it begins. Write 1-2 instead."),
        ("1-5, 9-3", "'9-3' ends before it begins. Write 3-9 instead."),
        ("1-10:0", "'1-10:0' has a step of 0. A step is at least 1, as in 1-10:5."),
        (f"1-{LAST_FRAME + 1}", f"'1-{LAST_FRAME + 1}' goes beyond frame {LAST_FRAME}, the last one that Blender has."),
        ("1,,2", "'' in '1,,2' is not a frame range."),
        ("1,", "'' in '1,' is not a frame range."),
        ("1, x", "'x' in '1, x' is not a frame range."),
        (f"0-{LAST_FRAME}", f"More than {MOST_FRAMES} frames. Split the work into several jobs."),
    ],
)
def test_bad_input_says_what_is_wrong_and_what_is_right(text: str, message: str) -> None:
    with pytest.raises(BadFrames) as caught:
        parse_frames(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        "-5", "5-", "1--5", "1-5:", "1:5", "1-5:-1", "1.5", "1e3", "+1", "1;2", "1..5", "１", "²", "1-5-9", "1 2",
        "٣", "1\x00", "0x10", "1" * 10, "1-" + "9" * 5000, "all", "1-5\n6", "–5",
    ],
)  # fmt: skip
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(BadFrames):
        parse_frames(text)


@pytest.mark.parametrize("text", ["x" * 10_000, "1" + " " * 10_000 + "x", "9" + " " * 10_000 + "- 1", "1," * 5_000])
def test_a_message_is_short_however_long_the_input(text: str) -> None:
    with pytest.raises(BadFrames) as caught:
        parse_frames(text)
    assert len(str(caught.value)) < 250


def test_repeats_count_so_that_a_short_text_costs_no_minutes() -> None:
    with pytest.raises(BadFrames, match="More than"):
        parse_frames(",".join(["1-1000000"] * 10_000))


@given(TEXT)
def test_a_range_holds_just_the_frames_that_were_written(text: str) -> None:
    assert list(parse_frames(text)) == sorted(meant(text))


@given(TEXT)
def test_what_is_written_is_read_again_as_the_same(text: str) -> None:
    once = parse_frames(text)
    assert parse_frames(str(once)) == once
    assert str(parse_frames(str(once))) == str(once)


@given(TEXT)
def test_runs_rise_hold_each_frame_once_and_do_not_touch(text: str) -> None:
    parsed = parse_frames(text)
    frames = [frame for run in parsed.runs for frame in run]
    assert len(frames) == len(set(frames)) == len(parsed)
    assert [run.start for run in parsed.runs] == sorted(run.start for run in parsed.runs)
    plain = [run for run in parsed.runs if run.step == 1]
    starts = {run.start for run in plain}
    assert not any(run.stop in starts for run in plain)


@given(TEXT, st.integers(1, 20))
def test_chunks_hold_all_frames_once_and_in_order(text: str, size: int) -> None:
    parsed = parse_frames(text)
    chunks = list(parsed.chunks(size))
    assert [frame for chunk in chunks for run in chunk.runs for frame in run] == [
        frame for run in parsed.runs for frame in run
    ]
    assert all(1 <= len(chunk) <= size for chunk in chunks)


@given(TEXT, st.integers(1, 20))
def test_no_chunk_crosses_a_gap(text: str, size: int) -> None:
    parsed = parse_frames(text)
    for chunk in parsed.chunks(size):
        (run,) = chunk.runs
        assert sum(set(run) <= set(written) for written in parsed.runs) == 1
        assert parse_frames(str(chunk)) == chunk


@given(TEXT, st.integers(1, 20))
def test_no_more_chunks_than_needed(text: str, size: int) -> None:
    parsed = parse_frames(text)
    assert len(list(parsed.chunks(size))) == sum(-(-len(run) // size) for run in parsed.runs)


@pytest.mark.parametrize("size", [0, -1])
def test_a_chunk_has_at_least_one_frame(size: int) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        list(parse_frames("1-3").chunks(size))


@given(st.lists(FRAME))
def test_frames_make_the_shortest_range_that_holds_them(frames: list[int]) -> None:
    made = frames_of(frames)
    assert list(made) == sorted(set(frames))
    gaps = sum(frame + 1 not in set(frames) for frame in set(frames))
    assert len(made.runs) == gaps


def test_equal_ranges_are_equal_whatever_their_spelling() -> None:
    assert parse_frames("1-3, 4") == parse_frames("4,1-3") == frames_of([4, 2, 3, 1])
    assert parse_frames("1-10:3") == parse_frames("1-12:3")
    assert len(FrameRange(())) == 0


@given(st.text(alphabet="0123456789-:, x", max_size=30) | st.text(max_size=20))
def test_any_text_is_read_or_refused_with_a_message(text: str) -> None:
    try:
        assert len(parse_frames(text)) > 0
    except BadFrames as error:
        assert "\n" not in str(error)  # noqa: PT017 (most texts are bad, some are not)
