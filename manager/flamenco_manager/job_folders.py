"""Folders with a folder per job in them: which there are, how old they are, and how one goes. All calls block."""

import contextlib
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from flamenco_core.identifiers import new_id


def job_folders(folder: Path) -> list[str]:
    """Return the jobs that have a folder here; what was set aside and outlived us is removed."""
    names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 (names are wanted)
    for name in names:
        if name.startswith("."):
            shutil.rmtree(folder / name, ignore_errors=True)
    return [name for name in names if not name.startswith(".")]


def newest_change(folder: Path) -> datetime:
    """Return when anything in a folder was changed last; long ago, if it is gone."""
    newest = 0.0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # a draft that was put in its place meanwhile
                newest = max(newest, entry.stat(follow_symlinks=False).st_mtime)
    return datetime.fromtimestamp(newest, UTC)


def set_aside(folder: Path) -> Path:
    """Let a job's folder disappear at once; returns where its files are removed from at leisure. Raises OSError."""
    aside = folder.with_name(f".{folder.name}.{new_id()}")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(aside)
    return aside
