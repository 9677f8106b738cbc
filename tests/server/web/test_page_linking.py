"""The page that links Managers, in a real browser on the real Server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from page_browser import page_at
from playwright.async_api import Browser, Page, expect

from flamenco_core.wire.linking import fingerprint
from flamenco_runtime.sealing import KeyPair
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address
from flamenco_server.app import build_app
from flamenco_server.connection_file import read_connection
from flamenco_server.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">"


@pytest_asyncio.fixture(loop_scope="session")
async def client(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """The API of a real Server, with an admin's token."""
    async with build_app(Settings(data=tmp_path)) as app, listening(app, Address("127.0.0.1", 0)) as address:
        connection = read_connection(tmp_path)
        assert connection is not None
        headers = {"Authorization": f"Bearer {connection.token}"}
        async with aiohttp.ClientSession(address.url, headers=headers, raise_for_status=True) as session:
            yield session


async def post(client: aiohttp.ClientSession, path: str, document: object = None) -> dict[str, Any]:
    async with client.post(f"/api/v1/{path}", json=document) as answer:
        return dict(await answer.json())


async def asked(client: aiohttp.ClientSession, name: str, key: KeyPair | None = None) -> dict[str, Any]:
    """Be a Manager that asks to be linked; returns what it is offered."""
    key = key or KeyPair()
    wish = {"name": name, "public_key": key.public_key, "software": "Flamenco 4", "platform": "linux"}
    return await post(client, "manager/link", wish)


async def poll(client: aiohttp.ClientSession, offer: dict[str, Any]) -> dict[str, Any]:
    async with client.get(offer["poll"]) as answer:
        return dict(await answer.json())


@asynccontextmanager
async def link_page(browser: Browser, client: aiohttp.ClientSession) -> AsyncIterator[Page]:
    """Open the page as an admin; no script of it may fail."""
    troubles: list[str] = []
    async with page_at(browser, base_url=str(client._base_url)) as page:
        page.on("pageerror", lambda error: troubles.append(str(error)))
        await page.goto((await post(client, "sign-in-links"))["url"])
        await page.goto("/workers")
        await page.get_by_role("link", name="Link a Manager").click()
        await expect(page.get_by_label("Code")).to_be_focused()
        yield page
    assert troubles == []


async def look_up(page: Page, code: str) -> None:
    await page.get_by_label("Code").fill(code)
    await page.keyboard.press("Enter")


async def test_an_admin_types_the_code_sees_who_asks_and_links_it(
    browser: Browser, client: aiohttp.ClientSession
) -> None:
    key = KeyPair()
    offer = await asked(client, "north", key)
    async with link_page(browser, client) as page:
        await expect(page.locator("#waiting li")).to_have_text(["north, from 127.0.0.1"])
        await look_up(page, "bbbb bbbb")
        await expect(page.get_by_role("alert")).to_contain_text("No Manager shows this code now")
        await look_up(page, offer["code"].lower())
        await expect(page.locator("#decide .facts dd")).to_contain_text(
            ["north", "127.0.0.1", "Flamenco 4, linux", fingerprint(key.public_key)]
        )
        await expect(page.get_by_role("alert")).to_have_count(0)
        assert offer["code"] not in page.url
        await page.get_by_label("Name here").fill("north pole")
        await page.get_by_role("button", name="Link this Manager").click()
        await expect(page.get_by_role("heading", name="north pole is linked")).to_be_visible()
    answer = await poll(client, offer)
    assert (answer["status"], answer["name"]) == ("confirmed", "north pole")


async def test_a_manager_is_refused(browser: Browser, client: aiohttp.ClientSession) -> None:
    offer = await asked(client, "south")
    async with link_page(browser, client) as page:
        await look_up(page, offer["code"])
        await page.get_by_role("button", name="Refuse").click()
        await expect(page.get_by_role("heading", name="south is refused")).to_be_visible()
    assert (await poll(client, offer))["status"] == "refused"


async def test_a_taken_name_asks_whether_it_is_the_same_manager(
    browser: Browser, client: aiohttp.ClientSession
) -> None:
    known = await post(client, "managers", {"name": "east"})
    same, other = await asked(client, "east"), await asked(client, "east")
    async with link_page(browser, client) as page:
        await look_up(page, same["code"])
        await expect(page.get_by_text("There is a Manager of this name already, never seen.")).to_be_visible()
        await expect(page.get_by_label("Name here")).to_be_hidden()
        await page.get_by_role("button", name="Link this Manager").click()
        await expect(page.get_by_role("heading", name="east is linked")).to_be_visible()
        assert (await poll(client, same))["manager"] == known["id"]
        await page.get_by_role("button", name="Link another").click()
        await look_up(page, other["code"])
        await page.get_by_label("It is another one").check()
        await page.get_by_role("button", name="Link this Manager").click()
        assert (await poll(client, other))["status"] == "waiting", "without a name nothing is sent"
        await page.get_by_label("Name here").fill("east")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("There is a Manager 'east' already")
        await page.get_by_label("Name here").fill("far east")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="far east is linked")).to_be_visible()


async def test_what_a_manager_calls_itself_stays_text(browser: Browser, client: aiohttp.ClientSession) -> None:
    offer = await asked(client, HOSTILE)
    async with link_page(browser, client) as page:
        await expect(page.locator("#waiting li")).to_have_text([f"{HOSTILE}, from 127.0.0.1"])
        await look_up(page, offer["code"])
        await expect(page.locator("#decide dd").first).to_have_text(HOSTILE)
        await page.get_by_role("button", name="Link this Manager").click()
        await expect(page.locator("#decided h2")).to_have_text(f"{HOSTILE} is linked")
        assert await page.locator("main img").count() == 0
        assert await page.title() == "Link a Manager · Flamenco"


async def test_who_is_not_signed_in_is_told_to_come_back_here(browser: Browser, client: aiohttp.ClientSession) -> None:
    async with page_at(browser, base_url=str(client._base_url)) as page:
        await page.goto("/link")
        await expect(page.get_by_text("Then come back to this address")).to_contain_text("/link")
        await page.goto("/")
        await expect(page.get_by_text("Then come back to this address")).to_have_count(0)
