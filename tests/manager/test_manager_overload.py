"""A Manager that has more to do than it takes on: quick words for who understands them, a cut connection for others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fake_server import FakeServer
from manager_world import TASK_TYPES, HttpWorker, World, a_task, manager_world
from structlog.testing import capture_logs
from trace_steps import disk_held

from flamenco_manager.settings import Settings
from flamenco_runtime.http_limits import HttpLimits

MOST = 3
PATIENT = HttpLimits(body_s=600)
REGISTRATION = {"secret": "s", "platform": "linux", "supported_task_types": TASK_TYPES, "name": "new"}


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server, requests_at_once=MOST, limits=PATIENT) as running:
        yield running


async def with_task(world: World, *, ours: bool) -> tuple[HttpWorker, dict[str, Any]]:
    worker = await world.worker(ours=ours)
    await world.server.submit([a_task()])
    task = await worker.task()
    assert (await worker.update(task, taskStatus="active", **({"seq": 1} if ours else {}))).status == 204
    return worker, task


@asynccontextmanager
async def crowd(world: World) -> AsyncIterator[None]:
    """Be as many Workers as the Manager takes on, each in the middle of what it says, while the context lasts."""
    workers = [await world.registered(f"one of the crowd {number}") for number in range(MOST)]
    host, port = world.url.removeprefix("http://").split(":")
    writers = []
    for worker in workers:
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST /api/v3/worker/state-changed HTTP/1.1\r\nHost: m\r\nAuthorization: {worker.headers['Authorization']}"
            "\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{".encode()
        )
        writers.append(writer)
    async with asyncio.timeout(20):
        while f'queue="requests"}} {MOST}.0'.encode() not in (await world.call("GET", "/metrics")).body:
            continue
    yield
    for writer in writers:
        writer.write(b'"status":"awake"  }')
        writer.close()
        await writer.wait_closed()


async def test_one_of_ours_is_told_to_come_later_and_what_it_said_counts_then(world: World) -> None:
    worker, task = await with_task(world, ours=True)
    async with crowd(world):
        with capture_logs() as lines:
            for refused in (
                await worker.update(task, taskStatus="completed", seq=2),
                await worker.batch({"task": task["uuid"], "attempt": task["attempt"], "seq": 2}),
                await worker.ask(),
                await worker.ask(wait_s=30),
                await worker.sign_on(),
                await worker.say_status("asleep"),
            ):
                assert (refused.status, refused.json()["code"]) == (503, 503)
                assert int(refused.headers["Retry-After"]) > 0
                assert f"{MOST} requests are under way" in refused.json()["message"]
        assert [line["log_level"] for line in lines] == ["warning"], "one line, however many are refused"
        assert (await worker.may_i_run(task)).json()["mayKeepRunning"], "what only reads is answered"
        assert (await worker.call("GET", "state")).status == 204
        for path in ("/healthz", "/readyz", "/", "/api/v3/version"):
            assert (await world.call("GET", path)).status == 200
    assert (await worker.update(task, taskStatus="completed", seq=2)).status == 204
    await world.server.until_job(next(iter(world.server.jobs)), "completed")


async def test_a_flamenco_3_worker_is_cut_off_so_that_it_keeps_what_it_has_to_say(world: World) -> None:
    """It drops an update that is answered with a 5xx, and throws its identity away at sign-on (worker-api.md, 14)."""
    worker, task = await with_task(world, ours=False)
    async with crowd(world):
        for call in (worker.update(task, taskStatus="completed"), worker.sign_on(), worker.ask()):
            with pytest.raises(aiohttp.ClientConnectionError):
                await call
        assert (await worker.may_i_run(task)).json()["mayKeepRunning"]
    assert (await worker.update(task, taskStatus="completed")).status == 204


async def test_a_newcomer_is_told_to_come_later_and_no_record_is_made(world: World) -> None:
    async with crowd(world):
        refused = await world.call("POST", "/api/v3/worker/register-worker", json=REGISTRATION)
        assert (refused.status, refused.json()["code"]) == (503, 503)
        assert int(refused.headers["Retry-After"]) > 0
    assert len(world.foreman.farm.workers) == MOST


async def test_asks_that_wait_for_work_do_not_count(world: World) -> None:
    waiting = [await world.worker(f"waiting {number}") for number in range(2 * MOST)]
    asks = [asyncio.create_task(worker.ask(wait_s=30)) for worker in waiting]
    for worker in waiting:
        await world.until_present(worker)
    busy = await world.worker("busy")
    assert (await busy.say_status("awake")).status == 204
    await world.server.submit([a_task() for _ in waiting])
    assert [reply.status for reply in await asyncio.gather(*asks)] == [200] * len(waiting)


async def test_bodies_that_hold_too_much_together_are_told_to_come_later(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server, body_mib_at_once=1) as world:
        worker, task = await with_task(world, ours=True)
        second = await world.worker("second")
        log = "x" * 900_000
        with disk_held(world):
            first = asyncio.create_task(worker.update(task, log=log, log_at=0, seq=2, steps_completed=1))
            async with asyncio.timeout(20):
                while b"flamenco_manager_request_body_bytes 9" not in (await world.call("GET", "/metrics")).body:
                    continue
            refused = await second.update(task, log=log, log_at=0, seq=2)
            assert refused.status == 503
            assert "requests under way hold" in refused.json()["message"]
            assert int(refused.headers["Retry-After"]) > 0
        assert (await first).status == 204
        figures = (await world.call("GET", "/metrics")).body
        assert b"flamenco_manager_request_body_bytes 0.0" in figures
        assert b"flamenco_manager_overload_refusals_total 1.0" in figures


def test_by_default_a_thousand_workers_that_come_back_at_once_are_all_taken_on() -> None:
    assert Settings().requests_at_once >= 1000 * 2, "a sign-on each, and what they could not say meanwhile"
