"""Fixtures of the Server's tests. Files that use them say ``pytestmark = pytest.mark.asyncio(loop_scope="module")``."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

pytest.register_assert_rewrite("server_world", "site_manager")

from server_world import World, server_world  # noqa: E402 (rewriting must be asked for first)


@pytest_asyncio.fixture(loop_scope="module")
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A Server of the test's own."""
    async with server_world(tmp_path / "server") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One Server for all tests of a file that leave nothing behind."""
    async with server_world(tmp_path_factory.mktemp("server")) as running:
        yield running
