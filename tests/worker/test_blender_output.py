"""What Blender's lines mean, on captured output of 3.4, 4.5 and 5.0, and on whatever else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamenco_worker.blender_output import (
    FileSaved,
    FrameSkipped,
    FrameTimed,
    Progress,
    SceneFacts,
    ScriptSkipped,
    Trouble,
    read_line,
)

CAPTURED = Path(__file__).parent / "captured"


def events_of(name: str) -> list[object]:
    lines = (CAPTURED / f"blender-{name}.txt").read_text(encoding="utf-8").splitlines()
    return [event for line in lines if (event := read_line(line)) is not None]


@pytest.mark.parametrize(("version", "folder"), [("3.4", "o34"), ("4.5", "o45"), ("5.0", "o50")])
def test_saved_files_are_seen_in_the_output_of_every_version(version: str, folder: str) -> None:
    saved = [event.path for event in events_of(f"{version}-two-frames") if isinstance(event, FileSaved)]
    assert saved == [f"/farm/{folder}/000001.png", f"/farm/{folder}/000002.png"]


@pytest.mark.parametrize("version", ["3.4", "4.5"])
def test_times_and_progress_are_seen_where_blender_tells_them(version: str) -> None:
    events = events_of(f"{version}-two-frames")
    assert len([event for event in events if isinstance(event, FrameTimed)]) == 2
    progress = [event for event in events if isinstance(event, Progress)]
    assert {event.frame for event in progress} == {1, 2}
    assert any((event.samples_done, event.samples_total) == (1, 1) for event in progress)
    assert all(event.peak_memory_bytes and event.peak_memory_bytes > 1_000_000 for event in progress)


@pytest.mark.parametrize("version", ["3.4", "4.5"])
def test_skipped_frames_are_seen(version: str) -> None:
    assert len([event for event in events_of(f"{version}-existing") if isinstance(event, FrameSkipped)]) == 2


def test_a_missing_denoiser_is_trouble_and_no_frame() -> None:
    events = events_of("3.4-no-denoiser")
    assert Trouble("Error: Build without OpenImageDenoiser") in events
    assert not any(isinstance(event, FileSaved) for event in events)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("4.5-no-camera", "Error: Cannot render, no camera"),
        ("5.0-no-camera", "Error: Cannot render, no camera"),
        ("3.4-unwritable", "Error: Render error (Invalid argument) cannot save: '/proc/x/000001.png'"),
        ("5.0-unwritable", "Error: Render error (No such file or directory) cannot save: '/proc/x/0001.png'"),
    ],
)
def test_blenders_complaint_is_kept_word_for_word(name: str, message: str) -> None:
    assert Trouble(message) in events_of(name)


def test_an_error_behind_the_prefix_of_5_0_is_trouble() -> None:
    messages = [event.message for event in events_of("5.0-unwritable") if isinstance(event, Trouble)]
    assert any(message.startswith("ERROR Couldn't create directory") for message in messages)


def test_a_clean_render_has_no_trouble() -> None:
    for name in ("3.4-two-frames", "4.5-two-frames", "5.0-two-frames"):
        assert not any(isinstance(event, Trouble | ScriptSkipped) for event in events_of(name))


def test_scripts_that_were_not_run_are_seen() -> None:
    skipped = [event for event in events_of("3.4-scripts-disabled") if isinstance(event, ScriptSkipped)]
    assert skipped[0].message == "scripts disabled for \"/farm/disabled.blend\", skipping 'boot.py'"


def test_the_facts_of_the_scene_are_read() -> None:
    facts = next(event for event in events_of("3.4-two-frames") if isinstance(event, SceneFacts))
    assert facts == SceneFacts(64, 36, 0, "3.4.1", "CYCLES", "CPU", is_movie=False)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"width": "64"}', "1" * 5000])
def test_facts_that_a_script_in_the_file_made_up_badly_are_none(text: str) -> None:
    assert read_line("flamenco-scene: " + text) is None


@given(st.text(max_size=200).filter(lambda text: "\n" not in text and "\r" not in text and text), st.booleans())
def test_any_path_that_was_saved_is_found_whole(path: str, has_prefix: bool) -> None:
    prefix = "00:00.499  render           | " if has_prefix else ""
    assert read_line(f"{prefix}Saved: '{path}'") == FileSaved(path)


@given(st.text(max_size=300))
def test_no_line_breaks_the_reader(line: str) -> None:
    read_line(line)
    read_line("flamenco-scene: " + line)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 99))
def test_times_add_up(minutes: int, seconds: int, hundredths: int) -> None:
    event = read_line(f" Time: {minutes:02d}:{seconds:02d}.{hundredths:02d} (Saving: 00:00.01)")
    assert isinstance(event, FrameTimed)
    assert event.seconds == pytest.approx(minutes * 60 + seconds + hundredths / 100)


def test_hours_count() -> None:
    assert read_line("Time: 01:02:03.50 (Saving: 00:00.01)") == FrameTimed(3723.5)


@pytest.mark.parametrize(
    "line",
    [
        "A script says Saved: '/x/000001.png'",
        "00:00.001  image            | Saved: '/x/000001.png'",
        "Saved: /x/000001.png",
        " Time: 00:00.05",
        "Fra:x",
        'Info: Saved "scene.blend"',
    ],
)
def test_lines_that_only_look_like_it_mean_nothing(line: str) -> None:
    assert read_line(line) is None


def test_a_very_long_line_is_read_at_once() -> None:
    assert read_line("00:00.001 " + "render | " * 100_000) is None
