from pathlib import Path

import pytest

from flamenco.core import JobStatus
from flamenco.job_progress import LOOKS, read_job
from flamenco.problems import Problem
from flamenco.scene_defaults import job_name, manifest_name, output_path
from flamenco.sending import upload_in_words
from flamenco.words import bytes_in_words, seconds_in_words


def a_job(**changes: object) -> dict[str, object]:
    job = {"id": "1", "name": "sh010", "status": "active", "frame_count": 24, "frames_done": 9}
    return {**job, "steps_completed": 6, "steps_total": 24, **changes}


def test_every_state_has_a_word_and_an_icon() -> None:
    assert set(LOOKS) == set(JobStatus)


@pytest.mark.parametrize(
    ("changes", "sentence", "fraction"),
    [
        ({}, "Running, 9 of 24 frames", 0.25),
        ({"status": "completed", "frames_done": 1, "frame_count": 1, "steps_total": 0}, "Done, 1 of 1 frame", 1.0),
        ({"cancel_requested": True}, "Running, canceling, 9 of 24 frames", 0.25),
        ({"frame_count": 0, "task_count": 5, "task_counts": {"completed": 2}}, "Running, 2 of 5 tasks", 0.25),
        ({"status": "under-construction", "frame_count": 0, "steps_total": 0}, "Preparing", 0.0),
    ],
)
def test_a_job_is_told_in_one_line(changes: dict[str, object], sentence: str, fraction: float) -> None:
    job = read_job(a_job(**changes))
    assert (job.sentence, job.fraction) == (sentence, fraction)


@pytest.mark.parametrize(
    ("output", "folder"),
    [("/out/######", "/out"), ("D:\\out\\f_####.png", "D:\\out"), ("/out/frames", "/out/frames"), (None, "")],
)
def test_the_folder_of_the_frames_is_told_without_the_pattern(output: str | None, folder: str) -> None:
    assert read_job(a_job(output=output)).folder == folder


def test_an_ended_job_cannot_be_cancelled() -> None:
    assert [read_job(a_job(status=status)).can_be_cancelled for status in ("active", "failed", "canceled")] == [
        True,
        False,
        False,
    ]


def test_a_job_of_another_age_asks_for_the_right_add_on() -> None:
    with pytest.raises(Problem, match="Install the add-on"):
        read_job(a_job(status="dreaming"))


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_300_000_000, "1.3 GB"), (412_000_000, "412 MB"), (999_700, "1.0 MB")],
)
def test_sizes_are_short(size_bytes: int, words: str) -> None:
    assert bytes_in_words(size_bytes) == words


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (16.2, "16 s"), (125, "2 min"), (3900, "1 h 5 min")])
def test_durations_are_short(seconds: float, words: str) -> None:
    assert seconds_in_words(seconds) == words


def test_an_upload_tells_speed_and_time_left() -> None:
    assert upload_in_words(412_000_000, 1_300_000_000, 7.1) == "Sending 412 MB of 1.3 GB, 58 MB/s, 15 s left"
    assert upload_in_words(0, 10, 5) == "Sending 0 bytes of 10 bytes"


def test_frames_go_to_the_scenes_output_if_that_folder_exists(tmp_path: Path) -> None:
    blend = str(tmp_path / "sh010#2.blend")
    assert output_path(f"{tmp_path}/", blend) == str(tmp_path)
    assert output_path(f"{tmp_path}/./frame_", blend) == f"{tmp_path}/frame_######"
    assert output_path(f"{tmp_path}/frame_####", blend) == f"{tmp_path}/frame_####"
    assert output_path(f"{tmp_path}/nowhere/frame_", blend) == f"{tmp_path}/sh010_2-frames"
    assert output_path("frames/", "") == ""


@pytest.mark.parametrize(
    ("blend_file", "name", "job"),
    [
        ("/p/sh010.blend", "sh010.blend", "sh010"),
        ("", "untitled.blend", "Untitled"),
        ("/p/a:b.blend", "scene.blend", "a:b"),
        ("/p/con.blend", "scene.blend", "con"),
        ("/p/ein Würfel.blend", "ein Würfel.blend", "ein Würfel"),
    ],
)
def test_the_copy_is_named_as_every_system_can_name_a_file(blend_file: str, name: str, job: str) -> None:
    assert (manifest_name(blend_file), job_name(blend_file)) == (name, job)
