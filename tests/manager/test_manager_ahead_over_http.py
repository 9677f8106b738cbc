"""Several tasks at once over HTTP (worker-api.md, 15.6)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fake_server import FakeServer
from manager_world import HttpWorker, World, a_task, manager_world, told
from raw_asks import RawAsk
from trace_steps import begun, disk_held, reported, submitted, until_in_memory, until_job, until_tasks

from flamenco_core.identifiers import new_id
from flamenco_manager import asked_of_jobs


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server) as running:
        yield running


async def with_short_tasks(world: World, tasks: int = 12) -> tuple[HttpWorker, str]:
    """A Worker, and a job of which two tasks have taken a second each."""
    worker = await world.worker()
    job = await submitted(world, *[a_task(name=f"task-{number}") for number in range(tasks)])
    for _ in range(2):
        task = await begun(worker)
        await world.passes(1)
        assert (await worker.update(task, taskStatus="completed", seq=2)).status == 204
    return worker, job


async def several(worker: HttpWorker, most: int) -> list[dict[str, Any]]:
    reply = await worker.ask(most=most)
    assert reply.status == 200, reply.body
    return list(reply.json()["tasks"])


async def test_short_tasks_of_a_job_come_several_at_once_and_only_the_first_is_active(world: World) -> None:
    worker, job = await with_short_tasks(world)
    tasks = await several(worker, 3)
    assert [(one["name"], one["status"], one["attempt"]) for one in tasks] == [
        ("task-2", "active", 1),
        ("task-3", "queued", 1),
        ("task-4", "queued", 1),
    ]
    assert all(one["commands"] for one in tasks)
    await until_tasks(world, job, *["completed"] * 2, "active", *["queued"] * 9)
    other = await world.worker("other")
    assert (await other.task())["name"] == "task-5"  # the two are kept for the first


async def test_all_of_them_are_worked_through_in_one_batch(world: World) -> None:
    worker, job = await with_short_tasks(world, tasks=5)
    tasks = await several(worker, 16)
    assert len(tasks) == 3
    words = [told(one, seq, taskStatus=status) for one in tasks for seq, status in ((1, "active"), (2, "completed"))]
    results = (await worker.batch(*words)).json()["results"]
    assert [one["result"] for one in results] == ["applied"] * 6
    await until_job(world, job, "completed")
    assert [reported(world, job, index)["attempt"] for index in range(5)] == [1] * 5


async def test_without_max_there_is_one_task_as_flamenco_3_knows_it_and_with_it_a_list(world: World) -> None:
    worker, _ = await with_short_tasks(world)
    assert "tasks" not in (await worker.ask()).json()
    assert len(await several(worker, 1)) == 1
    old = await world.worker("old", ours=False)
    assert len(await several(old, 16)) == 1  # it could not say of which attempt it speaks


@pytest.mark.parametrize("most", ["0", "17", "-1", "1.5", "", "x", "\u0663", "999999999999"])
@pytest.mark.parametrize("path", ["task", "updates"])
async def test_a_max_that_is_none_is_refused_and_nothing_is_handed_out(world: World, path: str, most: str) -> None:
    worker, job = await with_short_tasks(world, tasks=3)
    reply = await worker.call("POST", f"{path}?max={most}", json={"updates": []})
    assert (reply.status, "max" in reply.json()["message"]) == (400, True)
    await until_tasks(world, job, "completed", "completed", "queued")


async def test_an_ask_that_waits_gets_several_too(world: World) -> None:
    worker, job = await with_short_tasks(world, tasks=12)
    await world.server.asked("job.pause", job=job)
    ask = asyncio.create_task(worker.ask(wait_s=30, most=4))
    await until_in_memory(lambda: worker.id in world.foreman.present)
    await world.server.asked("job.resume", job=job)
    reply = await ask
    assert [one["name"] for one in reply.json()["tasks"]] == ["task-2", "task-3", "task-4", "task-5"]
    assert reply.headers["Preference-Applied"] == "wait"


async def test_what_is_given_back_is_there_for_others_at_once(world: World) -> None:
    worker, _ = await with_short_tasks(world, tasks=5)
    first, second, third = await several(worker, 16)
    other = await world.worker("other")
    waiting = asyncio.create_task(other.ask(wait_s=30))
    given = await worker.release(second)
    assert (given.status, given.body) == (204, b"")
    taken = (await waiting).json()
    assert (taken["uuid"], taken["attempt"]) == (second["uuid"], 2)
    assert (await worker.update(second, taskStatus="active", seq=1)).status == 409
    assert (await worker.update(third, taskStatus="active", seq=1)).status == 204
    assert (await worker.may_i_run(first)).json()["mayKeepRunning"] is False  # it runs one at a time


async def test_only_what_is_ahead_can_be_given_back(world: World) -> None:
    worker, _ = await with_short_tasks(world, tasks=5)
    first, second, third = await several(worker, 16)
    other = await world.worker("other")
    assert (await worker.release(first)).status == 409  # it runs
    assert (await other.release(second)).status == 409  # it is another's
    assert (await worker.release({**second, "attempt": 2})).status == 409
    assert (await worker.release({"uuid": new_id(), "attempt": 1})).status == 404
    assert (await worker.release(third)).status == 204
    assert (await worker.release(third)).status == 409  # it was given back before
    for path, named in (
        (f"task/{second['uuid']}/release", "attempt"),
        (f"task/{second['uuid']}/release?attempt=x", "attempt"),
        ("task/nonsense/release?attempt=1", "task_id"),
    ):
        reply = await worker.call("POST", path)
        assert (reply.status, named in reply.json()["message"]) == (400, True)
    refused = await world.call("POST", f"/api/v3/worker/task/{second['uuid']}/release?attempt=1")
    assert refused.status == 403
    assert (await worker.update(second, taskStatus="active", seq=1)).status == 204  # none of that changed anything


async def test_the_batch_that_ends_the_last_task_brings_the_next_ones(world: World) -> None:
    worker, job = await with_short_tasks(world, tasks=9)
    tasks = await several(worker, 2)
    first = await worker.batch(told(tasks[0], 1, taskStatus="completed"), most=2)
    assert "next" not in first.json()  # it has another one already
    last = await worker.batch(told(tasks[1], 1, taskStatus="completed"), most=2)
    assert [(one["name"], one["status"]) for one in last.json()["next"]] == [
        ("task-4", "active"),
        ("task-5", "queued"),
    ]
    again = await worker.batch(told(tasks[1], 1, taskStatus="completed"), most=2)
    assert again.json() == {"results": [{"task": tasks[1]["uuid"], "seq": 1, "result": "repeated"}]}
    unasked = await worker.batch(*[told(one, 1, taskStatus="completed") for one in last.json()["next"]])
    assert "next" not in unasked.json()
    repeated = await worker.batch(told(tasks[0], 1, taskStatus="completed"), most=2)
    assert "next" not in repeated.json()  # it is free, but this ended nothing
    await until_tasks(world, job, *["completed"] * 6, *["queued"] * 3)


async def test_there_is_no_next_for_a_worker_that_is_to_do_something_else_or_when_there_is_none(world: World) -> None:
    worker, job = await with_short_tasks(world, tasks=4)
    (task,) = await several(worker, 1)
    await world.server.asked("worker.status", worker=worker.id, status="asleep", lazy=True)
    reply = await worker.batch(told(task, 1, taskStatus="completed"), most=16)
    assert "next" not in reply.json()
    assert (await worker.ask()).status == 423
    await worker.say_status("asleep")
    await worker.say_status("awake")
    (task,) = await several(worker, 1)
    assert "next" not in (await worker.batch(told(task, 1, taskStatus="completed"), most=16)).json()
    await until_job(world, job, "completed")


async def test_all_that_could_not_be_delivered_is_taken_back(world: World) -> None:
    dead, _ = await with_short_tasks(world, tasks=6)
    worker = world.foreman.farm.workers[dead.id]
    with disk_held(world):
        ask = await RawAsk.parked(dead, wait_s=0, most=16)
        await until_in_memory(lambda: len(worker.reserved) == 3)
        await ask.reset()
        await until_in_memory(lambda: worker.is_free)
    await dead.say_status("asleep")
    alive = await world.worker("alive")
    tasks = await several(alive, 16)
    assert [(one["name"], one["attempt"]) for one in tasks] == [(f"task-{number}", 2) for number in (2, 3, 4, 5)]
    assert {world.foreman.farm.tasks[one["uuid"]].lost for one in tasks} == {0}


async def test_what_was_ahead_is_taken_back_also_when_the_first_was_cancelled_meanwhile(world: World) -> None:
    dead, job = await with_short_tasks(world, tasks=6)
    worker, farm = world.foreman.farm.workers[dead.id], world.foreman.farm
    with disk_held(world):
        ask = await RawAsk.parked(dead, wait_s=0, most=16)
        await until_in_memory(lambda: len(worker.reserved) == 3)
        assert worker.task is not None
        asked_of_jobs.cancel_task(farm, worker.task, world.foreman.now())
        await ask.reset()
        await until_in_memory(lambda: worker.is_free)
    await until_tasks(world, job, *["completed"] * 2, "canceled", *["queued"] * 3)


async def test_a_worker_that_signs_off_gives_all_back_without_blame_for_those_not_begun(world: World) -> None:
    worker, job = await with_short_tasks(world, tasks=5)
    tasks = await several(worker, 16)
    assert (await worker.sign_off()).status == 204
    await until_tasks(world, job, *["completed"] * 2, *["queued"] * 3)
    assert [world.foreman.farm.tasks[one["uuid"]].lost for one in tasks] == [1, 0, 0]
