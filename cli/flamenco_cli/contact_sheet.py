"""A contact sheet: frames side by side in one picture."""

from collections.abc import Sequence
from pathlib import Path

from flamenco_core.errors import Unavailable

GAP = 6
"""Pixels between two frames, and around them all."""
GROUND = (0.114, 0.114, 0.114)
"""Blender's dark grey, as a share of white."""


class NoPicture(Unavailable):
    """A picture could not be read or written."""

    type = "no-picture"


def write_contact_sheet(frames: Sequence[Path], target: Path, *, columns: int, width: int) -> None:
    """Write ``frames``, each scaled to ``width`` pixels, into ``target`` in rows of ``columns``. Blocking.

    Frames of other shapes than the first one are fitted into its shape. Raises NoPicture.
    """
    import OpenImageIO as oiio  # noqa: N813 (the name that its own documentation uses)

    first = oiio.ImageBuf(str(frames[0])).spec()
    height = max(1, round(width * first.height / max(1, first.width)))
    rows = -(-len(frames) // columns)
    size = (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP)
    sheet = oiio.ImageBuf(oiio.ImageSpec(*size, 3, "uint8"))
    oiio.ImageBufAlgo.fill(sheet, GROUND)
    for index, frame in enumerate(frames):
        picture = oiio.ImageBufAlgo.channels(oiio.ImageBuf(str(frame)), (0, 1, 2))
        small = oiio.ImageBufAlgo.fit(picture, roi=oiio.ROI(0, width, 0, height, 0, 1, 0, 3))
        row, column = divmod(index, columns)
        if small.has_error or not oiio.ImageBufAlgo.paste(
            sheet, GAP + column * (width + GAP), GAP + row * (height + GAP), 0, 0, small
        ):
            raise NoPicture(f"{frame} cannot be shown: {small.geterror() or sheet.geterror()}")
    if not sheet.write(str(target)):
        raise NoPicture(f"{target} cannot be written: {sheet.geterror()}")
