"""How a Flamenco 3 Worker makes its previews: at full size, JPEG quality 85 (worker-api.md 9.5)."""

import tempfile
from pathlib import Path

import OpenImageIO as oiio  # noqa: N813 (the name that its own documentation uses)

READABLE = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
"""What Go decodes; other formats are silently skipped."""


def jpeg_of(path: Path) -> bytes | None:
    """Encode an image again; None where that cannot be done."""
    if path.suffix.lower() not in READABLE:
        return None
    image = oiio.ImageBuf(str(path))
    if not image.read():
        return None
    image.specmod().attribute("compression", "jpeg:85")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "preview.jpg"
        three_channels = oiio.ImageBufAlgo.channels(image, (0, 1, 2)) if image.nchannels > 3 else image
        return target.read_bytes() if three_channels.write(str(target)) else None
