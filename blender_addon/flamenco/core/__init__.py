"""The words and rules that the add-on shares with the services: frames, paths, statuses.

They live in ``core/flamenco_core``. The zip carries them beside this file (``tools/build_addon.py``); in the source
tree they are read from where they are, so that there is no second copy to keep equal.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flamenco_core.frames import BadFrames, parse_frames
    from flamenco_core.paths import BadPath, relative_path
    from flamenco_core.statuses import JobStatus, WorkerStatus
else:
    if not Path(__file__).with_name("statuses.py").exists():
        __path__.append(str(Path(__file__).resolve().parents[3] / "core" / "flamenco_core"))
    from .frames import BadFrames, parse_frames
    from .paths import BadPath, relative_path
    from .statuses import JobStatus, WorkerStatus

__all__ = ["BadFrames", "BadPath", "JobStatus", "WorkerStatus", "parse_frames", "relative_path"]
