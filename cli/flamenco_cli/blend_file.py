"""What can be told of a blend file without Blender."""

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from flamenco_core.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from blender_asset_tracer import blendfile

MAGIC = b"BLENDER"
ZSTANDARD = b"\x28\xb5\x2f\xfd"
GZIP = b"\x1f\x8b"


class NotABlendFile(BadInput):
    """The file is missing, or not one of Blender's."""

    type = "not-a-blend-file"


class NoFrameRange(BadInput):
    """The file's own frame range cannot be read."""

    type = "no-frame-range"


def check_blend_file(file: Path) -> None:
    """Check that this is a blend file, plain or compressed. Raises NotABlendFile."""
    try:
        with file.open("rb") as stream:
            start = stream.read(len(MAGIC))
        beginning = _unpacked_beginning(file, start)
    except IsADirectoryError as error:
        raise NotABlendFile(f"{file} is a folder, not a blend file.") from error
    except FileNotFoundError as error:
        raise NotABlendFile(f"There is no file {file}. Save it in Blender first, or check the path.") from error
    except OSError as error:
        raise NotABlendFile(f"Cannot read {file}: {error.strerror or error}.") from error
    if beginning != MAGIC:
        raise NotABlendFile(f"{file} is not a blend file: it does not begin as Blender's files do.")


def own_frame_range(file: Path) -> str:
    """Read the frame range of the scene that is open in the file, as ``1-250`` or ``1-250:2``.

    Tried on files of Blender 3.4, 4.5 and 5.0, plain and compressed. Raises NoFrameRange, or Unavailable when the
    library that reads blend files is not installed.
    """
    try:
        import zstandard  # noqa: F401 (blender-asset-tracer needs it for compressed files)
        from blender_asset_tracer import blendfile
    except ModuleNotFoundError as error:
        raise Unavailable(
            "To read the frame range from the file: pip install 'flamenco[submit]'. Or give the frames: -f 1-250."
        ) from error
    try:
        with blendfile.BlendFile(file) as opened:
            scene = _open_scene(opened)
            first, last = int(scene[b"r", b"sfra"]), int(scene[b"r", b"efra"])
            step = int(scene[b"r", b"frame_step"])
    except Exception as error:  # a damaged file makes that library raise anything
        raise NoFrameRange(
            f"Cannot read the frame range of {file.name} ({error}). Give the frames: -f 1-250."
        ) from error
    return _written(first, last, step)


def _open_scene(opened: "blendfile.BlendFile") -> "blendfile.BlendFileBlock":
    for block in opened.find_blocks_from_code(b"GLOB"):
        scene = block.get_pointer(b"curscene")
        if scene is not None:
            return scene
    raise NoFrameRange("no scene is open in it")


def _written(first: int, last: int, step: int) -> str:
    if first >= last:
        return str(first)
    return f"{first}-{last}" + (f":{step}" if step > 1 else "")


def _unpacked_beginning(file: Path, start: bytes) -> bytes:
    if start.startswith(GZIP):
        return _gzip_beginning(file)
    if start.startswith(ZSTANDARD):
        return _zstandard_beginning(file)
    return start


def _gzip_beginning(file: Path) -> bytes:
    try:
        with gzip.open(file) as stream:
            return stream.read(len(MAGIC))
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return b""


def _zstandard_beginning(file: Path) -> bytes:
    try:
        import zstandard
    except ModuleNotFoundError:
        return MAGIC  # Blender's compression, as far as can be told without the library; Blender itself will look
    try:
        with file.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as stream:
            return stream.read(len(MAGIC))
    except zstandard.ZstdError:
        return b""
