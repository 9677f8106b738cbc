"""Settings of the Worker process."""

import socket
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from flamenco_runtime.settings import BadSettings, setting

MOST_SLOTS = 1024
"""The protocol numbers slots from 0 to 1023."""


@dataclass(frozen=True)
class Settings:
    """What a Worker process is told; environment variables begin with ``FLAMENCO_WORKER_``."""

    manager: str | None = setting(None, "URL of the Manager; else one is looked for in the network.")
    data: Path = setting(user_data_path("flamenco") / "worker", "Folder for credentials and undelivered updates.")
    slots: int = setting(1, "How many tasks run at a time, each as a Worker of its own.")
    name: str = setting(socket.gethostname(), "Name of this machine on the farm; slots add their number to it.")
    token: str | None = setting(
        None, "Registration token of the Manager; a Worker without one waits for approval.", is_secret=True
    )
    ca: Path | None = setting(None, "File of the only certificate authority (PEM) that is trusted; else the system's.")
    blender: str | None = setting(None, "Path of Blender; else FLAMENCO_BLENDER, PATH and the usual places.")
    ffmpeg: str | None = setting(None, "Path of FFmpeg; else FLAMENCO_FFMPEG, PATH and the usual places.")

    def __post_init__(self) -> None:
        if self.manager is not None and not self.manager.startswith(("http://", "https://")):
            raise BadSettings(f"manager cannot be {self.manager!r}: write a URL such as http://render-manager:8080.")
        if not 1 <= self.slots <= MOST_SLOTS:
            raise BadSettings(f"slots cannot be {self.slots}: write a number from 1 to {MOST_SLOTS}.")

    def slot_name(self, slot: int) -> str:
        """Name the Worker of a slot: that of the machine, numbered from 1 where there are several."""
        return self.name if self.slots == 1 else f"{self.name}-{slot + 1}"

    def slot_folder(self, slot: int) -> Path:
        """Return the folder with all that a slot keeps."""
        return self.data / f"slot-{slot}"
