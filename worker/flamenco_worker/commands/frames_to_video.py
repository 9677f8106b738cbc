"""``frames-to-video``: FFmpeg makes a video of frames that are on disk."""

import asyncio
import glob
import shlex
from dataclasses import dataclass
from pathlib import Path

from flamenco_core.frames import BadFrames, parse_frames
from flamenco_worker.command_run import CommandRun
from flamenco_worker.failures import BadParameters, CommandFailed
from flamenco_worker.frame_folder import attempt_folder, publish
from flamenco_worker.frame_publisher import name_frames
from flamenco_worker.output_lines import run_program
from flamenco_worker.registry import command
from flamenco_worker.video_command import concat_list, frame_files, frames_written, is_progress, video_arguments

LAST_LINES = 3
"""How much of FFmpeg's last words a failure message quotes."""


@dataclass(frozen=True)
class FramesToVideo:
    """``{exe} {exeArgs} {argsBefore} {input} {args} -r {fps} {outputFile}``.

    The input is what ``inputGlob`` finds, unless our Server says with ``frames`` and ``inputPattern`` exactly which.
    """

    exe: str
    fps: float
    input_glob: str
    output_file: str
    exe_args: str = ""
    args_before: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    frames: str | None = None
    input_pattern: str | None = None


@command("frames-to-video")
async def frames_to_video(parameters: FramesToVideo, run: CommandRun) -> None:
    """Encode into the attempt's folder, and publish the video when it is whole."""
    program = await run.programs.resolve(parameters.exe)
    if not parameters.fps > 0:
        raise BadParameters(f"frames-to-video: fps must be above 0, not {parameters.fps:g}.")
    output = Path(parameters.output_file)
    files = await asyncio.to_thread(_files, parameters)
    run.reporter.log(f"{len(files)} frames go into {output}.")
    async with attempt_folder(output.parent, run.task_id, run.attempt_name) as folder:
        listing, video = folder / "frames.ffconcat", folder / output.name
        await asyncio.to_thread(listing.write_text, concat_list(files), "utf-8")
        before = [*shlex.split(parameters.exe_args), *parameters.args_before]
        arguments = video_arguments(before, listing, parameters.args, fps=parameters.fps, output=video)
        listener = _Listener(run, len(files))
        status = await run_program([program, *arguments], listener.take)
        if status != 0:
            raise CommandFailed(f"FFmpeg ended with status {status}: {' '.join(listener.last_lines)}")
        await asyncio.to_thread(_require_video, video)
        _require_count(listener.written, len(files), is_exact=parameters.input_pattern is not None)
        await publish(video, output, run.permit)


class _Listener:
    """Logs what FFmpeg says, and counts the frames that it has written."""

    def __init__(self, run: CommandRun, frames: int) -> None:
        self._run = run
        self._frames = frames
        self._counted = 0
        self.written = 0
        self.last_lines: list[str] = []

    async def take(self, lines: list[str]) -> None:
        """Take the lines of one chunk of output."""
        for line in lines:
            if (written := frames_written(line)) is not None:
                self._progress(written)
            elif line.strip() and not is_progress(line):
                self._run.reporter.log(line)
                self.last_lines = [*self.last_lines, line.strip()[:300]][-LAST_LINES:]
        await self._run.reporter.relieve()

    def _progress(self, written: int) -> None:
        self.written = written
        self._run.reporter.tell(f"Encoding frame {written} of {self._frames}")
        steps = min(written, self._run.total_step_count)
        self._run.count_steps(max(0, steps - self._counted))
        self._counted = max(steps, self._counted)


def _files(parameters: FramesToVideo) -> list[Path]:
    if parameters.frames is None or parameters.input_pattern is None:
        found = [Path(name) for name in sorted(glob.glob(parameters.input_glob))]  # noqa: PTH207 (takes absolute globs)
        if not found:
            raise CommandFailed(f"No frames match {parameters.input_glob} on this Worker.")
        return found
    try:
        frames = list(parse_frames(parameters.frames))
        files = frame_files(parameters.input_pattern, frames)
    except (BadFrames, ValueError) as error:
        raise BadParameters(f"frames-to-video: {error}.") from error
    missing = [frame for frame, file in zip(frames, files, strict=True) if not file.is_file()]
    if missing:
        raise CommandFailed(f"The video needs {name_frames(missing)}, missing from {files[0].parent} on this Worker.")
    return files


def _require_video(video: Path) -> None:
    if not video.is_file() or not video.stat().st_size:
        raise CommandFailed(f"FFmpeg ended well, but wrote no {video.name}.")


def _require_count(written: int, given: int, *, is_exact: bool) -> None:
    """Refuse a video with other frames than ours; a job type of a studio's own may filter some on purpose."""
    if is_exact and written != given:
        raise CommandFailed(f"FFmpeg wrote {written} frames of the {given} that it was given.")
