"""What every engine promises of Managers and their orders (``ManagerStore``, ``OrderStore``)."""

import asyncio

import pytest

from contracts.server_store import (
    NOON,
    Engine,
    ServerStore,
    StoreContract,
    a_hello,
    an_order,
    at,
    cancel,
    compiled,
    linked,
)
from flamenco_core.identifiers import new_id
from flamenco_core.wire.manager_api import NO_DIGEST, Order, order_digest
from flamenco_server.managers import ManagerNameTaken
from flamenco_server.orders import UnknownOrder


class ManagerStoreContract(StoreContract):
    async def test_a_new_manager_has_said_nothing_and_was_told_nothing(self, store: ServerStore) -> None:
        manager = new_id()
        await store.managers.add_manager(manager, "site", "sha256", NOON)
        link = await store.managers.link(manager)
        assert (link.manager_id, link.manager_name, link.manager_feed) == (manager, "site", None)
        assert (link.last_order, link.order_acknowledged, link.last_report) == (0, 0, 0)
        assert (link.last_report_digest, link.is_unused) == (NO_DIGEST, True)

    async def test_a_name_is_taken_once(self, store: ServerStore) -> None:
        await store.managers.add_manager(new_id(), "site", "one", NOON)
        with pytest.raises(ManagerNameTaken, match="site"):
            await store.managers.add_manager(new_id(), "site", "two", NOON)
        assert len(await store.reader.managers()) == 1

    async def test_a_store_keeps_its_feed(self, engine: Engine) -> None:
        async with engine() as store:
            manager = await linked(store)
            feed = (await store.managers.link(manager)).server_feed
        async with engine() as store:
            assert (await store.managers.link(manager)).server_feed == feed

    async def test_a_hello_is_kept(self, engine: Engine) -> None:
        hello = a_hello(software="Flamenco 9", platform="windows")
        async with engine() as store:
            manager = await linked(store)
            await store.managers.record_hello(manager, hello, at(5))
        async with engine() as store:
            assert (await store.managers.link(manager)).manager_feed == hello.feed
            (found,) = await store.reader.managers()
            assert (found.software, found.platform, found.last_seen) == ("Flamenco 9", "windows", at(5))

    async def test_a_hello_gets_the_jobs_that_wait_oldest_first_and_each_once(self, store: ServerStore) -> None:
        waiting = [await compiled(store) for _ in range(3)]
        gone = await compiled(store)
        await cancel(store, gone)
        manager = new_id()
        await store.managers.add_manager(manager, "site", "sha256", NOON)
        assert await store.managers.record_hello(manager, a_hello(), NOON) == waiting
        assert await store.managers.record_hello(manager, a_hello(), NOON) == []
        orders = await store.orders.orders_after(manager, 0, 10)
        assert [order.details["job"] for order in orders] == waiting
        assert [(await store.jobs.job(job_id)).manager_id for job_id in waiting] == [manager] * 3

    async def test_what_a_hello_says_is_applied_counts_as_acknowledged_and_never_less(self, store: ServerStore) -> None:
        manager = await linked(store)
        for _ in range(3):
            await store.orders.issue(manager, an_order())
        for said, acknowledged in ((2, 2), (1, 2), (3, 3)):
            await store.managers.record_hello(manager, a_hello(last_order=said), NOON)
            assert (await store.managers.link(manager)).order_acknowledged == acknowledged

    async def test_the_digest_of_an_order_is_the_chain_that_both_sides_compute(self, store: ServerStore) -> None:
        manager = await linked(store)
        expected = [NO_DIGEST]
        for number in range(3):
            await store.orders.issue(manager, an_order(job=new_id(), number=number))
        for order in await store.orders.orders_after(manager, 0, 10):
            expected.append(order_digest(expected[-1], order))
        assert [await store.managers.order_digest(manager, number) for number in range(4)] == expected
        assert await store.managers.order_digest(manager, 4) is None
        assert await store.managers.order_digest(await linked(store, "other"), 1) is None


class OrderStoreContract(StoreContract):
    async def test_orders_are_numbered_from_1_for_each_manager_and_come_back_as_issued(
        self, store: ServerStore
    ) -> None:
        one, other = await linked(store, "one"), await linked(store, "other")
        issued = [an_order("task.log", asked_at=at(index), task=new_id(), seconds=30) for index in range(5)]
        for index, order in enumerate(issued):
            await store.orders.issue(one if index % 2 else other, order)
        for manager, orders in ((one, issued[1::2]), (other, issued[::2])):
            assert await store.orders.orders_after(manager, 0, 10) == [
                Order(number, order.id, order.kind, order.details, order.asked_by, order.asked_at)
                for number, order in enumerate(orders, start=1)
            ]

    async def test_orders_come_oldest_first_and_no_more_than_asked_for(self, store: ServerStore) -> None:
        manager = await linked(store)
        for _ in range(5):
            await store.orders.issue(manager, an_order())
        for after, limit, expected in ((0, 2, [1, 2]), (2, 2, [3, 4]), (4, 2, [5]), (5, 2, [])):
            found = await store.orders.orders_after(manager, after, limit)
            assert [order.order for order in found] == expected

    async def test_numbers_go_on_after_a_restart(self, engine: Engine) -> None:
        async with engine() as store:
            manager = await linked(store)
            await store.orders.issue(manager, an_order())
            digest = await store.managers.order_digest(manager, 1)
        async with engine() as store:
            await store.orders.issue(manager, an_order())
            (order,) = await store.orders.orders_after(manager, 1, 10)
            assert order.order == 2
            assert digest is not None
            assert await store.managers.order_digest(manager, 2) == order_digest(digest, order)

    async def test_acknowledging_notes_that_the_manager_was_heard_of_and_never_goes_back(
        self, store: ServerStore
    ) -> None:
        manager = await linked(store)
        for _ in range(3):
            await store.orders.issue(manager, an_order())
        for number, acknowledged, moment in ((2, 2, at(1)), (1, 2, at(2)), (3, 3, at(3))):
            await store.orders.acknowledge(manager, number, moment)
            assert (await store.managers.link(manager)).order_acknowledged == acknowledged
            assert (await store.reader.managers())[0].last_seen == moment

    async def test_what_was_never_issued_cannot_be_acknowledged(self, store: ServerStore) -> None:
        manager = await linked(store)
        await store.orders.issue(manager, an_order())
        with pytest.raises(UnknownOrder):
            await store.orders.acknowledge(manager, 2, at(9))
        assert (await store.managers.link(manager)).order_acknowledged == 0
        assert (await store.reader.managers())[0].last_seen == NOON

    async def test_the_same_is_not_asked_again_while_it_is_recent(self, store: ServerStore) -> None:
        manager = await linked(store)
        orders = store.orders

        async def ask(now_s: float, task: str = "t", kind: str = "task.log") -> bool:
            order = an_order(kind, asked_at=at(now_s), task=task)
            return await orders.issue_unless_recent(manager, order, at(now_s - 20))

        assert [await ask(0), await ask(10), await ask(20)] == [True, False, False]
        assert [await ask(20, task="other"), await ask(20, kind="other")] == [True, True]
        assert await ask(20.1) is True
        assert len(await orders.orders_after(manager, 0, 10)) == 4

    async def test_trace_26_of_two_processes_that_issue_at_once_no_order_is_skipped(self, engine: Engine) -> None:
        count = 40
        async with engine() as one, engine() as other, engine() as reader:
            manager = await linked(one)

            async def follow() -> list[int]:
                """Fetch as a Manager does: what comes after the last number that was seen."""
                seen: list[int] = []
                while len(seen) < 2 * count:
                    seen += [item.order for item in await reader.orders.orders_after(manager, len(seen), 100)]
                    await asyncio.sleep(0)
                return seen

            issuing = [store.orders.issue(manager, an_order()) for _ in range(count) for store in (one, other)]
            async with asyncio.timeout(60):
                seen, *_ = await asyncio.gather(follow(), *issuing)
            assert seen == list(range(1, 2 * count + 1))
            digest = NO_DIGEST
            for order in await reader.orders.orders_after(manager, 0, 100):
                digest = order_digest(digest, order)
            assert await reader.managers.order_digest(manager, 2 * count) == digest
