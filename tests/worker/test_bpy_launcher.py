"""The launcher with the real bpy 4.5, in its environment of its own."""

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import OpenImageIO
import pytest

from flamenco_worker import bpy_launcher
from flamenco_worker.bpy_launcher import LIBRARY_PACKAGES, missing_library_message
from what_ran import BPY_BLENDER, used

LAUNCHER = Path(bpy_launcher.__file__)
MAKE_SCENE = """
import bpy, sys
scene = bpy.context.scene
scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = 'CYCLES', 1, False
scene.render.resolution_x, scene.render.resolution_y = 64, 36
scene.frame_start, scene.frame_end = 2, 9
other = scene.copy()
other.name, other.use_fake_user = 'Other', True
other.render.resolution_x = 32
text = bpy.data.texts.new('hello.py')
text.write("print('SCRIPT IN FILE RAN')")
text.use_module = True
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1])
"""


@cache
def program() -> str:
    """Our Blender of the launcher and the tests' own bpy, which ``make test`` installs."""
    script = Path(tempfile.mkdtemp(prefix="flamenco-blender-")) / "blender"
    script.write_text(f"#!/bin/sh\nexec '{BPY_BLENDER.with_name('python')}' '{LAUNCHER}' \"$@\"\n")
    script.chmod(0o755)
    return used(str(script))


def blender(*arguments: object) -> "subprocess.CompletedProcess[str]":
    words = [str(argument) for argument in arguments]
    return subprocess.run([program(), *words], capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("scene") / "scene.blend"
    made = blender("-b", "--python-exit-code", 1, "--python-expr", MAKE_SCENE, "--", file)
    assert made.returncode == 0, made.stderr
    return file


def image_size(file: Path) -> tuple[int, int]:
    image = OpenImageIO.ImageInput.open(str(file))
    assert image is not None, OpenImageIO.geterror()
    size = image.spec().width, image.spec().height
    image.close()
    return size


def test_the_version_is_printed_as_blender_prints_it() -> None:
    done = blender("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("Blender 4.5.")


def test_help_lists_the_arguments() -> None:
    assert "-f FRAMES" in blender("-h").stdout


def test_frames_are_rendered_and_told_with_blenders_own_lines(scene: Path, tmp_path: Path) -> None:
    done = blender(
        "-b", "-Y", scene, "--render-output", f"{tmp_path}/######", "--render-format", "PNG",
        "--render-frame", "1..3", "-f", "5,7", "-f", "-1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = [f"{frame:06}.png" for frame in (1, 2, 3, 5, 7, 9)]
    assert sorted(file.name for file in tmp_path.iterdir()) == names
    assert all(image_size(file) == (64, 36) for file in tmp_path.iterdir())
    assert [line for line in done.stdout.splitlines() if line.startswith("Saved:")] == [
        f"Saved: '{tmp_path / name}'" for name in names
    ]
    assert "Fra:5 " in done.stdout
    assert "Time: 00:" in done.stdout


def test_options_act_in_their_order_and_not_on_files_opened_later(scene: Path, tmp_path: Path) -> None:
    done = blender(
        "-b", "-o", f"{tmp_path}/early_", scene, "-o", f"{tmp_path}/first_#", "-f", 4, "-S", "Other",
        "-o", f"{tmp_path}/second_#", "-F", "JPEG", "-s", 2, "-e", 6, "-j", 2, "-a", "-x", 0, "-f", 7,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {file.name: image_size(file) for file in tmp_path.iterdir()} == {
        "first_4.png": (64, 36),
        "second_2.jpg": (32, 36),
        "second_4.jpg": (32, 36),
        "second_6.jpg": (32, 36),
        "second_7": (32, 36),
    }


def test_the_scenes_range_survives_the_rendering_of_single_frames(scene: Path, tmp_path: Path) -> None:
    tell = "import bpy; s = bpy.context.scene; print('RANGE', s.frame_start, s.frame_end)"
    done = blender("-b", scene, "-t", 1, "-o", f"{tmp_path}/", "-f", 100, "--python-expr", tell)
    assert "RANGE 2 9" in done.stdout


@pytest.mark.parametrize(("switch", "runs"), [("-y", True), ("-Y", False), ("--log-show-basename", False)])
def test_scripts_in_files_run_only_when_they_may(scene: Path, switch: str, runs: bool) -> None:
    assert ("SCRIPT IN FILE RAN" in blender("-b", scene, switch).stdout) is runs


def test_scripts_see_the_arguments_as_blender_gives_them(tmp_path: Path) -> None:
    script = tmp_path / "settings.py"
    script.write_text("import sys\nprint(__name__, __file__, sys.argv[1:], [p for p in sys.path if 'flamenco' in p])\n")
    done = blender("-b", "--python", script, "--", "a", "-f", "b")
    arguments = ["-b", "--python", str(script), "--", "a", "-f", "b"]
    assert f"__main__ {script} {arguments} []" in done.stdout


def test_a_script_that_fails_is_told_and_ends_blender_only_if_asked(tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text("raise RuntimeError('no luck')\n")
    told = blender("-b", "-P", script, "--python-expr", "print('STILL HERE')")
    assert told.returncode == 0
    assert "STILL HERE" in told.stdout
    assert "Error: Python: Traceback" in told.stderr
    assert "RuntimeError: no luck" in told.stderr
    assert "bpy_launcher.py" not in told.stderr
    ended = blender("-b", "--python-exit-code", 7, "-P", script, "--python-expr", "print('STILL HERE')")
    assert ended.returncode == 7
    assert "STILL HERE" not in ended.stdout
    assert blender("-b", "--python-exit-code", 7, "-P", tmp_path / "none.py").returncode == 7
    assert blender("-b", "--python-expr", "import sys; sys.exit(5)").returncode == 5


@pytest.mark.parametrize(
    ("contents", "message"), [(None, "No such file or directory"), (b"not a blend file", "format is not supported")]
)
def test_a_blend_file_that_is_missing_or_broken_ends_it(tmp_path: Path, contents: bytes | None, message: str) -> None:
    file = tmp_path / "scene.blend"
    if contents is not None:
        file.write_bytes(contents)
    done = blender("-b", file, "-o", f"{tmp_path}/", "-f", 1)
    assert done.returncode == 1
    assert message in done.stdout + done.stderr
    assert not list(tmp_path.glob("*.png"))


def test_a_file_that_has_lost_linked_data_still_renders(scene: Path, tmp_path: Path) -> None:
    link = (
        "import bpy, sys\n"
        "library, file = sys.argv[-2:]\n"
        "bpy.ops.wm.save_as_mainfile(filepath=library, copy=True)\n"
        "with bpy.data.libraries.load(library, link=True) as (source, target):\n"
        "    target.materials = source.materials\n"
        "bpy.data.objects['Cube'].data.materials.append(target.materials[0])\n"
        "bpy.context.scene.render.resolution_x = 32\n"
        "bpy.ops.wm.save_as_mainfile(filepath=file)\n"
    )
    library, file = tmp_path / "library.blend", tmp_path / "links.blend"
    made = blender("-b", scene, "--python-exit-code", 1, "--python-expr", link, "--", library, file)
    assert made.returncode == 0, made.stderr
    library.unlink()
    done = blender("-b", file, "-o", f"{tmp_path}/", "-f", 1)
    assert done.returncode == 0, done.stderr
    assert image_size(tmp_path / "0001.png") == (32, 36)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--frobnicate"], "Error: Unknown argument '--frobnicate'"),
        (["-S", "Nope"], "Error: There is no scene 'Nope' in this file. It has: Other, Scene."),
        (["-E", "NOPE"], "Error: engine not found 'NOPE'"),
        (["--addons", "nope"], "Error: The add-on 'nope' could not be enabled."),
        (["-o", "/proc/nowhere/", "-f", "1,2"], "cannot save: '/proc/nowhere/0001.png'"),
    ],
)
def test_what_cannot_be_done_ends_it_with_a_message(scene: Path, arguments: list[str], message: str) -> None:
    done = blender("-b", scene, *arguments)
    assert done.returncode == 1
    assert message in done.stdout + done.stderr
    assert "0002" not in done.stdout


@pytest.fixture
def busy_blender(scene: Path, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A Blender that has rendered frame 1, and is busy with a frame that takes for ever."""
    endless = "import bpy; bpy.context.scene.cycles.samples = 10_000_000; print('ENDLESS')"
    with subprocess.Popen(
        [program(), "-b", scene, "-o", f"{tmp_path}/", "-f", "1", "--python-expr", endless, "-f", "2"],
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        yield child
        child.kill()


def test_sigterm_ends_a_render_at_once_and_every_line_came_when_it_was_printed(
    busy_blender: "subprocess.Popen[str]",
) -> None:
    assert busy_blender.stdout is not None
    lines = []
    for line in busy_blender.stdout:
        lines.append(line)
        if line.startswith("Fra:2 ") and "Sample" in line:
            break
    assert any(line.startswith("Saved:") for line in lines)
    busy_blender.terminate()
    assert busy_blender.wait(20) == -signal.SIGTERM


@pytest.mark.parametrize("library", sorted(LIBRARY_PACKAGES))
def test_a_missing_system_library_is_named_with_what_installs_it(library: str) -> None:
    error = ImportError(f"{library}: cannot open shared object file: No such file or directory", name="_bpy")
    message = missing_library_message(error)
    assert f"the library {library}" in message
    assert f"package {LIBRARY_PACKAGES[library]}." in message
    assert "sudo apt-get install" in message


def test_other_import_errors_are_told_too() -> None:
    unknown = ImportError("libodd.so.3: cannot open shared object file: No such file or directory")
    assert "libodd.so.3" in missing_library_message(unknown)
    assert "undefined symbol" in missing_library_message(ImportError("undefined symbol: x"))
    assert "pip install bpy" in missing_library_message(ModuleNotFoundError("No module named 'bpy'", name="bpy"))
