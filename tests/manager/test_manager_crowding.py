"""What one address can take of a Manager from others: connections, records of Workers (quality.md, section 5)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fake_server import FakeServer
from manager_world import TASK_TYPES, HttpWorker, Reply, World, manager_world
from structlog.testing import capture_logs

from flamenco_manager.settings import Settings
from flamenco_runtime.http_limits import HttpLimits
from flamenco_runtime.proxies import read_proxies

ONE = HttpLimits(connections_per_address=1, uncounted=())
REGISTER = "/api/v3/worker/register-worker"
NEWCOMER = {"secret": "s", "platform": "linux", "supported_task_types": TASK_TYPES, "name": "newcomer"}


def test_an_admin_says_how_many_connections_an_address_may_hold() -> None:
    assert Settings().http_limits.connections_per_address == 1000
    assert Settings(connections_per_address=5).http_limits.connections_per_address == 5


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v3/version"), ("POST", REGISTER), ("GET", "/healthz")])
async def test_a_connection_too_many_is_told_so_in_words_and_when_to_try_again(
    server: FakeServer, tmp_path: Path, method: str, path: str
) -> None:
    async with manager_world(tmp_path, server, limits=ONE) as world, aiohttp.ClientSession() as second:
        assert (await world.call("GET", "/healthz")).status == 200  # whose connection stays open
        with capture_logs() as lines:
            async with second.request(method, world.url + path, json=NEWCOMER) as answer:
                said = await answer.json(content_type=None)
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) > 0
        text = said["message"] if path.startswith("/api/v3") else said["detail"]
        assert "Too many connections come from 127.0.0.1" in text
        assert said.get("code", 429) == 429
        assert not world.foreman.farm.workers
        if path.startswith("/api/v3"):
            assert [line["status"] for line in lines if line["event"] == "worker refused"] == [429]


async def test_a_worker_whose_connection_is_too_many_is_cut_off_and_keeps_its_identity(
    server: FakeServer, tmp_path: Path
) -> None:
    """A Flamenco 3 Worker registers anew after any answer but a good one to its sign-on (worker-api.md, 5 and 14)."""
    async with manager_world(tmp_path, server, limits=ONE) as world:
        worker = await world.registered("old", ours=False)
        async with aiohttp.ClientSession() as second:
            again = HttpWorker(world, worker.id, worker.secret, worker.name, ours=False)
            url = f"{world.url}/api/v3/worker/sign-on"
            with pytest.raises(aiohttp.ClientConnectionError):
                await second.post(url, headers=again.headers, json={"name": "old"})
        assert (await worker.sign_on()).status == 200


ELSEWHERE = {"X-Forwarded-For": "192.0.2.1"}
PROXY = read_proxies("127.0.0.1")


async def register(world: World, name: str, headers: Mapping[str, str] = ELSEWHERE, **said: Any) -> Reply:
    body = {**NEWCOMER, "secret": f"secret of {name}", "name": name, **said}
    return await world.call("POST", REGISTER, json=body, headers=headers)


async def test_no_more_workers_may_await_approval_than_said(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server, awaiting_workers=2) as world:
        first = await register(world, "first")
        assert (first.status, (await register(world, "second")).status) == (200, 200)
        with capture_logs() as lines:
            refused = await register(world, "third")
        assert (refused.status, refused.json()["code"]) == (429, 429)
        assert int(refused.headers["Retry-After"]) > 0
        assert "2 Workers await approval" in refused.json()["message"]
        assert [line["status"] for line in lines if line["event"] == "worker refused"] == [429]
        assert {worker.name for worker in world.foreman.farm.workers.values()} == {"first", "second"}
        assert (await server.asked("worker.approve", worker=first.json()["uuid"]))["result"] == "done"
        assert (await register(world, "third")).status == 200


async def test_where_too_many_await_approval_those_of_this_machine_and_with_the_token_come_in(
    server: FakeServer, tmp_path: Path
) -> None:
    async with manager_world(tmp_path, server, awaiting_workers=1, registration_token="let-me-in") as world:
        assert (await register(world, "stranger")).status == 200
        assert (await register(world, "neighbour", {})).status == 200
        assert (await register(world, "trusted", token="let-me-in")).status == 200
        assert (await register(world, "another", token="let-me-in!")).status == 429


async def test_one_of_ours_gets_its_record_back_however_many_there_are(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server, awaiting_workers=1, new_workers_per_hour=1) as world:
        place = {"node": "6f1c2b1e-9a2d-4a53-8f5b-0d6c4d1b7a10", "slot": 0}
        first = await register(world, "ours", **place)
        again = await register(world, "ours", **place)
        assert (again.status, again.json()["uuid"]) == (200, first.json()["uuid"])


@pytest.mark.parametrize("approve", ["token", "all"])
async def test_one_address_may_register_so_many_workers_in_an_hour(
    server: FakeServer, tmp_path: Path, approve: str
) -> None:
    chosen = {"approve": approve, "trusted_proxies": PROXY, "new_workers_per_hour": 2}
    async with manager_world(tmp_path, server, **chosen) as world:
        assert [(await register(world, name)).status for name in "ab"] == [200, 200]
        refused = await register(world, "c")
        assert refused.status == 429
        assert "from 192.0.2.1 within an hour" in refused.json()["message"]
        assert "new_workers_per_hour" in refused.json()["message"]
        assert (await register(world, "d", {"X-Forwarded-For": "192.0.2.2"})).status == 200
        world.time.passed_s += 3601
        assert (await register(world, "c")).status == 200
