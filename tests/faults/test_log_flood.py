"""A log without measure. FLAMENCO_LOG_FLOOD_MIB says how much; the full run has 1,000."""

import os
from pathlib import Path

from log_flood import flood

LOG_MIB = int(os.environ.get("FLAMENCO_LOG_FLOOD_MIB", "60"))


async def test_a_log_without_measure_takes_no_more_than_its_share_and_disturbs_nobody(tmp_path: Path) -> None:
    await flood(tmp_path, mib=LOG_MIB)
