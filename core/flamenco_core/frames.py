"""Frame ranges as artists write them, and chunks of them.

The grammar (``jobs.md``, "Job types"): ``47``, ``1-30``, ``3, 5-10, 47-327``, ``1-100:5`` (every fifth).
This module also travels in the add-on, so it stays on Python 3.10 and the standard library.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MOST_FRAMES = 1_000_000
"""The longest range that is accepted, frames that are written twice counted twice: the cap on tasks of a job."""

LAST_FRAME = 1_048_574
"""Blender's ``MAXFRAME``: no frame beyond it can be rendered."""

_PART = re.compile(r"(?P<first>\d{1,9})(?:\s*-\s*(?P<last>\d{1,9})(?:\s*:\s*(?P<step>\d{1,9}))?)?", re.ASCII)


class BadFrames(ValueError):
    """A frame range that cannot be understood; the message says which part, and what would be right."""


@dataclass(frozen=True)
class FrameRange:
    """Frames to render: runs of frames with a constant step, in rising order of their first frame.

    No frame is in two runs. Steps are kept as they were written, since a chunk never crosses from one run to another.
    """

    runs: tuple[range, ...]

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(frame for run in self.runs for frame in run))

    def __len__(self) -> int:
        return sum(len(run) for run in self.runs)

    def __contains__(self, frame: object) -> bool:
        return any(frame in run for run in self.runs)

    def __str__(self) -> str:
        return ", ".join(_written(run) for run in self.runs)

    def chunks(self, size: int) -> Iterator["FrameRange"]:
        """Yield ranges of at most ``size`` frames; none joins frames across a gap. Raises ValueError if size < 1."""
        if size < 1:
            raise ValueError(f"A chunk has at least one frame, not {size}.")
        for run in self.runs:
            for start in range(0, len(run), size):
                yield FrameRange((_tidy(run[start : start + size]),))


def parse_frames(text: str) -> FrameRange:
    """Read a frame range. Raises BadFrames with a message for the person who wrote it."""
    if not text.strip():
        raise BadFrames("No frames given. Write for example 1-250, or 3, 5-10, or 1-100:5.")
    return _without_repeats([_parse_part(part.strip(), text) for part in text.split(",")])


def frames_of(frames: Iterable[int]) -> FrameRange:
    """Make the shortest range of consecutive runs that holds just these frames."""
    return _without_repeats([range(frame, frame + 1) for frame in frames])


def _parse_part(part: str, text: str) -> range:
    match = _PART.fullmatch(part)
    if match is None:
        named = f"{_short(part)!r} in {_short(text)!r}" if part != text.strip() else f"{_short(part)!r}"
        raise BadFrames(f"{named} is not a frame range. Write for example 1-250, or 3, 5-10, or 1-100:5.")
    first = int(match["first"])
    last = int(match["last"]) if match["last"] else first
    step = int(match["step"]) if match["step"] else 1
    if last < first:
        raise BadFrames(f"{_short(part)!r} ends before it begins. Write {last}-{first} instead.")
    if step < 1:
        raise BadFrames(f"{_short(part)!r} has a step of 0. A step is at least 1, as in {first}-{last}:5.")
    if last > LAST_FRAME:
        raise BadFrames(f"{_short(part)!r} goes beyond frame {LAST_FRAME}, the last one that Blender has.")
    return _tidy(range(first, last + 1, step))


def _without_repeats(written: list[range]) -> FrameRange:
    if sum(map(len, written)) > MOST_FRAMES:  # repeats count: a short text must not cost minutes
        raise BadFrames(f"More than {MOST_FRAMES} frames. Split the work into several jobs.")
    if len(written) == 1:  # as most are: nothing in it comes twice
        return FrameRange((written[0],))
    seen: set[int] = set()
    runs: list[range] = []
    for run in sorted(written, key=lambda run: (run.step, run.start)):
        fresh = [frame for frame in run if frame not in seen]
        seen.update(fresh)
        runs.extend(_split_at_gaps(fresh, run.step))
    runs.sort(key=lambda run: run.start)
    return FrameRange(tuple(_joined(runs)))


def _split_at_gaps(frames: list[int], step: int) -> Iterator[range]:
    start = 0
    for end in range(1, len(frames) + 1):
        if end == len(frames) or frames[end] - frames[end - 1] != step:
            yield _tidy(range(frames[start], frames[end - 1] + 1, step))
            start = end


def _joined(runs: list[range]) -> Iterator[range]:
    """Join consecutive runs that touch: 5-7, 8-10 is 5-10."""
    pending: range | None = None
    for run in runs:
        if pending is not None and pending.step == run.step == 1 and pending.stop == run.start:
            pending = range(pending.start, run.stop)
            continue
        if pending is not None:
            yield pending
        pending = run
    if pending is not None:
        yield pending


def _tidy(run: range) -> range:
    """Give equal runs one form: the stop right behind the last frame, a lone frame with step 1."""
    return range(run.start, run[-1] + 1, run.step if len(run) > 1 else 1)


def _written(run: range) -> str:
    if len(run) == 1:
        return str(run.start)
    return f"{run.start}-{run[-1]}" + (f":{run.step}" if run.step > 1 else "")


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
