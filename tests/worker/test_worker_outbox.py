"""The update buffer, and the sender that empties it."""

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from fake_manager import FakeManager
from worker_world import QUICK

from flamenco_core.errors import Forbidden
from flamenco_core.identifiers import new_id
from flamenco_core.wire.worker_api import TaskUpdate
from flamenco_worker.credentials import Credentials
from flamenco_worker.manager_link import ManagerLink
from flamenco_worker.outbox import MOST_DEAD_LETTERS, open_outbox
from flamenco_worker.update_sender import UpdateSender

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def test_updates_leave_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    async with open_outbox(tmp_path / "outbox.sqlite") as outbox:
        for number in range(5):
            await outbox.add("task", number, b"%d" % number)
        for number in range(5):
            item = await outbox.head()
            assert item is not None
            assert (item.attempt, item.body) == (number, b"%d" % number)
            await outbox.remove(item)
        assert await outbox.head() is None


async def test_updates_survive_and_only_we_can_read_them(tmp_path: Path) -> None:
    async with open_outbox(tmp_path / "outbox.sqlite") as outbox:
        await outbox.add("task", None, b"{}")
    assert stat.S_IMODE((tmp_path / "outbox.sqlite").stat().st_mode) == 0o600
    async with open_outbox(tmp_path / "outbox.sqlite") as outbox:
        assert (await outbox.head()) is not None


async def test_a_refused_update_takes_along_its_attempt_and_no_other(tmp_path: Path) -> None:
    async with open_outbox(tmp_path / "outbox.sqlite") as outbox:
        for attempt in (1, 2, 1):
            await outbox.add("task", attempt, b"{}")
        item = await outbox.head()
        assert item is not None
        await outbox.bury(item, "not yours", NOW)
        left = await outbox.head()
        assert left is not None
        assert left.attempt == 2
        assert await outbox.dead_letters() == [("task", "not yours")] * 2


async def test_dead_letters_do_not_grow_for_ever(tmp_path: Path) -> None:
    async with open_outbox(tmp_path / "outbox.sqlite") as outbox:
        for _ in range(MOST_DEAD_LETTERS + 5):
            await outbox.add("task", 1, b"{}")
        item = await outbox.head()
        assert item is not None
        await outbox.bury(item, "no", NOW)
        assert len(await outbox.dead_letters()) == MOST_DEAD_LETTERS


@asynccontextmanager
async def a_sender(manager: FakeManager, path: Path, secret: str = "s") -> AsyncIterator[UpdateSender]:
    """A sender whose Worker the Manager knows by the secret ``s``."""
    manager.secrets["w"] = "s"
    async with aiohttp.ClientSession() as http, open_outbox(path) as outbox:
        link = ManagerLink(http, manager.url)
        link.identify(Credentials("w", secret))
        sender = UpdateSender(link, outbox, QUICK)
        running = asyncio.create_task(sender.run())
        yield sender
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408, 425])
async def test_what_may_pass_is_tried_until_it_does(manager: FakeManager, tmp_path: Path, status: int) -> None:
    manager.outage = status
    task = new_id()
    async with a_sender(manager, tmp_path / "outbox.sqlite") as sender:
        for number in (1, 2, 3):
            await sender.post(task, TaskUpdate(attempt=1, seq=number))
        manager.outage = None
        await sender.drained()
    assert [update["seq"] for update in manager.of(task)] == [1, 2, 3]


@pytest.mark.parametrize("status", [400, 404, 409, 410, 413, 422])
async def test_what_is_refused_for_good_makes_room_for_others(
    manager: FakeManager, tmp_path: Path, status: int
) -> None:
    manager.outage = status
    refused: list[str] = []
    async with a_sender(manager, tmp_path / "outbox.sqlite") as sender:
        sender.on_refused = lambda task, attempt, error: refused.append(task)
        await sender.post("gone", TaskUpdate(attempt=1, seq=1))
        await sender.drained()
        manager.outage = None
        task = new_id()
        await sender.post(task, TaskUpdate(attempt=1, seq=1))
        await sender.drained()
    assert refused == ["gone"]
    assert len(manager.of(task)) == 1


async def test_rejected_credentials_keep_the_updates_until_we_signed_on(manager: FakeManager, tmp_path: Path) -> None:
    task = new_id()
    async with a_sender(manager, tmp_path / "outbox.sqlite", secret="wrong") as sender:
        await sender.post(task, TaskUpdate(attempt=1, seq=1))
        with pytest.raises(Forbidden):
            await sender.drained()
    async with a_sender(manager, tmp_path / "outbox.sqlite") as sender:
        await sender.drained()
    assert len(manager.of(task)) == 1
