"""``make-directory``: makes a folder, with those above it."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from flamenco_worker.command_run import CommandRun
from flamenco_worker.failures import CommandFailed
from flamenco_worker.registry import command

MODE = 0o775
"""Flamenco 3's: the group may write."""


@dataclass(frozen=True)
class MakeDirectory:
    """``path``: the folder."""

    path: str


@command("make-directory")
async def make_directory(parameters: MakeDirectory, run: CommandRun) -> None:
    """Make the folder; one that exists is left as it is. Raises CommandFailed."""
    try:
        await asyncio.to_thread(Path(parameters.path).mkdir, MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandFailed(f"Cannot make the folder {parameters.path}: {error.strerror}.") from error
    run.reporter.log(f"The folder {parameters.path} is there.")
