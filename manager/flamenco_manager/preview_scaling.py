"""Makes a small JPEG of an image that somebody sent: a program of its own, so that a bad image can harm only that.

``python -m flamenco_manager.preview_scaling SOURCE TARGET`` exits with 0, or says in one line why it cannot. What the
header says of the size is judged before anything is decoded.
"""

import contextlib
import sys
from pathlib import Path
from typing import Any

import OpenImageIO as oiio  # noqa: N813 (the name that its own documentation uses)

PREVIEW_SIDE = 1024
"""The longer side of a preview, in pixels (worker-api.md 15.4)."""
PREVIEW_BYTES = 256 * 1024
"""What the Server takes as a thumbnail."""
MOST_PIXELS = 100_000_000
"""A larger image is not decoded; a frame of 8K has a third of this."""
MOST_MEMORY_BYTES = 3 * 1024**3
MOST_CPU_S = 60
_QUALITIES = (85, 70, 50, 30)


class BadImage(Exception):
    """An image that cannot be shown; the message says why."""


def main(source: str, target: str) -> int:
    """Scale one image. Returns what the process exits with."""
    _limit_ourselves()
    oiio.attribute("threads", 1)
    try:
        scale(Path(source), Path(target))
    except BadImage as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def scale(source: Path, target: Path) -> None:
    """Write a JPEG of at most PREVIEW_SIDE pixels and PREVIEW_BYTES. Raises BadImage."""
    _check_header(source)
    image = oiio.ImageBuf(str(source))
    if not image.read(0, 0, True, oiio.UINT8):
        raise BadImage(_first_line(image.geterror()))
    picture = _in_colours(image)
    width, height = picture.spec().width, picture.spec().height
    if max(width, height) > PREVIEW_SIDE:
        share = PREVIEW_SIDE / max(width, height)
        size = oiio.ROI(0, max(1, round(width * share)), 0, max(1, round(height * share)), 0, 1, 0, 3)
        picture = oiio.ImageBufAlgo.resize(picture, "triangle", roi=size)  # an eighth of the default filter's time
    for quality in _QUALITIES:
        picture.specmod().attribute("Compression", f"jpeg:{quality}")
        if picture.has_error or not picture.write(str(target), "uint8", "jpeg"):
            raise BadImage(_first_line(picture.geterror()))
        if target.stat().st_size <= PREVIEW_BYTES:
            return
    raise BadImage(f"its preview has more than {PREVIEW_BYTES} bytes")


def _check_header(source: Path) -> None:
    header = oiio.ImageInput.open(str(source))
    if header is None:
        raise BadImage(_first_line(oiio.geterror()))
    width, height = header.spec().width, header.spec().height
    header.close()
    if width * height > MOST_PIXELS:
        raise BadImage(f"it has {width} x {height} pixels, more than {MOST_PIXELS}")


def _in_colours(image: Any) -> Any:
    """Take red, green and blue; grey becomes all three."""
    count = image.spec().nchannels
    chosen = (0, 1, 2) if count >= 3 else (0, 0, 0)
    return oiio.ImageBufAlgo.channels(image, chosen, ("R", "G", "B"))


def _limit_ourselves() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # where the system knows no limits, or lower ones hold
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_S, MOST_CPU_S))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _first_line(complaint: str) -> str:
    return complaint.strip().split("\n", maxsplit=1)[0][:200] or "no reason given"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
