"""The commands that a Flamenco 3 Worker knows, as worker-api.md section 10 describes them. Written from that alone."""

import asyncio
import re
import shlex
import shutil
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

Parameters = dict[str, Any]

_AFTER_RENDER = r"(?:^|render\s+\|\s+)"
SAVED = re.compile(_AFTER_RENDER + r"Saved: '(.*)'")
STEP = re.compile(_AFTER_RENDER + r"(?:Time: |Skipping existing frame)")


class CommandFailed(Exception):
    """A command failed, and its task with it."""


class Run(Protocol):
    """What a command tells of itself."""

    async def log(self, line: str) -> None:
        """Add a line to the task's log."""

    async def step_done(self) -> None:
        """Count a step."""

    def output(self, path: Path) -> None:
        """Announce a file, of which a preview may be made."""


async def echo(run: Run, parameters: Parameters) -> None:
    await run.log(parameters["message"])


async def sleep(run: Run, parameters: Parameters) -> None:
    seconds = parameters["duration_in_seconds"]
    if not isinstance(seconds, int | float) or seconds < 0:
        raise CommandFailed(f"bad duration {seconds!r}")
    await asyncio.sleep(seconds)


async def make_directory(run: Run, parameters: Parameters) -> None:
    Path(parameters["path"]).mkdir(mode=0o775, parents=True, exist_ok=True)
    await run.log(f"made {parameters['path']}")


async def move_directory(run: Run, parameters: Parameters) -> None:
    source, destination = Path(parameters["src"]), Path(parameters["dest"])
    if not source.exists():
        raise CommandFailed(f"{source} does not exist")
    if destination.exists():
        moment = datetime.fromtimestamp(destination.stat().st_mtime).strftime("%Y-%m-%d_%H%M%S")  # noqa: DTZ006
        destination.rename(destination.with_name(f"{destination.name}-{moment}"))
    source.rename(destination)


async def copy_file(run: Run, parameters: Parameters) -> None:
    source, destination = Path(parameters["src"]), Path(parameters["dest"])
    if not source.exists() or destination.exists():
        raise CommandFailed(f"cannot copy {source} to {destination}")
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, destination)


async def execute(run: Run, parameters: Parameters) -> None:
    await _run_program(run, [parameters["exe"], *_texts(parameters.get("args"))])


async def blender_render(run: Run, parameters: Parameters) -> None:
    blendfile = parameters["blendfile"]
    words = [
        parameters["exe"],
        *shlex.split(parameters.get("exeArgs", "")),
        *_texts(parameters.get("argsBefore")),
        *([blendfile] if blendfile else []),
        *_texts(parameters.get("args")),
    ]

    async def look(line: str) -> None:
        if found := SAVED.match(line):
            run.output(Path(found[1]))
        if STEP.match(line):
            await run.step_done()

    await _run_program(run, words, look)


async def _nothing(line: str) -> None:
    """Look for nothing in a line."""


async def _run_program(run: Run, words: list[str], look: Callable[[str], Awaitable[None]] = _nothing) -> None:
    """Run a program; when we are told to stop, it is killed."""
    await run.log(f"cmd: {shlex.join(words)}")
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as error:
        raise CommandFailed(f"cannot start {words[0]}: {error.strerror}") from error
    assert process.stdout is not None
    try:
        async for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            await run.log(f"pid={process.pid} > {line}")
            await look(line)
        status = await process.wait()
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise
    if status:
        raise CommandFailed(f"exit status {status}")


def _texts(values: list[Any] | None) -> list[str]:
    """List parameters may hold what is no text."""
    return [str(value) for value in values or ()]


COMMANDS: dict[str, Callable[[Run, Parameters], Awaitable[None]]] = {
    "blender-render": blender_render,
    "make-directory": make_directory,
    "move-directory": move_directory,
    "copy-file": copy_file,
    "exec": execute,
    "echo": echo,
    "sleep": sleep,
}
