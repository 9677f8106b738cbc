"""The command line of a ``blender-render``: what it will write, which frames, and how we run it. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from flamenco_core.frames import BadFrames, frames_of, parse_frames
from flamenco_worker.failures import BadParameters

_OUTPUT = ("--render-output", "-o")
_FRAMES = ("--render-frame", "-f")
_ANIMATION = ("--render-anim", "-a")
_BLENDERS_FRAMES = re.compile(r"\d{1,9}(?:\.\.\d{1,9})?(?:,\d{1,9}(?:\.\.\d{1,9})?)*", re.ASCII)


@dataclass(frozen=True)
class OutputPattern:
    """Where frames go: ``folder``, and a file name whose last run of ``#`` becomes the frame's number."""

    folder: Path
    name: str

    def inside(self, folder: Path) -> str:
        """Write the pattern for another folder, as Blender takes it."""
        return f"{folder}/{self.name}"

    def frame_of(self, file_name: str) -> tuple[int, str] | None:
        """Tell which frame a file is, and its view (stereo), from its name; None when it is none of ours."""
        match = self._expression.fullmatch(file_name)
        return (int(match["frame"]), match["view"].strip("_")) if match else None

    @property
    def _expression(self) -> re.Pattern[str]:
        *_, last = re.finditer(r"#+", self.name if "#" in self.name else f"{self.name}####")
        name = self.name if "#" in self.name else f"{self.name}####"
        before, after = re.escape(name[: last.start()]), name[last.end() :]
        extension = "" if "." in after else r"(?:\.\w+)?"
        stem, dot, suffix = after.partition(".")
        ending = re.escape(stem) + r"(?P<view>(?:_\w+?)?)" + re.escape(dot + suffix) + extension
        return re.compile(before + rf"(?P<frame>\d{{{len(last[0])},}})" + ending)


@dataclass(frozen=True)
class RenderCommand:
    """A Blender command line, understood as far as it renders frames.

    ``output`` is None when the scene decides where frames go; ``frames`` is None when it decides which they are.
    """

    before_blendfile: tuple[str, ...]
    blendfile: str
    args: tuple[str, ...]
    output: OutputPattern | None
    frames: tuple[int, ...] | None

    @property
    def is_render(self) -> bool:
        """Whether Blender is told to render at all, and not only to run a script."""
        return _position(self.args, _FRAMES + _ANIMATION) is not None

    def arguments(self, *, missing: Sequence[int] | None, folder: Path | None, facts_script: Path) -> list[str]:
        """Write what follows the program's name.

        Rendered are the frames ``missing`` (None: as the command says) into ``folder`` (None: likewise). The facts
        script stands right before the first option that renders, so that it sees the scene as it will be rendered:
        Blender obeys its arguments in their order.
        """
        args = list(self.args)
        output, frames = _position(args, _OUTPUT), _position(args, _FRAMES)
        if folder is not None and output is not None and self.output is not None:
            args[output + 1] = self.output.inside(folder)
        if missing is not None and frames is not None:
            args[frames + 1] = blenders_frames(missing)
        first = _position(args, _FRAMES + _ANIMATION)
        if first is not None:
            args[first:first] = ["--python", str(facts_script)]
        return [*self.before_blendfile, *([self.blendfile] if self.blendfile else []), *args]


def understand(before: Sequence[str], blendfile: str, args: Sequence[str], frames: str | None) -> RenderCommand:
    """Read the parameters of a ``blender-render``. ``frames``: what our Server says beside them. Raises BadParameters.

    Frames are known only where Blender is given them by number (``-f 1..10``): for ``-a`` the scene may differ.
    """
    if blendfile.startswith("-"):
        raise BadParameters(f"blender-render: the blend file {blendfile!r} would be taken for an option.")
    return RenderCommand(tuple(before), blendfile, tuple(args), _output(args), _wanted_frames(args, frames))


def blenders_frames(frames: Iterable[int]) -> str:
    """Write frames as Blender's ``--render-frame`` takes them: ``1..10,12``."""
    runs = frames_of(frames).runs
    return ",".join(f"{run[0]}..{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _output(args: Sequence[str]) -> OutputPattern | None:
    position = _position(args, _OUTPUT)
    if position is None:
        return None
    if position + 1 == len(args):
        raise BadParameters(f"blender-render: {args[position]} stands last, without a path.")
    path = args[position + 1]
    if not PurePath(path).is_absolute() or path.startswith("//"):  # the latter is relative to the blend file
        return None
    folder, _, name = path.rpartition("/")
    return OutputPattern(Path(folder or "/"), name)


def _wanted_frames(args: Sequence[str], frames: str | None) -> tuple[int, ...] | None:
    position = _position(args, _FRAMES)
    if position is None:
        return None
    written = args[position + 1] if position + 1 < len(args) else ""
    if frames is None:
        if not _BLENDERS_FRAMES.fullmatch(written):
            return None  # relative ones (+1), which only the scene can resolve
        frames = written.replace("..", "-")
    try:
        return tuple(parse_frames(frames))
    except BadFrames as error:
        raise BadParameters(f"blender-render: frames: {error}") from error


def _position(args: Sequence[str], names: Sequence[str]) -> int | None:
    return next((index for index, argument in enumerate(args) if argument in names), None)
