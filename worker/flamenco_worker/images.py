"""Reading image files, and making small pictures of them. Blocking: call these in a thread."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import OpenImageIO as oiio  # noqa: N813 (the name that its own documentation uses)

PREVIEW_SIDE = 512
"""The longer side of a preview, in pixels."""
PREVIEW_BYTES = 256 * 1024
"""The largest preview that is sent."""
ROWS_AT_A_TIME = 64
"""Rows that are decoded at a time, so that a huge frame needs little memory."""
_QUALITIES = (85, 70, 50, 30)
_COLOURS = ("R", "G", "B")


class BrokenImage(Exception):
    """A file that is no whole image; the message says what is wrong with it."""


@dataclass(frozen=True)
class ImageFacts:
    """A file that was read to its last pixel: its size in pixels, bytes, and SHA-256."""

    width: int
    height: int
    size_bytes: int
    sha256: str


def inspect_image(path: Path) -> ImageFacts:
    """Read an image file completely. Raises BrokenImage, also where the file is missing."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size_bytes = file.tell()
    except OSError as error:
        raise BrokenImage(f"it cannot be read ({error.strerror})") from error
    if not size_bytes:
        raise BrokenImage("it is empty")
    source = oiio.ImageInput.open(str(path))
    if source is None:
        raise BrokenImage(f"it is not a whole image ({_first_line(oiio.geterror())})")
    try:
        width, height = _read_everything(source)
    finally:
        source.close()
    return ImageFacts(width, height, size_bytes, digest)


def make_preview(path: Path, scratch: Path) -> bytes:
    """Make a JPEG of at most PREVIEW_SIDE pixels and PREVIEW_BYTES; ``scratch`` is a file to write in between.

    Linear images (EXR) are converted to sRGB. Raises BrokenImage when nothing can be shown.
    """
    picture = _colours_of(oiio.ImageBuf(str(path)))
    spec = picture.spec()
    longer = max(spec.width, spec.height)
    if longer > PREVIEW_SIDE:
        width, height = (max(1, round(side * PREVIEW_SIDE / longer)) for side in (spec.width, spec.height))
        size = oiio.ROI(0, width, 0, height, 0, 1, 0, 3)
        picture = oiio.ImageBufAlgo.resize(picture, "triangle", roi=size)  # an eighth of the default filter's time
    if path.suffix.lower() in (".exr", ".hdr"):
        picture = oiio.ImageBufAlgo.colorconvert(picture, "linear", "sRGB")
    return _small_jpeg(picture, scratch)


def _read_everything(source: Any) -> tuple[int, int]:
    """Decode every pixel of every part. Returns the size of the first part."""
    size = (source.spec().full_width, source.spec().full_height)
    part = 0
    while source.seek_subimage(part, 0):
        _read_part(source, source.spec(), part)
        part += 1
    source.geterror()  # asking for the part behind the last one is no error
    return size


def _read_part(source: Any, spec: Any, part: int) -> None:
    rows = spec.tile_height or ROWS_AT_A_TIME
    for top in range(spec.y, spec.y + spec.height, rows):
        bottom = min(top + rows, spec.y + spec.height)
        window = (top, bottom, spec.z, spec.z + 1) if spec.tile_width else (top, bottom, spec.z)
        columns = (spec.x, spec.x + spec.width) if spec.tile_width else ()
        read = source.read_tiles if spec.tile_width else source.read_scanlines
        pixels = read(part, 0, *columns, *window, 0, spec.nchannels, spec.format)
        complaint = source.geterror()
        if pixels is None or complaint:
            raise BrokenImage(f"it is cut off or damaged ({_first_line(complaint)})")


def _colours_of(source: Any) -> Any:
    """Pick red, green and blue, from whichever render layer comes first; one channel becomes grey."""
    if not source.initialized or source.has_error:
        raise BrokenImage(_first_line(source.geterror()))
    names = list(source.spec().channelnames)
    chosen = [_channel(names, colour) for colour in _COLOURS]
    picture = oiio.ImageBufAlgo.channels(source, tuple(chosen), _COLOURS)
    if picture.has_error:
        raise BrokenImage(_first_line(picture.geterror()))
    return oiio.ImageBufAlgo.crop(picture, roi=source.roi_full) if source.roi != source.roi_full else picture


def _channel(names: list[str], colour: str) -> int:
    """Find a colour's channel: ``R``, or that of a render layer (``ViewLayer.Combined.R``), else the first of all."""
    candidates = [name for name in names if name == colour or name.endswith(f".{colour}")]
    combined = [name for name in candidates if ".Combined." in name]
    return names.index((combined or candidates or names)[0])


def _small_jpeg(picture: Any, scratch: Path) -> bytes:
    for quality in _QUALITIES:
        picture.specmod().attribute("Compression", f"jpeg:{quality}")
        if not picture.write(str(scratch), "uint8", "jpeg"):
            raise BrokenImage(_first_line(picture.geterror()))
        preview = scratch.read_bytes()
        scratch.unlink()
        if len(preview) <= PREVIEW_BYTES:
            return preview
    raise BrokenImage(f"its preview has more than {PREVIEW_BYTES} bytes")


def _first_line(complaint: str) -> str:
    return complaint.strip().split("\n", maxsplit=1)[0][:200] or "no reason given"
