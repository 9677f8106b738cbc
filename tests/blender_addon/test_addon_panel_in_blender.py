"""The panel in a real Blender window, on a screen that nobody sees: photographed before, while and after a job."""

from pathlib import Path

import OpenImageIO
import pytest

from blender_addon.conftest import Blender
from blender_addon.fake_server import TOKEN, FakeServer

PICTURES = ("before", "changed-settings", "sending", "during", "after", "every-setting")
LEAST_COLOURS = 20
LARGEST_BYTES = 200_000


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    return folder


def test_the_panel_shows_a_job_from_before_to_after(
    blender: Blender, server: FakeServer, display: str, photographs: Path, tmp_path: Path
) -> None:
    server.picture = a_frame(tmp_path / "frame.jpg")
    blender.environment.update({"DISPLAY": display, "LIBGL_ALWAYS_SOFTWARE": "1"})
    argument = {"folder": str(photographs), "url": server.url, "token": TOKEN}
    outcome = blender.run("photograph.py", argument, "--window-geometry", "0", "0", "760", "1000")
    assert outcome["error"] is None, outcome["error"]
    assert outcome["job"] in server.jobs
    assert server.submissions[0]["settings"]["frames"] == "1-12, 20-31"
    assert tuple(outcome["pictures"]) == PICTURES
    files = [Path(file) for file in outcome["pictures"].values()]
    assert all(file.stat().st_size < LARGEST_BYTES and colours_in(file) > LEAST_COLOURS for file in files)
    assert len({file.read_bytes() for file in files}) == len(PICTURES), "every state looks different"
    assert not [file for file in Path(blender.environment["TMPDIR"]).rglob("flamenco-*") if file.is_file()]


def a_frame(file: Path) -> bytes:
    """Make the picture of a frame: a gradient, so that it is seen in the photographs."""
    image = OpenImageIO.ImageBuf(OpenImageIO.ImageSpec(320, 180, 3, "uint8"))
    OpenImageIO.ImageBufAlgo.fill(image, (0.1, 0.2, 0.4), (0.9, 0.5, 0.2), (0.1, 0.1, 0.2), (1.0, 0.9, 0.6))
    assert image.write(str(file)), image.geterror()
    return file.read_bytes()


def colours_in(file: Path) -> int:
    pixels = OpenImageIO.ImageBuf(str(file)).get_pixels(OpenImageIO.UINT8)
    return len({tuple(pixel) for row in pixels[::4] for pixel in row[::4]})
