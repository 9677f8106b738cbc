"""The demo's scene in real Blender: what it is, and that a frame of it is a picture."""

import os
import shutil
import subprocess
from pathlib import Path

import OpenImageIO
import pytest

import flamenco_cli
from flamenco_runtime.children import foreign_environment
from what_ran import used

SCRIPT = Path(flamenco_cli.__file__).with_name("demo_scene.py")
TELL = (
    "import bpy; s = bpy.context.scene; r = s.render;"
    "print('SCENE', s.frame_start, s.frame_end, r.resolution_x, r.resolution_y, r.engine, s.cycles.use_denoising,"
    " s.cycles.seed, r.threads_mode, r.threads)"
)


def blender(*arguments: object) -> str:
    program = used(shutil.which("blender") or "blender")
    words = [str(argument) for argument in arguments]
    done = subprocess.run(
        [program, "-b", *words],
        env=foreign_environment(os.environ),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("demo") / "flower.blend"
    blender("--factory-startup", "--python-exit-code", 1, "--python", SCRIPT, "--", file)
    return file


def pixels(file: Path) -> list[tuple[int, ...]]:
    """A coarse grid of the image's pixels; its size is checked on the way."""
    image = OpenImageIO.ImageBuf(str(file))
    assert (image.spec().width, image.spec().height) == (480, 270)
    return [
        tuple(round(255 * part) for part in image.getpixel(x, y))[:3]
        for y in range(5, 270, 20)
        for x in range(5, 480, 20)
    ]


def test_it_has_24_small_frames_for_cycles_on_one_thread_without_denoiser(scene: Path) -> None:
    assert "SCENE 1 24 480 270 CYCLES False 0 FIXED 1" in blender(scene, "--python-expr", TELL)


def test_it_is_saved_uncompressed(scene: Path) -> None:
    assert scene.read_bytes().startswith(b"BLENDER")
    assert scene.stat().st_size < 8_000_000


def test_its_frames_are_colourful_pictures_that_differ(scene: Path, tmp_path: Path) -> None:
    blender("-Y", scene, "-o", f"{tmp_path}/######", "-f", "1,13")
    bud, bloom = pixels(tmp_path / "000001.png"), pixels(tmp_path / "000013.png")
    for picture in (bud, bloom):
        assert len(set(picture)) > 60
        assert any(red > 180 and blue < 150 for red, _, blue in picture), "no petal is lit"
        assert any(blue > red for red, _, blue in picture), "the floor is not seen"
    changed = sum(before != after for before, after in zip(bud, bloom, strict=True))
    assert changed > len(bud) / 2


def test_the_same_frame_is_the_same_picture_again(scene: Path, tmp_path: Path) -> None:
    blender("-Y", scene, "-o", f"{tmp_path}/a_#", "-f", "6", "-o", f"{tmp_path}/b_#", "-f", "6")
    assert pixels(tmp_path / "a_6.png") == pixels(tmp_path / "b_6.png")
