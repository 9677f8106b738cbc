"""``flamenco demo`` as a new user meets it: pictures at the end, and nothing else left behind."""

import os
import re
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import OpenImageIO
import pytest

from end_to_end.farm import FLAMENCO, eventually, processes
from end_to_end.test_rendering import frames_and_rate
from what_ran import used

pytestmark = pytest.mark.timeout(300)


class Demo:
    """A ``flamenco demo`` that runs, with a temporary folder and a configuration of its own."""

    def __init__(self, folder: Path, *options: str, **more: str) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FLAMENCO_")}
        environment = {
            **kept,
            "TMPDIR": str(self.temporary),
            "FLAMENCO_CONFIG_DIR": str(folder / "config"),
            "NO_COLOR": "1",
            **more,
        }
        with (folder / "out.txt").open("wb") as out, (folder / "err.txt").open("wb") as err:
            self.process = subprocess.Popen(
                [*FLAMENCO, "demo", "-o", str(folder / "demo"), *options], env=environment, stdout=out, stderr=err
            )

    @property
    def out(self) -> str:
        return (self.folder / "out.txt").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "err.txt").read_text()

    def until(self, words: str) -> None:
        eventually(lambda: words in self.err or self._check_alive(words), words)

    def left_behind(self) -> list[str]:
        """Return the processes that still run for this demo, and what it left in its temporary folder."""
        running = [command for pid, command in processes() if str(self.folder) in command and pid != self.process.pid]
        return [*running, *(path.name for path in self.temporary.glob("flamenco-demo-*"))]

    def _check_alive(self, words: str) -> None:
        assert self.process.poll() is None, f"it ended before it said {words!r}:\n{self.out}\n{self.err}"


@pytest.fixture
def demos() -> Iterator[list[Demo]]:
    """Whatever is put into the list is ended at the end."""
    started: list[Demo] = []
    yield started
    for demo in started:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.wait()


def test_it_leaves_frames_a_contact_sheet_and_a_video_and_nothing_else(
    blender: str, tmp_path: Path, demos: list[Demo]
) -> None:
    (tmp_path / "demo" / "frames").mkdir(parents=True)
    (tmp_path / "demo" / "frames" / "000001.png").write_bytes(b"not of the demo")
    demo = Demo(tmp_path, "--keep", FLAMENCO_BLENDER=blender, FLAMENCO_FFMPEG=used("ffmpeg"))
    demos.append(demo)
    demo.until("Ctrl-C ends it")
    url = re.search(r"The farm goes on: (\S+)", demo.err)
    assert url is not None
    with urllib.request.urlopen(f"{url[1]}/healthz", timeout=10) as answer:
        assert answer.status == 200, "--keep leaves the farm running"
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(30) == 0
    assert demo.left_behind() == []
    assert not (tmp_path / "config").exists(), "the user's own connection is not touched"

    made = tmp_path / "demo"
    lines = demo.out.splitlines()
    assert lines[-2] == f"Contact sheet: {made / 'contact-sheet.png'}"
    assert frames_and_rate(Path(lines[-1])) == (24, 12.0)
    frames = sorted(path.name for path in (made / "frames").glob("*.png"))
    assert frames == ["000001.png", *(f"flower-{number:04}.png" for number in range(1, 25))]
    assert (made / "frames" / "000001.png").read_bytes() == b"not of the demo"
    sheet = OpenImageIO.ImageBuf(str(made / "contact-sheet.png"))
    assert (sheet.spec().width, sheet.spec().height) == (6 * 246 + 6, 4 * 141 + 6)
    assert re.search(r"Running: \d+ of 24 frames, .+ left", demo.err)


def test_ctrl_c_in_the_middle_ends_everything(blender: str, tmp_path: Path, demos: list[Demo]) -> None:
    demo = Demo(tmp_path, FLAMENCO_BLENDER=blender, FLAMENCO_FFMPEG=used("ffmpeg"))
    demos.append(demo)
    demo.until("Running: 0 of 24")
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(30) == 130
    assert demo.left_behind() == []


def test_a_blender_that_cannot_build_the_scene_is_named_and_everything_ends(tmp_path: Path, demos: list[Demo]) -> None:
    broken = tmp_path / "blender"
    broken.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo "Blender 9.9.9"; exit 0; }\necho no such luck\nexit 1\n'
    )
    broken.chmod(0o755)
    demo = Demo(tmp_path / "run", FLAMENCO_BLENDER=str(broken), FLAMENCO_FFMPEG=used("ffmpeg"))
    demos.append(demo)
    assert demo.process.wait(60) == 3
    assert "no such luck" in demo.err
    assert str(broken) in demo.err
    kept = re.search(r"The farm's logs are kept: (\S+)", demo.err)
    assert kept is not None
    assert (Path(kept[1]) / "server.log").exists()
    assert [name for name in demo.left_behind() if not name.startswith("flamenco-demo-")] == []


def test_a_blender_that_is_none_is_refused_before_anything_starts(tmp_path: Path, demos: list[Demo]) -> None:
    demo = Demo(tmp_path, FLAMENCO_BLENDER="/nowhere/blender")
    demos.append(demo)
    assert demo.process.wait(60) == 2
    assert "'/nowhere/blender' is not a working blender" in demo.err
    assert tempfile.gettempdir() not in demo.err
    assert demo.left_behind() == []
