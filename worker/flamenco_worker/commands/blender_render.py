"""``blender-render``: Blender renders frames, and each counts once it is on disk and can be opened."""

import asyncio
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flamenco_core.wire.worker_api import SavedFrame
from flamenco_worker.blender_output import (
    Event,
    FileSaved,
    FrameSkipped,
    FrameTimed,
    Progress,
    SceneFacts,
    ScriptSkipped,
    Trouble,
    read_line,
)
from flamenco_worker.command_run import CommandRun
from flamenco_worker.failures import BadParameters, CommandFailed
from flamenco_worker.frame_folder import attempt_folder
from flamenco_worker.frame_publisher import FramePublisher, name_frames
from flamenco_worker.output_lines import run_program
from flamenco_worker.registry import command
from flamenco_worker.render_command import RenderCommand, understand

FACTS_SCRIPT = Path(__file__).parent.parent / "inside_blender" / "scene_facts.py"
MOST_COMPLAINTS = 3
"""How much of what went wrong a failure message quotes; the log has all of it."""
MOST_WARNINGS = 20


@dataclass(frozen=True)
class BlenderRender:
    """``{exe} {exeArgs} {argsBefore} {blendfile} {args}``; ``frames`` is our Server's own."""

    exe: str
    blendfile: str
    exe_args: str = ""
    args_before: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    frames: str | None = None


@command("blender-render")
async def blender_render(parameters: BlenderRender, run: CommandRun) -> None:
    """Render. Where the command gives both output and frames, we see to each frame; else Blender does as it is told."""
    program = await run.programs.resolve(parameters.exe)
    before = [*_split(parameters.exe_args), *parameters.args_before]
    render = understand(before, parameters.blendfile, parameters.args, parameters.frames)
    await asyncio.to_thread(_require_blend_file, parameters.blendfile)
    began_at = time.monotonic()
    if render.output is not None and render.frames is not None:
        await _render_frames(program, render, run)
    else:
        await _render_as_told(program, render, run)
    run.add_result({"seconds": round(time.monotonic() - began_at, 3)})


@dataclass
class _Listener:
    """Follows Blender's output: logs it, tells the progress, and notes what matters at the end."""

    run: CommandRun
    publisher: FramePublisher | None = None
    facts: SceneFacts | None = None
    saved_paths: list[str] = field(default_factory=list)
    skipped: int = 0
    peak_memory_bytes: int = 0
    troubles: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    async def take(self, lines: list[str]) -> None:
        """Take the lines of one chunk of output."""
        for line in lines:
            self.run.reporter.log(line)
            event = read_line(line)
            if event is not None:
                self._note(event)
        await self.run.reporter.relieve()

    @property
    def result(self) -> dict[str, object]:
        """What is told of the render with the task's last status."""
        about_scene = {} if self.facts is None else {"blender": self.facts.version, "engine": self.facts.engine}
        if self.facts is not None and self.facts.device:
            about_scene["device"] = self.facts.device
        return {**about_scene, "peak_memory_bytes": self.peak_memory_bytes, "warnings": self.warnings}

    def _note(self, event: Event) -> None:
        match event:
            case FileSaved(path):
                self._file_saved(path)
            case FrameTimed(seconds) if self.publisher is not None:
                self.publisher.frame_timed(seconds)
            case FrameSkipped():
                self.skipped += 1
                self.run.count_steps(1)
            case Progress():
                self.peak_memory_bytes = max(self.peak_memory_bytes, event.peak_memory_bytes or 0)
                self.run.reporter.tell(str(event))
            case SceneFacts():
                self._scene_is_ready(event)
            case ScriptSkipped(message):
                self.warnings = [*self.warnings, message][:MOST_WARNINGS]
            case Trouble(message) if message not in self.troubles:
                self.troubles = [*self.troubles, message][-MOST_WARNINGS:]

    def _file_saved(self, path: str) -> None:
        self.saved_paths.append(path)
        if self.publisher is not None:
            self.publisher.file_saved(path)
        else:
            self.run.count_steps(1)

    def _scene_is_ready(self, facts: SceneFacts) -> None:
        self.facts = facts
        if self.publisher is not None:
            self.publisher.scene_is_ready(facts)


async def _render_frames(program: str, render: RenderCommand, run: CommandRun) -> None:
    """Render the frames that are not on disk yet, into the attempt's folder, and publish each that is whole."""
    assert render.output is not None
    assert render.frames is not None
    done = await asyncio.to_thread(_frames_on_disk, run.frames_done, render)
    run.count_steps(len(done))
    missing = [frame for frame in render.frames if frame not in done]
    if done:
        run.reporter.log(f"Not rendered again: {name_frames(sorted(done))}, saved by an earlier attempt.")
    if not missing:
        return
    async with attempt_folder(render.output.folder, run.task_id, run.attempt_name) as folder:
        publisher = FramePublisher(run, render.output, folder)
        listener = _Listener(run, publisher)
        arguments = render.arguments(missing=missing, folder=folder, facts_script=FACTS_SCRIPT)
        async with asyncio.TaskGroup() as group:
            group.create_task(publisher.publish_all())
            status = await run_program([program, *arguments], listener.take)
            publisher.no_more()
    run.add_result(listener.result)
    lost = [frame for frame in missing if frame not in publisher.saved]
    if lost:
        raise CommandFailed(_failure(lost, len(render.frames), status, publisher.complaints + listener.troubles))
    if status != 0:
        run.reporter.log(f"Blender {_ended(status)}, after every frame was saved: that is no failure.")


async def _render_as_told(program: str, render: RenderCommand, run: CommandRun) -> None:
    """Run Blender where we cannot foretell its frames; what it says it saved must be readable."""
    listener = _Listener(run)
    arguments = render.arguments(missing=None, folder=None, facts_script=FACTS_SCRIPT)
    status = await run_program([program, *arguments], listener.take)
    run.add_result(listener.result)
    if status != 0:
        raise CommandFailed(f"Blender {_ended(status)}{_because(listener.troubles)}.")
    writes_movie = listener.facts is not None and listener.facts.is_movie
    if render.is_render and not writes_movie and not listener.saved_paths and not listener.skipped:
        raise CommandFailed(f"Blender saved no frame{_because(listener.troubles)}.")


def _require_blend_file(path: str) -> None:
    if path and not Path(path).is_file():
        raise CommandFailed(f"The blend file {path} does not exist on this Worker. Is its storage mounted here?")


def _frames_on_disk(recorded: Sequence[SavedFrame], render: RenderCommand) -> set[int]:
    """Return the recorded frames that this command wants and that lie there with the recorded size.

    Views of stereo frames are not taken: one of them may be missing.
    """
    assert render.output is not None
    wanted = set(render.frames or ())
    return {
        saved.frame
        for saved in recorded
        if saved.frame in wanted
        and not saved.layer
        and Path(saved.path).parent == render.output.folder
        and _has_size(Path(saved.path), saved.size_bytes)
    }


def _has_size(path: Path, size_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == size_bytes


def _failure(lost: list[int], wanted: int, status: int, complaints: list[str]) -> str:
    counted = f"{len(lost)} of {wanted} frames" if wanted > 1 else "Frame"
    ended = "" if status == 0 else f"; Blender {_ended(status)}"
    return f"{counted} not rendered ({name_frames(lost)}){ended}{_because(complaints)}."


def _because(complaints: list[str]) -> str:
    return "".join(f": {complaint.rstrip('. ')}" for complaint in complaints[:MOST_COMPLAINTS])


def _ended(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise BadParameters(f"blender-render: exeArgs cannot be read as a command line: {text!r} ({error}).") from error
