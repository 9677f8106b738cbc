"""The page on the real Server: signed in by a one-time link, fed by real events."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from page_browser import page_at
from playwright.async_api import Browser, expect

from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address
from flamenco_server.app import build_app
from flamenco_server.connection_file import read_connection
from flamenco_server.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

ECHO_JOB = {"name": "farm test", "type": "echo-sleep-test", "settings": {"sleep_repeats": 3}}


@pytest_asyncio.fixture(loop_scope="session")
async def client(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """The API of a real Server, with an admin's token."""
    async with build_app(Settings(data=tmp_path)) as app, listening(app, Address("127.0.0.1", 0)) as address:
        connection = read_connection(tmp_path)
        assert connection is not None
        headers = {"Authorization": f"Bearer {connection.token}"}
        async with aiohttp.ClientSession(address.url, headers=headers, raise_for_status=True) as session:
            yield session


async def _post(client: aiohttp.ClientSession, path: str, document: object = None) -> dict[str, str]:
    async with client.post(path, json=document) as answer:
        return dict(await answer.json())


async def test_a_visitor_signs_in_sees_a_job_arrive_and_cancels_it(
    browser: Browser, client: aiohttp.ClientSession
) -> None:
    link = (await _post(client, "/api/v1/sign-in-links"))["url"]
    async with page_at(browser) as page:
        answer = await page.goto(link.partition("/sign-in")[0])
        assert answer is not None
        assert answer.status == 401
        async with page.expect_response("**/api/v1/jobs?*"):
            await page.goto(link)
        await expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()
        await _post(client, "/api/v1/jobs", ECHO_JOB)
        await expect(page.get_by_role("link", name="farm test")).to_be_visible()
        await page.get_by_role("link", name="farm test").click()
        await expect(page.locator("#rows tr")).to_have_count(4)
        await expect(page.locator(".why")).to_have_text("Waiting for a Manager")
        await page.get_by_role("button", name="Cancel job").click()
        await page.get_by_role("dialog").get_by_role("button", name="Cancel job").click()
        await expect(page.locator(".big-state .state")).to_have_text("Canceled")
        await expect(page.locator(".why")).not_to_have_text("Waiting for a Manager")
