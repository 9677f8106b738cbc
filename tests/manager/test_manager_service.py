"""Starting and stopping a Manager."""

import asyncio
import time
from pathlib import Path

import pytest
from fake_server import TOKEN, FakeServer
from manager_world import TestTime, a_task, manager_world
from structlog.testing import capture_logs

from flamenco_core.errors import BadInput
from flamenco_manager.link_file import NoToken
from flamenco_manager.serving import serve
from flamenco_manager.settings import Settings
from flamenco_runtime.data_folder import DataInUse
from flamenco_runtime.service import PortTaken
from flamenco_runtime.settings import Address, load_settings


async def test_it_serves_until_it_is_told_to_stop(server: FakeServer, tmp_path: Path) -> None:
    stop, urls = asyncio.Event(), list[str]()
    settings = Settings(server=server.url, data=tmp_path, token=TOKEN, listen=Address("127.0.0.1", 0))

    def ready(url: str) -> None:
        urls.append(url)
        stop.set()

    await serve(settings, stop=stop, ready=ready)
    assert urls[0].startswith("http://127.0.0.1:")


async def test_a_port_that_is_taken_is_told_as_that(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path / "a", server) as world:
        port = int(world.url.rpartition(":")[2])
        settings = Settings(server=server.url, data=tmp_path / "b", token=TOKEN, listen=Address("127.0.0.1", port))
        with pytest.raises(PortTaken):
            await serve(settings, stop=asyncio.Event(), ready=lambda _: None)


async def test_two_managers_do_not_share_a_data_folder(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server):
        with pytest.raises(DataInUse, match="Another Manager"):
            async with manager_world(tmp_path, server):
                pass


async def test_a_manager_that_was_never_linked_says_what_to_do(server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(NoToken, match="add-manager"):
        await serve(Settings(server=server.url, data=tmp_path), stop=asyncio.Event(), ready=lambda _: None)


async def test_a_token_that_the_server_does_not_know_is_told_with_what_to_do(
    server: FakeServer, tmp_path: Path
) -> None:
    settings = Settings(server=server.url, data=tmp_path, token="of another farm", listen=Address("127.0.0.1", 0))
    stop = asyncio.Event()
    with capture_logs() as lines:
        serving = asyncio.create_task(serve(settings, stop=stop, ready=lambda _: None))
        async with asyncio.timeout(30):
            while not any("does not know this Manager's token" in line["event"] for line in lines):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        stop.set()
        await serving
    assert all("link.json" in line["what_to_do"] for line in lines if "token" in line["event"])


@pytest.mark.parametrize(
    ("key", "value"),
    [("approve", "nobody"), ("server", "ftp://x"), ("connections_per_address", 0), ("awaiting_workers", 0)],
)
def test_bad_settings_stop_the_start(key: str, value: object) -> None:
    with pytest.raises(BadInput, match=key):
        load_settings(Settings, prefix="FLAMENCO_MANAGER_", environ={}, overrides={key: value})


class FastTime(TestTime):
    """Five seconds pass in one."""

    def __init__(self) -> None:
        super().__init__()
        self.began = time.monotonic()

    def monotonic(self) -> float:
        return 1000.0 + (time.monotonic() - self.began) * 5


async def test_a_silent_worker_is_given_up_and_comes_back(server: FakeServer, tmp_path: Path) -> None:
    limits = {"worker_timeout_s": 5, "starting_worker_timeout_s": 5, "start_up_grace_s": 0}
    async with manager_world(tmp_path, server, time=FastTime(), **limits) as world:
        silent = await world.worker("silent")
        await server.submit([a_task()])
        task = await silent.task()
        await server.until(lambda: server.mirror["workers"][silent.id]["status"] == "error")
        await server.until(lambda: server.mirror["tasks"][task["uuid"]]["status"] == "queued")
        assert (await silent.update(task, taskStatus="completed", seq=1)).status == 204
        await server.until(lambda: server.mirror["workers"][silent.id]["status"] == "awake")
