"""Real Blenders, real farms."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from end_to_end.farm import Farm, running
from what_ran import BPY_BLENDER, used

BLENDERS = {"blender-3.4": shutil.which("blender") or "blender", "bpy-4.5": str(BPY_BLENDER)}


@pytest.fixture(scope="session", params=sorted(BLENDERS))
def any_blender(request: pytest.FixtureRequest) -> str:
    """Every Blender in turn: the program, and the module with its launcher."""
    return used(BLENDERS[request.param])


@pytest.fixture(scope="session")
def blender() -> str:
    """The Blender program."""
    return used(BLENDERS["blender-3.4"])


@pytest.fixture
def farm(tmp_path: Path, blender: str) -> Iterator[Farm]:
    """A farm of one slot, of processes that a test may kill."""
    with running(tmp_path / "farm", blender) as farm:
        yield farm
