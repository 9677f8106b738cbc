"""Fixtures of the Server's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("contracts", "server_world", "site_manager")

from server_world import World, server_world  # noqa: E402 (rewriting must be asked for first)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A Server of the test's own."""
    async with server_world(tmp_path / "server") as running:
        yield running
