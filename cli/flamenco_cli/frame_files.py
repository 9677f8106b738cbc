"""Fetching finished frames from the storage that this machine shares with the Workers."""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from flamenco_cli.records import Frame
from flamenco_core.statuses import TaskStatus


@dataclass
class Fetched:
    """What came of it: copies made, and the paths of frames that this machine does not see."""

    copied: list[Path] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def fetch(frames: Iterable[Frame], folder: Path) -> Fetched:
    """Copy finished frames into a folder, made if missing; each appears whole under its name, or not at all.

    Raises OSError when the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fetched = Fetched()
    for frame in frames:
        path = frame["path"]
        if frame["status"] != TaskStatus.COMPLETED or path is None:
            continue
        source = Path(path)
        if source.is_file():
            fetched.copied.append(copy_whole(source, folder / source.name))
        else:
            fetched.unseen.append(path)
    return fetched


def copy_whole(source: Path, target: Path) -> Path:
    """Copy a file so that nobody ever sees a part of it under its name. Returns ``target``."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(source, draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target
