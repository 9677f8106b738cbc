"""Real Blender under a real Worker, with a fake Manager."""

import hashlib
from pathlib import Path

import OpenImageIO
from fake_manager import FakeManager
from worker_world import RunWorker, a_render


async def test_each_frame_is_rendered_checked_and_reported(
    manager: FakeManager, run_worker: RunWorker, blender: str, scenes: Path, tmp_path: Path
) -> None:
    async with run_worker(blender=blender):
        task = await manager.hand_out(a_render(scenes / "scene.blend", tmp_path / "out", "1-3"))
        assert await manager.until_ended(task) == "completed"
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
    assert manager.last_of(task)["steps_completed"] == 3
    assert manager.last_of(task)["result"]["blender"].startswith("3.4")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["000001.png", "000002.png", "000003.png"]
    assert "Saved: " in manager.log_of(task)
    assert all(preview.startswith(b"\xff\xd8") for preview in manager.previews.values())
