"""What the add-on's tests share: the add-on's sources, a Server that keeps what it gets, a Blender of their own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flamenco_runtime.children import foreign_environment

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "blender_addon"), str(ROOT / "tools")]

from blender_addon.fake_server import TOKEN, FakeServer, serving  # noqa: E402
from what_ran import BPY_BLENDER, used  # noqa: E402

IN_BLENDER = Path(__file__).parent / "in_blender"
BPY_PYTHON = ROOT / ".venv-bpy" / "bin" / "python"
DEADLINE_S = 100


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def home(tmp_path: Path, server: FakeServer) -> dict[str, str]:
    """Return an environment in which Blender and Flamenco keep everything under the test's own folder."""
    places = {"FLAMENCO_CONFIG_DIR": "flamenco", "BLENDER_USER_CONFIG": "config", "BLENDER_USER_SCRIPTS": "scripts"}
    places |= {"BLENDER_USER_RESOURCES": "resources", "BLENDER_USER_EXTENSIONS": "extensions", "TMPDIR": "temporary"}
    own = {variable: str(tmp_path / "home" / name) for variable, name in places.items()}
    for folder in own.values():
        Path(folder).mkdir(parents=True)
    connection = {"url": server.url, "token": TOKEN}
    (Path(own["FLAMENCO_CONFIG_DIR"]) / "connection.json").write_text(json.dumps(connection))
    return {**foreign_environment(os.environ), **own}


@pytest.fixture
def addon_zip(tmp_path: Path) -> Path:
    """Build the zip as ``make addon`` does."""
    from build_addon import build

    return build(tmp_path / "dist")


@dataclass(frozen=True)
class Blender:
    """A real Blender with the add-on installed from the zip."""

    program: str
    environment: dict[str, str]

    def run(self, script: str, argument: object, *options: str) -> dict[str, Any]:
        """Run one of our scripts in it; returns what the script says of its outcome."""
        return outcome_in(run_in(self.program, self.environment, script, json.dumps(argument), *options))


@pytest.fixture
def blender(home: dict[str, str], addon_zip: Path) -> Blender:
    """Install the built zip into Blender 3.4."""
    program = used(shutil.which("blender") or "blender")
    run_in(program, home, "install_addon.py", str(addon_zip), "-b", "--factory-startup")
    return Blender(program, home)


def run_in(program: str, environment: dict[str, str], script: str, argument: str, *options: str) -> str:
    """Run one of our scripts in a Blender; returns what it printed."""
    command = [program, *options, "--python-exit-code", "1", "-P", str(IN_BLENDER / script), "--", argument]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False, errors="replace"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def run_extension(environment: dict[str, str], addon_zip: Path, **wanted: Any) -> dict[str, Any]:
    """Install the zip into bpy 4.5 as an extension and submit; returns what the script says of its outcome."""
    used(str(BPY_BLENDER))
    argument = {"zip": str(addon_zip), "online": True, "file": None, "operator": {}, **wanted}
    command = [str(BPY_PYTHON), str(IN_BLENDER / "extension.py"), json.dumps(argument)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False, errors="replace"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return outcome_in(done.stdout)


def outcome_in(said: str) -> dict[str, Any]:
    """Return what a script said of its outcome."""
    lines = [line for line in said.splitlines() if line.startswith("outcome: ")]
    assert lines, said
    return json.loads(lines[-1].removeprefix("outcome: "))


@pytest.fixture
def display() -> Iterator[str]:
    """Start a screen that nobody sees; returns its name."""
    program = shutil.which("Xvfb")
    assert program, "Xvfb is missing: `make test` says what to install."
    reading, writing = os.pipe()
    command = [program, "-displayfd", str(writing), "-screen", "0", "1000x1300x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as screen:
        os.close(writing)
        with os.fdopen(reading) as number:
            name = f":{number.readline().strip()}"
        try:
            yield name
        finally:
            screen.terminate()


@pytest.fixture
def until() -> Callable[..., None]:
    """Return a function that waits for a condition, with a deadline."""
    import time

    def wait(condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain until {what}"
            time.sleep(0.01)

    return wait
