"""Images that must be made small before they can be shown: a short queue, and one process at a time that does it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from flamenco_core.errors import FlamencoError
from flamenco_core.identifiers import new_id
from flamenco_runtime.children import end_child, start_child

log = structlog.get_logger()

MOST_WAITING = 8
"""So many images may be on their way in, waiting, or being scaled; Flamenco 3 takes three."""
PATIENCE_S = 60.0
"""An image that takes longer is given up."""

Keep = Callable[[str, int | None, bytes], Awaitable[None]]
"""Called with the job, the frame if it is known, and the small JPEG."""


class TooManyPreviews(FlamencoError):
    """The queue is full: send it later, or leave it."""

    type = "too-many-previews"


class Unshowable(Exception):
    """Nothing can be shown of an image; the message says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """An image that waits, and whose it is."""

    file: Path
    job: str
    frame: int | None


class PreviewScaler:
    """Takes images of any size into ``folder``, and gives each to ``keep`` once it is small."""

    def __init__(self, folder: Path, keep: Keep, *, patience_s: float = PATIENCE_S) -> None:
        self._folder = folder
        self._keep = keep
        self._patience_s = patience_s
        self._waiting: asyncio.Queue[Source] = asyncio.Queue()
        self._taken = 0

    @property
    def waiting(self) -> int:
        """How many images are on their way in, wait, or are being scaled."""
        return self._taken

    @asynccontextmanager
    async def room(self) -> AsyncIterator[Path]:
        """Yield the file to write an image to; unless ``add`` was called with it, it is removed in the end.

        Raises TooManyPreviews.
        """
        if self._taken >= MOST_WAITING:
            raise TooManyPreviews(f"{self._taken} previews are waiting already; send this one later.")
        self._taken += 1
        file = self._folder / new_id()
        try:
            await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
            yield file
        except BaseException:
            await self._drop(file)
            raise

    def add(self, source: Source) -> None:
        """Have an image scaled when its turn comes."""
        self._waiting.put_nowait(source)

    async def run(self) -> None:
        """Scale what comes, for ever. What cannot be shown is logged and left."""
        while True:
            source = await self._waiting.get()
            try:
                image = await self._scaled(source.file)
                await self._keep(source.job, source.frame, image)
            except (Unshowable, OSError, FlamencoError) as error:
                log.warning("a preview cannot be shown", job=source.job, frame=source.frame, why=str(error))
            finally:
                await self._drop(source.file)

    async def _scaled(self, source: Path) -> bytes:
        """Return the small JPEG of an image. Raises Unshowable, OSError."""
        target = source.with_suffix(".small.jpg")
        named = source.with_suffix(await asyncio.to_thread(_suffix, source))
        await asyncio.to_thread(source.rename, named)
        try:
            await self._scale(named, target)
            return await asyncio.to_thread(target.read_bytes)
        finally:
            for file in (named, target):
                await asyncio.to_thread(file.unlink, missing_ok=True)

    async def _scale(self, source: Path, target: Path) -> None:
        program = [sys.executable, "-m", "flamenco_manager.preview_scaling", str(source), str(target)]
        child = await start_child(program, output=asyncio.subprocess.DEVNULL, errors=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(self._patience_s):
                _, said = await child.communicate()
        except TimeoutError:
            raise Unshowable(f"scaling it took more than {self._patience_s:g} seconds") from None
        finally:
            await end_child(child)
        if child.returncode:
            reason = said.decode("utf-8", "replace").strip().split("\n")[-1][:300]
            raise Unshowable(reason or f"the program that scales it ended with {child.returncode}")

    async def _drop(self, file: Path) -> None:
        self._taken -= 1
        await asyncio.to_thread(file.unlink, missing_ok=True)


def _suffix(file: Path) -> str:
    """Tell by its first bytes what an image is, so that nothing but its own reader opens it. Raises Unshowable."""
    with file.open("rb") as image:
        begin = image.read(12)
    if begin.startswith(b"\xff\xd8\xff"):
        return ".jpg"
    if begin.startswith(b"\x89PNG\r\n\x1a\n"):
        return ".png"
    if begin[:4] == b"RIFF" and begin[8:] == b"WEBP":
        return ".webp"
    raise Unshowable("it is neither JPEG nor PNG nor WebP, whatever was said")
