"""``simple-blender-render``: an animation, or any frames of it, and a preview video where the format allows one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from flamenco_core.frames import FrameRange, parse_frames
from flamenco_core.paths import absolute_path
from flamenco_core.wire.worker_api import Command
from flamenco_server.job_type import (
    NO_POWER,
    AuthoredTask,
    EvalInfo,
    JobToCompile,
    JobType,
    Outline,
    Setting,
    Settings,
)

FRAME_DIGITS = "######"
MOST_FRAMES_PER_TASK = 10
TASKS_AIMED_AT = 12
"""What an automatic chunk size makes of a short animation: enough tasks to keep a small farm busy until the end."""

EXTENSIONS = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "OPEN_EXR": ".exr",
    "OPEN_EXR_MULTILAYER": ".exr",
    "TIFF": ".tif",
    "WEBP": ".webp",
}
"""What Blender appends to the output path, per format."""
VIDEO_FORMATS = frozenset({"PNG", "JPEG", "TIFF", "WEBP"})
"""Formats that FFmpeg shows as the artist saw them; EXR needs tone mapping first."""
VIDEO_ARGUMENTS = (
    *("-c:v", "libx264", "-crf", "20", "-g", "18"),
    *("-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p"),  # players want even sizes and this layout
    *("-movflags", "+faststart", "-y"),
)


@dataclass(frozen=True, slots=True)
class RenderSettings:
    """The settings below, by name. ``output`` is a path pattern with ``#`` for the digits of the frame."""

    frames: FrameRange
    chunk_size: int
    output: str
    format: str
    fps: float
    blendfile: str
    run_scripts: bool
    preview_video: bool
    scene: str


def compile_job(job: JobToCompile) -> Iterator[AuthoredTask]:
    """Yield a task per chunk of frames, then one for the preview video that waits for them all."""
    settings = _typed(job.settings)
    count = 0
    for chunk in settings.frames.chunks(settings.chunk_size or automatic_chunk_size(len(settings.frames))):
        yield AuthoredTask(f"render-{chunk}", "blender", [_render(job, settings, chunk)], frames=chunk)
        count += 1
    if settings.preview_video and settings.format in VIDEO_FORMATS and len(settings.frames) > 1:
        video = [_video(settings)]
        yield AuthoredTask("preview-video", "ffmpeg", video, depends_on=range(count), needs=NO_POWER)


def outline(settings: Settings) -> Outline:
    """Tell which frames the job makes, and where."""
    typed = _typed(settings)
    return Outline(typed.frames, typed.output)


def automatic_chunk_size(frame_count: int) -> int:
    """Choose the frames per task: a twelfth of the frames, at least 1 and at most 10.

    Short animations so make about a dozen tasks; long ones make tasks of 10 frames, which share one start of Blender
    and lose little when a Worker dies.
    """
    return max(1, min(MOST_FRAMES_PER_TASK, -(-frame_count // TASKS_AIMED_AT)))


def output_pattern(path: str) -> str:
    """Return the path pattern of an output setting: as it is if it has a ``#``, else a number inside that folder."""
    return path if "#" in path else _inside(path, FRAME_DIGITS)


def _typed(settings: Settings) -> RenderSettings:
    values: dict[str, Any] = dict(settings)
    return RenderSettings(
        frames=parse_frames(values.pop("frames")),
        output=output_pattern(values.pop("render_output_path")),
        scene=values.pop("scene", ""),
        **values,
    )


def _render(job: JobToCompile, settings: RenderSettings, chunk: FrameRange) -> Command:
    scene = ["--scene", settings.scene] if settings.scene else []
    parameters = {
        "exe": "{blender}",
        "exeArgs": "{blenderArgs}",
        "argsBefore": ["-y" if settings.run_scripts else "-Y"],
        "blendfile": job.path_of(settings.blendfile),
        "args": [
            *scene,
            *("--render-output", settings.output),
            *("--render-format", settings.format),
            *("--render-frame", _for_blender(chunk)),
        ],
        "frames": str(chunk),
    }
    return Command("blender-render", parameters, total_step_count=len(chunk))


def _for_blender(chunk: FrameRange) -> str:
    """Write frames as Blender's ``--render-frame`` takes them (Blender manual, Command Line Arguments)."""
    return ",".join(
        f"{run[0]}..{run[-1]}" if run.step == 1 and len(run) > 1 else ",".join(map(str, run)) for run in chunk.runs
    )


def _video(settings: RenderSettings) -> Command:
    extension = EXTENSIONS[settings.format]
    frames = sorted(settings.frames)
    name = f"{_file_name(settings.blendfile)}-{frames[0]}-{frames[-1]}.mp4"
    folder = re.split(r"[/\\][^/\\]*$", settings.output)[0]
    pattern = settings.output + extension
    parameters = {
        "exe": "{ffmpeg}",
        "fps": settings.fps,
        "inputGlob": re.sub("#+", "*", pattern),
        "outputFile": _inside(folder, name),
        "args": list(VIDEO_ARGUMENTS),
        "frames": str(settings.frames),
        "inputPattern": pattern,
    }
    return Command("frames-to-video", parameters)


def _file_name(blendfile: str) -> str:
    """Make a name for files of the blend file's: free of characters that shells and file systems read."""
    stem = PurePosixPath(blendfile.replace("\\", "/")).stem
    return re.sub(r"[^\w.-]+", "_", stem).strip("_.-") or "video"


def _inside(folder: str, name: str) -> str:
    """Join a path of whatever platform the Workers have."""
    separator = "\\" if "\\" in folder and "/" not in folder else "/"
    return folder.rstrip("/\\") + separator + name


def _check_output(path: str) -> None:
    if path.startswith("//"):
        raise ValueError(f"{path!r} is relative to the blend file; write the whole path, so that all Workers agree.")
    absolute_path(path)
    if "#" in re.split(r"[/\\][^/\\]*$", path)[0]:
        raise ValueError(f"{path!r} has a # in a folder; it may only stand in the file's name, for the frame's number.")


JOB_TYPE = JobType(
    name="simple-blender-render",
    label="Animation",
    description="Renders frames of a blend file on many Workers, then makes a preview video of them.",
    settings=(
        Setting(
            key="frames",
            type="string",
            label="Frames",
            description="Frames to render, such as 1-250, or 3, 5-10, or 1-100:5.",
            required=True,
            eval="f'{C.scene.frame_start}-{C.scene.frame_end}'",
            eval_info=EvalInfo("The scene's frame range"),
            check=parse_frames,
        ),
        Setting(
            key="chunk_size",
            type="int32",
            label="Frames per task",
            description="How many frames one Worker renders in a row; 0 chooses by the number of frames.",
            default=0,
            propargs={"min": 0, "max": 1_000_000},
            visibility="submission",
        ),
        Setting(
            key="render_output_path",
            type="string",
            subtype="hashed_file_path",
            label="Output",
            description="Folder that all Workers can write to, or a path whose # become the frame's number.",
            required=True,
            eval="bpy.path.abspath(C.scene.render.filepath)",
            eval_info=EvalInfo("The scene's output path"),
            check=_check_output,
        ),
        Setting(
            key="format",
            type="string",
            label="File format",
            description="What each frame is saved as.",
            choices=tuple(EXTENSIONS),
            default="PNG",
            eval="C.scene.render.image_settings.file_format",
            eval_info=EvalInfo("The scene's file format"),
            visibility="web",
        ),
        Setting(
            key="fps",
            type="float",
            label="Frames per second",
            description="How fast the preview video plays.",
            default=24.0,
            propargs={"min": 0.1, "max": 1000},
            eval="C.scene.render.fps / C.scene.render.fps_base",
            eval_info=EvalInfo("The scene's frame rate"),
            visibility="web",
        ),
        Setting(
            key="preview_video",
            type="bool",
            label="Preview video",
            description="Make a video of the frames, where their format allows it.",
            default=True,
        ),
        Setting(
            key="run_scripts",
            type="bool",
            label="Run the file's scripts",
            description="Let Workers run drivers and scripts that are in the file.",
            default=False,
            eval="C.preferences.filepaths.use_scripts_auto_execute",
            eval_info=EvalInfo("As Blender does with this file"),
            visibility="submission",
        ),
        Setting(
            key="scene",
            type="string",
            label="Scene",
            description="Which scene to render; empty: the one that was active when the file was saved.",
            default="",
            eval="C.scene.name",
            eval_info=EvalInfo("The scene that is open"),
            visibility="web",
        ),
        Setting(
            key="blendfile",
            type="string",
            subtype="file_path",
            label="Blend file",
            description="The blend file: one of the job's files, or a path that all Workers see.",
            required=True,
            visibility="web",
        ),
    ),
    compile=compile_job,
    outline=outline,
    blend_file="blendfile",
)
