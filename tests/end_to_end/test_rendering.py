"""From a blend file to frames and a video, through real processes over HTTP."""

import json
import re
import subprocess
from pathlib import Path

import OpenImageIO
import pytest

from end_to_end.farm import running
from end_to_end.scenes import make_scene
from what_ran import used

pytestmark = pytest.mark.timeout(300)


def test_a_blend_file_becomes_frames_and_a_video(any_blender: str, tmp_path: Path) -> None:
    blend = make_scene(any_blender, tmp_path / "turning cube.blend", frames=6)
    output = tmp_path / "out"
    with running(tmp_path / "farm", any_blender, slots=2) as farm:
        done = farm.flamenco(
            "submit",
            str(blend),
            "-f",
            "1-6",
            "-o",
            str(output),
            "--set=chunk_size=2",
            "--set=fps=12",
            "--wait",
            "--json",
        )
        job = farm.job(json.loads(done.stdout)["id"])
        frames = farm.api.get(f"jobs/{job['id']}/frames")["frames"]
        thumbnail = farm.api.send("GET", f"jobs/{job['id']}/frames/3/thumbnail")

    assert job["status"] == "completed"
    assert job["task_counts"] == {"completed": 4}
    assert [frame["frame"] for frame in frames] == [1, 2, 3, 4, 5, 6]
    for frame in frames:
        assert size_of(Path(frame["path"])) == (64, 36)
        assert Path(frame["path"]).stat().st_size == frame["size_bytes"]
    assert thumbnail[0] == 200
    assert thumbnail[1].startswith(b"\xff\xd8\xff")
    assert frames_and_rate(next(output.glob("*.mp4"))) == (6, 12.0)
    assert sorted(path.suffix for path in output.iterdir()) == [".mp4"] + [".png"] * 6


def test_an_output_folder_with_odd_characters_serves_as_well(blender: str, tmp_path: Path) -> None:
    blend = make_scene(blender, tmp_path / "ein Würfel 'x' #1.blend", frames=2)
    output = tmp_path / "out put %d [ü] 'q' 100% &"
    with running(tmp_path / "farm", blender) as farm:
        farm.flamenco("submit", str(blend), "-f", "1-2", "-o", str(output), "--wait")
    assert [path.name for path in sorted(output.glob("*.png"))] == ["000001.png", "000002.png"]
    assert frames_and_rate(next(output.glob("*.mp4")))[0] == 2


def test_a_scene_changed_and_sent_again_replaces_the_old_frames(blender: str, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with running(tmp_path / "farm", blender) as farm:
        for width in (64, 80):
            blend = make_scene(blender, tmp_path / "scene.blend", frames=1, width=width)
            farm.flamenco("submit", str(blend), "-f", "1", "-o", str(output), "--wait")
            assert size_of(output / "000001.png") == (width, 36)


def size_of(path: Path) -> tuple[int, int]:
    """Open an image, read all of it, and return its width and height."""
    image = OpenImageIO.ImageBuf(str(path))
    assert image.read(0, 0, True), image.geterror()
    return image.spec().width, image.spec().height


def frames_and_rate(video: Path) -> tuple[int, float]:
    """Decode a whole video: how many frames it has, and how many a second."""
    done = subprocess.run(
        [used("ffmpeg"), "-hide_banner", "-i", str(video), "-map", "0:v:0", "-f", "null", "-"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    counted = re.findall(r"frame=\s*(\d+)", done.stderr)
    rate = re.search(r"([\d.]+) fps", done.stderr)
    assert rate is not None
    return int(counted[-1]), float(rate[1])
