"""What the page says of things: words, shapes, times and bars. Pure; ``static/js/words.js`` says the same live.

The words and shapes are those of ``ux.md``, "States". Every function takes the public JSON of the API.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import orjson

Document = Mapping[str, Any]
"""An object of the public API as JSON: a job, a task, a frame, a Worker or a Manager."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a state shows: ``word``, ``shape`` (a symbol of ``states.svg``) and ``tone`` (a colour of the theme)."""

    word: str
    shape: str
    tone: str


LOOKS: Mapping[str, Look] = {
    "completed": Look("Done", "done", "done"),
    "active": Look("Running", "running", "running"),
    "soft-failed": Look("Retrying", "retrying", "retrying"),
    "failed": Look("Failed", "failed", "failed"),
    "queued": Look("Waiting", "waiting", "waiting"),
    "under-construction": Look("Preparing", "preparing", "idle"),
    "paused": Look("Paused", "paused", "paused"),
    "canceled": Look("Canceled", "canceled", "idle"),
    "pause-requested": Look("Pausing", "pausing", "paused"),
    "cancel-requested": Look("Canceling", "canceling", "idle"),
    "requeueing": Look("Requeueing", "requeueing", "waiting"),
}
"""Of jobs, tasks and frames, by status, in the order in which they are counted."""

WORKER_LOOKS: Mapping[str, Look] = {
    "starting": Look("Starting", "preparing", "waiting"),
    "awake": Look("Awake", "awake", "done"),
    "working": Look("Running", "running", "running"),
    "asleep": Look("Asleep", "asleep", "paused"),
    "error": Look("Not responding", "retrying", "failed"),
    "testing": Look("Testing", "preparing", "idle"),
    "offline": Look("Offline", "waiting", "idle"),
    "restart": Look("Restarting", "requeueing", "waiting"),
    "unapproved": Look("Awaits approval", "approval", "retrying"),
}
"""Of Workers, by what ``worker_state`` calls them."""

REQUEST_WORDS = {"asleep": "going to sleep", "awake": "waking", "offline": "shutting down", "restart": "restarting"}
"""What a Worker that is asked to change its status is about to do."""

SUMMARY_WORDS = (
    ("working", "running"),
    ("awake", "free"),
    ("unapproved", "awaiting approval"),
    ("error", "not responding"),
)
"""What a summary of Workers counts."""

UNKNOWN = Look("Unknown", "preparing", "idle")
"""A status that a newer Server speaks of."""

MEASURING = "measuring…"
MEASURING_STEPS = 3
"""Below so many completed steps no time left is told: the first ones load the scene, and mislead."""
ESTIMATE_SPREAD = (0.85, 1.25)
"""A time left is told as a range: so much of the plain extrapolation, at least and at most."""
BAR_LENGTH = 10_000
"""A whole bar, in the units that its parts are measured in."""
LEAST_FAILED = 200
"""How much of a bar a failure takes at least: one of a thousand tasks must be seen too."""
ENDED = frozenset({"completed", "failed", "canceled"})

_SECONDS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def look(status: str) -> Look:
    """Tell how a job's, task's or frame's status shows."""
    return LOOKS.get(status, UNKNOWN)


def worker_state(worker: Document) -> str:
    """Name what matters most about a Worker: a key of ``WORKER_LOOKS``, or a status unknown to it."""
    if not worker["approved"]:
        return "unapproved"
    if worker["status"] == "awake" and worker["current_task"]:
        return "working"
    return str(worker["status"])


def worker_look(worker: Document) -> Look:
    """Tell how a Worker shows."""
    return WORKER_LOOKS.get(worker_state(worker), UNKNOWN)


def requested(thing: Document) -> str:
    """Say what is asked of a job or Worker and not true yet, as a word in lower case; empty when nothing is."""
    if thing.get("cancel_requested") and thing["status"] not in ENDED | {"cancel-requested"}:
        return LOOKS["cancel-requested"].word.lower()
    wanted = thing.get("status_requested")
    if thing["status"] == "offline":  # what it comes back to; it does nothing now
        return "asleep when it is back" if wanted == "asleep" else ""
    if wanted and wanted != thing["status"]:
        return REQUEST_WORDS.get(wanted, str(wanted))
    return ""


def can_be_canceled(job: Document) -> bool:
    """Tell whether cancelling a job would change anything."""
    return job["status"] not in ENDED | {"cancel-requested"} and not job["cancel_requested"]


@dataclass(frozen=True, slots=True)
class Bar:
    """The parts of a job's bar, each in ten-thousandths of its length; what they leave over is left to do.

    ``percent`` is what is done, in whole per cent: 100 only when all is.
    """

    percent: int
    done: int
    running: int
    failed: int

    @property
    def segments(self) -> list[tuple[str, int, int]]:
        """List each part's tone, where it begins, and its length."""
        return [
            ("done", 0, self.done),
            ("running", self.done, self.running),
            ("failed", self.done + self.running, self.failed),
        ]


def bar(job: Document) -> Bar:
    """Measure a job's progress: steps for what is done, tasks for what runs or failed."""
    counts, tasks, steps = job["task_counts"], job["task_count"], job["steps_total"]
    done = _share(job["steps_completed"], steps) if steps else _share(counts.get("completed", 0), tasks)
    failed = max(LEAST_FAILED, _share(counts["failed"], tasks)) if counts.get("failed") else 0
    shown = min(done, BAR_LENGTH - failed)
    running = min(_share(counts.get("active", 0), tasks), BAR_LENGTH - shown - failed)
    return Bar(done * 100 // BAR_LENGTH, shown, running, failed)


def _share(part: int, whole: int) -> int:
    return min(BAR_LENGTH, part * BAR_LENGTH // whole) if whole else 0


def amount(job: Document) -> str:
    """Say how much of a job is done, in what people count: frames, else tasks."""
    if job["frame_count"]:
        return f"{job['frames_done']} of {job['frame_count']} frames"
    return f"{job['task_counts'].get('completed', 0)} of {counted(job['task_count'], 'task')}"


def counted(number: int, noun: str) -> str:
    """Write ``1 task``, ``2 tasks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def count_words(counts: Mapping[str, int]) -> list[tuple[Look, int]]:
    """List how many tasks are in which state, in the order of ``LOOKS``, without those that none is in."""
    return [(shown, counts[status]) for status, shown in LOOKS.items() if counts.get(status)]


def duration(seconds: float) -> str:
    """Write a length of time with its two largest units: ``0.8 s``, ``1 min 12 s``, ``2 h 5 min``."""
    if seconds < 10:
        tenths = math.floor(max(0.0, seconds) * 10 + 0.5)
        return f"{tenths // 10}.{tenths % 10} s" if tenths % 10 else f"{tenths // 10} s"
    whole = math.floor(seconds)
    for (unit, size), (lesser, part) in pairwise(_SECONDS):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit} {rest} {lesser}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def took(thing: Document, now: datetime) -> str:
    """Say how long a job or task took, or has been running; empty before it began."""
    if not thing["started_at"]:
        return ""
    end = moment(thing["finished_at"]) if thing["finished_at"] else now
    return duration((end - moment(thing["started_at"])).total_seconds())


def time_left(job: Document, now: datetime) -> str:
    """Say how long a running job still needs, as a range; ``MEASURING`` while too little is known."""
    if job["status"] != "active" or not job["started_at"] or not job["steps_total"]:
        return ""
    done, total = job["steps_completed"], job["steps_total"]
    if done < MEASURING_STEPS:
        return MEASURING
    left = (now - moment(job["started_at"])).total_seconds() * (total - done) / done
    least, most = (spread * left for spread in ESTIMATE_SPREAD)
    return _range(least, most)


def time_note(job: Document, now: datetime) -> str:
    """Say in a list how long a job still needs, else how long it took."""
    left = time_left(job, now)
    if left == MEASURING:
        return left
    return f"{left} left" if left else took(job, now)


def _range(least: float, most: float) -> str:
    for unit, size, step in (("h", 3600, 1800), ("min", 60, 60), ("s", 1, 5)):
        if most >= size * 1.5 or unit == "s":
            low, high = (max(step, math.floor(value / step + 0.5) * step) / size for value in (least, most))
            return f"about {high:g} {unit}" if low == high else f"{low:g}–{high:g} {unit}"
    raise AssertionError("the last unit takes all")


def size(size_bytes: int) -> str:
    """Write a size in decimal units: ``812 B``, ``1.4 MB``."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    value, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    tenths = math.floor(value * 10 + 0.5)
    return f"{tenths // 10} {unit}" if value >= 9.95 or not tenths % 10 else f"{tenths // 10}.{tenths % 10} {unit}"


def memory(size_bytes: int) -> str:
    """Write a machine's memory in whole GiB, as memory is sold."""
    return f"{math.floor(size_bytes / 2**30 + 0.5)} GiB"


def moment(text: str) -> datetime:
    """Read a time of the API."""
    return datetime.fromisoformat(text)


def clock_time(text: str, now: datetime) -> str:
    """Write a time for people in UTC, as short as it is clear: ``14:02``, ``24 Nov 14:02``, ``24 Nov 2025``.

    A script rewrites it in the reader's own time zone.
    """
    when, today = moment(text).astimezone(UTC), now.astimezone(UTC)
    if when.date() == today.date():
        return f"{when:%H:%M}"
    return f"{when.day} {when:%b %H:%M}" if when.year == today.year else f"{when.day} {when:%b %Y}"


def frame_label(frame: Document) -> str:
    """Describe a frame in words, for those who cannot see it: ``Frame 47, done, 1 min 12 s``."""
    parts = [f"Frame {frame['frame']}", look(frame["status"]).word.lower()]
    if frame["seconds"]:
        parts.append(duration(frame["seconds"]))
    return ", ".join(parts)


def programs(worker: Document, name: str) -> str:
    """List the versions that a Worker has of a program, without repeats, in its own order."""
    versions = [program["version"] for program in worker["programs"] or () if program["name"] == name]
    return ", ".join(dict.fromkeys(versions))


def machine(worker: Document) -> str:
    """Describe a Worker's hardware: ``16 cores, 64 GiB, RTX 4090``."""
    hardware = worker["hardware"] or {}
    parts = [counted(hardware["cpu_count"], "core")] if hardware.get("cpu_count") else []
    if hardware.get("memory_bytes"):
        parts.append(memory(hardware["memory_bytes"]))
    gpus = Counter(gpu["name"] for gpu in hardware.get("gpus") or ())
    return ", ".join(parts + [name if number == 1 else f"{number} × {name}" for name, number in gpus.items()])


def doing(worker: Document) -> str:
    """Say what a Worker is at: its task and job, or that it waits for work."""
    task = worker["current_task"]
    if task:
        return f"{task['job_name']}: {task['name']}"
    return "waits for work" if worker_state(worker) == "awake" else ""


def workers_summary(workers: Sequence[Document]) -> str:
    """Count Workers: ``3 running, 2 free, 1 awaits approval``."""
    states = Counter(worker_state(worker) for worker in workers)
    parts = [
        ("working", "running"),
        ("awake", "free"),
        ("unapproved", "awaiting approval"),
        ("error", "not responding"),
    ]
    return ", ".join(f"{states[state]} {word}" for state, word in parts if states[state])


def task_activity(task: Document) -> str:
    """Say what a task is at; of one that failed, why."""
    if task["status"] in ("soft-failed", "failed") and task["failed_by"]:
        return str(task["failed_by"][-1]["reason"])
    return str(task["activity"])


def caption(frame: Document) -> str:
    """Describe the picture of a frame: ``Frame 24 · 1.2 s · node-3 · 1920 × 1080``."""
    parts = [f"Frame {frame['frame']}"]
    if frame["seconds"]:
        parts.append(duration(frame["seconds"]))
    if frame["worker_name"]:
        parts.append(frame["worker_name"])
    if frame["width"]:
        parts.append(f"{frame['width']} × {frame['height']}")
    return " · ".join(parts)


def plain(value: object) -> str:
    """Write the value of a setting: texts as they are, ``yes``, ``no``, ``not set``, all else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "not set"
    return orjson.dumps(value).decode()
