"""``flamenco frames --get``: copies of finished frames, whole or not at all."""

from pathlib import Path

import pytest
from api_objects import a_frame

from flamenco_cli.frame_files import copy_whole, fetch


def a_picture(folder: Path, number: int) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / f"{number:06}.png"
    file.write_bytes(b"frame %d" % number)
    return file


def test_finished_frames_are_copied_and_others_are_not(tmp_path: Path) -> None:
    frames = [
        a_frame(frame=1, path=str(a_picture(tmp_path / "out", 1))),
        a_frame(frame=2, path=str(a_picture(tmp_path / "out", 2)), status="active"),
        a_frame(frame=3, path=None, status="queued"),
    ]
    fetched = fetch(frames, tmp_path / "deep" / "got")
    assert fetched.copied == [tmp_path / "deep" / "got" / "000001.png"]
    assert fetched.copied[0].read_bytes() == b"frame 1"
    assert fetched.unseen == []
    assert [file.name for file in (tmp_path / "deep" / "got").iterdir()] == ["000001.png"]


def test_frames_that_this_machine_does_not_see_are_named_and_the_others_come(tmp_path: Path) -> None:
    frames = [a_frame(path="/elsewhere/000001.png"), a_frame(path=str(a_picture(tmp_path / "out", 2)))]
    fetched = fetch(frames, tmp_path / "got")
    assert fetched.unseen == ["/elsewhere/000001.png"]
    assert [file.name for file in fetched.copied] == ["000002.png"]


def test_an_older_copy_is_replaced(tmp_path: Path) -> None:
    source = a_picture(tmp_path / "out", 1)
    target = a_picture(tmp_path / "got", 1)
    target.write_bytes(b"older")
    copy_whole(source, target)
    assert target.read_bytes() == b"frame 1"


def test_a_copy_that_fails_leaves_the_older_one_and_no_draft(tmp_path: Path) -> None:
    target = a_picture(tmp_path / "got", 1)
    with pytest.raises(OSError, match="Is a directory"):
        copy_whole(tmp_path, target)
    assert target.read_bytes() == b"frame 1"
    (tmp_path / "got" / "000002.png").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        copy_whole(target, tmp_path / "got" / "000002.png")
    assert sorted(file.name for file in target.parent.iterdir()) == [target.name, "000002.png"]
