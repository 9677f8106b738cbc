"""``kill -9`` of each process while Blender renders a frame: the job completes, and nothing is left behind."""

from pathlib import Path

import pytest

from end_to_end.farm import Farm, eventually, is_alive
from end_to_end.scenes import make_scene

pytestmark = pytest.mark.timeout(300)
SLOW = 500
"""Samples that make a small frame take a few seconds."""


@pytest.fixture
def job_id(farm: Farm, blender: str, tmp_path: Path) -> str:
    """A job of three slow frames, one a task, of which one is being rendered."""
    blend = make_scene(blender, tmp_path / "slow.blend", frames=3, width=240, height=136, samples=SLOW)
    job_id = farm.submit(blend, "1-3", tmp_path / "out", chunk_size=1)
    eventually(farm.blenders, "Blender starts")
    return job_id


def test_a_killed_manager_loses_nothing(farm: Farm, job_id: str, tmp_path: Path) -> None:
    blender = farm.renders_a_frame()
    farm.kill("manager")
    assert is_alive(blender), "a frame at work goes on without the Manager"
    farm.start_manager()
    assert_complete(farm, job_id, tmp_path / "out")


def test_a_killed_server_loses_nothing(farm: Farm, job_id: str, tmp_path: Path) -> None:
    farm.renders_a_frame()
    farm.kill("server")
    eventually(lambda: list((tmp_path / "out").glob("*.png")), "frames are made while the Server is away")
    farm.start_server()
    assert_complete(farm, job_id, tmp_path / "out")


def test_a_killed_worker_takes_its_blender_along(farm: Farm, job_id: str, tmp_path: Path) -> None:
    blender = farm.renders_a_frame()
    farm.kill("worker")
    eventually(lambda: not is_alive(blender), "Blender ends with its Worker", deadline_s=10)
    farm.start_worker()
    assert_complete(farm, job_id, tmp_path / "out")


def test_all_three_killed_at_once_lose_nothing(farm: Farm, job_id: str, tmp_path: Path) -> None:
    farm.renders_a_frame()
    for name in ("worker", "manager", "server"):
        farm.kill(name)
    farm.start_server()
    farm.start_manager()
    farm.start_worker()
    assert_complete(farm, job_id, tmp_path / "out")


def assert_complete(farm: Farm, job_id: str, output: Path) -> None:
    job = farm.ended(job_id, deadline_s=60)
    assert job["status"] == "completed", job["activity"]
    assert sorted(path.name for path in output.glob("*.png")) == ["000001.png", "000002.png", "000003.png"]
    frames = farm.api.get(f"jobs/{job_id}/frames")["frames"]
    assert [frame["frame"] for frame in frames] == [1, 2, 3], "every frame once"
    assert all(frame["status"] == "completed" for frame in frames)
    assert not (output / ".flamenco").exists()
    eventually(lambda: not farm.blenders(), "no Blender is left")
