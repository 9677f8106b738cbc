"""``move-directory``: moves a folder to another name, putting aside what is there."""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flamenco_worker.command_run import CommandRun
from flamenco_worker.failures import CommandFailed
from flamenco_worker.registry import command


@dataclass(frozen=True)
class MoveDirectory:
    """``src``: the folder; ``dest``: its new name."""

    src: str
    dest: str


@command("move-directory")
async def move_directory(parameters: MoveDirectory, run: CommandRun) -> None:
    """Move the folder. An existing destination first becomes ``DEST-YYYY-MM-DD_HHMMSS``. Raises CommandFailed."""
    try:
        aside = await asyncio.to_thread(_move, Path(parameters.src), Path(parameters.dest))
    except OSError as error:
        raise CommandFailed(f"Cannot move {parameters.src} to {parameters.dest}: {error.strerror or error}.") from error
    if aside is not None:
        run.reporter.log(f"{parameters.dest} was there already; it is {aside} now.")
    run.reporter.log(f"Moved {parameters.src} to {parameters.dest}.")


def _move(source: Path, target: Path) -> Path | None:
    """Move; returns where an existing target went."""
    if not source.exists():
        raise CommandFailed(f"The folder {source} does not exist on this Worker.")
    if source.resolve() == target.resolve():
        raise CommandFailed(f"The folder {source} cannot be moved to itself.")
    aside = None
    if target.exists():
        aside = next(name for name in _names_aside(target) if not name.exists())
        target.rename(aside)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)
    return aside


def _names_aside(target: Path) -> Iterator[Path]:
    """Yield names for what is to be put aside: by its time of change in local time, then numbered."""
    changed = datetime.fromtimestamp(target.stat().st_mtime).astimezone()
    dated = target.with_name(f"{target.name}-{changed:%Y-%m-%d_%H%M%S}")
    yield dated
    for number in range(1, 1000):
        yield dated.with_name(f"{dated.name}-{number:03d}")
