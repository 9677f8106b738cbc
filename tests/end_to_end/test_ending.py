"""How jobs end when they do not end well."""

import json
import re
import time
from pathlib import Path

import pytest

from end_to_end.farm import Farm, eventually, is_alive
from end_to_end.scenes import ABORTS_ON_FRAME_3, make_scene

pytestmark = pytest.mark.timeout(300)


def test_a_cancel_ends_blender_at_once_and_a_late_update_changes_nothing(
    farm: Farm, blender: str, tmp_path: Path
) -> None:
    blend = make_scene(blender, tmp_path / "slow.blend", frames=2, width=320, height=180, samples=20_000)
    job_id = farm.submit(blend, "1-2", tmp_path / "out", chunk_size=1)
    process = farm.renders_a_frame()

    began = time.monotonic()
    farm.flamenco("cancel", job_id)
    eventually(lambda: not is_alive(process), "Blender is gone", deadline_s=20)
    print(f"cancel to dead, with the command's own start: {time.monotonic() - began:.2f} s")

    job = farm.ended(job_id)
    assert job["status"] == "canceled"
    assert job["task_counts"]["canceled"] == job["task_count"]
    assert late_update_status(farm, job_id) == 409
    assert farm.job(job_id)["status"] == "canceled"
    assert not list((tmp_path / "out").rglob("*.png"))


def late_update_status(farm: Farm, job_id: str) -> int:
    """Say ``completed`` of the canceled task with its Worker's own credentials; returns the Manager's answer."""
    task = next(task for task in farm.api.get(f"jobs/{job_id}/tasks")["tasks"] if task["attempt"])
    update = {"taskStatus": "completed", "attempt": task["attempt"], "seq": 999}
    return farm.worker_api.send("POST", f"task/{task['id']}", json.dumps(update).encode())[0]


def test_a_frame_that_always_fails_is_named_and_ends_the_job(farm: Farm, blender: str, tmp_path: Path) -> None:
    blend = make_scene(blender, tmp_path / "aborts.blend", frames=4, extra=ABORTS_ON_FRAME_3)
    done = farm.flamenco(
        "submit", str(blend), "-f", "1-4", "-o", str(tmp_path / "out"),
        "--set=chunk_size=1", "--set=run_scripts=true", "--wait", "--json", check=False,
    )  # fmt: skip
    assert done.returncode == 1
    job = farm.job(json.loads(done.stdout)["id"])
    assert job["status"] == "failed"
    assert re.search(r"1 of 4 frames failed: 3\b", job["activity"])
    assert "3" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["000001.png", "000002.png", "000004.png"]


def test_a_blender_that_says_success_without_a_frame_is_not_believed(farm: Farm, blender: str, tmp_path: Path) -> None:
    blend = make_scene(blender, tmp_path / "denoised.blend", frames=1, extra="scene.cycles.use_denoising = True")
    done = farm.flamenco("submit", str(blend), "-f", "1", "-o", str(tmp_path / "out"), "--wait", check=False)
    assert done.returncode == 1
    assert not list((tmp_path / "out").glob("*.png"))
