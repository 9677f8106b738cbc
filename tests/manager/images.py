"""Real images, as programs write them, and headers that lie."""

import struct
import tempfile
import zlib
from pathlib import Path

import OpenImageIO as oiio  # noqa: N813 (the name that its own documentation uses)

COLOURS = (0.2, 0.5, 0.9, 1.0)
"""Of every pixel."""


def an_image(kind: str, width: int, height: int, *, channels: int = 3, depth: str = "uint8") -> bytes:
    """Write an image of one colour; ``kind`` is what OpenImageIO calls its format."""
    picture = oiio.ImageBuf(oiio.ImageSpec(width, height, channels, depth))
    oiio.ImageBufAlgo.fill(picture, COLOURS[:channels])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"image.{kind}"
        assert picture.write(str(file), depth, kind), picture.geterror()
        return file.read_bytes()


def read_image(image: bytes, folder: Path) -> tuple[int, int, list[float]]:
    """Return width, height, and the colour in the middle."""
    file = folder / "read.jpg"
    file.write_bytes(image)
    picture = oiio.ImageBuf(str(file))
    spec = picture.spec()
    return spec.width, spec.height, list(picture.getpixel(spec.width // 2, spec.height // 2))


def a_png_that_claims(width: int, height: int, *, padding: int = 0) -> bytes:
    """Write a PNG of few pixels, and so many bytes of comment, whose header says that it is so large."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1_000_000, 9)
    chunks = [chunk(b"IHDR", header), chunk(b"tEXt", b"Comment\0" + b"x" * padding), chunk(b"IDAT", rows)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")
