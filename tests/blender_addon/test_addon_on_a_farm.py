"""From the add-on to frames on disk, through a real Server, Manager and Worker."""

import json
from pathlib import Path

import pytest

from blender_addon.conftest import Blender, run_extension
from end_to_end.farm import Farm, running
from end_to_end.scenes import make_scene
from what_ran import BPY_BLENDER, used

pytestmark = pytest.mark.timeout(300)


def test_what_blender_3_4_sends_comes_out_as_frames(blender: Blender, tmp_path: Path) -> None:
    file, output = make_scene(blender.program, tmp_path / "sh010.blend", frames=2), tmp_path / "out"
    with running(tmp_path / "farm", blender.program) as farm:
        know(farm, blender.environment)
        outcome = blender.run("submit.py", {"operator": wanted(output)}, "-b", str(file))
        assert outcome["error"] is None
        assert_rendered(farm, outcome["job"], output)


def test_what_bpy_4_5_sends_comes_out_as_frames(home: dict[str, str], addon_zip: Path, tmp_path: Path) -> None:
    program = used(str(BPY_BLENDER))
    file, output = make_scene(program, tmp_path / "sh010.blend", frames=2), tmp_path / "out"
    with running(tmp_path / "farm", program) as farm:
        know(farm, home)
        outcome = run_extension(home, addon_zip, file=str(file), operator=wanted(output))
        assert "error" not in outcome, outcome
        assert_rendered(farm, outcome["job"], output)


def know(farm: Farm, environment: dict[str, str]) -> None:
    """Let the add-on find the farm's Server, as ``flamenco up`` does."""
    (Path(environment["FLAMENCO_CONFIG_DIR"]) / "connection.json").write_text(json.dumps(farm.connection))


def wanted(output: Path) -> dict[str, str]:
    return {"settings": json.dumps({"frames": "1-2", "render_output_path": str(output)})}


def assert_rendered(farm: Farm, job_id: str, output: Path) -> None:
    job = farm.ended(job_id)
    assert (job["status"], job["frames_done"], job["name"]) == ("completed", 2, "sh010")
    assert sorted(path.name for path in output.glob("*.png")) == ["000001.png", "000002.png"]
