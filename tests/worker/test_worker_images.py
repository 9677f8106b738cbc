"""Whole images, broken ones, and small pictures of them."""

from pathlib import Path

import OpenImageIO as oiio  # noqa: N813 (the name that its own documentation uses)
import pytest

from flamenco_worker.images import PREVIEW_BYTES, PREVIEW_SIDE, BrokenImage, inspect_image, make_preview


def an_image(path: Path, width: int = 64, height: int = 36, channels: tuple[str, ...] = ("R", "G", "B", "A")) -> Path:
    spec = oiio.ImageSpec(width, height, len(channels), "half" if path.suffix == ".exr" else "uint8")
    spec.channelnames = channels
    picture = oiio.ImageBuf(spec)
    oiio.ImageBufAlgo.noise(picture, "uniform", 0.0, 1.0)
    picture.set_write_format("half" if path.suffix == ".exr" else "uint8")
    assert picture.write(str(path)), picture.geterror()
    return path


@pytest.mark.parametrize("name", ["a.png", "a.exr", "a.tif", "a.bmp"])
def test_a_whole_image_is_measured(tmp_path: Path, name: str) -> None:
    path = an_image(tmp_path / name)
    facts = inspect_image(path)
    assert (facts.width, facts.height, facts.size_bytes) == (64, 36, path.stat().st_size)


@pytest.mark.parametrize("name", ["a.png", "a.exr", "a.jpg", "a.bmp"])
@pytest.mark.parametrize("kept", [0, 0.3, 0.7, 0.99])
def test_a_truncated_image_is_broken(tmp_path: Path, name: str, kept: float) -> None:
    path = an_image(tmp_path / name, channels=("R", "G", "B"))
    contents = path.read_bytes()
    path.write_bytes(contents[: int(len(contents) * kept)])
    with pytest.raises(BrokenImage):
        inspect_image(path)


def test_a_missing_file_and_a_text_are_broken(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    for name in ("a.png", "b.png"):
        with pytest.raises(BrokenImage):
            inspect_image(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("a.png", ("R", "G", "B", "A")),
        ("a.exr", ("R", "G", "B", "A")),
        ("layers.exr", ("ViewLayer.Depth.Z", "ViewLayer.Combined.R", "ViewLayer.Combined.G", "ViewLayer.Combined.B")),
        ("grey.png", ("Y",)),
    ],
)
def test_a_preview_is_a_small_jpeg(tmp_path: Path, name: str, channels: tuple[str, ...]) -> None:
    jpeg = make_preview(an_image(tmp_path / name, 1600, 900, channels), tmp_path / "scratch.jpg")
    assert len(jpeg) <= PREVIEW_BYTES
    (tmp_path / "preview.jpg").write_bytes(jpeg)
    facts = inspect_image(tmp_path / "preview.jpg")
    assert (facts.width, facts.height) == (PREVIEW_SIDE, 288)
    assert not (tmp_path / "scratch.jpg").exists()


def test_a_small_frame_is_not_made_larger(tmp_path: Path) -> None:
    (tmp_path / "preview.jpg").write_bytes(make_preview(an_image(tmp_path / "a.png"), tmp_path / "scratch.jpg"))
    assert inspect_image(tmp_path / "preview.jpg").width == 64


def test_a_linear_frame_is_shown_brighter_than_its_numbers(tmp_path: Path) -> None:
    spec = oiio.ImageSpec(32, 32, 3, "half")
    picture = oiio.ImageBuf(spec)
    oiio.ImageBufAlgo.fill(picture, (0.2, 0.2, 0.2))
    picture.write(str(tmp_path / "linear.exr"))
    (tmp_path / "preview.jpg").write_bytes(make_preview(tmp_path / "linear.exr", tmp_path / "scratch.jpg"))
    assert oiio.ImageBuf(str(tmp_path / "preview.jpg")).getpixel(5, 5)[0] == pytest.approx(0.48, abs=0.03)
