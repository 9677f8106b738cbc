"""From "Blender says that it saved a file" to a frame that is on disk, checked, and reported."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

from flamenco_core.frames import frames_of
from flamenco_core.wire.worker_api import SavedFrame
from flamenco_worker.blender_output import SceneFacts
from flamenco_worker.command_run import CommandRun
from flamenco_worker.frame_folder import publish
from flamenco_worker.images import BrokenImage, ImageFacts, inspect_image
from flamenco_worker.render_command import OutputPattern


@dataclass
class _Written:
    """A file that Blender says it saved, and how long it took by our clock; Blender's own time comes a line later."""

    path: Path
    seconds: float


@dataclass
class FramePublisher:
    """Checks the files of one attempt as they come and publishes those that are whole.

    It runs beside Blender, so that checking one frame does not delay the next. ``saved`` holds the frames that are on
    disk, ``complaints`` says why a file did not count.
    """

    run: CommandRun
    pattern: OutputPattern
    folder: Path
    facts: SceneFacts | None = None
    saved: set[int] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)
    _queue: "asyncio.Queue[_Written | None]" = field(default_factory=asyncio.Queue)
    _newest: _Written | None = None
    _began_at: float = field(default_factory=time.monotonic)

    def scene_is_ready(self, facts: SceneFacts) -> None:
        """Note what frames shall be like; rendering begins now."""
        self.facts = facts
        self._began_at = time.monotonic()

    def file_saved(self, path: str) -> None:
        """Take a file that Blender says it saved."""
        now = time.monotonic()
        self._newest = _Written(Path(path), now - self._began_at)
        self._began_at = now
        self._queue.put_nowait(self._newest)

    def frame_timed(self, seconds: float) -> None:
        """Take Blender's own word for how long the newest frame took."""
        if self._newest is not None:
            self._newest.seconds = seconds

    def no_more(self) -> None:
        """Let ``publish_all`` end once everything that was taken is dealt with."""
        self._queue.put_nowait(None)

    async def publish_all(self) -> None:
        """Check and publish what comes, in its order."""
        while (written := await self._queue.get()) is not None:
            named = self.pattern.frame_of(written.path.name) if written.path.parent == self.folder else None
            if named is None:
                continue  # what a File Output node or a script wrote elsewhere
            try:
                await self._publish(written, *named)
            except BrokenImage as error:
                self.complaints.append(f"frame {named[0]}: {error}")
                self.run.reporter.log(f"Frame {named[0]} does not count: {error}.")

    async def _publish(self, written: _Written, frame: int, view: str) -> None:
        image = await asyncio.to_thread(inspect_image, written.path)
        check_size(image, self.facts)
        target = self.pattern.folder / written.path.name
        await publish(written.path, target, self.run.permit)
        saved = SavedFrame(
            frame=frame,
            path=str(target),
            size_bytes=image.size_bytes,
            sha256=image.sha256,
            layer=view,
            width=image.width,
            height=image.height,
            seconds=round(written.seconds, 3),
        )
        self.run.reporter.add_frame(saved)
        if frame not in self.saved:
            self.saved.add(frame)
            self.run.count_steps(1)
        self.run.previews.offer(saved)


def check_size(image: ImageFacts, facts: SceneFacts | None) -> None:
    """Compare a saved frame with the scene's resolution. Raises BrokenImage."""
    if facts is None or not (facts.width and facts.height):
        return
    off = max(abs(image.width - facts.width), abs(image.height - facts.height))
    if off > facts.size_tolerance:
        raise BrokenImage(
            f"it is {image.width} x {image.height} pixels, and the scene says {facts.width} x {facts.height}"
        )


def name_frames(frames: list[int]) -> str:
    """Name frames for a message: ``frame 3``, or ``frames 3, 7-9``; a long list is cut."""
    written = str(frames_of(frames))
    if len(written) > 200:
        written = f"{written[:200].rpartition(',')[0]}, …"
    return f"frame {written}" if len(frames) == 1 else f"frames {written}"
