"""Steering Workers over HTTP, and their past."""

from typing import Any

import pytest
from server_world import UNFOUND, World
from site_manager import SiteManager, linked

from flamenco_core.identifiers import new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")

NIGHTS = {
    "is_active": True,
    "time_zone": "Europe/Amsterdam",
    "windows": [{"days": ["mon", "fri"], "start": "22:00", "end": "07:00"}],
}
DAYS_ONLY: dict[str, Any] = {**NIGHTS, "windows": [{"days": ["sun"], "start": "00:00", "end": "00:00"}]}


async def a_worker_of(world: World, **changes: Any) -> tuple[SiteManager, str]:
    """Have a Manager with a Worker."""
    manager, worker_id = await linked(world), new_id()
    await manager.report(workers=[manager.worker(worker_id, **{"can_restart": True, **changes})])
    return manager, worker_id


async def put_tags(world: World, manager: SiteManager, *names: str) -> None:
    for name in names:
        assert (await world.admin.call("PUT", f"tags/{name}", json={})).status == 200
        await manager.next_order("tag.put")


@pytest.mark.parametrize("status", ["awake", "asleep", "offline", "restart"])
@pytest.mark.parametrize("lazy", [True, False])
async def test_a_status_is_ordered_and_only_what_is_for_now_expires(world: World, status: str, lazy: bool) -> None:
    manager, worker_id = await a_worker_of(world)
    reply = await world.admin.post(f"workers/{worker_id}/status", {"status": status, "lazy": lazy})
    assert (reply.status, reply.json()["status"]) == (202, "awake")
    assert reply.json()["requested"] == {"status": {"value": {"status": status, "lazy": lazy}, "by": "admin"}}
    order = await manager.next_order("worker.status")
    assert order["details"] == {"worker": worker_id, "status": status, "lazy": lazy}
    assert order["asked_by"] == "admin"
    assert order.get("expires") == (None if lazy else "2026-01-31T12:01:00.000Z")
    await manager.answer(order, workers=[manager.worker(worker_id, status_requested=status, lazy=lazy)])
    worker = await world.admin.get(f"workers/{worker_id}")
    assert (worker["requested"], worker["status_requested"], worker["lazy"]) == ({}, status, lazy)


async def test_a_worker_that_nobody_starts_again_is_not_restarted(world: World) -> None:
    manager, worker_id = await a_worker_of(world, can_restart=False)
    reply = await world.admin.post(f"workers/{worker_id}/status", {"status": "restart"})
    assert reply.problem == (409, "cannot-restart")
    assert "node-01" in reply.json()["detail"]
    assert await manager.orders() == []


async def test_an_order_that_came_too_late_is_told_of(world: World) -> None:
    manager, worker_id = await a_worker_of(world)
    await world.admin.post(f"workers/{worker_id}/status", {"status": "asleep"})
    await manager.answer(await manager.next_order("worker.status"), "expired")
    worker = await world.admin.get(f"workers/{worker_id}")
    assert (worker["requested"], worker["refused"]) == ({}, "It reached its Manager too late to make sense.")


async def test_tags_replace_those_that_were_there(world: World) -> None:
    manager, worker_id = await a_worker_of(world, tags=["old"])
    await put_tags(world, manager, "gpu", "big")
    reply = await world.admin.call("PUT", f"workers/{worker_id}/tags", json={"tags": ["gpu", " big ", "gpu"]})
    assert (reply.status, reply.json()["tags"]) == (202, ["old"])
    order = await manager.next_order("worker.tags")
    assert order["details"] == {"worker": worker_id, "tags": ["gpu", "big"]}
    await world.admin.call("PUT", f"workers/{worker_id}/tags", json={"tags": []})
    assert (await manager.next_order("worker.tags"))["details"]["tags"] == []


@pytest.mark.parametrize("schedule", [NIGHTS, DAYS_ONLY, {**NIGHTS, "is_active": False, "windows": []}, None])
async def test_a_schedule_is_ordered_as_it_is_written(world: World, schedule: Any) -> None:
    manager, worker_id = await a_worker_of(world)
    reply = await world.admin.call("PUT", f"workers/{worker_id}/schedule", json={"schedule": schedule})
    assert reply.status == 202
    order = await manager.next_order("worker.schedule")
    assert order["details"] == {"worker": worker_id, "schedule": schedule}
    await manager.answer(order, workers=[manager.worker(worker_id, schedule=schedule)])
    assert (await world.admin.get(f"workers/{worker_id}"))["schedule"] == schedule


@pytest.mark.parametrize("verb", ["approve", "forget"])
async def test_approving_and_forgetting_are_ordered_once(world: World, verb: str) -> None:
    manager, worker_id = await a_worker_of(world, approved=False)
    for _ in range(2):
        assert (await world.admin.post(f"workers/{worker_id}/{verb}")).status == 202
    assert (await manager.next_order(f"worker.{verb}"))["details"] == {"worker": worker_id}


async def test_an_approved_worker_need_not_be_approved(world: World) -> None:
    manager, worker_id = await a_worker_of(world)
    assert (await world.admin.post(f"workers/{worker_id}/approve")).status == 202
    assert await manager.orders() == []


async def test_a_forgotten_worker_is_gone_once_its_manager_says_so(world: World) -> None:
    manager, worker_id = await a_worker_of(world)
    await world.admin.post(f"workers/{worker_id}/forget")
    order = await manager.next_order("worker.forget")
    assert (await world.admin.get(f"workers/{worker_id}"))["requested"]["forgotten"]["value"] is True
    await manager.answer(order, workers=[manager.worker(worker_id, forgotten=True)])
    assert (await world.admin.call("GET", f"workers/{worker_id}")).problem == (404, "no-such-worker")
    assert (await world.admin.get("workers"))["workers"] == []


@pytest.mark.parametrize("blocks", [{}, {"job": UNFOUND}, {"task_type": "blender"}, {"job": UNFOUND, "task_type": "x"}])
async def test_blocks_are_lifted_all_or_some(world: World, blocks: dict[str, str]) -> None:
    manager, worker_id = await a_worker_of(world, blocked=[{"job": UNFOUND, "task_type": "blender"}])
    assert (await world.admin.get(f"workers/{worker_id}"))["blocked"] == [{"job": UNFOUND, "task_type": "blender"}]
    assert (await world.admin.post(f"workers/{worker_id}/unblock", blocks)).status == 202
    assert (await manager.next_order("worker.unblock"))["details"] == {"worker": worker_id, **blocks}


BAD: list[tuple[str, str, Any, str]] = [
    ("POST", "status", {}, "status"),
    ("POST", "status", {"status": "error"}, "status"),
    ("POST", "status", {"status": "asleep", "lazy": "yes"}, "lazy"),
    ("POST", "status", {"status": "asleep", "later": True}, "later"),
    ("PUT", "tags", {}, "tags"),
    ("PUT", "tags", {"tags": "gpu"}, "tags"),
    ("PUT", "tags", {"tags": [""]}, "tags.0"),
    ("PUT", "tags", {"tags": ["no such tag"]}, "tags"),
    ("PUT", "schedule", {}, "schedule"),
    ("PUT", "schedule", {"schedule": {**NIGHTS, "time_zone": "Mars/Olympus"}}, "schedule.time_zone"),
    ("PUT", "schedule", {"schedule": {**NIGHTS, "time_zone": "../../etc/passwd"}}, "schedule.time_zone"),
    ("PUT", "schedule", {"schedule": {**NIGHTS, "zone": "UTC"}}, "schedule.zone"),
    (
        "PUT",
        "schedule",
        {"schedule": {**NIGHTS, "windows": [{"days": ["monday"], "start": "22:00", "end": "07:00"}]}},
        "schedule.windows.0.days.0",
    ),
    (
        "PUT",
        "schedule",
        {"schedule": {**NIGHTS, "windows": [{"days": [], "start": "22:00", "end": "07:00"}]}},
        "schedule.windows.0.days",
    ),
    (
        "PUT",
        "schedule",
        {"schedule": {**NIGHTS, "windows": [{"days": ["mon"], "start": "22:00", "end": "24:00"}]}},
        "schedule.windows.0.end",
    ),
    ("POST", "unblock", {"job": "x"}, "job"),
    ("POST", "unblock", {"task_type": ""}, "task_type"),
]


@pytest.mark.parametrize(("method", "path", "document", "field"), BAD)
async def test_what_makes_no_sense_is_refused_by_its_field(
    world: World, method: str, path: str, document: Any, field: str
) -> None:
    manager, worker_id = await a_worker_of(world)
    before = await world.admin.get(f"workers/{worker_id}")
    reply = await world.admin.call(method, f"workers/{worker_id}/{path}", json=document)
    assert reply.problem[0] == 422
    assert list(reply.json()["errors"]) == [field]
    assert await world.admin.get(f"workers/{worker_id}") == before
    assert await manager.orders() == []


@pytest.mark.parametrize(
    ("method", "path", "document"),
    [
        ("POST", "status", {"status": "asleep"}),
        ("PUT", "tags", {"tags": []}),
        ("PUT", "schedule", {"schedule": None}),
        ("POST", "unblock", {}),
        ("POST", "approve", None),
        ("POST", "forget", None),
        ("GET", "states", None),
    ],
)
async def test_a_worker_that_is_not_there_is_told_so(world: World, method: str, path: str, document: Any) -> None:
    reply = await world.admin.call(method, f"workers/{UNFOUND}/{path}", json=document)
    assert reply.problem == (404, "no-such-worker")


async def test_the_past_of_a_worker_comes_newest_first_page_by_page(world: World) -> None:
    manager, worker_id = await a_worker_of(world)
    states = [
        {"worker": worker_id, "status": status, "at": f"2026-01-31T11:00:0{second}.000Z", "why": f"why {second}"}
        for second, status in enumerate(["starting", "awake", "asleep"])
    ]
    await manager.report(worker_states=states)
    page = await world.admin.get(f"workers/{worker_id}/states?limit=2")
    assert page["states"] == [
        {"status": "asleep", "at": "2026-01-31T11:00:02.000Z", "why": "why 2"},
        {"status": "awake", "at": "2026-01-31T11:00:01.000Z", "why": "why 1"},
    ]
    rest = await world.admin.get(f"workers/{worker_id}/states?limit=2&after={page['next']}")
    assert ([state["status"] for state in rest["states"]], rest["next"]) == (["starting"], None)
