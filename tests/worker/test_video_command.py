"""The command line of FFmpeg, and what it says."""

from pathlib import Path

import pytest

from flamenco_worker.video_command import concat_list, frame_files, frames_written, is_progress, video_arguments


def test_each_frame_has_its_file() -> None:
    assert frame_files("/a#b/shot_####.png", [7, 12345]) == [Path("/a#b/shot_0007.png"), Path("/a#b/shot_12345.png")]


@pytest.mark.parametrize("pattern", ["/out/shot.png", "/out##/shot.png"])
def test_a_pattern_without_a_number_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="has no #"):
        frame_files(pattern, [1])


def test_quotes_in_names_are_escaped_for_the_list() -> None:
    assert "file 'file:/it'\\''s/1.png'\n" in concat_list([Path("/it's/1.png")])


def test_the_frame_rate_stands_before_the_input_and_before_the_output() -> None:
    arguments = video_arguments(["-y"], Path("/l"), ["-an"], fps=23.976, output=Path("/o.mp4"))
    assert arguments[0] == "-y"
    assert [arguments[index + 1] for index, argument in enumerate(arguments) if argument == "-r"] == ["23.976"] * 2
    assert arguments[-4:] == ["-an", "-r", "23.976", "/o.mp4"]


def test_progress_lines_are_told_from_others() -> None:
    assert frames_written("frame=24") == 24
    assert frames_written("fps=12.5") is None
    assert is_progress("progress=end")
    assert is_progress("out_time_ms=N/A")
    assert not is_progress("Stream mapping:")
