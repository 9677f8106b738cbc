"""The foreman: what is answered is on disk, and requests that wait for the farm."""

import asyncio
from datetime import UTC, datetime

import pytest
from farm_builder import Site

from flamenco_core.errors import Unavailable
from flamenco_manager.farm import Changes, Farm
from flamenco_manager.foreman import Foreman
from flamenco_manager.model import Moment, Policy, Worker
from flamenco_manager.stores.farm_store import Also

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class SlowStore:
    """A store whose transactions end when the test says so; it may be closed."""

    def __init__(self) -> None:
        self.commits: list[asyncio.Future[None]] = []
        self.is_closed = False

    def save(self, changes: Changes, now: Moment, also: Also | None = None) -> "asyncio.Future[None]":
        if self.is_closed:
            raise Unavailable("the store is closed")
        self.commits.append(asyncio.get_running_loop().create_future())
        return self.commits[-1]


async def until_idle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


def a_foreman(store: SlowStore) -> tuple[Foreman, Worker]:
    foreman = Foreman(Farm(Policy()), store, lambda: NOON, lambda: 1000.0)
    worker = Worker("w", b"", "w", "linux", "127.0.0.1", ("misc",))
    foreman.farm.workers["w"] = worker
    return foreman, worker


async def test_a_rule_that_changed_nothing_waits_for_what_it_saw_to_be_on_disk() -> None:
    store = SlowStore()
    foreman, worker = a_foreman(store)
    foreman.farm.worker_changed(worker)
    first = asyncio.create_task(foreman.settle())
    await until_idle()
    repeat = asyncio.create_task(foreman.settle())  # nothing new: the same was said again
    await until_idle()
    assert (len(store.commits), first.done(), repeat.done()) == (1, False, False)
    store.commits[0].set_result(None)
    await asyncio.gather(first, repeat)


async def test_a_failed_commit_fails_whoever_waits_for_it() -> None:
    store = SlowStore()
    foreman, worker = a_foreman(store)
    foreman.farm.worker_changed(worker)
    both = [asyncio.create_task(foreman.settle()) for _ in range(2)]
    await until_idle()
    store.commits[0].set_exception(Unavailable("the disk is full"))
    for one in both:
        with pytest.raises(Unavailable):
            await one


async def test_a_no_that_comes_while_a_yes_is_stored_does_not_wait_for_the_end_of_the_poll() -> None:
    store, site = SlowStore(), Site()
    foreman = Foreman(site.farm, store, lambda: NOON, lambda: 1000.0)
    job, worker = site.job(), site.worker()
    task = site.takes(worker)
    handed_out = asyncio.create_task(foreman.settle())
    asked = asyncio.create_task(foreman.may_run(worker, task.id, task.attempt, wait_s=3600))
    await until_idle()  # it was found that it may go on, and that waits for the disk
    site.cancel(job)
    canceled = asyncio.create_task(foreman.settle())
    await until_idle()
    for commit in store.commits:
        commit.set_result(None)
    async with asyncio.timeout(20):
        assert (await asked).may_keep_running is False
    await asyncio.gather(handed_out, canceled)


async def test_once_the_store_takes_nothing_more_nobody_is_told_that_all_is_well() -> None:
    store = SlowStore()
    foreman, worker = a_foreman(store)
    foreman.farm.worker_changed(worker)
    first = asyncio.create_task(foreman.settle())
    await until_idle()
    store.commits[0].set_result(None)
    await first
    store.is_closed = True
    foreman.farm.worker_changed(worker)
    with pytest.raises(Unavailable):
        await foreman.settle()
    with pytest.raises(Unavailable):
        await foreman.settle()  # nothing new, but memory holds what the disk does not


async def test_nothing_to_store_and_nothing_under_way_is_settled_at_once() -> None:
    store = SlowStore()
    foreman, _ = a_foreman(store)
    await foreman.settle()
    assert store.commits == []
