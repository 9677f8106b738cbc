"""``kill -9`` of a Manager at work, small; ``make chaos ONLY=kills`` tries more."""

import secrets
from pathlib import Path

import pytest
from kills import survive_kills


@pytest.mark.timeout(240)
async def test_a_manager_killed_25_times_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    record = await survive_kills(tmp_path, kills=25, tasks=300, workers=5, seed=secrets.randbelow(10**6))
    assert record.tally["kills"] == 25
    assert record.tally["completed, acknowledged"] >= 300
    assert record.breaks, "calls were cut"
