"""Reports over HTTP: applied once, in order, only where newer; whatever is lost, doubled or late does no harm."""

import asyncio
import json
from typing import Any

import pytest
from server_world import DEADLINE_S, UNFOUND, World
from site_manager import SiteManager, linked

from flamenco_core.identifiers import new_id, task_id

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def mirrored(world: World, job_id: str) -> Any:
    """Return all that reports change, as people see it."""
    paths = (f"jobs/{job_id}", f"jobs/{job_id}/tasks", f"jobs/{job_id}/frames", "workers")
    return [await world.admin.get(path) for path in paths]


async def a_running_job(world: World) -> tuple[SiteManager, str]:
    """Have a Manager with a job that it has fetched."""
    manager = await linked(world)
    job_id = await world.compiled()
    await manager.next_orders()
    return manager, job_id


async def test_people_see_what_the_manager_says(world: World) -> None:
    manager, job_id = await a_running_job(world)
    worker_id = new_id()
    moment = "2026-01-31T12:00:01.500Z"
    counts = {"active": 1, "queued": 1}
    task = manager.task(job_id, 0, worker=worker_id, worker_name="node-01", attempt=2, started_at=moment)
    task["failed_by"] = [{"worker": "node-02", "reason": "no camera"}]
    await manager.report(
        jobs=[manager.job(job_id, counts=counts, steps_completed=1, started_at=moment)],
        tasks=[task],
        workers=[manager.worker(worker_id, current_task=task_id(job_id, 0), status_requested="asleep", slot=0)],
    )
    job = await world.admin.get(f"jobs/{job_id}")
    assert (job["status"], job["activity"], job["task_counts"]) == ("active", "it is active", counts)
    assert (job["steps_completed"], job["started_at"], job["finished_at"]) == (1, moment, None)
    seen = await world.admin.get(f"tasks/{task_id(job_id, 0)}")
    assert (seen["status"], seen["attempt"], seen["worker"]) == ("active", 2, {"id": worker_id, "name": "node-01"})
    assert seen["failed_by"] == [{"worker": "node-02", "reason": "no camera"}]
    (worker,) = (await world.admin.get("workers"))["workers"]
    assert worker["current_task"] == {"id": seen["id"], "name": "echo", "job": job_id, "job_name": "shot"}
    assert (worker["status"], worker["status_requested"], worker["slot"]) == ("awake", "asleep", 0)
    assert worker == await world.admin.get(f"workers/{worker_id}")


async def test_a_report_that_comes_again_is_acknowledged_and_ignored(world: World) -> None:
    manager, job_id = await a_running_job(world)
    first = manager.freeze(jobs=[manager.job(job_id, "active")])
    second = manager.freeze(jobs=[manager.job(job_id, "completed")])
    for body in (first, second):
        assert (await manager.send(body)).status == 200
    before = await mirrored(world, job_id)
    for body, number in ((first, 1), (second, 2), (first, 1)):
        reply = await manager.send(body)
        assert (reply.status, reply.json()) == (200, {"acknowledged": number})
    assert await mirrored(world, job_id) == before
    assert before[0]["status"] == "completed"


async def test_a_gap_is_refused_with_the_number_that_is_expected(world: World) -> None:
    manager, job_id = await a_running_job(world)
    await manager.report()
    second = manager.freeze()
    third = manager.freeze(jobs=[manager.job(job_id)])
    before = await mirrored(world, job_id)
    reply = await manager.send(third)
    assert (*reply.problem, reply.json()["expected"]) == (409, "report-gap", 2)
    assert await mirrored(world, job_id) == before
    for body in (second, third):
        assert (await manager.send(body)).status == 200
    assert (await world.admin.get(f"jobs/{job_id}"))["status"] == "active"


@pytest.mark.parametrize("fault", ["other bytes", "other past"])
async def test_reports_that_are_not_those_that_were_applied_are_refused(world: World, fault: str) -> None:
    manager, job_id = await a_running_job(world)
    await manager.report()
    if fault == "other bytes":
        manager.next_report = 1
        manager.last_report_digest = "0" * 64
    else:
        manager.last_report_digest = "f" * 64
    before = await mirrored(world, job_id)
    reply = await manager.send(manager.freeze(jobs=[manager.job(job_id)]))
    assert reply.problem == (409, "reports-differ")
    assert await mirrored(world, job_id) == before


async def test_a_report_made_for_another_store_is_refused(world: World) -> None:
    manager, job_id = await a_running_job(world)
    other = SiteManager(world, manager.id, manager.name, manager.token, server_feed=manager.server_feed)
    assert (await other.send(other.freeze(jobs=[other.job(job_id)]))).problem == (409, "other-feed")
    assert (await world.admin.get(f"jobs/{job_id}"))["status"] == "under-construction"
    await manager.report()


async def test_an_object_changes_only_where_its_rev_is_newer(world: World) -> None:
    manager, job_id = await a_running_job(world)
    old = [manager.job(job_id, "active"), manager.task(job_id, 0, "active")]
    new = [manager.job(job_id, "completed"), manager.task(job_id, 0, "completed")]
    for job, task in (new, old):
        await manager.report(jobs=[job], tasks=[task])
    assert (await world.admin.get(f"jobs/{job_id}"))["status"] == "completed"
    assert (await world.admin.get(f"tasks/{task_id(job_id, 0)}"))["status"] == "completed"
    await manager.report(jobs=[manager.job(job_id, "active", rev=[2, 1])])  # the epoch counts first
    assert (await world.admin.get(f"jobs/{job_id}"))["status"] == "active"


async def test_trace_33_a_report_of_what_is_not_there_creates_nothing(world: World) -> None:
    manager, job_id = await a_running_job(world)
    before = await mirrored(world, job_id)
    await manager.report(
        jobs=[manager.job(UNFOUND)],
        tasks=[manager.task(UNFOUND), manager.task(job_id, 99)],
        frames=[manager.frame(UNFOUND, 1), manager.frame(job_id, 1, 99)],
        orders=[{"order": 99, "result": "dropped", "why": "no such order"}],
    )
    assert await mirrored(world, job_id) == before
    assert [job["id"] for job in (await world.admin.get("jobs"))["jobs"]] == [job_id]
    assert (await world.admin.call("GET", f"jobs/{UNFOUND}")).problem == (404, "no-such-job")
    assert (await world.admin.call("GET", f"tasks/{task_id(job_id, 99)}")).problem == (404, "no-such-task")


async def test_a_job_that_its_manager_drops_says_why(world: World) -> None:
    manager, job_id = await a_running_job(world)
    await manager.report(orders=[{"order": 1, "result": "dropped", "why": "its files are gone"}])
    job = await world.admin.get(f"jobs/{job_id}")
    assert (job["status"], "its files are gone" in job["activity"]) == ("failed", True)
    assert (await world.admin.post(f"jobs/{job_id}/cancel")).problem == (409, "job-ended")


async def test_trace_25_a_report_whose_answer_was_lost_is_sent_again_as_it_was(world: World) -> None:
    manager, job_id = await a_running_job(world)
    for _ in range(6):
        await manager.report()
    seventh = manager.freeze(tasks=[manager.task(job_id, 0, "active")])
    async with world.raw_connection() as (_, writer):  # sends it, and does not live to read the answer
        head = ["POST /api/v1/manager/reports HTTP/1.1", "Host: x", f"Content-Length: {len(seventh)}"]
        head += [f"{name}: {value}" for name, value in manager.caller.headers.items()]
        writer.write("\r\n".join([*head, "Content-Type: application/json", "", ""]).encode() + seventh)
        await writer.drain()
        await world.until(f"tasks/{task_id(job_id, 0)}", lambda task: task["status"] == "active")
    eighth = manager.freeze(tasks=[manager.task(job_id, 0, "completed")])
    reply = await manager.send(eighth)
    assert reply.status == 200  # 7 counts as applied, whether or not its answer arrived
    assert (await manager.send(seventh)).json() == {"acknowledged": 7}
    assert (await world.admin.get(f"tasks/{task_id(job_id, 0)}"))["status"] == "completed"


async def test_two_copies_of_a_report_at_once_are_applied_once(world: World) -> None:
    manager, job_id = await a_running_job(world)
    for number in range(1, 6):
        body = manager.freeze(jobs=[manager.job(job_id, steps_completed=number)])
        replies = await asyncio.gather(*(manager.send(body) for _ in range(4)))
        assert [(reply.status, reply.json()) for reply in replies] == [(200, {"acknowledged": number})] * 4
        assert (await world.admin.get(f"jobs/{job_id}"))["steps_completed"] == number


async def test_reports_that_overtake_each_other_end_up_in_their_order(world: World) -> None:
    manager, job_id = await a_running_job(world)
    bodies = [manager.freeze(jobs=[manager.job(job_id, steps_completed=number)]) for number in range(1, 9)]
    left = set(range(8))
    async with asyncio.timeout(DEADLINE_S):
        while left:  # all at once, again and again, until each was taken
            order = sorted(left, reverse=True)
            replies = await asyncio.gather(*(manager.send(bodies[index]) for index in order))
            left -= {index for index, reply in zip(order, replies, strict=True) if reply.status == 200}
    assert (await world.admin.get(f"jobs/{job_id}"))["steps_completed"] == 8


BAD = [
    ({"report": 0}, "report"),
    ({"report": "1"}, "report"),
    ({"report": None}, "report"),
    ({"previous": "nonsense"}, "previous"),
    ({"jobs": [{"id": "x"}]}, "jobs.0.id"),
    ({"jobs": {}}, "jobs"),
    ({"tasks": [{"status": "sleepy"}]}, "tasks.0.status"),
    ({"tasks": [{"attempt": 2**70}]}, "tasks.0.attempt"),
    ({"tasks": [{"rev": [1]}]}, "tasks.0.rev"),
    ({"tasks": [{"rev": [1, -1]}]}, "tasks.0.rev"),
    ({"frames": [{"sha256": "A" * 64}]}, "frames.0.sha256"),
    ({"workers": [{"status": "tired"}]}, "workers.0.status"),
    ({"workers": [{"last_seen": "yesterday"}]}, "workers.0.last_seen"),
    ({"orders": [{"order": 1, "result": "perhaps"}]}, "orders.0.result"),
]


@pytest.mark.parametrize(("content", "field"), BAD)
async def test_a_report_that_cannot_be_understood_changes_nothing_and_uses_up_no_number(
    world: World, content: dict[str, Any], field: str
) -> None:
    manager, job_id = await a_running_job(world)
    before = await mirrored(world, job_id)
    good = {"jobs": [manager.job(job_id)], "report": 1, "previous": "0" * 64}
    document = {**good, **content}
    reply = await manager.send(json.dumps(document).encode())
    assert reply.problem == (422, "bad-input")
    assert field in reply.json()["errors"]
    assert await mirrored(world, job_id) == before
    await manager.report(jobs=good["jobs"])


async def test_what_a_newer_manager_says_besides_is_ignored(world: World) -> None:
    manager, job_id = await a_running_job(world)
    await manager.report(moons=[1], jobs=[manager.job(job_id, moon="full")])
    assert (await world.admin.get(f"jobs/{job_id}"))["status"] == "active"


async def test_a_report_has_sixteen_mebibytes_at_most(world: World) -> None:
    manager, job_id = await a_running_job(world)
    async with world.raw_connection() as (reader, writer):
        head = ["POST /api/v1/manager/reports HTTP/1.1", "Host: x", f"Content-Length: {16 * 1024 * 1024 + 1}"]
        head += [f"{name}: {value}" for name, value in manager.caller.headers.items()]
        writer.write("\r\n".join([*head, "Content-Type: application/json", "", ""]).encode())
        async with asyncio.timeout(DEADLINE_S):
            assert b" 413 " in await reader.readline()
    many = [manager.task(job_id, 1, activity=f"{number}" + "x" * 1000) for number in range(2000)]
    await manager.report(tasks=many)  # some two mebibytes: more than people may send
