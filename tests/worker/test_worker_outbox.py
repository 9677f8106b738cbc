"""The update buffer, and the sender that empties it."""

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fake_manager import FakeManager
from worker_world import QUICK

from flamenco_core.errors import Conflict, FlamencoError, Forbidden, NotFound
from flamenco_core.identifiers import new_id
from flamenco_core.wire.worker_api import TaskUpdate
from flamenco_worker.credentials import Credentials
from flamenco_worker.manager_link import ManagerLink
from flamenco_worker.outbox import MOST_DEAD_LETTERS, open_outbox
from flamenco_worker.update_sender import MOST_AT_ONCE, MOST_BYTES_AT_ONCE, UpdateSender

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def test_updates_leave_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    async with open_outbox(tmp_path / "outbox.sqlite") as outbox:
        for number in range(5):
            await outbox.add("task", number, b"%d" % number, NOW)
        for number in range(5):
            (item,) = await outbox.oldest()
            assert (item.attempt, item.body, item.added_at) == (number, b"%d" % number, "2026-01-01T00:00:00.000Z")
            await outbox.remove([item])
        assert await outbox.oldest() == []


async def test_no_more_is_taken_at_once_than_fits(tmp_path: Path) -> None:
    async with open_outbox(tmp_path / "outbox.sqlite") as outbox:
        for number in range(5):
            await outbox.add("task", number, b"x" * 100, NOW)
        assert [item.attempt for item in await outbox.oldest(3, 10_000)] == [0, 1, 2]
        assert [item.attempt for item in await outbox.oldest(9, 200)] == [0, 1]
        assert [item.attempt for item in await outbox.oldest(9, 199)] == [0]
        assert [item.attempt for item in await outbox.oldest(9, 1)] == [0]


async def test_updates_survive_and_only_we_can_read_them(tmp_path: Path) -> None:
    async with open_outbox(tmp_path / "outbox.sqlite") as outbox:
        await outbox.add("task", None, b"{}", NOW)
    assert stat.S_IMODE((tmp_path / "outbox.sqlite").stat().st_mode) == 0o600
    async with open_outbox(tmp_path / "outbox.sqlite") as outbox:
        assert len(await outbox.oldest()) == 1


async def test_a_refused_update_takes_along_its_attempt_and_no_other(tmp_path: Path) -> None:
    async with open_outbox(tmp_path / "outbox.sqlite") as outbox:
        for attempt in (1, 2, 1):
            await outbox.add("task", attempt, b"{}", NOW)
        (item,) = await outbox.oldest()
        await outbox.bury(await outbox.of_attempt(item), "not yours", NOW)
        (left,) = await outbox.oldest(9, 9_000)
        assert left.attempt == 2
        assert await outbox.dead_letters() == [("task", "not yours")] * 2


async def test_dead_letters_do_not_grow_for_ever(tmp_path: Path) -> None:
    async with open_outbox(tmp_path / "outbox.sqlite") as outbox:
        for _ in range(MOST_DEAD_LETTERS + 5):
            await outbox.add("task", 1, b"{}", NOW)
        (item,) = await outbox.oldest()
        await outbox.bury(await outbox.of_attempt(item), "no", NOW)
        assert len(await outbox.dead_letters()) == MOST_DEAD_LETTERS


@asynccontextmanager
async def a_sender(
    manager: FakeManager, path: Path, secret: str = "s", *, batches: bool = False
) -> AsyncIterator[UpdateSender]:
    """A sender whose Worker the Manager knows by the secret ``s``."""
    manager.secrets["w"] = "s"
    async with aiohttp.ClientSession() as http, open_outbox(path) as outbox:
        link = ManagerLink(http, manager.url)
        link.identify(Credentials("w", secret))
        sender = UpdateSender(link, outbox, QUICK)
        sender.takes_batches = batches
        running = asyncio.create_task(sender.run())
        yield sender
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


BOTH = pytest.mark.parametrize("batches", [False, True], ids=["one by one", "in batches"])


@BOTH
@pytest.mark.parametrize("status", [500, 502, 503, 429, 408, 425])
async def test_what_may_pass_is_tried_until_it_does(
    manager: FakeManager, tmp_path: Path, status: int, batches: bool
) -> None:
    manager.outage = status
    task = new_id()
    async with a_sender(manager, tmp_path / "outbox.sqlite", batches=batches) as sender:
        for number in (1, 2, 3):
            await sender.post(task, TaskUpdate(attempt=1, seq=number))
        await manager.until(lambda: manager.turned_away >= 2, "it is tried again")
        manager.outage = None
        await sender.drained()
    assert [update["seq"] for update in manager.of(task)] == [1, 2, 3]


async def dead_letters(path: Path) -> list[tuple[str, str]]:
    async with open_outbox(path) as outbox:
        return await outbox.dead_letters()


@BOTH
@pytest.mark.parametrize("status", [400, 404, 409, 410, 413, 422])
async def test_what_is_refused_for_good_makes_room_for_others(
    manager: FakeManager, tmp_path: Path, status: int, batches: bool
) -> None:
    manager.outage = status
    refused: list[str] = []
    async with a_sender(manager, tmp_path / "outbox.sqlite", batches=batches) as sender:
        sender.on_refused = lambda task, attempt, error: refused.append(task)
        await sender.post("gone", TaskUpdate(attempt=1, seq=1))
        await sender.drained()
        manager.outage = None
        task = new_id()
        await sender.post(task, TaskUpdate(attempt=1, seq=1))
        await sender.drained()
    assert refused == (["gone"] if status in (404, 409) else [])  # others say nothing about the attempt
    assert [task for task, _ in await dead_letters(tmp_path / "outbox.sqlite")] == ["gone"]
    assert len(manager.of(task)) == 1


@BOTH
async def test_a_spoiled_update_is_put_aside_alone(manager: FakeManager, tmp_path: Path, batches: bool) -> None:
    task = new_id()
    manager.outage, manager.spoiled = 503, {2}
    async with a_sender(manager, tmp_path / "outbox.sqlite", batches=batches) as sender:
        for number in (1, 2, 3):
            await sender.post(task, TaskUpdate(attempt=1, seq=number))
        await manager.until(lambda: manager.turned_away, "the first is on its way")
        manager.outage = None
        await sender.drained()
    assert [update["seq"] for update in manager.of(task)] == [1, 3]
    assert await dead_letters(tmp_path / "outbox.sqlite") == [(task, "seq: spoiled")]


@BOTH
async def test_rejected_credentials_keep_the_updates_until_we_signed_on(
    manager: FakeManager, tmp_path: Path, batches: bool
) -> None:
    task = new_id()
    async with a_sender(manager, tmp_path / "outbox.sqlite", secret="wrong", batches=batches) as sender:
        await sender.post(task, TaskUpdate(attempt=1, seq=1))
        with pytest.raises(Forbidden):
            await sender.drained()
    async with a_sender(manager, tmp_path / "outbox.sqlite", batches=batches) as sender:
        await sender.drained()
    assert len(manager.of(task)) == 1


async def filled(manager: FakeManager, sender: UpdateSender, updates: int, **said: Any) -> list[tuple[str, int]]:
    """Fill the outbox with updates of three attempts while the Manager is away; returns their (task, seq), in order."""
    manager.outage = 503
    tasks = [new_id() for _ in range(3)]
    posted = [(tasks[number % 3], number // 3 + 1) for number in range(updates)]
    for task, seq in posted:
        await sender.post(task, TaskUpdate(attempt=1, seq=seq, **said))
    manager.outage = None
    return posted


async def test_a_full_outbox_drains_in_batches_in_its_order(manager: FakeManager, tmp_path: Path) -> None:
    async with a_sender(manager, tmp_path / "outbox.sqlite", batches=True) as sender:
        posted = await filled(manager, sender, 2 * MOST_AT_ONCE + 50)
        await sender.drained()
    assert [(update["task"], update["seq"]) for update in manager.updates] == posted
    assert max(manager.batches) == MOST_AT_ONCE
    assert len(manager.batches) <= 5
    assert all(update["at"].endswith("Z") for update in manager.updates)


async def test_a_manager_without_batches_gets_the_updates_one_by_one(manager: FakeManager, tmp_path: Path) -> None:
    async with a_sender(manager, tmp_path / "outbox.sqlite") as sender:
        posted = await filled(manager, sender, 20)
        await sender.drained()
    assert [(update["task"], update["seq"]) for update in manager.updates] == posted
    assert manager.batches == []


async def test_a_manager_that_takes_no_batches_any_more_gets_them_one_by_one(
    manager: FakeManager, tmp_path: Path
) -> None:
    manager.takes_batches = False  # it was put back to an older version since we signed on
    async with a_sender(manager, tmp_path / "outbox.sqlite", batches=True) as sender:
        posted = await filled(manager, sender, 20)
        await sender.drained()
    assert [(update["task"], update["seq"]) for update in manager.updates] == posted


async def test_long_logs_make_small_batches(manager: FakeManager, tmp_path: Path) -> None:
    async with a_sender(manager, tmp_path / "outbox.sqlite", batches=True) as sender:
        posted = await filled(manager, sender, 12, log="x" * (MOST_BYTES_AT_ONCE // 3))
        await sender.drained()
    assert [(update["task"], update["seq"]) for update in manager.updates] == posted
    assert max(manager.batches) == 2


async def test_what_a_batch_did_not_apply_is_put_aside_and_its_attempts_are_told_of(
    manager: FakeManager, tmp_path: Path
) -> None:
    refused: list[tuple[str, type[FlamencoError]]] = []
    async with a_sender(manager, tmp_path / "outbox.sqlite", batches=True) as sender:
        sender.on_refused = lambda task, attempt, error: refused.append((task, type(error)))
        posted = await filled(manager, sender, 6)
        mine, stale, unknown = (task for task, _ in posted[:3])
        manager.refused, manager.unknown = {stale}, {unknown}
        await sender.drained()
    assert [update["seq"] for update in manager.of(mine)] == [1, 2]
    assert refused == [(stale, Conflict), (unknown, NotFound)] * 2
    aside = await dead_letters(tmp_path / "outbox.sqlite")
    assert [task for task, _ in aside] == [stale, unknown] * 2
    assert "over" in aside[0][1]


async def test_a_batch_whose_answer_was_lost_is_sent_again(manager: FakeManager, tmp_path: Path) -> None:
    async with a_sender(manager, tmp_path / "outbox.sqlite", batches=True) as sender:
        manager.lose_answers = 1
        posted = await filled(manager, sender, 9)
        await sender.drained()
    assert [(update["task"], update["seq"]) for update in manager.updates] == posted


async def test_updates_of_a_flamenco_3_managers_task_go_alone(manager: FakeManager, tmp_path: Path) -> None:
    async with a_sender(manager, tmp_path / "outbox.sqlite", batches=True) as sender:
        manager.outage = 503
        old, new = new_id(), new_id()
        plain, numbered = (TaskUpdate(activity="a"), old), (TaskUpdate(attempt=1, seq=1), new)
        for update, task in (plain, numbered, plain, (TaskUpdate(attempt=1, seq=2), new)):
            await sender.post(task, update)
        manager.outage = None
        await sender.drained()
    assert [update["task"] for update in manager.updates] == [old, new, old, new]
    assert manager.batches == [1, 1]
