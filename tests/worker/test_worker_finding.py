"""A Worker that was not told where its Manager is: real datagrams on this machine's loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from fake_manager import FakeManager
from structlog.testing import capture_logs
from worker_world import QUICK
from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from flamenco_core.identifiers import new_id
from flamenco_core.wire.discovery import MDNS_TYPE, SSDP_GROUP, asks_for_managers, search_reply
from flamenco_runtime.network import Interface, group_receiver
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address
from flamenco_worker import app as worker_app
from flamenco_worker.finding import LOCAL_MANAGER, Found, ManagerFinder, find_again
from flamenco_worker.mdns_search import search_by_mdns
from flamenco_worker.settings import Settings
from flamenco_worker.ssdp_search import search_by_ssdp

LOOPBACK = Interface("127.0.0.1/8")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def nobody(interfaces: Sequence[Interface], found: Found) -> None:
    """Search where nobody is."""
    await asyncio.get_running_loop().create_future()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def group() -> tuple[str, int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return SSDP_GROUP, int(probe.getsockname()[1])


@pytest.fixture
async def manager_url() -> AsyncIterator[str]:
    """A Manager, as far as whoever looks for one is concerned."""
    async with answering({"version": "3.9", "shortversion": "3.9", "name": "studio", "git": "x"}) as url:
        yield url


@asynccontextmanager
async def answering(document: object, status: int = 200) -> AsyncIterator[str]:
    async def version(_: web.Request) -> web.Response:
        return web.json_response(document, status=status)

    app = web.Application()
    app.router.add_get("/api/v3/version", version)
    async with listening(app, Address("127.0.0.1", 0)) as address:
        yield address.url


def a_finder(http: aiohttp.ClientSession, known: Sequence[str] = (), **changes: Any) -> ManagerFinder:
    searches = {"by_mdns": nobody, "by_ssdp": nobody, "interfaces": lambda: [LOOPBACK]}
    return ManagerFinder(http, known, **(searches | changes))


async def found_by(finder: ManagerFinder) -> str:
    async with asyncio.timeout(30):
        return await finder.find()


async def test_it_finds_a_manager_that_answers_to_ssdp(
    http: aiohttp.ClientSession, group: tuple[str, int], manager_url: str
) -> None:
    with group_receiver(*group, [LOOPBACK]) as receiver:

        def answer() -> None:
            question, asker = receiver.recvfrom(9000)
            assert asks_for_managers(question)
            receiver.sendto(b"HTTP/1.1 200 OK\r\n\r\n", asker)  # some other device
            receiver.sendto(search_reply("http://127.0.0.1:9", NOON), asker)  # nobody is there
            receiver.sendto(search_reply(manager_url, NOON), asker)

        asyncio.get_running_loop().add_reader(receiver, answer)
        with capture_logs() as lines:
            url = await found_by(a_finder(http, by_ssdp=by_ssdp_in(group)))
        asyncio.get_running_loop().remove_reader(receiver)
    assert url == manager_url
    [line] = [line for line in lines if line["event"] == "found a Manager"]
    assert (line["url"], line["by"], line["name"], line["version"]) == (manager_url, "SSDP", "studio", "3.9")


def by_ssdp_in(group: tuple[str, int]) -> Callable[[Sequence[Interface], Found], Any]:
    return lambda interfaces, found: search_by_ssdp(interfaces, found, group=group)


async def test_it_finds_a_manager_that_is_announced_by_multicast_dns(
    http: aiohttp.ClientSession, manager_url: str
) -> None:
    async with AsyncZeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only) as network:
        info = AsyncServiceInfo(
            MDNS_TYPE,
            f"studio.{MDNS_TYPE}",
            port=int(manager_url.rpartition(":")[2]),
            properties={"version": "4", "path": "/"},
            server=f"flamenco-{new_id()[:8]}.local.",
            parsed_addresses=["127.0.0.1"],
        )
        await (await network.async_register_service(info))
        with capture_logs() as lines:
            assert await found_by(a_finder(http, by_mdns=search_by_mdns)) == manager_url
    assert [line["by"] for line in lines if line["event"] == "found a Manager"] == ["mDNS"]


async def test_a_manager_of_this_machine_is_found_though_it_is_not_announced(
    http: aiohttp.ClientSession, manager_url: str
) -> None:
    assert await found_by(a_finder(http, [manager_url])) == manager_url


@pytest.mark.parametrize(
    ("document", "status"),
    [({"version": "1"}, 200), ([1], 200), ({"version": 1, "name": "x"}, 200), ({"version": "1", "name": "x"}, 404)],
)
async def test_what_is_no_manager_is_passed_over(
    http: aiohttp.ClientSession, manager_url: str, document: object, status: int
) -> None:
    async with answering(document, status) as stranger:
        with capture_logs() as lines:

            async def search(interfaces: Sequence[Interface], found: Found) -> None:
                found(stranger)
                while not any(line["event"] == "no Manager there" for line in lines):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                found(manager_url)
                await nobody(interfaces, found)

            assert await found_by(a_finder(http, by_mdns=search)) == manager_url


async def test_it_says_what_to_do_when_it_finds_nothing_and_goes_on_looking(
    http: aiohttp.ClientSession, manager_url: str
) -> None:
    with capture_logs() as lines:

        async def search(interfaces: Sequence[Interface], found: Found) -> None:
            while not any(line["log_level"] == "warning" for line in lines):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            found(manager_url)
            await nobody(interfaces, found)

        assert await found_by(a_finder(http, by_mdns=search, say_so_after_s=0.01)) == manager_url
    warning = next(line for line in lines if line["log_level"] == "warning")
    assert warning["event"] == "no Manager found so far; still looking"
    assert "flamenco worker --manager" in warning["what_to_do"]
    assert "--listen" in warning["what_to_do"]


async def test_a_search_that_the_network_does_not_allow_leaves_the_others_alone(
    http: aiohttp.ClientSession, manager_url: str
) -> None:
    async def fails(interfaces: Sequence[Interface], found: Found) -> None:
        raise OSError("no such device")

    async def finds(interfaces: Sequence[Interface], found: Found) -> None:
        found(manager_url)
        await nobody(interfaces, found)

    assert await found_by(a_finder(http, by_mdns=fails, by_ssdp=finds)) == manager_url


async def test_the_one_that_was_found_last_time_is_asked_first(
    http: aiohttp.ClientSession, manager_url: str, tmp_path: Path
) -> None:
    kept = tmp_path / "manager-url"
    kept.write_text(manager_url, encoding="utf-8")
    async with answering({"version": "4", "name": "another"}) as other, asyncio.timeout(30):
        for _ in range(5):
            assert await find_again(http, kept, local=other) == manager_url


@pytest.mark.parametrize("contents", [b"", b"\xff\xfe", b"nonsense"])
async def test_a_damaged_note_of_the_last_one_does_no_harm(
    http: aiohttp.ClientSession, manager_url: str, tmp_path: Path, contents: bytes
) -> None:
    kept = tmp_path / "manager-url"
    kept.write_bytes(contents)
    async with asyncio.timeout(30):
        assert await find_again(http, kept, local=manager_url) == manager_url
    assert kept.read_text(encoding="utf-8") == manager_url


async def test_a_worker_without_a_manager_joins_the_one_it_finds(manager: FakeManager, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manager-url").write_text(manager.url, encoding="utf-8")
    stop, ready = asyncio.Event(), asyncio.Queue[str]()
    settings = Settings(data=tmp_path / "data", name="node")
    assert settings.manager is None
    serving = asyncio.create_task(
        worker_app.serve(settings, stop=stop, ready=ready.put_nowait, timing=QUICK, environ={})
    )
    async with asyncio.timeout(30):
        assert await ready.get() == manager.url
    stop.set()
    await serving
    assert len(manager.registrations) == 1


async def test_a_worker_that_finds_nothing_can_be_stopped(tmp_path: Path) -> None:
    stop = asyncio.Event()

    async def find(http: aiohttp.ClientSession, _: Path) -> str:
        return await ManagerFinder(http, [], by_mdns=nobody, by_ssdp=nobody).find()

    with capture_logs() as lines:
        serving = asyncio.create_task(
            worker_app.serve(Settings(data=tmp_path), stop=stop, ready=pytest.fail, timing=QUICK, environ={}, find=find)
        )
        async with asyncio.timeout(30):
            while not any("looking" in line["event"] for line in lines):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            stop.set()
            await serving


def test_the_local_manager_is_where_managers_listen_by_default() -> None:
    from flamenco_manager.settings import Settings as ManagerSettings

    assert ManagerSettings().listen.url == LOCAL_MANAGER
