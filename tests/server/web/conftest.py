"""The page in a real browser, over a farm in memory."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from page_browser import chromium, page_at
from page_farm import FakeFarm, served
from playwright.async_api import Browser, Page, expect

expect.set_options(timeout=20_000)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests."""
    async with chromium() as running:
        yield running


@pytest.fixture
def farm() -> FakeFarm:
    """A farm with nothing on it but a Manager."""
    return FakeFarm()


@pytest_asyncio.fixture(loop_scope="session")
async def url(farm: FakeFarm) -> AsyncIterator[str]:
    """Where the page is served."""
    async with served(farm) as address:
        yield address.url


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, url: str) -> AsyncIterator[Page]:
    """A visitor. No script may fail, and nothing may offend the content security policy, in any test."""
    troubles: list[str] = []
    async with page_at(browser, base_url=url) as visitor:
        visitor.on("pageerror", lambda error: troubles.append(str(error)))
        visitor.on("console", lambda said: troubles.append(said.text) if "Content Security" in said.text else None)
        yield visitor
    assert troubles == []


@pytest_asyncio.fixture(loop_scope="session")
async def scriptless(browser: Browser, url: str) -> AsyncIterator[Page]:
    """A visitor whose browser runs no scripts."""
    async with page_at(browser, base_url=url, java_script_enabled=False) as visitor:
        yield visitor
