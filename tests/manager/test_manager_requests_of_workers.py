"""What people ask of Workers over HTTP: requests, sleep schedules, tags, forgetting, history. Time is an argument."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from fake_server import FakeServer
from manager_world import TestTime, World, a_task, manager_world
from worker_calls import DAY_S, NIGHTS, ask_to, reported, state, stranger, wanted

from flamenco_core.identifiers import new_id


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server, start_up_grace_s=0) as running:
        yield running


# Orders that make no sense, and bad ones.


async def test_a_request_that_makes_no_sense_is_dropped_with_why(world: World) -> None:
    worker, alien = await world.worker(), await stranger(world)
    for asked, why in (
        (await ask_to(world, worker, "restart"), "cannot restart"),
        (await ask_to(world, alien, "awake"), "awaits approval"),
        (await ask_to(world, worker, "error"), "error"),
        (await ask_to(world, worker, "nonsense"), "nonsense"),
        (await world.server.asked("worker.status", worker=worker.id, status="asleep", lazy="yes"), "lazy"),
        (await world.server.asked("worker.status", worker=new_id(), status="asleep"), "no Worker"),
        (await world.server.asked("worker.tags", worker=worker.id, tags="GPU"), "tags"),
        (await world.server.asked("worker.tags", worker=worker.id, tags=["a\nb"]), "control"),
        (await world.server.asked("tag.put", name="", description=""), "tag"),
        (await world.server.asked("worker.schedule", worker=worker.id, schedule={**NIGHTS, "time_zone": "X/Y"}), "X/Y"),
        (await world.server.asked("worker.schedule", worker=worker.id, schedule={}), "windows"),
    ):
        assert (asked["result"], why in asked["why"]) == ("dropped", True), asked
    assert (await state(worker)).status == 204
    assert (await worker.ask()).status == 204


# Sleep schedules.


async def test_a_day_with_a_sleep_schedule(world: World) -> None:
    worker = await world.worker()
    assert (await world.server.asked("worker.schedule", worker=worker.id, schedule=NIGHTS))["result"] == "done"
    assert (await reported(world, worker, schedule=NIGHTS))["status"] == "awake"
    waiting = asyncio.create_task(worker.ask(wait_s=60))
    world.time.passed_s = 10 * 3600
    assert (await waiting).json() == {"status_requested": "asleep"}
    await worker.say_status("asleep")
    waiting = asyncio.create_task(state(worker, wait_s=60))
    world.time.passed_s = 18 * 3600
    assert wanted(await waiting) == "awake"
    await worker.say_status("awake")
    await world.server.asked("worker.schedule", worker=worker.id, schedule=None)
    await reported(world, worker, status="awake")
    await world.server.until(lambda: "schedule" not in world.server.mirror["workers"][worker.id])


async def test_schedules_tags_and_requests_survive_a_restart(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        await server.asked("worker.schedule", worker=worker.id, schedule=NIGHTS)
        await server.asked("worker.tags", worker=worker.id, tags=["GPU", "big"])
        world.time.passed_s = 10 * 3600
        await world.foreman.tick()
        await worker.say_status("asleep")
        await ask_to(world, worker, "awake")
        await worker.say_status("awake")
        await ask_to(world, worker, "offline", lazy=True)
        time = world.time
    async with manager_world(tmp_path, server, time=time) as world:
        worker.world = world
        await server.submit([a_task()], tag="GPU")
        assert world.foreman.farm.worker(worker.id).is_lazy
        assert (await worker.ask()).status == 423
        await worker.sign_off()
        assert wanted(await worker.sign_on()) == "awake"  # a person had woken it, and no window has ended since
        await worker.say_status("awake")
        assert (await worker.task())["name"] == "echo"
        await reported(world, worker, tags=["GPU", "big"], schedule=NIGHTS, lazy=False)
        time.passed_s = 34 * 3600
        await world.foreman.tick()
        assert wanted(await state(worker)) == "asleep"


async def test_a_schedule_whose_time_zone_has_gone_is_turned_off_and_says_so(
    server: FakeServer, tmp_path: Path
) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        await server.asked("worker.schedule", worker=worker.id, schedule=NIGHTS)
    replaced = "UPDATE workers SET schedule = replace(schedule, '\"UTC\"', '\"Europe/Atlantis\"')"
    stored(tmp_path, replaced)
    time = TestTime()
    async with manager_world(tmp_path, server, time=time) as world:
        worker.world = world
        off = {**NIGHTS, "is_active": False, "time_zone": "Europe/Atlantis"}
        await reported(world, worker, schedule=off)
        await server.until(lambda: "Europe/Atlantis" in server.worker_states[-1]["why"])
        time.passed_s = 10 * 3600
        await world.foreman.tick()
        assert (await worker.ask()).status == 204


# Tags.


async def test_tags_are_reported_and_a_deleted_one_leaves_all_workers(world: World) -> None:
    worker = await world.worker()
    assert (await world.server.asked("tag.put", name="GPU", description="has a GPU"))["result"] == "done"
    await world.server.asked("worker.tags", worker=worker.id, tags=["GPU", "big "])
    await reported(world, worker, tags=["GPU", "big"])
    assert (await world.server.asked("tag.delete", name="GPU"))["result"] == "done"
    await reported(world, worker, tags=["big"])


async def test_a_waiting_worker_gets_a_task_by_the_tag_that_it_is_given(world: World) -> None:
    worker = await world.worker()
    await world.server.submit([a_task()], tag="GPU")
    waiting = asyncio.create_task(worker.task())
    await world.server.asked("worker.tags", worker=worker.id, tags=["GPU"])
    assert (await waiting)["name"] == "echo"


# Forgetting.


async def test_a_forgotten_worker_is_refused_and_its_task_goes_to_others(world: World) -> None:
    worker, other = await world.worker("a"), await world.worker("b")
    await world.server.submit([a_task()])
    task = await worker.task()
    waiting = asyncio.create_task(other.task())
    assert (await world.server.asked("worker.forget", worker=worker.id))["result"] == "done"
    assert (await waiting)["uuid"] == task["uuid"]
    refused = [
        await worker.sign_on(),
        await worker.say_status("awake"),
        await worker.ask(),
        await worker.update(task, taskStatus="completed", seq=1),
        await worker.may_i_run(task),
        await state(worker),
        await worker.sign_off(),
    ]
    assert [reply.status for reply in refused] == [403] * len(refused)
    assert list(refused[0].json()) == ["message"]
    again = await world.server.asked("worker.forget", worker=worker.id)
    assert (again["result"], worker.id in again["why"]) == ("dropped", True)


@pytest.mark.parametrize("call", ["task", "state", "may-i-run"])
async def test_a_call_that_waits_is_let_go_when_its_worker_is_forgotten(world: World, call: str) -> None:
    worker = await world.worker()
    if call == "may-i-run":
        await world.server.submit([a_task()])
        calling = worker.may_i_run(await worker.task(), wait_s=60)
    else:
        calling = worker.ask(wait_s=60) if call == "task" else state(worker, wait_s=60)
    waiting = asyncio.create_task(calling)
    await world.until_present(worker)
    await world.server.issue("worker.forget", worker=worker.id)
    reply = await waiting
    if call == "may-i-run":
        assert reply.json()["mayKeepRunning"] is False
    else:
        assert reply.status == 204
    await world.passes(1)
    assert (await worker.ask()).status == 403


async def test_a_forgotten_worker_is_reported_once_and_its_record_goes(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker, other = await world.worker("a"), await world.worker("b")
        job = await server.submit([a_task(), a_task()])
        await worker.update(await worker.task(), taskStatus="completed", seq=1)
        await server.until_job(job, "active")
        await server.asked("worker.forget", worker=worker.id)
        await reported(world, worker, forgotten=True, status="offline")
        await server.until(lambda: server.worker_states[-1]["worker"] == worker.id)
        time = world.time
    reports = len(server.received)
    assert stored(tmp_path, "SELECT count(*) FROM workers") == 1
    async with manager_world(tmp_path, server, time=time) as world:
        worker.world = other.world = world
        assert (await worker.sign_on()).status == 403
        await other.update(await other.task(), taskStatus="completed", seq=1)
        await server.until_job(job, "completed")
    assert not any(worker.id.encode() in body and b'"forgotten":true' in body for body in server.received[reports:])


async def test_one_that_was_forgotten_while_the_server_was_away_stays_so(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        await reported(world, worker, status="awake")
        server.lose_answers = 1_000_000  # reports do not get through any more
        await server.issue("worker.forget", worker=worker.id)
        async with asyncio.timeout(20):
            while (await worker.ask()).status != 403:
                pass  # the order is on its way
    server.lose_answers = 0
    async with manager_world(tmp_path, server) as world:
        worker.world = world
        assert worker.id not in world.foreman.farm.workers
        assert (await worker.sign_on()).status == 403
        await reported(world, worker, forgotten=True)


# History.


def stored(data: Path, query: str) -> Any:
    """Read something of a store that nobody has open."""
    connection = apsw.Connection(str(data / "manager.sqlite"))
    try:
        return connection.execute(query).get
    finally:
        connection.close()


async def test_the_history_of_a_worker_is_reported_in_order(world: World) -> None:
    worker = await world.worker()
    await ask_to(world, worker, "asleep", lazy=True)
    world.time.passed_s = 60
    await worker.say_status("asleep")
    await worker.sign_off()
    await world.server.until(lambda: len(world.server.worker_states) >= 5)
    assert world.server.worker_states == [
        {"worker": worker.id, "status": status, "at": f"2026-01-31T12:0{minute}:00.000Z", "why": why}
        for status, minute, why in (
            ("starting", 0, "Signed on."),
            ("awake", 0, "Says so."),
            ("awake", 0, "Asked to sleep after its task."),
            ("asleep", 1, "As asked."),
            ("offline", 1, "Signed off."),
        )
    ]


async def test_history_is_reported_once_and_kept_for_30_days(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        await server.until(lambda: len(server.worker_states) == 2)
        time = world.time
    time.passed_s += 29 * DAY_S
    async with manager_world(tmp_path, server, time=time) as world:
        worker.world = world
        await worker.sign_off()
        await server.until(lambda: len(server.worker_states) == 3)
    assert stored(tmp_path, "SELECT count(*) FROM worker_states") == 3
    time.passed_s += 2 * DAY_S
    async with manager_world(tmp_path, server, time=time) as world:
        worker.world = world
        await worker.sign_on()
        await server.until(lambda: len(server.worker_states) == 4)
    assert stored(tmp_path, "SELECT group_concat(status) FROM worker_states") == "offline,starting"
