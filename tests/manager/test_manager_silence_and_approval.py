"""Workers that are silent, and those that await approval (worker-api.md, section 14). Time is an argument."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from fake_server import FakeServer
from manager_world import TestTime, World, a_task, manager_world
from worker_calls import DAY_S, reported, state, stranger, wanted

from flamenco_runtime.proxies import read_proxies


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server, start_up_grace_s=0) as running:
        yield running


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
