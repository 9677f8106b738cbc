"""A Manager that dies at any write step starts again with all that it had acknowledged, and nothing in between."""

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from crash_points import SCENARIOS, Stage, crash_everywhere


@pytest.mark.timeout(240)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_a_crash_at_any_step_leaves_a_farm_that_goes_on(
    scenario: Callable[[Stage], Awaitable[int]], tmp_path: Path
) -> None:
    assert await crash_everywhere(tmp_path, scenario, secrets.randbelow(10**6)) > 100
