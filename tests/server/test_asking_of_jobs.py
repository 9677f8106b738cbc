"""Steering jobs over HTTP, with a Manager that fetches the orders and answers them."""

import asyncio
from typing import Any

import pytest
from server_world import DEADLINE_S, UNFOUND, World
from site_manager import SiteManager, linked

from flamenco_core.identifiers import new_id, task_id

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def a_job_of(world: World, **changes: Any) -> tuple[SiteManager, str]:
    """Have a Manager with a job that it runs."""
    manager = await linked(world)
    job_id = await world.compiled(**changes)
    await manager.next_orders()
    await manager.report(jobs=[manager.job(job_id, "active", counts={"active": 1, "queued": 1})])
    return manager, job_id


async def seen(world: World, job_id: str) -> tuple[str, Any]:
    """Return a job's status and what is asked of it."""
    job = await world.admin.get(f"jobs/{job_id}")
    return job["status"], {about: asked["value"] for about, asked in job["requested"].items()}


@pytest.mark.parametrize(
    ("verb", "shown", "asked", "after"),
    [
        ("pause", "pause-requested", {"state": "pause"}, "paused"),
        ("resume", "active", {"state": "resume"}, "active"),
        ("cancel", "cancel-requested", {"state": "cancel"}, "canceled"),
        ("delete", "cancel-requested", {"state": "delete"}, "canceled"),
    ],
)
async def test_what_is_asked_is_shown_until_the_manager_has_done_it(
    world: World, verb: str, shown: str, asked: dict[str, str], after: str
) -> None:
    manager, job_id = await a_job_of(world)
    reply = await world.admin.post(f"jobs/{job_id}/{verb}")
    assert (reply.status, reply.json()["id"], reply.json()["status"]) == (202, job_id, shown)
    assert reply.json()["requested"]["state"] == {"value": verb, "by": "admin"}
    order = await manager.next_order(f"job.{verb}")
    assert (order["details"], order["asked_by"]) == ({"job": job_id}, "admin")
    assert await seen(world, job_id) == (shown, asked)
    await manager.answer(order, jobs=[manager.job(job_id, after, priority=50, deleted=verb == "delete")])
    assert await seen(world, job_id) == (after, {})


async def test_what_a_manager_does_not_do_is_told_with_its_reason(world: World) -> None:
    manager, job_id = await a_job_of(world)
    await world.admin.post(f"jobs/{job_id}/pause")
    await manager.answer(await manager.next_order("job.pause"), "dropped", "It has ended already, as completed.")
    job = await world.admin.get(f"jobs/{job_id}")
    assert (job["status"], job["requested"]) == ("active", {})
    assert job["refused"] == "It has ended already, as completed."


@pytest.mark.parametrize("asked_of", ["job", "task", "worker"])
async def test_a_manager_that_waits_for_orders_hears_of_it_at_once(world: World, asked_of: str) -> None:
    manager, job_id = await a_job_of(world)
    worker_id = new_id()
    await manager.report(workers=[manager.worker(worker_id)])
    path = {"job": f"jobs/{job_id}/pause", "task": f"tasks/{task_id(job_id, 0)}/pause"}.get(asked_of)
    world.time.passed_s += 5
    waiting = asyncio.create_task(manager.next_orders(wait=60))
    await world.until("managers", lambda found: found["managers"][0]["last_seen"].endswith(":05.000Z"))
    await world.admin.post(path or f"workers/{worker_id}/forget")
    async with asyncio.timeout(DEADLINE_S):
        assert len(await waiting) == 1


async def test_asking_is_seen_by_those_who_watch(world: World) -> None:
    manager, job_id = await a_job_of(world)
    async with world.watching() as events:
        await world.admin.post(f"jobs/{job_id}/pause")
        event = await events.until("job", id=job_id, status="pause-requested")
        assert event.document["requested"]["state"]["by"] == "admin"
        await manager.answer(await manager.next_order("job.pause"), jobs=[manager.job(job_id, "paused")])
        await events.until("job", id=job_id, status="paused", requested={})


@pytest.mark.parametrize("which", ["all", "not-completed", "failed"])
async def test_requeueing_names_what_shall_run_again(world: World, which: str) -> None:
    manager, job_id = await a_job_of(world)
    await manager.report(jobs=[manager.job(job_id, "failed")])
    reply = await world.admin.post(f"jobs/{job_id}/requeue", {"which": which})
    assert (reply.status, reply.json()["status"]) == (202, "requeueing")
    order = await manager.next_order("job.requeue")
    assert order["details"] == {"job": job_id, "which": which, "rev": reply.json()["rev"]}
    await manager.answer(order, jobs=[manager.job(job_id, "active")])
    assert await seen(world, job_id) == ("active", {})


async def test_chosen_tasks_can_be_requeued(world: World) -> None:
    manager, job_id = await a_job_of(world)
    tasks = [task_id(job_id, 1), task_id(job_id, 0)]
    reply = await world.admin.post(f"jobs/{job_id}/requeue", {"which": "chosen", "tasks": [*tasks, tasks[0].upper()]})
    assert reply.status == 202
    assert (await manager.next_order("job.requeue"))["details"]["tasks"] == tasks


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "which"),
        ({"which": "some"}, "which"),
        ({"which": "chosen"}, "tasks"),
        ({"which": "chosen", "tasks": []}, "tasks"),
        ({"which": "chosen", "tasks": ["x"]}, "tasks.0"),
        ({"which": "chosen", "tasks": [UNFOUND]}, "tasks"),
        ({"which": "all", "tasks": [UNFOUND]}, "tasks"),
        ({"which": "all", "wich": 1}, "wich"),
    ],
)
async def test_a_requeue_that_makes_no_sense_is_refused_by_its_field(
    world: World, document: dict[str, Any], field: str
) -> None:
    manager, job_id = await a_job_of(world)
    reply = await world.admin.post(f"jobs/{job_id}/requeue", document)
    assert reply.problem[0] == 422
    assert list(reply.json()["errors"]) == [field]
    assert await seen(world, job_id) == ("active", {})
    assert await manager.orders() == []


async def test_tasks_of_another_job_are_not_requeued_with_this_one(world: World) -> None:
    _, job_id = await a_job_of(world)
    other = await world.compiled()
    chosen = [task_id(job_id, 0), task_id(other, 0)]
    reply = await world.admin.post(f"jobs/{job_id}/requeue", {"which": "chosen", "tasks": chosen})
    assert reply.problem[0] == 422
    assert task_id(other, 0) in reply.json()["errors"]["tasks"]
    assert task_id(job_id, 0) not in reply.json()["errors"]["tasks"]


async def test_priority_and_tag_are_changed_by_orders_and_shown_beside_what_is_so(world: World) -> None:
    manager, job_id = await a_job_of(world)
    await world.admin.call("PUT", "tags/gpu", json={})
    await manager.next_order("tag.put")
    reply = await world.admin.call("PATCH", f"jobs/{job_id}", json={"priority": 80, "tag": " gpu "})
    assert (reply.status, reply.json()["priority"], reply.json()["tag"]) == (202, 50, None)
    priority, tag = await manager.next_orders()
    assert (priority["kind"], priority["details"]) == ("job.priority", {"job": job_id, "priority": 80})
    assert (tag["kind"], tag["details"]) == ("job.tag", {"job": job_id, "tag": "gpu"})
    assert await seen(world, job_id) == ("active", {"priority": 80, "tag": "gpu"})
    await manager.answer(priority)
    await manager.answer(tag, jobs=[manager.job(job_id, priority=80, tag="gpu")])
    job = await world.admin.get(f"jobs/{job_id}")
    assert (job["priority"], job["tag"], job["requested"]) == (80, "gpu", {})


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, ""),
        ({"priority": 101}, "priority"),
        ({"priority": -1}, "priority"),
        ({"priority": "high"}, "priority"),
        ({"priority": None}, "priority"),
        ({"tag": "no such tag"}, "tag"),
        ({"tag": ""}, "tag"),
        ({"tag": 5}, "tag"),
        ({"name": "other"}, "name"),
    ],
)
async def test_a_change_that_makes_no_sense_is_refused_by_its_field(
    world: World, document: dict[str, Any], field: str
) -> None:
    manager, job_id = await a_job_of(world)
    reply = await world.admin.call("PATCH", f"jobs/{job_id}", json=document)
    assert reply.problem[0] == 422
    assert list(reply.json()["errors"]) == [field]
    assert await manager.orders() == []


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "delete", "undelete"])
async def test_nothing_can_be_asked_of_a_job_that_is_not_there(world: World, verb: str) -> None:
    assert (await world.admin.post(f"jobs/{UNFOUND}/{verb}")).problem == (404, "no-such-job")
    assert (await world.admin.post(f"jobs/x/{verb}")).problem == (404, "not-found")


async def test_what_comes_too_late_is_a_conflict_that_says_why(world: World) -> None:
    manager, job_id = await a_job_of(world)
    await manager.report(jobs=[manager.job(job_id, "completed")])
    for verb in ("cancel", "pause", "resume"):
        reply = await world.admin.post(f"jobs/{job_id}/{verb}")
        assert reply.problem == (409, "job-ended")
        assert f"nothing left to {verb}" in reply.json()["detail"]
    await world.admin.post(f"jobs/{job_id}/delete")
    assert (await world.admin.post(f"jobs/{job_id}/requeue", {"which": "all"})).problem == (409, "job-in-bin")


async def test_a_job_that_no_manager_has_cannot_be_requeued(world: World) -> None:
    job_id = await world.compiled()
    await world.admin.post(f"jobs/{job_id}/cancel")
    assert (await world.admin.post(f"jobs/{job_id}/requeue", {"which": "all"})).problem == (409, "no-manager-yet")


async def test_a_deleted_job_leaves_the_list_and_comes_back(world: World) -> None:
    manager, job_id = await a_job_of(world)
    await world.admin.post(f"jobs/{job_id}/delete")
    order = await manager.next_order("job.delete")
    assert (await world.admin.get("jobs"))["jobs"] == []
    (deleted,) = (await world.admin.get("jobs?deleted=true"))["jobs"]
    assert deleted["deleted_at"] == "2026-01-31T12:00:00.000Z"
    await manager.answer(order, jobs=[manager.job(job_id, "canceled", priority=50, deleted=True)])
    assert (await world.admin.get("jobs"))["jobs"] == []
    await world.admin.post(f"jobs/{job_id}/undelete")
    await manager.answer(await manager.next_order("job.undelete"), jobs=[manager.job(job_id, "canceled", priority=50)])
    (back,) = (await world.admin.get("jobs"))["jobs"]
    assert (back["id"], back["status"], back["deleted_at"], back["requested"]) == (job_id, "canceled", None, {})
    assert (await world.admin.get("jobs?deleted=true"))["jobs"] == []


async def test_what_was_asked_before_a_manager_had_the_job_is_in_what_it_fetches(world: World) -> None:
    paused, changed, gone = [await world.compiled() for _ in range(3)]
    await world.admin.post(f"jobs/{paused}/pause")
    await world.admin.call("PATCH", f"jobs/{changed}", json={"priority": 99})
    await world.admin.post(f"jobs/{gone}/delete")
    manager = await linked(world)
    orders = await manager.next_orders()
    assert [(order["kind"], order["details"]["job"]) for order in orders] == [
        ("job.submit", paused),
        ("job.submit", changed),
    ]
    definition = (await manager.call("GET", f"jobs/{paused}")).json()
    assert (definition["start_paused"], definition["pause_requested"]) == (True, True)
    assert (await manager.call("GET", f"jobs/{changed}")).json()["priority"] == 99
    assert await seen(world, paused) == ("pause-requested", {"state": "pause"})
    await manager.report(jobs=[manager.job(paused, "paused")])
    assert await seen(world, paused) == ("paused", {})


@pytest.mark.parametrize(
    ("verb", "members"),
    [
        ("pause", {"pause_requested": True, "cancel_requested": False, "deleted": False}),
        ("cancel", {"pause_requested": False, "cancel_requested": True, "deleted": False}),
        ("delete", {"pause_requested": False, "cancel_requested": True, "deleted": True}),
    ],
)
async def test_what_is_asked_while_a_manager_fetches_is_in_what_it_fetches_too(
    world: World, verb: str, members: dict[str, bool]
) -> None:
    manager = await linked(world)
    job_id = await world.compiled()
    await world.admin.post(f"jobs/{job_id}/{verb}")
    await world.admin.call("PATCH", f"jobs/{job_id}", json={"priority": 7}) if verb != "delete" else None
    definition = (await manager.call("GET", f"jobs/{job_id}")).json()
    assert {name: definition[name] for name in members} == members
    assert definition["priority"] == (50 if verb == "delete" else 7)
