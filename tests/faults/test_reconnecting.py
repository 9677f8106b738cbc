"""Many Workers that come back at once. FLAMENCO_RECONNECTING_WORKERS says how many; the full run has 1,000."""

import os
from pathlib import Path

import pytest
from reconnecting import all_come_back

WORKERS = int(os.environ.get("FLAMENCO_RECONNECTING_WORKERS", "200"))


@pytest.mark.parametrize("restart", [False, True], ids=["the network was away", "the Manager was killed"])
async def test_workers_that_come_back_at_once_are_all_served_and_none_is_lost(tmp_path: Path, *, restart: bool) -> None:
    assert len(await all_come_back(tmp_path, workers=WORKERS, restart=restart)) == WORKERS
