"""Taking previews of frames from Workers, and passing thumbnails on to the Server."""

from typing import Protocol

from flamenco_core.errors import BadInput, FlamencoError
from flamenco_manager.previews import JPEG, Previews, is_thumbnail

PNG = "image/png"
WEBP = "image/webp"


class EmptyPreview(BadInput):
    """No image came."""

    type = "empty-preview"


class UnknownImage(FlamencoError):
    """An image in a format that nobody can show."""

    type = "unknown-image"


class Store(Protocol):
    """Where tasks are looked up."""

    async def job_of(self, task_id: str) -> str | None:
        """Return the id of the job that a task belongs to."""


class Uploader(Protocol):
    """Who sends thumbnails."""

    async def queue_preview(self, job: str, frame: int) -> None:
        """Let the thumbnail of a frame be sent."""


class PreviewIntake:
    """Keeps previews."""

    def __init__(self, store: Store, previews: Previews, uploads: Uploader) -> None:
        self._store = store
        self._previews = previews
        self._uploads = uploads

    async def take(self, task_id: str, frame: int | None, image: bytes, content_type: str) -> bool:
        """Keep the preview of a frame, or of the newest one; False when there is no such task. Raises BadInput."""
        if content_type not in (JPEG, PNG, WEBP):
            raise UnknownImage(f"A preview is a JPEG, PNG or WebP image, not {content_type!r}.")
        if not image:
            raise EmptyPreview("The preview has no bytes.")
        job = await self._store.job_of(task_id)
        if job is None:
            return False
        await self._previews.keep(job, frame, image)
        if frame is not None and is_thumbnail(image, content_type):
            await self._uploads.queue_preview(job, frame)
        return True
