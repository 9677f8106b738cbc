"""What the page of one job shows, tab by tab."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlencode

from flamenco_core.errors import BadInput, NotFound
from flamenco_core.statuses import TaskStatus
from flamenco_server.web import blanks, words

ROWS = 100
"""How many tasks are shown at a time."""
MOST_CELLS = 2_000
"""How many frames the grid shows; a page of more is too long to be of use (``ux.md``, "Frame grid")."""
MOST_TRIES = 10
"""Of how many tries, the last ones, the log tab has links."""
DEFAULT_FPS = 24


class JobReads(Protocol):
    """What the page of a job reads."""

    async def job(self, job_id: str) -> words.Document:
        """Return one job with its files. Raises NotFound."""

    async def tasks(self, job_id: str, limit: int, after: str | None) -> Mapping[str, Any]:
        """Return ``{"tasks": [...], "next": cursor or None}``. Raises NotFound."""

    async def task(self, task_id: str) -> words.Document:
        """Return one task. Raises NotFound."""

    async def frames(self, job_id: str) -> Mapping[str, Any]:
        """Return ``{"frames": [...]}``. Raises NotFound."""

    async def workers(self) -> Mapping[str, Any]:
        """Return ``{"workers": [...]}``."""


class NoSuchTab(NotFound):
    """A page of a job that there is not."""

    type = "no-such-page"


Tab = Callable[[JobReads, words.Document, Mapping[str, str]], Awaitable[Mapping[str, Any]]]


async def job_view(reads: JobReads, job_id: str, tab: str | None, query: Mapping[str, str]) -> Mapping[str, Any]:
    """Gather what ``job.html`` shows. Raises NotFound, for the job, its tab, or a task that is not of it."""
    job = await reads.job(job_id)
    tabs = _tabs(job)
    tab = tab or tabs[0][0]
    if tab not in dict(tabs):
        raise NoSuchTab(f"The job {job['name']} has no page {tab!r}.")
    frames = (await reads.frames(job_id))["frames"] if job["frames"] else []
    picked = _whole_number(query.get("frame"))
    return {
        "section": "jobs",
        "job": job,
        "tab": tab,
        "tabs": tabs,
        "has_frames": bool(job["frames"]),
        "frames": frames[:MOST_CELLS],
        "frames_left_out": max(0, len(frames) - MOST_CELLS),
        "most_cells": MOST_CELLS,
        "picked": picked,
        "stage": _on_stage(job, frames, picked),
        "fps": _fps(job),
        "blank_task": blanks.TASK,
        "blank_frame": blanks.FRAME,
        **(await _TABS[tab](reads, job, query) if tab in _TABS else {}),
    }


def _tabs(job: words.Document) -> Sequence[tuple[str, str]]:
    frames = [("frames", "Frames")] if job["frames"] else []
    return [*frames, ("tasks", "Tasks"), ("log", "Log"), ("settings", "Settings"), ("files", "Files")]


def _on_stage(job: words.Document, frames: Sequence[words.Document], picked: int | None) -> words.Document | None:
    """Choose the frame that is shown large: the picked one, else the newest."""
    newest = job["newest_frame"]["frame"] if job["newest_frame"] else None
    wanted = newest if picked is None else picked
    return next((frame for frame in frames if frame["frame"] == wanted and frame["thumbnail"]), None)


def _fps(job: words.Document) -> float:
    fps = job["settings"].get("fps")
    return fps if isinstance(fps, int | float) and 0 < fps <= 240 else DEFAULT_FPS


def cursor(text: str | None) -> str | None:
    """Read the ``after`` of a list's address; None for its first page. Raises BadInput."""
    if not text:
        return None
    if _whole_number(text) is None:
        raise BadInput(f"No list goes on after {text!r}: follow the link at the end of the page before.")
    return text


def _whole_number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 19 else None


async def _frames_tab(_reads: JobReads, _job: words.Document, query: Mapping[str, str]) -> Mapping[str, Any]:
    shown = (TaskStatus.COMPLETED, TaskStatus.ACTIVE, TaskStatus.QUEUED, TaskStatus.SOFT_FAILED, TaskStatus.FAILED)
    return {"as_table": query.get("as") == "table", "legend": [words.look(status) for status in shown]}


async def _tasks_tab(reads: JobReads, job: words.Document, query: Mapping[str, str]) -> Mapping[str, Any]:
    after = cursor(query.get("after"))
    page = await reads.tasks(job["id"], ROWS, after)
    return {"tasks": page["tasks"], "next": page["next"], "after": after}


async def _log_tab(reads: JobReads, job: words.Document, query: Mapping[str, str]) -> Mapping[str, Any]:
    task = await _task_of_log(reads, job, query.get("task"))
    if task is None:
        return {"task": None}
    attempt = _whole_number(query.get("attempt")) or task["attempt"]
    names = {worker["id"]: worker["name"] for worker in (await reads.workers())["workers"]}
    return {
        "task": task,
        "attempt": attempt,
        "first_try": max(1, task["attempt"] - MOST_TRIES + 1),
        "worker_names": names,
        "log_url": f"/api/v1/tasks/{task['id']}/log?{urlencode({'attempt': attempt})}",
    }


async def _task_of_log(reads: JobReads, job: words.Document, task_id: str | None) -> words.Document | None:
    """Return the task that is asked for, else the one that is most likely of interest, of those that were begun."""
    if task_id is not None:
        task = await reads.task(task_id)
        if task["job"] != job["id"]:
            raise NotFound(f"The task {task_id} is not one of {job['name']}.")
        return task if task["attempt"] else None
    begun = [task for task in (await reads.tasks(job["id"], ROWS, None))["tasks"] if task["attempt"]]
    interest = ("failed", "soft-failed", "active", "completed")
    begun.sort(key=lambda task: interest.index(task["status"]) if task["status"] in interest else len(interest))
    return begun[0] if begun else None


_TABS: Mapping[str, Tab] = {
    "frames": _frames_tab,
    "tasks": _tasks_tab,
    "log": _log_tab,
}
"""What the tabs read beyond the job and its frames; the others need no more."""
