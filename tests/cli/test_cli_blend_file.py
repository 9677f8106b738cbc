"""What is told of a blend file without Blender, on files of real Blenders."""

import gc
import gzip
import shutil
import subprocess
from pathlib import Path

import pytest
import zstandard

from flamenco_cli.blend_file import NoFrameRange, NotABlendFile, check_blend_file, own_frame_range
from what_ran import BPY_BLENDER, used

SAVE = """
import bpy, sys
def save(name, compress):
    bpy.ops.wm.save_as_mainfile(filepath=f"{sys.argv[-1]}/{name}.blend", compress=compress)
scene = bpy.context.scene
scene.frame_start, scene.frame_end, scene.frame_step = 5, 40, 3
save("plain", False)
save("packed", True)
for name in ("Another", "Zoo"):  # one on each side of the one that is open
    bpy.data.scenes.new(name).frame_end = 900
save("three-scenes", False)
"""
BLENDERS = {"blender-3.4": shutil.which("blender") or "blender", "bpy-4.5": str(BPY_BLENDER)}


@pytest.fixture(scope="module", params=sorted(BLENDERS))
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames 5 to 40, every third, not compressed; others are beside it."""
    folder = tmp_path_factory.mktemp("blends")
    script = folder / "save.py"
    script.write_text(SAVE)
    blender = used(BLENDERS[request.param])
    subprocess.run(
        [blender, "-b", "--factory-startup", "--python", script, "--", folder],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return folder / "plain.blend"


def test_a_file_s_own_frames_are_those_of_its_open_scene(plain: Path) -> None:
    check_blend_file(plain)
    assert own_frame_range(plain) == "5-40:3"
    assert own_frame_range(plain.with_name("three-scenes.blend")) == "5-40:3", "another scene is not rendered"


def test_a_file_that_blender_compressed_is_read_as_well(plain: Path) -> None:
    packed = plain.with_name("packed.blend")
    assert packed.read_bytes().startswith(b"\x28\xb5\x2f\xfd")
    check_blend_file(packed)
    assert own_frame_range(packed) == "5-40:3"


def test_a_file_that_an_older_blender_compressed_is_read_as_well(plain: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.blend"
    old.write_bytes(gzip.compress(plain.read_bytes(), 1))
    check_blend_file(old)
    assert own_frame_range(old) == "5-40:3"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the library leaves it open
def test_a_file_that_is_cut_off_is_told_with_what_to_do(plain: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.blend"
    cut.write_bytes(plain.read_bytes()[:20_000])
    check_blend_file(cut)
    with pytest.raises(NoFrameRange, match=r"Cannot read the frame range of cut\.blend .*Give the frames: -f 1-250"):
        own_frame_range(cut)
    gc.collect()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"BLEND",
        b"blender",
        b"\x89PNG\r\n",
        gzip.compress(b"no blend file", mtime=0),
        gzip.compress(b"BLENDER", mtime=0)[:12],
        b"\x1f\x8bnot gzip at all",
        zstandard.compress(b"no blend file"),
        zstandard.compress(b"BLENDER")[:6],
        b"\x28\xb5\x2f\xfdnot zstandard at all",
    ],
)
def test_what_does_not_begin_as_a_blend_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.blend"
    file.write_bytes(content)
    with pytest.raises(NotABlendFile, match=r"x\.blend is not a blend file"):
        check_blend_file(file)


def test_what_is_no_file_at_all_is_told_as_that(tmp_path: Path) -> None:
    with pytest.raises(NotABlendFile, match="is a folder"):
        check_blend_file(tmp_path)
    with pytest.raises(NotABlendFile, match=r"There is no file .*gone\.blend"):
        check_blend_file(tmp_path / "gone.blend")
    (tmp_path / "plain.txt").touch()
    with pytest.raises(NotABlendFile, match=r"Cannot read .*/plain\.txt/x\.blend: Not a directory"):
        check_blend_file(tmp_path / "plain.txt" / "x.blend")
