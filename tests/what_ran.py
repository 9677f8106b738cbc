"""Which real programs the tests drove, for the summary at the end of a run."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BPY_BLENDER = ROOT / ".venv-bpy" / "bin" / "flamenco-blender"
RECORD = "FLAMENCO_TESTS_RECORD"
"""Environment variable: the file to which every test process adds the programs that it used."""


def used(program: str) -> str:
    """Note that a real program is driven, and return it. A program that is missing fails the test with what to do."""
    version = _version(program)
    if record := os.environ.get(RECORD):
        with Path(record).open("a", encoding="utf-8") as file:
            file.write(f"{version}\n")
    return program


def _version(program: str) -> str:
    flag = "-version" if Path(program).name.startswith("ff") else "--version"
    try:
        done = subprocess.run([program, flag], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise AssertionError(f"{program} does not run ({error}): `make test` says what to install.") from error
    return done.stdout.strip().splitlines()[0].split("Copyright")[0].strip()
