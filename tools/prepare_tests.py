"""Install what the tests drive: Blender, FFmpeg, a browser, a virtual display, and bpy in an environment of its own.

On Debian (and what descends from it) packages are installed where the user may; elsewhere, and where that fails, one
line says what to install. With ``CI=true`` a missing program ends the run, otherwise its tests fail with that line.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

from flamenco_cli.programs_from_pypi import BLENDER, installed

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"blender": "blender", "ffmpeg": "ffmpeg", "Xvfb": "xvfb", "chromium": "chromium"}
"""Programs on PATH and the Debian packages that bring them."""
LIBRARIES = ["libgl1", "libsm6", "libxfixes3", "libxi6", "libxkbcommon0", "libxrender1"]
"""What bpy's wheel links to and expects of the system."""


def missing_programs() -> list[str]:
    """Return the names of the programs that are not on PATH."""
    return [program for program in PACKAGES if shutil.which(program) is None]


def install_packages(programs: list[str]) -> None:
    """Try to install Debian's packages of these programs, and the libraries that bpy needs."""
    if shutil.which("apt-get") is None:
        return
    wanted = [PACKAGES[program] for program in programs] + LIBRARIES
    rights = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if rights and (
        not shutil.which("sudo") or subprocess.run([*rights, "true"], stderr=subprocess.DEVNULL, check=False).returncode
    ):
        return
    print(f"Installing {' '.join(wanted)} with apt-get ...", flush=True)
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    subprocess.run([*rights, "apt-get", "update", "-qq"], check=False, **quiet)
    subprocess.run(
        [*rights, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted], check=False, **quiet
    )


def main() -> int:
    """Prepare this machine; returns 1 when CI would run without a program."""
    if missing := missing_programs():
        install_packages(missing)
    asyncio.run(installed(BLENDER, ROOT / ".venv-bpy", lambda text: print(text, flush=True)))
    if not (missing := missing_programs()):
        return 0
    packages = " ".join(PACKAGES[program] for program in missing)
    print(f"Not found: {', '.join(missing)}. On Debian: sudo apt-get install {packages}", file=sys.stderr)
    return 1 if os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main())
