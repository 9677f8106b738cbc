"""Tags and settings of the farm over HTTP: checked, kept, and told to every Manager."""

import asyncio
from typing import Any

import pytest
from server_world import DEADLINE_S, World
from site_manager import added, linked

from flamenco_core.identifiers import new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEFAULTS = {
    "policy": "fifo",
    "limits": {},
    "project_caps": {},
    "failed_attempts": 3,
    "lost_attempts": 3,
    "job_failed_tasks": 3,
    "job_failed_share": 0.1,
    "block_after": 3,
    "worker_timeout_s": 60.0,
    "idle_worker_timeout_s": 180.0,
    "starting_worker_timeout_s": 180.0,
    "task_timeout_s": 600.0,
    "start_up_grace_s": 120.0,
    "retry_pauses_s": [5.0, 30.0, 120.0],
    "ahead_s": 10.0,
    "variables": {},
}
STORAGE = {"values": [{"value": "/mnt", "platform": "linux", "audience": "all"}], "is_twoway": True}


async def test_a_new_farm_has_the_defaults(world: World) -> None:
    assert await world.admin.get("settings/farm") == DEFAULTS


async def test_settings_are_kept_and_what_is_absent_is_at_its_default(world: World) -> None:
    wanted = {"policy": "balanced", "limits": {"renderman": 2}, "variables": {"storage": STORAGE}}
    reply = await world.admin.call("PUT", "settings/farm", json=wanted)
    assert (reply.status, reply.json()) == (200, {**DEFAULTS, **wanted})
    assert await world.admin.get("settings/farm") == {**DEFAULTS, **wanted}
    await world.admin.call("PUT", "settings/farm", json={"block_after": 9})
    assert await world.admin.get("settings/farm") == {**DEFAULTS, "block_after": 9}


async def test_managers_hear_settings_by_order_and_at_their_hello(world: World) -> None:
    manager = await linked(world)
    await world.admin.call("PUT", "settings/farm", json={"policy": "balanced", "block_after": 9})
    order = await manager.next_order("settings")
    assert (order["details"], order["asked_by"]) == ({"policy": "balanced", "block_after": 9}, "admin")
    await world.admin.call("PUT", "settings/farm", json={"block_after": 9})
    assert (await manager.next_order("settings"))["details"] == {"policy": "fifo", "block_after": 9}
    assert (await manager.hello())["settings"] == {"block_after": 9}
    other = await added(world, "other")
    assert (await other.hello())["settings"] == {"block_after": 9}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"policy": "random"}, "policy"),
        ({"limits": {"renderman": -1}}, "limits.renderman.value"),
        ({"limits": {"renderman": "2"}}, "limits.renderman.value"),
        ({"project_caps": []}, "project_caps"),
        ({"failed_attempts": 0}, "failed_attempts"),
        ({"job_failed_share": 1.5}, "job_failed_share"),
        ({"worker_timeout_s": None}, "worker_timeout_s"),
        ({"worker_timeout_s": "60"}, "worker_timeout_s"),
        ({"retry_pauses_s": []}, "retry_pauses_s"),
        ({"variables": {"my storage": STORAGE}}, "variables.my storage"),
        (
            {"variables": {"storage": {"values": [{"value": "/mnt", "platform": "amiga"}]}}},
            "variables.storage.values.0.platform",
        ),
        ({"polcy": "fifo"}, "polcy"),
    ],
)
async def test_bad_settings_are_refused_by_name_and_change_nothing(
    world: World, document: dict[str, Any], field: str
) -> None:
    manager = await linked(world)
    reply = await world.admin.call("PUT", "settings/farm", json=document)
    assert reply.problem[0] == 422
    assert list(reply.json()["errors"]) == [field]
    assert await world.admin.get("settings/farm") == DEFAULTS
    assert await manager.orders() == []


@pytest.mark.parametrize("what", ["tag", "settings"])
async def test_a_manager_that_waits_for_orders_hears_of_a_change_at_once(world: World, what: str) -> None:
    manager = await linked(world)
    world.time.passed_s += 5
    waiting = asyncio.create_task(manager.next_orders(wait=60))
    await world.until("managers", lambda found: found["managers"][0]["last_seen"].endswith(":05.000Z"))
    path, document = ("tags/gpu", {}) if what == "tag" else ("settings/farm", {"policy": "balanced"})
    assert (await world.admin.call("PUT", path, json=document)).status == 200
    async with asyncio.timeout(DEADLINE_S):
        assert len(await waiting) == 1


async def test_tags_are_made_described_anew_listed_and_deleted(world: World) -> None:
    manager = await linked(world)
    for description in ("old", "GPUs"):
        reply = await world.admin.call("PUT", "tags/%20gpu%20", json={"description": description})
        assert (reply.status, reply.json()) == (200, {"name": "gpu", "description": description})
    await world.admin.call("PUT", "tags/a%2Fb%20%C3%BC", json={})
    assert (await world.admin.get("tags"))["tags"] == [
        {"name": "a/b ü", "description": ""},
        {"name": "gpu", "description": "GPUs"},
    ]
    assert (await world.admin.call("DELETE", "tags/gpu")).status == 204
    assert [tag["name"] for tag in (await world.admin.get("tags"))["tags"]] == ["a/b ü"]
    orders = await manager.next_orders()
    assert [(order["kind"], order["details"]["name"]) for order in orders] == [
        ("tag.put", "gpu"),
        ("tag.put", "gpu"),
        ("tag.put", "a/b ü"),
        ("tag.delete", "gpu"),
    ]
    assert (await world.admin.call("DELETE", "tags/gpu")).problem == (404, "no-such-tag")


@pytest.mark.parametrize("path", ["tags/a%7B1%7D", "tags/a%3F%23%25b", "tags/a%2F"])
async def test_a_tag_may_have_any_characters_that_can_be_seen(world: World, path: str) -> None:
    assert (await world.admin.call("PUT", path, json={})).status == 200
    assert (await world.admin.call("DELETE", path)).status == 204


@pytest.mark.parametrize("name", ["%20", "x" * 65, "a%00b", "a%0Ab"])
async def test_what_is_no_name_of_a_tag_is_refused(world: World, name: str) -> None:
    reply = await world.admin.call("PUT", f"tags/{name}", json={})
    assert reply.problem == (422, "bad-tag")
    assert list(reply.json()["errors"]) == ["name"]
    assert (await world.admin.get("tags"))["tags"] == []


async def test_a_tag_that_is_used_is_deleted_by_force_only(world: World) -> None:
    manager, worker_id = await linked(world), new_id()
    await world.admin.call("PUT", "tags/gpu", json={})
    await manager.report(workers=[manager.worker(worker_id, tags=["gpu"])])
    job_id = await world.compiled(tag="gpu")
    reply = await world.admin.call("DELETE", "tags/gpu")
    assert reply.problem == (409, "tag-in-use")
    assert (reply.json()["jobs"], reply.json()["workers"]) == (1, 1)
    assert (await world.admin.call("DELETE", "tags/gpu?force=perhaps")).problem[0] == 422
    async with world.watching() as events:
        assert (await world.admin.call("DELETE", "tags/gpu?force=true")).status == 204
        event = await events.until("job", id=job_id)
        assert event.document["requested"]["tag"] == {"value": None, "by": "admin"}
    kinds = [order["kind"] for order in await manager.next_orders()]
    assert kinds == ["tag.put", "job.submit", "job.tag", "worker.tags", "tag.delete"]
