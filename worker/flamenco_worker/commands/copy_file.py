"""``copy-file``: copies a file to a name that is free."""

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from flamenco_core.identifiers import new_id
from flamenco_worker.command_run import CommandRun
from flamenco_worker.failures import BadParameters, CommandFailed
from flamenco_worker.registry import command


@dataclass(frozen=True)
class CopyFile:
    """``src``: the file; ``dest``: the name of the copy. Both absolute."""

    src: str
    dest: str


@command("copy-file")
async def copy_file(parameters: CopyFile, run: CommandRun) -> None:
    """Copy the file; folders above the copy are made. Raises CommandFailed when the copy's name is taken."""
    source, target = Path(parameters.src), Path(parameters.dest)
    for name, path in (("src", source), ("dest", target)):
        if not path.is_absolute():
            raise BadParameters(f"copy-file: {name} must be an absolute path, not {str(path)!r}.")
    try:
        await asyncio.to_thread(_copy, source, target)
    except FileExistsError as error:
        raise CommandFailed(f"{target} exists already; copy-file replaces nothing.") from error
    except OSError as error:
        raise CommandFailed(f"Cannot copy {source} to {target}: {error.strerror}.") from error
    run.reporter.log(f"Copied {source} to {target}.")


def _copy(source: Path, target: Path) -> None:
    """Copy beside the target, then give it its name: so there is never half a copy, and no other file is replaced."""
    with source.open("rb"):
        target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{new_id()}")
    try:
        shutil.copy2(source, beside)
        os.link(beside, target)
    finally:
        beside.unlink(missing_ok=True)
