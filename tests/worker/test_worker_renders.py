"""Rendering under a real Worker with a fake Manager: real Blender and FFmpeg, and programs that only claim to be."""

import asyncio
import hashlib
import json
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import OpenImageIO
import pytest
from fake_blender import (
    CRASHES_AFTER_THE_LAST_FRAME,
    IGNORES_TERM,
    PRINTS_A_VERY_LONG_LINE,
    SAVES_ELSEWHERE_TOO,
    SAVES_NOTHING,
    SAYS_WHAT_IS_NOT_SO,
    TRUNCATES_FRAME_2,
    WAITS_IN_FRAME_2,
    a_fake_blender,
)
from fake_manager import FakeManager
from worker_world import RunWorker, a_render, until_gone

FakeBlender = Callable[[str], str]


@pytest.fixture
def fake_blender(tmp_path: Path) -> FakeBlender:
    image = tmp_path / "source.png"
    OpenImageIO.ImageBuf(OpenImageIO.ImageSpec(8, 8, 3, "uint8")).write(str(image))
    (tmp_path / "empty.blend").touch()
    return lambda flavour: a_fake_blender(tmp_path / "blender", flavour, image)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


async def test_each_frame_is_rendered_checked_and_reported(
    manager: FakeManager, run_worker: RunWorker, blender: str, scenes: Path, tmp_path: Path
) -> None:
    async with run_worker(blender=blender):
        task = await manager.hand_out(a_render(scenes / "scene.blend", tmp_path / "out", "1-3"))
        assert await manager.until_ended(task) == "completed", manager.log_of(task)
        await manager.until(lambda: len(manager.previews) == 3, "previews arrive")
    frames = manager.frames_of(task)
    assert [frame["frame"] for frame in frames] == [1, 2, 3]
    for frame in frames:
        path = Path(frame["path"])
        assert path == tmp_path / "out" / f"{frame['frame']:06d}.png"
        assert frame["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert frame["size_bytes"] == path.stat().st_size
        assert (frame["width"], frame["height"]) == (64, 36)
        assert OpenImageIO.ImageBuf(str(path)).spec().width == 64
    assert manager.steps_of(task) == 3
    assert manager.last_of(task)["result"]["blender"].startswith("3.4")
    assert manager.last_of(task)["result"]["peak_memory_bytes"] > 0
    assert names_in(tmp_path / "out") == ["000001.png", "000002.png", "000003.png"]
    assert "Saved: " in manager.log_of(task)
    assert all(preview.startswith(b"\xff\xd8") for preview in manager.previews.values())


async def test_a_task_that_comes_back_renders_only_what_is_missing(
    manager: FakeManager, run_worker: RunWorker, blender: str, scenes: Path, tmp_path: Path
) -> None:
    render = a_render(scenes / "scene.blend", tmp_path / "out", "1-3")
    async with run_worker(blender=blender):
        task = await manager.hand_out(render)
        assert await manager.until_ended(task) == "completed"
        done = manager.frames_of(task)
        Path(done[1]["path"]).unlink()  # recorded, and yet not there
        Path(done[0]["path"]).touch()
        written = Path(done[0]["path"]).stat().st_mtime_ns
        again = await manager.hand_out(render, attempt=2, frames_done=done[:2])
        assert await manager.until_ended(again) == "completed", manager.log_of(again)
        every = await manager.hand_out(render, attempt=3, frames_done=manager.frames_of(again) + done[:1])
        assert await manager.until_ended(every) == "completed"
    assert sorted(frame["frame"] for frame in manager.frames_of(again)) == [2, 3]
    assert Path(done[0]["path"]).stat().st_mtime_ns == written
    assert manager.steps_of(again) == 3
    assert "runs:" not in manager.log_of(every)
    assert names_in(tmp_path / "out") == ["000001.png", "000002.png", "000003.png"]


async def test_a_missing_denoiser_fails_with_the_frames_and_blenders_words(
    manager: FakeManager, run_worker: RunWorker, blender: str, scenes: Path, tmp_path: Path
) -> None:
    async with run_worker(blender=blender):
        task = await manager.hand_out(a_render(scenes / "denoised.blend", tmp_path / "out", "4-5"))
        assert await manager.until_ended(task) == "failed"
    message = manager.last_of(task)["activity"]
    assert "2 of 2 frames not rendered (frames 4-5)" in message
    assert "OpenImageDenoiser" in message
    assert names_in(tmp_path / "out") == []


async def test_a_cancel_ends_blender_in_mid_frame_and_leaves_nothing(
    manager: FakeManager, run_worker: RunWorker, blender: str, scenes: Path, tmp_path: Path
) -> None:
    async with run_worker(blender=blender):
        task = await manager.hand_out(a_render(scenes / "slow.blend", tmp_path / "out", "1-3"))
        await manager.until(lambda: "Sample" in manager.log_of(task), "it renders")
        pid = pid_of(manager, task)
        await manager.stop_task(task)
        await until_gone(pid)
        after = await manager.hand_out(a_render(scenes / "scene.blend", tmp_path / "other", "1"))
        assert await manager.until_ended(after) == "completed"
    assert manager.ended_as(task) is None
    assert names_in(tmp_path / "out") == []


def pid_of(manager: FakeManager, task: str) -> int:
    return int(manager.log_of(task).partition("pid=")[2].split()[0])


@pytest.mark.parametrize("flavour", [SAVES_NOTHING, SAYS_WHAT_IS_NOT_SO])
async def test_a_blender_that_ends_well_without_its_frame_has_failed(
    manager: FakeManager, run_worker: RunWorker, fake_blender: FakeBlender, tmp_path: Path, flavour: str
) -> None:
    async with run_worker(blender=fake_blender(flavour)):
        task = await manager.hand_out(a_render(tmp_path / "empty.blend", tmp_path / "out", "1"))
        assert await manager.until_ended(task) == "failed"
    assert "Frame not rendered (frame 1)" in manager.last_of(task)["activity"]
    assert names_in(tmp_path / "out") == []


async def test_a_truncated_file_is_no_frame_and_the_others_count(
    manager: FakeManager, run_worker: RunWorker, fake_blender: FakeBlender, tmp_path: Path
) -> None:
    async with run_worker(blender=fake_blender(TRUNCATES_FRAME_2)):
        task = await manager.hand_out(a_render(tmp_path / "empty.blend", tmp_path / "out", "1-3"))
        assert await manager.until_ended(task) == "failed"
    assert names_in(tmp_path / "out") == ["000001.png", "000003.png"]
    assert [frame["frame"] for frame in manager.frames_of(task)] == [1, 3]
    assert "1 of 3 frames not rendered (frame 2)" in manager.last_of(task)["activity"]


async def test_a_frame_of_another_size_than_the_scenes_is_no_frame(
    manager: FakeManager, run_worker: RunWorker, fake_blender: FakeBlender, tmp_path: Path
) -> None:
    facts = (
        '{"width": 64, "height": 36, "size_tolerance": 0, "version": "9.9.9", "engine": "CYCLES", "device": "CPU",'
        ' "is_movie": false}'
    )
    flavour = f"print('flamenco-scene: {facts}')\nsaved(save(1))"
    async with run_worker(blender=fake_blender(flavour)):
        task = await manager.hand_out(a_render(tmp_path / "empty.blend", tmp_path / "out", "1"))
        assert await manager.until_ended(task) == "failed"
    assert "it is 8 x 8 pixels, and the scene says 64 x 36" in manager.last_of(task)["activity"]


@pytest.mark.parametrize("flavour", [PRINTS_A_VERY_LONG_LINE, CRASHES_AFTER_THE_LAST_FRAME, SAVES_ELSEWHERE_TOO])
async def test_oddities_beside_a_whole_frame_do_not_fail_it(
    manager: FakeManager, run_worker: RunWorker, fake_blender: FakeBlender, tmp_path: Path, flavour: str
) -> None:
    async with run_worker(blender=fake_blender(flavour)):
        task = await manager.hand_out(a_render(tmp_path / "empty.blend", tmp_path / "out", "1"))
        assert await manager.until_ended(task) == "completed", manager.log_of(task)
    assert [frame["frame"] for frame in manager.frames_of(task)] == [1]
    assert names_in(tmp_path / "out") == ["000001.png"]


@pytest.mark.parametrize("flavour", [IGNORES_TERM, WAITS_IN_FRAME_2])
async def test_a_hung_blender_is_ended_and_half_a_frame_never_has_its_name(
    manager: FakeManager, run_worker: RunWorker, fake_blender: FakeBlender, tmp_path: Path, flavour: str
) -> None:
    async with run_worker(blender=fake_blender(flavour)):
        task = await manager.hand_out(a_render(tmp_path / "empty.blend", tmp_path / "out", "1-3"))
        await manager.until(lambda: "\npid " in manager.log_of(task), "it hangs")
        await manager.until(lambda: flavour == IGNORES_TERM or manager.frames_of(task), "frame 1 is told")
        await manager.stop_task(task)
        await until_gone(pid_of(manager, task))
        next_one = await manager.hand_out({"name": "echo", "parameters": {"message": "after"}, "total_step_count": 0})
        assert await manager.until_ended(next_one) == "completed"
    assert names_in(tmp_path / "out") == (["000001.png"] if flavour == WAITS_IN_FRAME_2 else [])


async def test_a_blend_file_that_is_not_there_is_named(
    manager: FakeManager, run_worker: RunWorker, fake_blender: FakeBlender, tmp_path: Path
) -> None:
    async with run_worker(blender=fake_blender(SAVES_NOTHING)):
        task = await manager.hand_out(a_render(tmp_path / "nowhere.blend", tmp_path / "out", "1"))
        assert await manager.until_ended(task) == "failed"
    assert "nowhere.blend does not exist on this Worker" in manager.last_of(task)["activity"]


async def test_a_render_that_the_scene_describes_is_left_to_blender(
    manager: FakeManager, run_worker: RunWorker, blender: str, scenes: Path, tmp_path: Path
) -> None:
    """As a studio's own job type for Flamenco 3 may ask it: ``-s 1 -e 2 -a``, without naming frames."""
    render = a_render(scenes / "scene.blend", tmp_path / "out", "1")
    render["parameters"]["args"] = ["-o", f"{tmp_path}/out/####", "-F", "OPEN_EXR", "-s", "1", "-e", "2", "-a"]
    del render["parameters"]["frames"]
    async with run_worker(blender=blender):
        task = await manager.hand_out(render)
        assert await manager.until_ended(task) == "completed", manager.log_of(task)
    assert names_in(tmp_path / "out") == ["0001.exr", "0002.exr"]


def a_video(folder: Path, frames: str | None, **more: Any) -> dict[str, Any]:
    exact = {"frames": frames, "inputPattern": f"{folder}/######.png"} if frames else {}
    parameters = {
        "exe": "ffmpeg",
        "fps": 12,
        "inputGlob": f"{folder}/*.png",
        "outputFile": f"{folder}/it's a film.mp4",
        "args": ["-c:v", "libx264", "-pix_fmt", "yuv420p"],
        **exact,
        **more,
    }
    return {"name": "frames-to-video", "parameters": parameters, "total_step_count": 1}


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "it's out"
    folder.mkdir()
    for number in (1, 2, 3, 5, 99):
        picture = OpenImageIO.ImageBuf(OpenImageIO.ImageSpec(32, 18, 3, "uint8"))
        OpenImageIO.ImageBufAlgo.fill(picture, (number / 100, 0.5, 0.5))
        picture.write(str(folder / f"{number:06d}.png"))
    return folder


@pytest.mark.parametrize(("wanted", "count"), [("1-3, 5", 4), (None, 5)])
async def test_a_video_has_exactly_the_frames_that_were_given(
    manager: FakeManager, run_worker: RunWorker, ffmpeg: str, frames: Path, wanted: str | None, count: int
) -> None:
    async with run_worker(ffmpeg=ffmpeg):
        task = await manager.hand_out(a_video(frames, wanted))
        assert await manager.until_ended(task) == "completed", manager.log_of(task)
    assert await asyncio.to_thread(decoded, frames / "it's a film.mp4") == (count, 12)
    assert ".flamenco" not in names_in(frames)


def decoded(video: Path) -> tuple[int, float]:
    """Count the frames of a video by decoding each; returns that and the frames per second."""
    asked = ["-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames,r_frame_rate"]
    done = subprocess.run(
        ["ffprobe", "-v", "error", *asked, "-of", "json", str(video)], check=True, capture_output=True
    )
    stream = json.loads(done.stdout)["streams"][0]
    return int(stream["nb_read_frames"]), float(Fraction(stream["r_frame_rate"]))


@pytest.mark.parametrize(
    ("video", "complaint"),
    [
        ({"frames": "1-6"}, "frames 4, 6"),
        ({"frames": "5-1"}, "ends before it begins"),
        ({"frames": None, "inputGlob": "/nowhere/*.png"}, "No frames match"),
        ({"frames": "1-3", "args": ["-c:v", "no-such-codec"]}, "FFmpeg ended with status"),
        ({"frames": "1-3", "args": ["-vf", "select=eq(n\\,0)", "-vsync", "vfr"]}, "wrote 1 frames of the 3"),
        ({"frames": "1-3", "fps": 0}, "fps must be above 0"),
    ],
)
async def test_a_video_that_cannot_be_made_says_why_and_leaves_none(
    manager: FakeManager,
    run_worker: RunWorker,
    ffmpeg: str,
    frames: Path,
    video: dict[str, Any],
    complaint: str,
) -> None:
    async with run_worker(ffmpeg=ffmpeg):
        task = await manager.hand_out(a_video(frames, **video))
        assert await manager.until_ended(task) == "failed"
    assert complaint in manager.last_of(task)["activity"]
    assert not list(frames.glob("*.mp4"))
