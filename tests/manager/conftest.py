"""Fixtures of the Manager's tests."""

from collections.abc import AsyncIterator

import pytest
from fake_server import FakeServer, fake_server


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with fake_server() as running:
        yield running
