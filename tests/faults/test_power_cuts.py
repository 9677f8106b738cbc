"""The power fails while a farm is at work, small; ``make chaos ONLY=cuts`` tries more."""

import secrets
from pathlib import Path

import pytest
from cuts import survive_cuts


@pytest.mark.timeout(240)
async def test_20_power_cuts_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    steps = await survive_cuts(tmp_path, cuts=20, tasks=60, workers=4, seed=secrets.randbelow(10**6))
    assert steps > 1000, "the farm worked"
