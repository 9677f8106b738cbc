"""What the panel tells of a job, from what the Server says of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .core import JobStatus
from .problems import Problem
from .words import count


@dataclass(frozen=True)
class Look:
    """How a state is shown: its word (the same on every surface, ux.md), and the icon of Blender's nearest to it."""

    word: str
    icon: str


LOOKS: dict[JobStatus, Look] = {
    JobStatus.UNDER_CONSTRUCTION: Look("Preparing", "SORTTIME"),
    JobStatus.QUEUED: Look("Waiting", "RADIOBUT_OFF"),
    JobStatus.ACTIVE: Look("Running", "PLAY"),
    JobStatus.REQUEUEING: Look("Waiting, being queued again", "FILE_REFRESH"),
    JobStatus.PAUSE_REQUESTED: Look("Running, pausing", "PAUSE"),
    JobStatus.PAUSED: Look("Paused", "PAUSE"),
    JobStatus.CANCEL_REQUESTED: Look("Running, canceling", "X"),
    JobStatus.CANCELED: Look("Canceled", "X"),
    JobStatus.COMPLETED: Look("Done", "CHECKMARK"),
    JobStatus.FAILED: Look("Failed", "ERROR"),
}


@dataclass(frozen=True)
class JobProgress:
    """A job as the panel shows it.

    ``picture`` is where its newest frame's picture is, ``frame`` its number; ``folder`` is where its frames go, empty
    if it makes none.
    """

    id: str
    name: str
    status: JobStatus
    activity: str
    fraction: float
    amount: str
    folder: str
    picture: "str | None"
    frame: "int | None"

    @property
    def look(self) -> Look:
        """Return the word and icon of its state."""
        return LOOKS[self.status]

    @property
    def has_ended(self) -> bool:
        """Nothing more will happen to it by itself."""
        return self.status.is_ended

    @property
    def can_be_cancelled(self) -> bool:
        """It makes sense to offer *Cancel*."""
        return not self.has_ended and self.status is not JobStatus.CANCEL_REQUESTED

    @property
    def sentence(self) -> str:
        """Say state and progress in one line: ``Running, 9 of 24 frames``."""
        return f"{self.look.word}, {self.amount}" if self.amount else self.look.word


def read_job(document: Mapping[str, Any]) -> JobProgress:
    """Read a job of the API. Raises Problem if this add-on does not understand it."""
    try:
        newest = document.get("newest_frame") or {}
        status = JobStatus(document["status"])
        if document.get("cancel_requested") and status.is_runnable:
            status = JobStatus.CANCEL_REQUESTED
        return JobProgress(
            id=document["id"],
            name=document["name"],
            status=status,
            activity=document.get("activity") or "",
            fraction=_fraction(document),
            amount=_amount(document),
            folder=_folder(document.get("output") or ""),
            picture=newest.get("thumbnail"),
            frame=newest.get("frame"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Problem(
            "The Server describes the job in a way that this add-on does not understand. "
            "Install the add-on that belongs to this Server.",
            f"{error!r} in {document!r}",
        ) from error


def _folder(output: str) -> str:
    """Return the folder of an output pattern of whatever platform: all before the file's name, which has the ``#``."""
    return re.sub(r"[/\\][^/\\]*#[^/\\]*$", "", output)


def _fraction(job: Mapping[str, Any]) -> float:
    """Tell how much is done, 0 to 1: by steps, which also count what makes no frames."""
    done, total = job.get("steps_completed") or 0, job.get("steps_total") or 0
    if not total:
        return 1.0 if job["status"] == JobStatus.COMPLETED else 0.0
    return min(1.0, float(done) / float(total))


def _amount(job: Mapping[str, Any]) -> str:
    frames, tasks = job.get("frame_count") or 0, job.get("task_count") or 0
    if frames:
        return f"{job.get('frames_done') or 0} of {count(frames, 'frame')}"
    if tasks:
        return f"{(job.get('task_counts') or {}).get('completed', 0)} of {count(tasks, 'task')}"
    return ""
