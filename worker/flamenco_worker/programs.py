"""Which Blender and FFmpeg this machine has."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import structlog

from flamenco_core.wire.worker_api import Program
from flamenco_runtime.children import end_child, foreign_environment, start_child
from flamenco_runtime.settings import BadSettings
from flamenco_worker.failures import CommandFailed

log = structlog.get_logger()

ANSWERS_WITHIN_S = 60.0
"""How long a program may take to print its version: the first start from a network drive is slow."""


@dataclass(frozen=True)
class Kind:
    """A program that we look for: how it is asked for its version, and where it may be."""

    name: str
    version_flag: str
    version_line: re.Pattern[str]
    usual_places: tuple[str, ...]


BLENDER = Kind(
    "blender",
    "--version",
    re.compile(r"^Blender (\d+\.\d+(?:\.\d+)?[^\n]*)", re.MULTILINE),
    (
        "/usr/bin/blender",
        "/usr/local/bin/blender",
        "/snap/bin/blender",
        "/opt/blender*/blender",
        "~/blender*/blender",
        "/Applications/Blender.app/Contents/MacOS/Blender",
        "C:/Program Files/Blender Foundation/Blender */blender.exe",
    ),
)
FFMPEG = Kind(
    "ffmpeg",
    "-version",
    re.compile(r"^ffmpeg version (\S+)", re.MULTILINE),
    ("/usr/bin/ffmpeg", "/usr/local/bin/ffmpeg", "/opt/homebrew/bin/ffmpeg", "C:/ffmpeg/bin/ffmpeg.exe"),
)


@dataclass(frozen=True)
class Programs:
    """What was found; None: there is none."""

    blender: Program | None
    ffmpeg: Program | None

    @property
    def found(self) -> list[Program]:
        """Those that are there."""
        return [program for program in (self.blender, self.ffmpeg) if program is not None]

    @property
    def task_types(self) -> list[str]:
        """The types of tasks that a machine with these programs can run."""
        types = ["file-management", "misc"]
        if self.ffmpeg is not None:
            types.insert(0, "ffmpeg")
        if self.blender is not None:
            types.insert(0, "blender")
        return types

    async def resolve(self, exe: str) -> str:
        """Return the program that a command means by ``exe``.

        ``blender`` and ``ffmpeg`` (also with ``.exe``) are those that were found; anything else is a path or on PATH.
        Raises CommandFailed when there is none.
        """
        for program, name in ((self.blender, "blender"), (self.ffmpeg, "ffmpeg")):
            if exe.lower() in (name, f"{name}.exe"):
                if program is None:
                    raise CommandFailed(f"This Worker has no {name}. Install it, or set FLAMENCO_{name.upper()}.")
                return program.path
        found = await asyncio.to_thread(shutil.which, exe)
        if found is None:
            raise CommandFailed(f"The program {exe!r} is not on this Worker.")
        return found


async def find_programs(blender: str | None, ffmpeg: str | None, environ: Mapping[str, str]) -> Programs:
    """Look for both; ``blender`` and ``ffmpeg`` are the Worker's settings. Raises BadSettings for one that fails."""
    found = Programs(
        await _find(BLENDER, blender or environ.get("FLAMENCO_BLENDER")),
        await _find(FFMPEG, ffmpeg or environ.get("FLAMENCO_FFMPEG")),
    )
    for program in found.found:
        log.info("program found", name=program.name, version=program.version, path=program.path)
    for name in {"blender", "ffmpeg"} - {program.name for program in found.found}:
        log.warning(
            "program not found: this Worker takes no tasks that need it",
            name=name,
            hint=f"install it, or set FLAMENCO_{name.upper()}",
        )
    return found


async def _find(kind: Kind, wished: str | None) -> Program | None:
    if wished:
        program = await _asked(kind, await asyncio.to_thread(_resolved, wished))
        if program is None:
            raise BadSettings(f"{wished!r} is not a working {kind.name}: `{wished} {kind.version_flag}` fails.")
        return program
    for path in await asyncio.to_thread(lambda: list(dict.fromkeys(_places(kind)))):
        if program := await _asked(kind, path):
            return program
    return None


def _places(kind: Kind) -> Iterator[str]:
    """Yield where the program may be, best first: PATH, then the usual places, newest version first."""
    if on_path := shutil.which(kind.name):
        yield on_path
    for pattern in kind.usual_places:
        yield from sorted(filter(_is_executable, glob(os.path.expanduser(pattern))), reverse=True)  # noqa: PTH111, PTH207


def _resolved(wished: str) -> str:
    path = str(Path(wished).expanduser())
    return shutil.which(path) or path


def _is_executable(path: str) -> bool:
    return os.access(path, os.X_OK)


async def _asked(kind: Kind, path: str) -> Program | None:
    """Run the program for its version; None when it is not what it seems to be."""
    try:
        child = await start_child(
            [path, kind.version_flag], environment=foreign_environment(os.environ), output=asyncio.subprocess.PIPE
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            output, _ = await child.communicate()
    except TimeoutError:
        return None
    finally:
        await end_child(child)
    match = kind.version_line.search(output.decode("utf-8", "replace"))
    return Program(kind.name, match[1].strip(), path) if match else None


def platform_word() -> str:
    """Name this platform as the protocol does: ``linux``, ``windows``, ``darwin``."""
    return {"win32": "windows"}.get(sys.platform, sys.platform)
