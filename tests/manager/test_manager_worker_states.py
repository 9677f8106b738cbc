"""Registration, sign-on, sign-off, state, state-changed, call by call.

The rows of worker-api.md 6.1 to 6.6 and 6.8, and of section 14 about Workers. Time is an argument.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fake_server import FakeServer
from manager_world import World, a_task, manager_world
from worker_calls import NIGHTS, ask_to, reported, state, wanted

from flamenco_core.identifiers import new_id


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server, start_up_grace_s=0) as running:
        yield running


# 6.1 register-worker.


async def test_a_registration_is_stored_as_it_was_sent(world: World) -> None:
    body = {"secret": "s", "platform": "Plan9", "supported_task_types": [" Misc ", "misc"], "name": ""}
    reply = await world.call("POST", "/api/v3/worker/register-worker", json={**body, "software": "x", "unknown": {}})
    assert reply.status == 200
    record = reply.json()
    assert (record["platform"], record["supported_task_types"], record["name"]) == ("Plan9", [" Misc ", "misc"], "")
    assert (record["status"], record["software"]) == ("", "")
    other = await world.call("POST", "/api/v3/worker/register-worker", json=body)
    assert other.json()["uuid"] != record["uuid"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"secret": None}, "secret"),
        ({"platform": 1}, "platform"),
        ({"supported_task_types": "misc"}, "supported_task_types"),
        ({"supported_task_types": [1]}, "supported_task_types"),
        ({"name": ["x"]}, "name"),
        ({"slot": "1"}, "slot"),
    ],
)
@pytest.mark.parametrize("is_absent", [False, True])
async def test_a_bad_registration_gets_400(world: World, change: dict[str, Any], field: str, is_absent: bool) -> None:
    body = {"secret": "s", "platform": "linux", "supported_task_types": ["misc"], "name": "w", **change}
    if is_absent:
        del body[field]
    reply = await world.call("POST", "/api/v3/worker/register-worker", json=body)
    if is_absent and field == "slot":
        assert reply.status == 200
    else:
        assert (reply.status, field in reply.json()["message"]) == (400, True)


# 6.2 sign-on.


async def test_sign_on_takes_over_what_a_worker_says_of_itself(world: World) -> None:
    worker = await world.registered("first name", ours=False)
    reply = await worker.sign_on(
        name="second name", supported_task_types=[" Misc", "BLENDER ", "misc"], software_version="3.9", can_restart=True
    )
    assert (reply.status, reply.json()) == (200, {"status_requested": "awake"})
    record = await reported(world, worker, status="starting")
    assert (record["name"], record["software"], record["can_restart"]) == ("second name", "3.9", True)
    assert (record["task_types"], record["address"]) == (["misc", "blender"], "127.0.0.1")
    assert record["last_seen"] == "2026-01-31T12:00:00.000Z"
    await worker.sign_on()
    assert not (await reported(world, worker, name="first name"))["can_restart"]


async def test_a_bad_sign_on_gets_400(world: World) -> None:
    worker = await world.registered()
    for change in ({"name": None}, {"supported_task_types": {}}, {"software_version": 4}, {"can_restart": "yes"}):
        reply = await worker.sign_on(**change)
        assert (reply.status, next(iter(change)) in reply.json()["message"]) == (400, True)


async def test_a_request_is_told_at_every_sign_on_until_the_worker_says_that_it_did_so(world: World) -> None:
    worker = await world.worker()
    assert (await ask_to(world, worker, "asleep", lazy=True))["result"] == "done"
    for _ in range(2):
        assert wanted(await worker.sign_on()) == "asleep"
    assert (await worker.say_status("asleep")).status == 204
    assert wanted(await worker.sign_on()) == "awake"


async def test_sign_on_requeues_nothing(world: World) -> None:
    worker, other = await world.worker("a", ours=False), await world.worker("b", ours=False)
    await world.server.submit([a_task()])
    task = await worker.task()
    await worker.sign_on()
    assert (await other.ask()).status == 204
    await worker.say_status("awake")
    again = await worker.task()
    assert (again["uuid"], again["attempt"]) == (task["uuid"], task["attempt"] + 1)


async def test_inside_a_sleeping_window_sign_on_says_asleep(world: World) -> None:
    worker = await world.registered()
    assert (await world.server.asked("worker.schedule", worker=worker.id, schedule=NIGHTS))["result"] == "done"
    assert wanted(await worker.sign_on()) == "awake"
    world.time.passed_s = 10 * 3600
    assert wanted(await worker.sign_on()) == "asleep"


# 6.3 sign-off.


@pytest.mark.parametrize(
    ("before", "asked", "told_next"),
    [
        ("awake", None, "awake"),
        ("asleep", None, "asleep"),
        ("awake", "offline", "awake"),
        ("asleep", "offline", "asleep"),
        ("asleep", "restart", "asleep"),
        ("awake", "asleep", "asleep"),
        ("asleep", "awake", "awake"),
    ],
)
async def test_sign_off_remembers_what_a_worker_was_unless_something_else_is_asked(
    world: World, before: str, asked: str | None, told_next: str
) -> None:
    worker = await world.worker()
    await worker.sign_on(can_restart=True)
    await worker.say_status(before)
    if asked is not None:
        assert (await ask_to(world, worker, asked, lazy=True))["result"] == "done"
    reply = await worker.sign_off()
    assert (reply.status, reply.body, reply.headers.get("Content-Type")) == (204, b"", None)
    record = await reported(world, worker, status="offline", status_requested=told_next)
    assert record["lazy"] is (asked in ("asleep", "awake"))
    assert wanted(await worker.sign_on()) == told_next


async def test_one_that_signs_off_before_it_was_anything_is_remembered_as_nothing(world: World) -> None:
    worker = await world.registered()
    await world.server.asked("worker.schedule", worker=worker.id, schedule=NIGHTS)
    await worker.sign_on()
    await worker.sign_off()
    world.time.passed_s = 10 * 3600
    assert wanted(await worker.sign_on()) == "asleep"


async def test_sign_off_gives_the_task_to_others_and_says_why(world: World) -> None:
    worker, other = await world.worker("a"), await world.worker("b")
    await world.server.submit([a_task()])
    task = await worker.task()
    assert (await worker.sign_off()).status == 204
    await world.server.until(lambda: world.server.mirror["tasks"].get(task["uuid"], {}).get("status") == "queued")
    assert "a signed off" in world.server.mirror["tasks"][task["uuid"]]["activity"]
    assert (await other.task())["attempt"] == task["attempt"] + 1


async def test_sign_off_pauses_the_task_of_a_job_that_is_to_pause(world: World) -> None:
    worker = await world.worker()
    job = await world.server.submit([a_task()])
    task = await worker.task()
    assert (await world.server.asked("job.pause", job=job))["result"] == "done"
    await world.server.until_job(job, "pause-requested")
    await worker.sign_off()
    await world.server.until_job(job, "paused")
    assert world.server.mirror["tasks"][task["uuid"]]["status"] == "paused"


async def test_sign_off_is_carried_out_although_the_client_has_gone(world: World) -> None:
    worker, other = await world.worker("a"), await world.worker("b")
    await world.server.submit([a_task()])
    task = await worker.task()
    waiting = asyncio.create_task(other.task())
    host, _, port = world.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/v3/worker/sign-off HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n"
    writer.write((head + f"Authorization: {worker.headers['Authorization']}\r\n\r\n").encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await waiting)["uuid"] == task["uuid"]
    await reported(world, worker, status="offline")


# 6.4 state.


@pytest.mark.parametrize("lazy", [False, True])
async def test_state_tells_what_is_asked_lazily_or_not(world: World, lazy: bool) -> None:
    worker = await world.worker()
    await worker.say_status("asleep")
    nothing = await state(worker)
    assert (nothing.status, nothing.body, nothing.headers.get("Content-Type")) == (204, b"", None)
    await ask_to(world, worker, "awake", lazy=lazy)
    for _ in range(2):
        assert wanted(await state(worker)) == "awake"
    await worker.say_status("awake")
    assert (await state(worker)).status == 204


async def test_a_state_call_that_waits_is_answered_at_once(world: World) -> None:
    worker = await world.worker()
    await worker.say_status("asleep")
    waiting = asyncio.create_task(state(worker, wait_s=60))
    await ask_to(world, worker, "offline")
    assert wanted(await waiting) == "offline"


async def test_asking_for_its_state_keeps_a_sleeping_worker_in_touch(world: World) -> None:
    worker, silent = await world.worker("a"), await world.worker("b")
    await worker.say_status("asleep")
    for _ in range(4):
        await world.passes(100)
        assert (await state(worker)).status == 204
    assert (await reported(world, silent, status="error"))["last_seen"] == "2026-01-31T12:00:00.000Z"
    assert (await reported(world, worker, status="asleep"))["status"] == "asleep"


# 6.5 state-changed.


async def test_another_status_than_the_one_asked_for_leaves_the_request(world: World) -> None:
    worker = await world.worker()
    await ask_to(world, worker, "offline", lazy=True)
    assert (await worker.say_status("asleep")).status == 204
    record = await reported(world, worker, status="asleep", status_requested="offline")
    assert record["lazy"] is True
    assert wanted(await state(worker)) == "offline"


async def test_the_status_that_was_asked_for_clears_the_request_and_its_lazy_flag(world: World) -> None:
    worker = await world.worker()
    await ask_to(world, worker, "asleep", lazy=True)
    await reported(world, worker, status_requested="asleep", lazy=True)
    await worker.say_status("asleep")
    record = await reported(world, worker, status="asleep", lazy=False)
    assert "status_requested" not in record


@pytest.mark.parametrize("status", ["asleep", "starting", "offline", "restart", "error", "testing"])
async def test_whoever_is_not_awake_any_more_gives_its_task_back(world: World, status: str) -> None:
    worker, other = await world.worker("a"), await world.worker("b")
    await world.server.submit([a_task()])
    task = await worker.task()
    assert (await worker.say_status(status)).status == 204
    assert (await other.task())["uuid"] == task["uuid"]
    assert (await worker.update(task, taskStatus="completed", seq=1)).status == 409


async def test_one_that_says_awake_again_keeps_its_task(world: World) -> None:
    worker, other = await world.worker("a"), await world.worker("b")
    await world.server.submit([a_task()])
    task = await worker.task()
    await worker.say_status("awake")
    assert (await worker.may_i_run(task)).json()["mayKeepRunning"] is True
    assert (await other.ask()).status == 204


# 6.6 task: 423, then 409.


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("status", ["awake", "asleep", "starting"])
async def test_whatever_is_asked_comes_before_everything_else(world: World, status: str, lazy: bool) -> None:
    worker = await world.worker()
    await world.server.submit([a_task()])
    await worker.say_status(status)
    await ask_to(world, worker, "offline", lazy=lazy)
    reply = await worker.ask()
    assert (reply.status, reply.json()) == (423, {"status_requested": "offline"})


@pytest.mark.parametrize("status", ["asleep", "starting", "testing", "restart", "offline"])
async def test_who_is_not_awake_gets_409(world: World, status: str) -> None:
    worker = await world.worker()
    await world.server.submit([a_task()])
    await worker.say_status(status)
    reply = await worker.ask()
    assert (reply.status, reply.json()["code"], status in reply.json()["message"]) == (409, 409, True)


async def test_an_ask_that_waits_is_told_of_a_request_at_once(world: World) -> None:
    worker = await world.worker()
    waiting = asyncio.create_task(worker.ask(wait_s=60))
    await ask_to(world, worker, "asleep", lazy=True)
    reply = await waiting
    assert (reply.status, reply.json()) == (423, {"status_requested": "asleep"})


# 6.8 may-i-run, as far as it is about Workers.


async def test_a_lazy_request_lets_a_task_run_and_an_immediate_one_ends_it(world: World) -> None:
    worker = await world.worker()
    await world.server.submit([a_task(), a_task()])
    task = await worker.task()
    await ask_to(world, worker, "asleep", lazy=True)
    yes = {"mayKeepRunning": True, "reason": "", "statusChangeRequested": False}
    assert (await worker.may_i_run(task)).json() == yes
    waiting = asyncio.create_task(worker.may_i_run(task, wait_s=60))
    await ask_to(world, worker, "asleep", lazy=False)
    answer = (await waiting).json()
    assert (answer["mayKeepRunning"], answer["statusChangeRequested"]) == (False, True)
    assert answer["reason"]
    unknown = (await worker.may_i_run({"uuid": new_id()})).json()
    assert (unknown["mayKeepRunning"], unknown["statusChangeRequested"]) == (False, False)
    assert (await worker.ask()).status == 423
    await worker.say_status("asleep")
    await world.server.until(lambda: world.server.mirror["tasks"].get(task["uuid"], {}).get("status") == "queued")


async def test_an_immediate_request_is_told_before_that_the_task_is_not_its_own(world: World) -> None:
    worker, other = await world.worker("a"), await world.worker("b")
    await world.server.submit([a_task()])
    task = await other.task()
    not_mine = (await worker.may_i_run(task)).json()
    assert (not_mine["mayKeepRunning"], not_mine["statusChangeRequested"]) == (False, False)
    await ask_to(world, worker, "offline")
    assert (await worker.may_i_run(task)).json()["statusChangeRequested"] is True
