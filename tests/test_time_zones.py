"""Time zones where the system knows none, as on Windows and in small images: they come with the packages."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SYSTEM_WITHOUT = {"PYTHONTZPATH": ""}
MANAGER = """
from datetime import UTC, datetime
from flamenco_core.wire.manager_api import DAYS, SleepSchedule, SleepWindow
from flamenco_manager.sleep_schedule import asleep_at
schedule = SleepSchedule(True, "Europe/Amsterdam", (SleepWindow(tuple(DAYS), "09:00", "18:00"),))
print([asleep_at(schedule, datetime(2026, month, 1, 7, 30, tzinfo=UTC)) for month in (1, 7)])
"""
SERVER = """
from flamenco_server.http.worker_requests import _known_time_zone
print([_known_time_zone(name) for name in ("Europe/Amsterdam", "UTC")])
"""


@pytest.mark.parametrize(("program", "says"), [(MANAGER, "[False, True]"), (SERVER, "[None, None]")])
def test_time_zones_are_known_where_the_system_has_none(program: str, says: str) -> None:
    run = subprocess.run([sys.executable, "-c", program], env=SYSTEM_WITHOUT, capture_output=True, text=True)
    assert (run.stdout.strip(), run.stderr) == (says, "")


@pytest.mark.parametrize("extra", ["server", "manager"])
def test_whoever_installs_a_service_that_reads_time_zones_gets_them(extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert any(one.startswith("tzdata") for one in project["optional-dependencies"][extra])
