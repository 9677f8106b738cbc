"""The Server away for three days, small; ``make chaos ONLY=away`` has more happen meanwhile."""

from pathlib import Path

import pytest
from days_away import survive_days_away


@pytest.mark.timeout(240)
async def test_a_server_that_was_away_for_three_days_catches_up_from_few_reports(tmp_path: Path) -> None:
    told = await survive_days_away(tmp_path, changes=3000, workers=4)
    assert told["reports"] < 100, "what changed often is told once"
