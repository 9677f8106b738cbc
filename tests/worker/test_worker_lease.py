"""When an attempt may replace files without asking."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from fake_manager import FakeManager

from flamenco_core.identifiers import new_id
from flamenco_core.statuses import WorkerStatus
from flamenco_worker.credentials import Credentials
from flamenco_worker.lease import Lease
from flamenco_worker.manager_link import ManagerLink

LONG_S, OVER_S = 3600.0, 0.0


@pytest.fixture
async def link(manager: FakeManager) -> AsyncIterator[ManagerLink]:
    manager.secrets["w"] = "s"
    async with aiohttp.ClientSession() as http:
        link = ManagerLink(http, manager.url)
        link.identify(Credentials("w", "s"))
        await link.tell_status(WorkerStatus.AWAKE)
        yield link


async def test_who_was_answered_lately_need_not_ask(manager: FakeManager, link: ManagerLink) -> None:
    manager.outage = 503
    assert await Lease(link, new_id(), LONG_S).may_replace()


async def test_who_was_silent_for_too_long_asks_first(manager: FakeManager, link: ManagerLink) -> None:
    task = new_id()
    assert await Lease(link, task, OVER_S).may_replace()
    await manager.stop_task(task)
    assert not await Lease(link, task, OVER_S).may_replace()


async def test_who_cannot_ask_may_not_replace_until_the_manager_is_back(
    manager: FakeManager, link: ManagerLink
) -> None:
    lease = Lease(link, new_id(), OVER_S)
    manager.outage = 503
    assert not await lease.may_replace()
    waiting = asyncio.create_task(lease.wait_until_known())
    turned_away = manager.turned_away
    await manager.until(lambda: manager.turned_away > turned_away, "it asks")
    assert not waiting.done()
    manager.outage = None
    await waiting
