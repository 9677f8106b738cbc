"""Lost, doubled, late and re-ordered messages on both links, small; ``make chaos ONLY=links`` tries more."""

import secrets
from pathlib import Path

import pytest
from bad_line import FATES
from links import survive_a_bad_line_to_the_server, survive_bad_lines_to_workers


@pytest.mark.timeout(240)
async def test_bad_lines_between_workers_and_manager_change_nothing_of_how_it_ends(tmp_path: Path) -> None:
    record = await survive_bad_lines_to_workers(tmp_path, tasks=60, workers=4, seed=secrets.randbelow(10**6))
    assert all(record.tally[fate] for fate in FATES)


@pytest.mark.timeout(240)
async def test_a_bad_line_between_manager_and_server_leaves_both_alike(tmp_path: Path) -> None:
    tally = await survive_a_bad_line_to_the_server(tmp_path, jobs=6, workers=2, seed=secrets.randbelow(10**6))
    assert tally["passed on"]
