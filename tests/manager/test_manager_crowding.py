"""What one address can take of a Manager from others: connections, records of Workers (quality.md, section 5)."""

from pathlib import Path

import aiohttp
import pytest
from fake_server import FakeServer
from manager_world import TASK_TYPES, HttpWorker, manager_world
from structlog.testing import capture_logs

from flamenco_manager.settings import Settings
from flamenco_runtime.http_limits import HttpLimits

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
            assert [line["status"] for line in lines] == [429]


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
