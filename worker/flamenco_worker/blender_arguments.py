"""Blender's command line, read without Blender.

Source: Blender manual, "Command Line Arguments", tried against Blender 3.4. Options act in the order in which they are
given; only those that set up the whole process (``-y``, ``-Y``, ``-t``) act wherever they stand.
This module runs beside ``bpy``: Python 3.10 and the standard library.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

LAST_FRAME = 1_048_574
"""Blender's ``MAXFRAME``."""
MOST_THREADS = 1024

OPEN = "FILE"
"""The option under which a blend file stands in ``CommandLine.actions``; on the command line it has no name."""

FORMATS = {
    "TGA": "TARGA",
    "RAWTGA": "TARGA_RAW",
    "JPEG": "JPEG",
    "IRIS": "IRIS",
    "AVIRAW": "AVI_RAW",
    "AVIJPEG": "AVI_JPEG",
    "PNG": "PNG",
    "BMP": "BMP",
    "HDR": "HDR",
    "TIFF": "TIFF",
    "OPEN_EXR": "OPEN_EXR",
    "OPEN_EXR_MULTILAYER": "OPEN_EXR_MULTILAYER",
    "FFMPEG": "FFMPEG",
    "MPEG": "FFMPEG",
    "CINEON": "CINEON",
    "DPX": "DPX",
    "JP2": "JPEG2000",
    "WEBP": "WEBP",
}
"""The names of image formats on the command line, and what Blender's Python calls them."""

_LONG_NAMES = {
    "-o": "--render-output",
    "-F": "--render-format",
    "-x": "--use-extension",
    "-E": "--engine",
    "-S": "--scene",
    "-s": "--frame-start",
    "-e": "--frame-end",
    "-j": "--frame-jump",
    "-f": "--render-frame",
    "-a": "--render-anim",
    "-t": "--threads",
    "-P": "--python",
    "-b": "--background",
    "-y": "--enable-autoexec",
    "-Y": "--disable-autoexec",
    "-v": "--version",
    "-h": "--help",
    "-d": "--debug",
    "-q": "--quiet",
}
_IGNORED = frozenset(
    {
        "--background",
        "--factory-startup",
        "--debug",
        "--quiet",
        "-noaudio",
        "--disable-crash-handler",
        "--disable-abort-handler",
        "--log-show-basename",
        "--log-show-backtrace",
        "--log-show-timestamp",
        "--log-show-memory",
        "--log-show-source",
        "--python-use-system-env",
        "--offline-mode",
        "--online-mode",
    }
)
"""Accepted without effect: the module ``bpy`` is always in the background, silent, and with factory settings."""
_IGNORED_WITH_VALUE = frozenset(
    {"--log", "--log-level", "--log-file", "--debug-value", "--verbose", "-setaudio", "--gpu-backend"}
)

_FRAMES = re.compile(r"(?P<first>[+-]?\d{1,9})(?:\.\.(?P<last>[+-]?\d{1,9}))?", re.ASCII)
_FRAME = re.compile(r"[+-]?\d{1,9}", re.ASCII)


class BadArguments(ValueError):
    """A command line that cannot be carried out; the message names the argument."""


@dataclass(frozen=True)
class Action:
    """Something to do: the long name of its option (or OPEN), and the option's value as given, already checked."""

    option: str
    value: str = ""


@dataclass(frozen=True)
class CommandLine:
    """A command line that was understood.

    ``run_scripts``: scripts in blend files may run (``-y``); off unless asked for, as in Blender. ``threads``: 0 for
    one per processor, None to leave what the blend file says.
    """

    actions: Sequence[Action]
    run_scripts: bool = False
    threads: int | None = None
    wants_version: bool = False
    wants_help: bool = False


def parse_arguments(arguments: Sequence[str]) -> CommandLine:
    """Read the arguments that follow the program's name; what stands after ``--`` is for scripts. Raises BadArguments.

    Everything is checked before anything is done, so that a typing error at the end costs no render.
    """
    given = list(_split(arguments))
    options = [action.option for action in given]
    threads = [int(action.value) for action in given if action.option == "--threads"]
    switches = [option for option in options if option in ("--enable-autoexec", "--disable-autoexec")]
    process_wide = {"--threads", "--version", "--help", *switches}
    return CommandLine(
        actions=tuple(action for action in given if action.option not in process_wide),
        run_scripts=switches[-1:] == ["--enable-autoexec"],
        threads=threads[-1] if threads else None,
        wants_version="--version" in options,
        wants_help="--help" in options,
    )


def frames_to_render(text: str, first: int, last: int) -> list[int]:
    """Resolve the value of ``-f`` in a scene of frames ``first`` to ``last``; frames stay in the order given.

    ``+2`` is the second frame after ``first``; ``-1`` is ``last``, ``-2`` the frame before it. Raises BadArguments.
    """
    frames: list[int] = []
    for part in text.split(","):
        match = _FRAMES.fullmatch(part)
        if match is None:
            raise BadArguments(f"{part!r} in '-f {text}' is not a frame. Write for example 1, or 1..10, or 1,3,5..7.")
        start = _resolved(match["first"], first, last + 1)
        stop = _resolved(match["last"] or match["first"], first, last + 1)
        if stop < start:
            raise BadArguments(f"{part!r} in '-f {text}' ends before it begins.")
        if start < 0 or stop > LAST_FRAME:
            raise BadArguments(f"{part!r} in '-f {text}' goes beyond the frames that Blender has, 0 to {LAST_FRAME}.")
        frames.extend(range(start, stop + 1))
    return frames


def shifted_frame(text: str, present: int) -> int:
    """Resolve the value of ``-s`` or ``-e``: a frame, or ``+n`` and ``-n`` relative to ``present``."""
    if not _FRAME.fullmatch(text):
        raise BadArguments(f"{text!r} is not a frame. Write for example 1, or +10, or -10.")
    return min(max(_resolved(text, present, present), 0), LAST_FRAME)


def _resolved(text: str, after: int, before: int) -> int:
    if text.startswith("+"):
        return after + int(text)
    return before + int(text) if text.startswith("-") else int(text)


def _split(arguments: Sequence[str]) -> Iterator[Action]:
    """Yield an action per option or file, ignored options left out."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return
        option = _LONG_NAMES.get(argument, argument)
        if option in _IGNORED_WITH_VALUE:
            _value_of(argument, rest)
        elif option in _IGNORED or option.startswith("--debug-"):
            continue
        elif option in _SWITCHES:
            yield Action(option)
        elif option in _VALUES:
            value = _value_of(argument, rest)
            _VALUES[option](value)
            yield Action(option, value)
        elif argument.startswith("-") or not argument:
            raise BadArguments(f"Unknown argument {argument!r}. Arguments for scripts stand after '--'.")
        else:
            yield Action(OPEN, argument)


def _value_of(argument: str, rest: Iterator[str]) -> str:
    value = next(rest, None)
    if value is None or value == "--":
        raise BadArguments(f"{argument!r} needs a value behind it.")
    return value


def _check_anything(value: str) -> None:
    if not value:
        raise BadArguments("An option has an empty value.")


def _check_frames(value: str) -> None:
    # Relative frames are known once a file is open: here they count from a scene in which none falls off either end.
    frames_to_render(value, LAST_FRAME // 2, LAST_FRAME // 2)


def _check_frame(value: str) -> None:
    shifted_frame(value, 0)


def _check_format(value: str) -> None:
    if value not in FORMATS:
        raise BadArguments(f"Unknown format {value!r} behind '-F'. Known are: {', '.join(FORMATS)}.")


def _check_switch(value: str) -> None:
    if value not in ("0", "1"):
        raise BadArguments(f"'-x' needs 1 or 0 behind it, not {value!r}.")


def _check_number(option: str, least: int, most: int) -> Callable[[str], None]:
    def check(value: str) -> None:
        if not re.fullmatch(r"\d{1,9}", value, re.ASCII) or not least <= int(value) <= most:
            raise BadArguments(f"{option!r} needs a number from {least} to {most} behind it, not {value!r}.")

    return check


_SWITCHES = frozenset(("--render-anim", "--enable-autoexec", "--disable-autoexec", "--version", "--help"))
_VALUES: dict[str, Callable[[str], None]] = {
    "--render-output": _check_anything,
    "--render-format": _check_format,
    "--use-extension": _check_switch,
    "--engine": _check_anything,
    "--scene": _check_anything,
    "--frame-start": _check_frame,
    "--frame-end": _check_frame,
    "--frame-jump": _check_number("-j", 1, LAST_FRAME),
    "--render-frame": _check_frames,
    "--threads": _check_number("-t", 0, MOST_THREADS),
    "--python": _check_anything,
    "--python-expr": _check_anything,
    "--python-exit-code": _check_number("--python-exit-code", 0, 255),
    "--addons": _check_anything,
}
