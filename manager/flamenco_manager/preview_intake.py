"""Taking previews of frames from Workers, and passing thumbnails on to the Server."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from flamenco_core.errors import BadInput, FlamencoError, NotFound, TooLarge
from flamenco_core.frames import LAST_FRAME, BadFrames, parse_frames
from flamenco_manager.preview_scaler import PreviewScaler, Source
from flamenco_manager.previews import JPEG, Previews, is_small_jpeg
from flamenco_manager.stores.media import RenderedBy

MOST_BYTES = 25 * 1024 * 1024
"""What a Flamenco 3 Worker may send (worker-api.md 6.9)."""
PNG = "image/png"
WEBP = "image/webp"
_PIECE_BYTES = 1024 * 1024
"""An image comes in pieces of so many bytes, so one that needs no scaling in a single one."""


class EmptyPreview(BadInput):
    """No image came."""

    type = "empty-preview"


class UnknownImage(FlamencoError):
    """An image in a format that nobody can show."""

    type = "unknown-image"


class NoTaskOfPreview(NotFound):
    """A preview of a task that nobody knows; Flamenco 3 says so in words of its own (worker-api.md, section 3)."""

    type = "no-such-task"


class Store(Protocol):
    """Where tasks are looked up."""

    async def rendered_by(self, task_id: str) -> RenderedBy | None:
        """Return what a task renders; None if there is no such task."""


class Uploader(Protocol):
    """Who sends thumbnails."""

    async def queue_preview(self, job: str, frame: int) -> None:
        """Let the thumbnail of a frame be sent."""


class NoRoomForPreviews(FlamencoError):
    """The disk is nearly full. Whoever sent the preview is told: no Worker sends it again (worker-api.md 6.9)."""

    type = "no-space"


class Space(Protocol):
    """How much room there is."""

    @property
    def missing(self) -> str | None:
        """Say what is missing; None: there is enough."""


class PreviewIntake:
    """Takes previews as Workers of ours make them, and frames of full size as Flamenco 3 Workers send them."""

    def __init__(self, store: Store, previews: Previews, uploads: Uploader, spool: Path, space: Space) -> None:
        self._store = store
        self._previews = previews
        self._uploads = uploads
        self._space = space
        self._scaler = PreviewScaler(spool, self._keep)

    @property
    def waiting(self) -> int:
        """How many images wait to be small."""
        return self._scaler.waiting

    async def run(self) -> None:
        """Scale what is too large to be kept as it is, for ever."""
        await self._scaler.run()

    async def take(
        self, task_id: str, frame: int | None, content_type: str, size: int | None, body: AsyncIterator[bytes]
    ) -> None:
        """Keep the preview of a frame, or of the newest one, at once or when it has been scaled.

        ``size`` is what the sender says that ``body`` has. A preview without a number is of its task's only frame, if
        it has but one. Raises BadInput, TooLarge, UnknownImage, NoTaskOfPreview, TooManyPreviews,
        NoRoomForPreviews, OSError.
        """
        if content_type not in (JPEG, PNG, WEBP):
            raise UnknownImage(f"A preview is a JPEG, PNG or WebP image, not {content_type[:100]!r}.")
        if size == 0:
            raise EmptyPreview("The preview has no bytes.")
        if size is not None and size > MOST_BYTES:
            raise _too_large()
        rendered = await self._store.rendered_by(task_id)
        if rendered is None:
            raise NoTaskOfPreview(f"There is no task {task_id}.")
        frame = _checked_frame(frame, rendered)
        if self._space.missing is not None:
            raise NoRoomForPreviews(f"Too little disk space for previews: {self._space.missing}.")
        async with aclosing(_measured(body)) as pieces:
            begin = await anext(pieces)
            if content_type == JPEG and is_small_jpeg(begin):
                await self._keep(rendered.job, frame, begin)
            else:
                await self._keep_for_scaling(rendered.job, frame, begin, pieces)

    async def _keep_for_scaling(self, job: str, frame: int | None, begin: bytes, pieces: AsyncIterator[bytes]) -> None:
        async with self._scaler.room() as file:
            await asyncio.to_thread(_write, file, "wb", begin)
            async for piece in pieces:
                await asyncio.to_thread(_write, file, "ab", piece)
            self._scaler.add(Source(file, job, frame))

    async def _keep(self, job: str, frame: int | None, image: bytes) -> None:
        await self._previews.keep(job, frame, image)
        if frame is not None:
            await self._uploads.queue_preview(job, frame)


def _checked_frame(frame: int | None, rendered: RenderedBy) -> int | None:
    """Find out of which frame a preview is. Raises BadInput when its task does not render that."""
    try:
        frames = parse_frames(rendered.frames) if rendered.frames else None
    except BadFrames:  # a job type wrote something of its own
        frames = None
    if frame is None:
        return next(iter(frames)) if frames is not None and len(frames) == 1 else None
    if frame > LAST_FRAME or (frames is not None and frame not in frames):
        message = f"frame {frame} is none of this task's frames ({rendered.frames or f'0-{LAST_FRAME}'})."
        raise BadInput(message, {"frame": "None of this task's frames."})
    return frame


async def _measured(body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Pass an image on in larger pieces. Raises EmptyPreview, TooLarge."""
    size, gathered = 0, bytearray()
    async for piece in body:
        size += len(piece)
        if size > MOST_BYTES:
            raise _too_large()
        gathered += piece
        if len(gathered) >= _PIECE_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if not size:
        raise EmptyPreview("The preview has no bytes.")
    if gathered:
        yield bytes(gathered)


def _too_large() -> TooLarge:
    return TooLarge(f"The body is larger than the {MOST_BYTES} bytes that a preview may have.")


def _write(file: Path, mode: str, piece: bytes) -> None:
    with file.open(mode) as stream:
        stream.write(piece)
