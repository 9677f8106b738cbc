"""Registration, sign-on, sign-off, state, state-changed, and what people ask of Workers, call by call.

The rows of worker-api.md 6.1 to 6.6 and 6.8, and of section 14 about Workers. Time is an argument.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from fake_server import FakeServer
from manager_world import TASK_TYPES, HttpWorker, Reply, TestTime, World, a_task, manager_world

from flamenco_core.identifiers import new_id
from flamenco_runtime.proxies import read_proxies

DAY_S = 86400
NIGHTS = {
    "is_active": True,
    "time_zone": "UTC",
    "windows": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": "22:00", "end": "06:00"}],
}
"""The clock begins at noon, UTC."""


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server, start_up_grace_s=0) as running:
        yield running


async def ask_to(world: World, worker: HttpWorker, status: str, *, lazy: bool = False) -> dict[str, Any]:
    return await world.server.asked("worker.status", worker=worker.id, status=status, lazy=lazy)


async def reported(world: World, worker: HttpWorker, **expected: Any) -> dict[str, Any]:
    """Wait until a Worker is reported so."""
    mirror = world.server.mirror["workers"]

    def is_so() -> bool:
        record = mirror.get(worker.id, {})
        return all(record.get(key) == value for key, value in expected.items())

    await world.server.until(is_so)
    return mirror[worker.id]


def wanted(reply: Reply) -> str | None:
    """What a Worker is told to be."""
    if reply.status == 204:
        return None
    status: str = reply.json()["status_requested"]
    return status


async def state(worker: HttpWorker, wait_s: int = 0) -> Reply:
    return await worker.call("GET", "state", headers={"Prefer": f"wait={wait_s}"} if wait_s else {})


async def stranger(world: World, name: str = "stranger", address: str = "192.0.2.1") -> HttpWorker:
    """Register a Worker that comes from somewhere else."""
    body = {"secret": "s" * 64, "platform": "linux", "supported_task_types": TASK_TYPES, "name": name}
    headers = {"X-Forwarded-For": address}
    reply = await world.call("POST", "/api/v3/worker/register-worker", json=body, headers=headers)
    return HttpWorker(world, reply.json()["uuid"], "s" * 64, name, ours=False)


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


# Section 14: silence, and who needs approval.


@pytest.mark.parametrize("call", ["task", "state", "may-i-run", "update"])
async def test_any_call_revives_a_silent_worker(world: World, call: str) -> None:
    worker = await world.worker()
    await world.server.submit([a_task()])
    task = await worker.task()
    await worker.update(task, taskStatus="active", seq=1)
    await world.passes(61)
    await reported(world, worker, status="error")
    await world.server.until(lambda: world.server.mirror["tasks"].get(task["uuid"], {}).get("status") == "queued")
    if call == "task":
        assert (await worker.task())["uuid"] == task["uuid"]
    elif call == "state":
        assert (await state(worker)).status == 204
        assert (await worker.task())["uuid"] == task["uuid"]
    elif call == "may-i-run":
        assert (await worker.may_i_run(task)).json()["mayKeepRunning"] is True
    else:
        assert (await worker.update(task, taskStatus="completed", seq=2)).status == 204
    await reported(world, worker, status="awake")


async def test_a_revived_worker_whose_task_was_taken_gets_other_work(world: World) -> None:
    worker, other = await world.worker("a"), await world.worker("b")
    await world.server.submit([a_task(name="first")])
    task = await worker.task()
    await worker.update(task, taskStatus="active", seq=1)
    await world.passes(61)
    assert (await other.task())["uuid"] == task["uuid"]
    await world.server.submit([a_task(name="second")])
    assert (await worker.may_i_run(task)).json()["mayKeepRunning"] is False
    assert (await worker.task())["name"] == "second"


async def test_a_silent_worker_that_slept_is_asleep_again(world: World) -> None:
    worker = await world.worker()
    await worker.say_status("asleep")
    await world.passes(181)
    await reported(world, worker, status="error")
    assert (await worker.ask()).status == 409
    await reported(world, worker, status="asleep")


async def test_one_that_awaits_approval_is_told_to_sleep_and_remembers_nothing(world: World) -> None:
    worker = await stranger(world)
    await world.server.submit([a_task()])
    for _ in range(2):
        assert wanted(await worker.sign_on()) == "asleep"
        await worker.say_status("asleep")
        assert (await state(worker)).status == 204
        assert wanted(await worker.ask()) == "asleep"
        await worker.sign_off()
    assert (await reported(world, worker, status="offline"))["approved"] is False
    assert (await world.server.asked("worker.approve", worker=worker.id))["result"] == "done"
    assert wanted(await worker.sign_on()) == "awake"
    await worker.say_status("awake")
    assert (await worker.task())["name"] == "echo"


async def test_where_all_are_welcome_nobody_awaits_approval(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server, approve="all") as world:
        assert wanted(await (await stranger(world)).sign_on()) == "awake"


@pytest.mark.parametrize(
    ("address", "proxy", "told"),
    [
        ("192.168.1.7", "127.0.0.0/8", "awake"),
        ("10.1.2.3", "127.0.0.1", "awake"),
        ("172.31.0.1", "127.0.0.1", "awake"),
        ("fd00::7", "127.0.0.1", "awake"),
        ("fe80::7", "127.0.0.1", "awake"),
        ("::ffff:192.168.1.7", "127.0.0.1", "awake"),
        ("172.32.0.1", "127.0.0.1", "asleep"),
        ("203.0.113.9", "127.0.0.1", "asleep"),
        ("2001:db8::7", "127.0.0.1", "asleep"),
        ("203.0.113.9, 192.168.1.7", "127.0.0.1", "awake"),
        ("192.168.1.7, 203.0.113.9", "127.0.0.1", "asleep"),
        ("192.168.1.7", "192.0.2.1", "asleep"),
        ("nonsense", "127.0.0.1", "asleep"),
    ],
)
async def test_where_the_local_network_is_welcome_only_who_certainly_comes_from_it_needs_no_approval(
    server: FakeServer, tmp_path: Path, address: str, proxy: str, told: str
) -> None:
    settings = {"approve": "lan", "trusted_proxies": read_proxies(proxy)}
    async with manager_world(tmp_path, server, **settings) as world:
        assert wanted(await (await stranger(world, address=address)).sign_on()) == told
        assert (await (await world.registered("here")).sign_on()).json()["status_requested"] == "awake"


@pytest.mark.parametrize("approve", ["token", "lan", "all"])
async def test_an_address_that_is_near_does_not_matter_where_the_token_does(
    server: FakeServer, tmp_path: Path, approve: str
) -> None:
    settings = {"approve": approve, "trusted_proxies": read_proxies("127.0.0.1")}
    async with manager_world(tmp_path, server, **settings) as world:
        near = await (await stranger(world, address="192.168.1.7")).sign_on()
        assert wanted(near) == ("asleep" if approve == "token" else "awake")


async def test_trace_34_a_restart_that_is_asked_for_while_the_site_is_away_does_not_happen_on_monday(
    server: FakeServer, tmp_path: Path
) -> None:
    time = TestTime()
    async with manager_world(tmp_path, server, time=time) as world:
        worker = await world.worker(ours=False)
        await worker.sign_on(can_restart=True)
        await worker.say_status("awake")
        soon = {"worker": worker.id, "status": "restart", "lazy": False, "expires": time.wall() + timedelta(minutes=5)}
        assert (await server.asked("worker.status", **soon))["result"] == "done"
        assert wanted(await worker.ask()) == "restart"
        await worker.sign_off()
        await worker.sign_on(can_restart=True)
        await worker.say_status("awake")
    number = await server.issue("worker.status", **soon)
    time.passed_s += 2 * DAY_S
    async with manager_world(tmp_path, server, time=time) as world:
        worker.world = world
        await server.until(lambda: number in server.results)
        assert server.results[number]["result"] == "expired"
        assert (await worker.ask()).status == 204
