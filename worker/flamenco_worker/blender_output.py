"""What Blender's output lines mean. Pure: a line goes in, an event or nothing comes out.

Seen on Blender 3.4, 4.5 and 5.0 (``jobs.md``, "Commands"; captured output in ``tests/worker/captured``). From 5.0 on
lines carry a prefix, ``00:00.499  render           | Saved: '…'``; earlier ones begin at once, some with a space.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

FACTS_MARK = "flamenco-scene: "
"""How the line begins that ``inside_blender/scene_facts.py`` prints; JSON follows."""

MIB = 1024 * 1024

_PREFIX = re.compile(r"[\d:.]{5,15}\s+(?:\S{1,40}\s+)?(?P<category>[\w.]{1,40})\s+\|\s+")
_SAVED = re.compile(r"Saved: '(?P<path>.+)'$")
_SKIPPED = re.compile(r"skipping existing frame \"(?P<path>.+)\"$", re.IGNORECASE)
_TIME = re.compile(r"Time: (?:(?P<hours>\d+):)?(?P<minutes>\d+):(?P<seconds>\d+\.\d+) \(Saving: ")
_FRAME = re.compile(r"Fra: ?(?P<frame>-?\d{1,9})\b")
_PEAK = re.compile(r"\(Peak (?P<mib>\d+\.\d+)M\)")
_SAMPLES = re.compile(r"\bSample (?P<done>\d+)/(?P<total>\d+)$")
_TROUBLE = re.compile(
    r"Error\b(?!: Not freed memory)|ERROR\b|Fatal\b|Out of memory|System is out of (?:GPU )?memory|Build without "
    r"|\w+: Cannot open file for|Segmentation fault|.*\bEXCEPTION_ACCESS_VIOLATION\b"
)
_DISABLED = re.compile(r"scripts disabled for |\s*BPY_driver_exec: restricted access ")


@dataclass(frozen=True)
class FileSaved:
    """Blender wrote a file, whole as far as Blender knows."""

    path: str


@dataclass(frozen=True)
class FrameSkipped:
    """The file existed and the scene says that existing ones stay; Blender 5.0 keeps silent about it."""

    path: str


@dataclass(frozen=True)
class FrameTimed:
    """How long the frame that was saved just before took; Blender 5.0 keeps silent about it."""

    seconds: float


@dataclass(frozen=True)
class Progress:
    """A frame is being rendered; ``peak_memory_bytes`` is the most that Blender used so far."""

    frame: int
    samples_done: int | None = None
    samples_total: int | None = None
    peak_memory_bytes: int | None = None

    def __str__(self) -> str:
        if self.samples_done is None:
            return f"Frame {self.frame}"
        return f"Frame {self.frame}, sample {self.samples_done} of {self.samples_total}"


@dataclass(frozen=True)
class Trouble:
    """Blender complains of something that may have cost a frame."""

    message: str


@dataclass(frozen=True)
class ScriptSkipped:
    """A script or driver in the file did not run, because scripts are off."""

    message: str


@dataclass(frozen=True)
class SceneFacts:
    """What Blender is about to render: told by our script, right before it begins.

    ``width`` and ``height`` are those of a saved frame, in pixels; 0: not to be foretold (stereo pairs).
    ``size_tolerance`` pixels may be missing or more, where the border was cropped.
    """

    width: int
    height: int
    size_tolerance: int
    version: str
    engine: str
    device: str
    is_movie: bool


Event = FileSaved | FrameSkipped | FrameTimed | Progress | Trouble | ScriptSkipped | SceneFacts


def read_line(line: str) -> Event | None:
    """Tell what a line of Blender's output means; None for most of them."""
    if line.startswith(FACTS_MARK):
        return _facts(line.removeprefix(FACTS_MARK))
    prefix = _PREFIX.match(line)
    text = line[prefix.end() :] if prefix else line.lstrip(" ")
    if prefix and prefix["category"] != "render" and not _TROUBLE.match(text):
        return None
    return _saving(text) or _progress(text) or _complaint(text)


def _saving(text: str) -> Event | None:
    if match := _SAVED.match(text):
        return FileSaved(match["path"])
    if match := _SKIPPED.match(text):
        return FrameSkipped(match["path"])
    if match := _TIME.match(text):
        minutes = int(match["hours"] or 0) * 60 + int(match["minutes"])
        return FrameTimed(minutes * 60 + float(match["seconds"]))
    return None


def _progress(text: str) -> Progress | None:
    match = _FRAME.match(text)
    if match is None:
        return None
    peak, samples = _PEAK.search(text), _SAMPLES.search(text)
    return Progress(
        frame=int(match["frame"]),
        samples_done=int(samples["done"]) if samples else None,
        samples_total=int(samples["total"]) if samples else None,
        peak_memory_bytes=round(float(peak["mib"]) * MIB) if peak else None,
    )


def _complaint(text: str) -> Event | None:
    if _DISABLED.match(text):
        return ScriptSkipped(text[:500])
    return Trouble(text[:500]) if _TROUBLE.match(text) else None


def _facts(text: str) -> SceneFacts | None:
    """Read our own line; one that a script in the file made up badly is no facts."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, Mapping) or not all(isinstance(document.get(key), kind) for key, kind in _KINDS):
        return None
    return SceneFacts(**{key: document[key] for key, _ in _KINDS})


_KINDS: tuple[tuple[str, type], ...] = (
    ("width", int),
    ("height", int),
    ("size_tolerance", int),
    ("version", str),
    ("engine", str),
    ("device", str),
    ("is_movie", bool),
)
