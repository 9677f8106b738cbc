"""Orders: numbered, acknowledged by asking for what comes after, delivered at once to a Manager that waits."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from server_world import BLEND, DEADLINE_S, UNFOUND, World, an_animation, server_world
from site_manager import SiteManager, linked

from flamenco_core.identifiers import new_id, task_id
from flamenco_server.orders import ANSWER_AFTER_S
from flamenco_server.records import AWAY_AFTER

pytestmark = pytest.mark.asyncio(loop_scope="module")


def told(orders: list[dict[str, Any]]) -> list[tuple[int, str, str]]:
    return [(order["order"], order["kind"], order["details"].get("job")) for order in orders]


async def test_orders_are_numbered_and_say_who_asked_and_when(world: World) -> None:
    manager = await linked(world)
    first, second = await world.compiled(), await world.compiled()
    world.time.passed_s = 5
    assert (await world.admin.post(f"jobs/{first}/cancel")).status == 202
    orders = await manager.orders()
    assert told(orders) == [(1, "job.submit", first), (2, "job.submit", second), (3, "job.cancel", first)]
    assert (orders[2]["asked_by"], orders[2]["asked_at"]) == ("admin", "2026-01-31T12:00:05.000Z")
    assert len({order["id"] for order in orders}) == 3


async def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(world: World) -> None:
    manager = await linked(world)
    for _ in range(3):
        await world.compiled()
    every = await manager.orders(after=0)
    assert await manager.orders(after=0) == every
    assert await manager.orders(after=2) == every[2:]
    assert await manager.orders(after=3) == []


async def test_asking_for_what_comes_after_acknowledges(world: World) -> None:
    manager = await linked(world)
    await world.compiled()
    await manager.next_orders()
    forgetful = SiteManager(world, manager.id, manager.name, manager.token, manager.feed)
    assert (await forgetful.say_hello()).json()["resync"] is False  # nothing is acknowledged yet
    await manager.orders()
    assert (await forgetful.say_hello()).json()["resync"] is True


async def test_no_more_than_a_hundred_come_at_once(world: World) -> None:
    manager = await linked(world)
    for _ in range(101):
        await world.submit()
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(seen) < 101:
            orders = await manager.next_orders()
            assert len(orders) <= 100
            seen += orders
    assert len(await manager.orders(after=0)) == 100
    assert len(await manager.orders(after=1)) == 100
    assert len({order["details"]["job"] for order in seen}) == 101


async def test_what_was_never_issued_cannot_be_acknowledged(world: World) -> None:
    manager = await linked(world)
    await world.compiled()
    assert (await manager.call("GET", "orders?after=2")).problem == (409, "unknown-order")
    assert len(await manager.orders(after=0)) == 1


async def test_a_manager_that_waits_is_answered_at_once_when_an_order_is_issued(world: World) -> None:
    manager = await linked(world)

    async def while_it_waits(ask: Awaitable[Any]) -> Any:
        """Ask for something while the Manager waits, which must be answered with an order."""
        waiting = asyncio.create_task(manager.next_orders(wait=60))
        await manager.call("GET", "orders")  # answered, so the other one has come as well
        async with asyncio.timeout(DEADLINE_S):
            answer = await ask
            assert len(await waiting) == 1
        return answer

    job_id = await while_it_waits(world.compiled())
    await while_it_waits(world.admin.post(f"jobs/{job_id}/cancel"))


async def test_what_is_there_already_is_not_waited_for(world: World) -> None:
    manager = await linked(world)
    await world.compiled()
    async with asyncio.timeout(DEADLINE_S):
        assert len(await manager.orders(wait=60)) == 1


async def test_a_manager_that_waits_is_answered_before_it_would_be_taken_to_be_away() -> None:
    assert timedelta(seconds=ANSWER_AFTER_S) < AWAY_AFTER


async def test_after_the_wait_there_is_an_empty_list(world: World) -> None:
    manager = await linked(world)
    for wait in (0, 0.01):
        assert await manager.orders(wait=wait) == []


async def test_each_manager_has_orders_of_its_own(world: World) -> None:
    mine = await linked(world, "mine")
    world.time.passed_s = 1
    other = await linked(world, "other")
    await world.compiled()
    assert len(await mine.next_orders()) == 1
    assert await other.orders() == []
    assert (await other.call("GET", "orders?after=1")).problem == (409, "unknown-order")


@pytest.mark.parametrize(
    "query",
    [
        *("after=-1", "after=x", "after=1.5", "after=9007199254740993", "wait=-1", "wait=61", "wait=nan", "wait=x"),
        *("before=1", "after=", "wait="),
    ],
)
async def test_a_bad_question_is_refused(shared: World, query: str) -> None:
    manager = await linked(shared, f"site {new_id()}")
    reply = await manager.call("GET", f"orders?{query}")
    assert reply.problem == (422, "bad-input")
    assert list(reply.json()["errors"]) == [query.partition("=")[0]]


async def test_a_manager_that_waits_is_answered_when_the_server_stops(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        async with server_world(tmp_path) as world:
            manager = await linked(world)
            address = manager.caller.address("manager/orders?wait=60")
            headers = manager.caller.headers

            async def wait() -> tuple[int, bytes]:
                async with session.get(address, headers=headers) as response:
                    return response.status, await response.read()

            waiting = asyncio.create_task(wait())
            await manager.orders()
        async with asyncio.timeout(DEADLINE_S):
            assert await waiting == (200, b'{"orders":[]}')


class TestJobs:
    async def test_a_job_that_waits_goes_to_the_first_manager_that_says_hello(self, world: World) -> None:
        first, second = await world.compiled(), await world.compiled()
        canceled = await world.compiled()
        assert (await world.admin.get(f"jobs/{first}"))["manager"] is None
        await world.admin.post(f"jobs/{canceled}/cancel")
        manager = await linked(world, "site")
        assert told(await manager.next_orders()) == [(1, "job.submit", first), (2, "job.submit", second)]
        job = await world.admin.get(f"jobs/{first}")
        assert job["manager"] == {"id": manager.id, "name": "site"}
        assert (job["activity"], job["status"]) == ("Manager site fetches it", "under-construction")

    async def test_a_definition_is_what_was_submitted(self, world: World) -> None:
        manager = await linked(world)
        files = [await world.upload(BLEND), await world.upload(b"", "a/empty.png")]
        submission = {
            **an_animation(files, frames="1-3"),
            "priority": 7,
            "metadata": {"project": "P", "platform": "windows"},
        }
        job = (await world.admin.post("jobs", submission)).json()
        await manager.next_orders()
        definition = (await manager.call("GET", f"jobs/{job['id']}")).json()
        for key in ("id", "name", "type", "priority", "owner", "settings", "metadata", "files"):
            assert definition[key] == job[key], key
        assert definition["created"] == job["created_at"]
        assert (definition["task_count"], definition["cancel_requested"]) == (4, False)
        assert definition["submitter_platform"] == "windows"

    async def test_trace_19_a_job_that_is_canceled_while_its_order_is_on_the_way_says_so(self, world: World) -> None:
        manager = await linked(world)
        job_id = await world.compiled()
        assert (await world.admin.post(f"jobs/{job_id}/cancel")).json()["status"] == "cancel-requested"
        assert (await manager.call("GET", f"jobs/{job_id}")).json()["cancel_requested"] is True
        assert [kind for _, kind, _ in told(await manager.orders())] == ["job.submit", "job.cancel"]

    async def test_tasks_come_as_lines_and_the_stream_can_be_taken_up_where_it_broke(self, world: World) -> None:
        manager = await linked(world)
        job_id = await world.compiled(settings={"sleep_repeats": 1200})
        whole = await manager.call("GET", f"jobs/{job_id}/tasks")
        assert whole.headers["Content-Type"] == "application/jsonl"
        assert whole.headers["Content-Encoding"] in ("gzip", "deflate")
        tasks = [orjson.loads(line) for line in whole.body.splitlines()]
        assert [(task["index"], task["id"]) for task in tasks] == [(i, task_id(job_id, i)) for i in range(1201)]
        (command,) = tasks[7]["commands"]
        assert (command["name"], command["parameters"]) == ("sleep", {"duration_in_seconds": 5.0})
        assert (tasks[7]["name"], tasks[7]["type"], tasks[7]["depends_on"]) == ("sleep-7", "misc", [0])
        for after in (0, 498, 499, 500, 999, 1199, 1200, 5000):
            rest = await manager.call("GET", f"jobs/{job_id}/tasks?after={after}")
            assert [orjson.loads(line) for line in rest.body.splitlines()] == tasks[after + 1 :]

    async def test_a_job_of_another_manager_is_not_there(self, world: World) -> None:
        mine = await linked(world, "mine")
        job_id = await world.compiled()
        await mine.next_orders()
        stranger = await linked(world, "stranger")
        for identity in (job_id, UNFOUND):
            for path in (f"jobs/{identity}", f"jobs/{identity}/tasks"):
                assert (await stranger.call("GET", path)).problem == (404, "no-such-job")

    @pytest.mark.parametrize("query", ["after=-2", "after=x", "from=1"])
    async def test_a_bad_question_is_refused(self, shared: World, query: str) -> None:
        manager = await linked(shared, f"site {new_id()}")
        assert (await manager.call("GET", f"jobs/{UNFOUND}/tasks?{query}")).problem == (422, "bad-input")
