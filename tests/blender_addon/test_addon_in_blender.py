"""The built zip in real Blenders: installed as a user does, submitting to a Server that looks at what came."""

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from blender_addon.conftest import Blender, run_extension
from blender_addon.fake_server import FakeServer


def test_blender_3_4_sends_a_copy_and_never_touches_the_file(
    blender: Blender, server: FakeServer, tmp_path: Path
) -> None:
    file = tmp_path / "sh010 anim.blend"
    save = f"import bpy; bpy.ops.wm.save_as_mainfile(filepath={str(file)!r})"
    command = [blender.program, "-b", "--factory-startup", "--python-expr", save]
    subprocess.run(command, env=blender.environment, check=True, capture_output=True, timeout=60)
    outcome = blender.run("submit.py", {"operator": {"settings": json.dumps({"chunk_size": 5})}}, "-b", str(file))
    assert outcome["error"] is None
    assert outcome["job"] in server.jobs
    assert outcome["file_untouched"]
    assert outcome["filepath"] == str(file)
    submission = server.submissions[0]
    assert submission["name"] == "sh010 anim"
    assert {"frames": "1-24", "chunk_size": 5, "fps": 24.0, "blendfile": "sh010 anim.blend"}.items() <= (
        submission["settings"].items()
    )
    assert server.requests[-1].headers["Idempotency-Key"]
    assert_blend_file_arrived(server, submission["files"])
    assert_nothing_left(outcome, blender.environment)


def test_blender_3_4_sends_a_file_that_was_never_saved(blender: Blender, server: FakeServer) -> None:
    outcome = blender.run("submit.py", {"operator": {}}, "-b")
    assert outcome["job"] in server.jobs
    assert outcome["filepath"] == ""
    assert_blend_file_arrived(server, server.submissions[0]["files"])
    assert_nothing_left(outcome, blender.environment)


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        ({"job_type": "no-such-type"}, "The Server has no job type no-such-type. It has simple-blender-render"),
        ({"settings": json.dumps({"frames": "10-1"})}, "ends before it begins. Write 1-10 instead."),
        ({"settings": json.dumps({"color": "red"})}, "simple-blender-render has no setting color."),
        ({"settings": "nonsense"}, "The settings are not a JSON object"),
    ],
)
def test_a_script_that_asks_for_nonsense_gets_an_error_that_says_so(
    blender: Blender, server: FakeServer, operator: dict[str, Any], message: str
) -> None:
    outcome = blender.run("submit.py", {"operator": operator}, "-b")
    assert message in outcome["error"]
    assert not server.jobs
    assert_nothing_left(outcome, blender.environment)


def test_a_wrong_token_is_an_error_and_leaves_nothing(blender: Blender, server: FakeServer) -> None:
    connection = {"url": server.url, "token": "wrong"}
    (Path(blender.environment["FLAMENCO_CONFIG_DIR"]) / "connection.json").write_text(json.dumps(connection))
    outcome = blender.run("submit.py", {"operator": {}}, "-b")
    assert "does not know your token" in outcome["error"]
    assert_nothing_left(outcome, blender.environment)


@pytest.mark.parametrize("online", [True, False])
def test_bpy_4_5_installs_the_zip_as_an_extension_and_obeys_online_access(
    home: dict[str, str], addon_zip: Path, server: FakeServer, online: bool
) -> None:
    outcome = run_extension(home, addon_zip, online=online, operator={"job_name": "from bpy"})
    assert outcome["enabled"]
    assert outcome["preferences"]
    assert outcome["left"] == []
    if online:
        assert outcome["job"] in server.jobs
        assert server.submissions[0]["name"] == "from bpy"
        assert_blend_file_arrived(server, server.submissions[0]["files"])
    else:
        assert "Turn on Allow Online Access" in outcome["error"]
        assert not server.requests
    assert outcome["left_behind"] == []


def assert_blend_file_arrived(server: FakeServer, files: list[dict[str, Any]]) -> None:
    assert [file["sha256"] for file in files] == list(server.blobs)
    content = server.blobs[files[0]["sha256"]]
    assert len(content) == files[0]["size_bytes"]
    magic = gzip.decompress(content)[:7] if content.startswith(b"\x1f\x8b") else content[:7]
    assert magic == b"BLENDER" or content.startswith(b"\x28\xb5\x2f\xfd")


def assert_nothing_left(outcome: dict[str, Any], environment: dict[str, str]) -> None:
    assert outcome["left_behind"] == []
    assert not [*Path(environment["TMPDIR"]).rglob("*.blend")]
