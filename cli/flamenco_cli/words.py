"""The words for states, with a shape and a colour each (ux.md, "States")."""

from dataclasses import dataclass

from rich.text import Text

from flamenco_cli.terminal import harmless


@dataclass(frozen=True)
class Look:
    """How a state is shown."""

    shape: str
    word: str
    style: str

    def text(self) -> Text:
        """Return shape and word, coloured."""
        return Text(f"{self.shape} {self.word}", style=self.style)


_LOOKS = {
    "under-construction": Look("◌", "Preparing", "quiet"),
    "queued": Look("○", "Waiting", "still"),
    "active": Look("◐", "Running", "busy"),
    "completed": Look("●", "Done", "good"),
    "soft-failed": Look("▲", "Retrying", "doubtful"),
    "failed": Look("■", "Failed", "bad"),
    "paused": Look("‖", "Paused", "magenta"),
    "canceled": Look("⊘", "Canceled", "quiet"),
    "requeueing": Look("→", "Waiting again", "still"),
    "pause-requested": Look("→", "Pausing", "magenta"),
    "cancel-requested": Look("→", "Canceling", "quiet"),
}
_WORKER_LOOKS = {
    "starting": Look("◌", "Starting", "quiet"),
    "awake": Look("●", "Awake", "good"),
    "asleep": Look("‖", "Asleep", "magenta"),
    "error": Look("■", "Not heard of", "bad"),
    "offline": Look("○", "Offline", "quiet"),
}


WORKER_REQUESTS = {"awake": "waking", "asleep": "going to sleep", "offline": "shutting down", "restart": "restarting"}
"""What a Worker is about to do."""

_PROGRAMS = {"blender": "Blender", "ffmpeg": "FFmpeg"}


def program_of(name: str, version: str) -> str:
    """Return a program's name as its makers write it, with its version."""
    return f"{_PROGRAMS.get(name, name)} {version}"


def look_of(status: str) -> Look:
    """Return how the status of a job, task or frame is shown; an unknown one is shown as it is."""
    return _LOOKS.get(status, Look("?", harmless(status), "doubtful"))


def worker_look_of(status: str, *, approved: bool) -> Look:
    """Return how the status of a Worker is shown."""
    if not approved:
        return Look("▲", "Awaits approval", "doubtful")
    return _WORKER_LOOKS.get(status, Look("?", harmless(status), "doubtful"))
