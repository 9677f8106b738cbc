"""Steering tasks over HTTP, and why one does not run: the Manager is asked, and answers while the request waits."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from server_world import DEADLINE_S, UNFOUND, World
from site_manager import SiteManager, added, linked

from contracts.server_store import ADA, NOON, Reporter, compiled, job_report
from contracts.server_store import linked as linked_store
from flamenco_core.identifiers import task_id
from flamenco_core.statuses import JobStatus
from flamenco_core.wire.manager_api import OrderResult
from flamenco_server.events import EventBus, InProcessBus
from flamenco_server.orders import NewOrder, OrderStore
from flamenco_server.reports import ReportStore
from flamenco_server.stores.sqlite.store import SqliteStore, open_store
from flamenco_server.why import ManagerAway, WhyDesk

pytestmark = pytest.mark.asyncio(loop_scope="module")

REASONS = [{"code": "asleep", "text": "All Workers sleep.", "count": 2, "workers": ["a", "b"], "act": "wake one"}]


async def a_task_of(world: World, status: str = "queued") -> tuple[SiteManager, str, str]:
    """Have a Manager with a job, the first task of which it has reported."""
    manager = await linked(world)
    job_id = await world.compiled()
    await manager.next_orders()
    await manager.report(jobs=[manager.job(job_id)], tasks=[manager.task(job_id, 0, status)])
    return manager, job_id, task_id(job_id, 0)


class TestAsking:
    @pytest.mark.parametrize(
        ("verb", "status", "after"),
        [
            ("cancel", "active", "canceled"),
            ("cancel", "paused", "canceled"),
            ("pause", "queued", "paused"),
            ("pause", "active", "active"),
            ("requeue", "failed", "queued"),
            ("requeue", "completed", "queued"),
        ],
    )
    async def test_what_is_asked_is_shown_until_the_manager_has_answered(
        self, world: World, verb: str, status: str, after: str
    ) -> None:
        manager, job_id, task = await a_task_of(world, status)
        reply = await world.admin.post(f"tasks/{task}/{verb}")
        assert (reply.status, reply.json()["status"]) == (202, status)
        assert reply.json()["requested"] == {"state": {"value": verb, "by": "admin"}}
        order = await manager.next_order(f"task.{verb}")
        expected = {"task": task, **({"rev": reply.json()["rev"]} if verb == "requeue" else {})}
        assert (order["details"], order["asked_by"]) == (expected, "admin")
        await manager.answer(order, tasks=[manager.task(job_id, 0, after)])
        seen = await world.admin.get(f"tasks/{task}")
        assert (seen["status"], seen["requested"], seen["refused"]) == (after, {}, "")

    @pytest.mark.parametrize("verb", ["cancel", "pause"])
    async def test_asking_twice_is_asking_once(self, world: World, verb: str) -> None:
        manager, _, task = await a_task_of(world)
        for _ in range(2):
            assert (await world.admin.post(f"tasks/{task}/{verb}")).status == 202
        await manager.next_order(f"task.{verb}")

    @pytest.mark.parametrize("verb", ["cancel", "pause"])
    @pytest.mark.parametrize("status", ["completed", "failed", "canceled"])
    async def test_what_has_ended_goes_on_no_more(self, world: World, verb: str, status: str) -> None:
        manager, _, task = await a_task_of(world, status)
        reply = await world.admin.post(f"tasks/{task}/{verb}")
        assert reply.problem == (409, "task-ended")
        assert f"is {status} already; there is nothing left to {verb}" in reply.json()["detail"]
        assert await manager.orders() == []

    async def test_a_task_that_shall_run_again_can_be_paused(self, world: World) -> None:
        manager, _, task = await a_task_of(world, "failed")
        await world.admin.post(f"tasks/{task}/requeue")
        assert (await world.admin.post(f"tasks/{task}/pause")).status == 202
        assert [order["kind"] for order in await manager.next_orders()] == ["task.requeue", "task.pause"]

    async def test_a_paused_task_need_not_be_paused(self, world: World) -> None:
        manager, _, task = await a_task_of(world, "paused")
        reply = await world.admin.post(f"tasks/{task}/pause")
        assert (reply.status, reply.json()["requested"]) == (202, {})
        assert await manager.orders() == []

    @pytest.mark.parametrize("verb", ["cancel", "pause", "requeue"])
    async def test_a_task_that_only_the_server_has_cannot_be_steered(self, world: World, verb: str) -> None:
        job_id = await world.compiled()
        reply = await world.admin.post(f"tasks/{task_id(job_id, 0)}/{verb}")
        assert reply.problem == (409, "no-manager-yet")

    @pytest.mark.parametrize("verb", ["cancel", "pause", "requeue"])
    async def test_a_task_of_a_deleted_job_cannot_be_steered(self, world: World, verb: str) -> None:
        _, job_id, task = await a_task_of(world, "failed")
        await world.admin.post(f"jobs/{job_id}/delete")
        assert (await world.admin.post(f"tasks/{task}/{verb}")).problem == (409, "job-in-bin")

    @pytest.mark.parametrize("verb", ["cancel", "pause", "requeue"])
    async def test_a_task_that_is_not_there_is_told_so(self, world: World, verb: str) -> None:
        assert (await world.admin.post(f"tasks/{UNFOUND}/{verb}")).problem == (404, "no-such-task")

    async def test_what_a_manager_does_not_do_is_told_with_its_reason(self, world: World) -> None:
        manager, _, task = await a_task_of(world, "failed")
        await world.admin.post(f"tasks/{task}/requeue")
        await manager.answer(await manager.next_order("task.requeue"), "dropped", "It was requeued meanwhile.")
        assert (await world.admin.get(f"tasks/{task}"))["refused"] == "It was requeued meanwhile."


class TestWhy:
    @pytest.mark.parametrize("asks_of_job", [False, True])
    async def test_the_managers_answer_comes_back_while_one_waits(self, world: World, asks_of_job: bool) -> None:
        manager, job_id, task = await a_task_of(world)
        path = f"jobs/{job_id}/why" if asks_of_job else f"tasks/{task}/why"
        waiting = asyncio.create_task(world.admin.call("GET", path))
        order = await manager.next_order("task.why")
        assert (order["details"], order["expires"]) == ({"task": task}, "2026-01-31T12:00:05.000Z")
        assert not waiting.done()
        await manager.answer(order, answer={"reasons": REASONS})
        async with asyncio.timeout(DEADLINE_S):
            reply = await waiting
        assert (reply.status, reply.json()) == (200, {"task": task, "reasons": REASONS})
        assert reply.headers["Cache-Control"] == "no-store"

    async def test_each_who_asks_gets_his_own_answer(self, world: World) -> None:
        manager, _, task = await a_task_of(world)
        waiting = [asyncio.create_task(world.admin.call("GET", f"tasks/{task}/why")) for _ in range(2)]
        orders: list[dict[str, Any]] = []
        while len(orders) < 2:
            orders += await manager.next_orders()
        for number, order in enumerate(reversed(orders)):
            await manager.answer(order, answer={"reasons": [{"code": "n", "text": str(number)}]})
        async with asyncio.timeout(DEADLINE_S):
            texts = [(await each).json()["reasons"][0]["text"] for each in waiting]
        assert sorted(texts) == ["0", "1"]

    async def test_of_a_job_the_first_task_that_waits_is_asked_about(self, world: World) -> None:
        manager, job_id, _ = await a_task_of(world, "completed")
        waiting = asyncio.create_task(world.admin.call("GET", f"jobs/{job_id}/why"))
        order = await manager.next_order("task.why")
        assert order["details"] == {"task": task_id(job_id, 1)}
        await manager.answer(order, answer={"reasons": REASONS})
        assert (await waiting).status == 200

    @pytest.mark.parametrize("status", ["soft-failed", "paused"])
    async def test_a_task_that_failed_or_was_paused_waits_too(self, world: World, status: str) -> None:
        manager, job_id, task = await a_task_of(world, status)
        await manager.report(tasks=[manager.task(job_id, 1, "completed")])
        waiting = asyncio.create_task(world.admin.call("GET", f"jobs/{job_id}/why"))
        order = await manager.next_order("task.why")
        assert order["details"] == {"task": task}
        await manager.answer(order, answer={"reasons": REASONS})
        assert (await waiting).status == 200

    async def test_of_an_ended_job_that_shall_run_again_the_manager_is_asked(self, world: World) -> None:
        manager, job_id, task = await a_task_of(world, "failed")
        await manager.report(jobs=[manager.job(job_id, "failed")])
        answer = await world.admin.get(f"tasks/{task}/why")
        assert [reason["code"] for reason in answer["reasons"]] == ["ended"]
        await world.admin.post(f"jobs/{job_id}/requeue", {"which": "failed"})
        await manager.next_order("job.requeue")
        waiting = asyncio.create_task(world.admin.call("GET", f"tasks/{task}/why"))
        await manager.answer(await manager.next_order("task.why"), answer={"reasons": REASONS})
        assert (await waiting).json()["reasons"] == REASONS

    async def test_a_manager_that_does_not_say_is_told_of(self, world: World) -> None:
        manager, _, task = await a_task_of(world)
        waiting = asyncio.create_task(world.admin.call("GET", f"tasks/{task}/why"))
        await manager.answer(await manager.next_order("task.why"), "dropped", "I do not know this kind.")
        reply = await waiting
        assert reply.problem == (409, "no-answer")
        assert "I do not know this kind." in reply.json()["detail"]

    async def test_a_site_that_is_away_is_named_with_the_time(self, world: World) -> None:
        manager, _, task = await a_task_of(world)
        world.time.passed_s += 61
        reply = await world.admin.call("GET", f"tasks/{task}/why")
        assert reply.problem == (503, "manager-away")
        assert "The Manager of site site is away since 2026-01-31 12:00 UTC" in reply.json()["detail"]
        world.time.passed_s -= 61
        assert await manager.orders() == []

    @pytest.mark.parametrize(
        ("verb", "code"), [(None, "preparing"), ("cancel", "ended"), ("delete", "deleted"), ("pause", "preparing")]
    )
    async def test_what_the_server_knows_itself_is_not_asked(self, world: World, verb: str | None, code: str) -> None:
        job_id = await world.compiled()
        if verb is not None:
            await world.admin.post(f"jobs/{job_id}/{verb}")
        for path, task in ((f"jobs/{job_id}/why", None), (f"tasks/{task_id(job_id, 0)}/why", task_id(job_id, 0))):
            answer = await world.admin.get(path)
            assert ([reason["code"] for reason in answer["reasons"]], answer["task"]) == ([code], task)

    async def test_of_a_job_that_its_manager_has_not_taken_in_it_is_said_what_it_waits_for(self, world: World) -> None:
        manager = await linked(world)
        job_id = await world.compiled()
        await manager.next_orders()
        low = "Waits for disk space: 3 MiB free"
        await manager.report(jobs=[manager.job(job_id, "under-construction", activity=low)])
        for path in (f"jobs/{job_id}/why", f"tasks/{task_id(job_id, 0)}/why"):
            (reason,) = (await world.admin.get(path))["reasons"]
            assert reason == {"code": "preparing", "text": f"The job is being prepared: {low}."}
        assert await manager.orders() == []

    async def test_a_job_of_which_nothing_waits_says_so(self, world: World) -> None:
        manager, job_id, _ = await a_task_of(world, "active")
        await manager.report(tasks=[manager.task(job_id, 1, "completed")])
        answer = await world.admin.get(f"jobs/{job_id}/why")
        assert (answer["task"], [reason["code"] for reason in answer["reasons"]]) == (None, ["nothing-waits"])

    async def test_of_what_is_not_there_nothing_is_asked(self, world: World) -> None:
        assert (await world.admin.call("GET", f"tasks/{UNFOUND}/why")).problem == (404, "no-such-task")
        assert (await world.admin.call("GET", f"jobs/{UNFOUND}/why")).problem == (404, "no-such-job")
        manager = await added(world)
        assert manager.server_feed is None


class InstantManager:
    """Orders whose Manager answers before the one who asks has heard that they are issued."""

    def __init__(self, orders: OrderStore, reports: ReportStore, reporter: Reporter, bus: EventBus) -> None:
        self._orders, self._reports, self._reporter, self._bus = orders, reports, reporter, bus
        self.order_answer = orders.order_answer

    async def issue(self, manager_id: str, order: NewOrder) -> None:
        await self._orders.issue(manager_id, order)
        number = (await self._orders.orders_after(manager_id, 0, 100))[-1].order
        report = self._reporter.next(orders=[OrderResult(number, "done", answer={"reasons": REASONS})])
        self._bus.publish(await self._reports.apply_report(manager_id, report, NOON))


@pytest_asyncio.fixture(loop_scope="module")
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    failures: list[BaseException] = []
    async with open_store(tmp_path, failures.append) as store:
        yield store
    assert failures == []


async def taken_in(store: SqliteStore, manager_id: str, reporter: Reporter) -> str:
    """Have a job that its Manager has taken in."""
    job_id = await compiled(store)
    report = reporter.next(jobs=[job_report(job_id, reporter.rev(), JobStatus.QUEUED)])
    await store.reports.apply_report(manager_id, report, NOON)
    return job_id


async def test_a_manager_that_does_not_answer_in_time_is_named(store: SqliteStore) -> None:
    job_id = await taken_in(store, await linked_store(store, "attic"), Reporter())
    desk = WhyDesk(store.reader, store.orders, InProcessBus(), patience_s=0.05)
    with pytest.raises(ManagerAway, match=r"site attic has not answered within 0\.05 s.* 2026-01-31 12:00 UTC"):
        await desk.of_task(task_id(job_id, 0), ADA)


async def test_an_answer_that_comes_at_once_is_not_missed(store: SqliteStore) -> None:
    reporter, bus = Reporter(), InProcessBus()
    job_id = await taken_in(store, await linked_store(store), reporter)
    orders: Any = InstantManager(store.orders, store.reports, reporter, bus)
    why = await WhyDesk(store.reader, orders, bus, patience_s=DEADLINE_S).of_task(task_id(job_id, 0), ADA)
    assert why.reasons == REASONS
