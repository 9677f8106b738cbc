"""The command line of a ``frames-to-video``, and what FFmpeg says while it works. Pure."""

import re
from collections.abc import Sequence
from pathlib import Path

_PROGRESS = re.compile(
    r"(?P<key>frame|progress|fps|bitrate|total_size|out_time\w*|dup_frames|drop_frames|speed"
    r"|stream_\d+_\d+_q)=\s*(?P<value>\S+)\s*"
)


def frame_files(pattern: str, frames: Sequence[int]) -> list[Path]:
    """Return the file of each frame; the last run of ``#`` in ``pattern`` becomes its number."""
    before, hashes, after = split_pattern(pattern)
    return [Path(f"{before}{frame:0{len(hashes)}d}{after}") for frame in frames]


def split_pattern(pattern: str) -> tuple[str, str, str]:
    """Split a path at its last run of ``#``. Raises ValueError when it has none in its file name."""
    *_, last = [None, *re.finditer(r"#+", pattern)]
    if last is None or "/" in pattern[last.end() :]:
        raise ValueError(f"{pattern!r} has no # in its file name")
    return pattern[: last.start()], last[0], pattern[last.end() :]


def concat_list(files: Sequence[Path]) -> str:
    """Write the list that FFmpeg's concat demuxer reads; quotes as its manual says ("Quoting and escaping")."""
    return "ffconcat version 1.0\n" + "".join(
        "file 'file:{}'\n".format(str(file).replace("'", r"'\''")) for file in files
    )


def video_arguments(
    before: Sequence[str], listing: Path, args: Sequence[str], *, fps: float, output: Path
) -> list[str]:
    """Write what follows the program's name.

    ``-r`` before the input gives each listed file one frame's time, whatever the demuxer thinks of still images.
    ``-progress`` prints what is done as ``key=value`` lines.
    """
    rate = f"{fps:g}"
    reading = ["-r", rate, "-f", "concat", "-safe", "0", "-i", str(listing)]
    return [*before, "-nostdin", "-nostats", "-progress", "pipe:1", *reading, *args, "-r", rate, str(output)]


def frames_written(line: str) -> int | None:
    """Tell how many frames FFmpeg has written, from a line that says so."""
    match = _PROGRESS.fullmatch(line)
    return int(match["value"]) if match and match["key"] == "frame" and match["value"].isdecimal() else None


def is_progress(line: str) -> bool:
    """Whether a line is one of those that ``-progress`` prints, which nobody wants in a log."""
    return _PROGRESS.fullmatch(line) is not None
