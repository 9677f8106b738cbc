"""A Manager that is found: real datagrams on this machine's loopback, and none where nobody could reach it."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_server import TOKEN, FakeServer
from structlog.testing import capture_logs
from zeroconf import IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from flamenco_core import VERSION
from flamenco_core.wire.discovery import MDNS_TYPE, SSDP_GROUP, manager_in_reply, search_request
from flamenco_manager.announcing import WAYS, announced
from flamenco_manager.mdns import instance_name
from flamenco_manager.serving import serve
from flamenco_manager.settings import Settings
from flamenco_manager.ssdp import Place, _Answering
from flamenco_runtime.clock import utc_now
from flamenco_runtime.network import Interface, group_receiver, group_sender, interfaces_of, own_interfaces
from flamenco_runtime.settings import Address

LOOPBACK = Interface("127.0.0.1/8")
ADDRESS = Address("0.0.0.0", 8080)


@pytest.fixture
def group() -> tuple[str, int]:
    """A group of this test alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return SSDP_GROUP, int(probe.getsockname()[1])


@contextmanager
def asking() -> Iterator[socket.socket]:
    """Open a socket as a Flamenco 3 Worker does: a free port, and answers to it alone."""
    with group_sender(LOOPBACK) as asker:
        yield asker


async def heard(receiver: socket.socket) -> bytes:
    async with asyncio.timeout(20):
        return await asyncio.get_running_loop().sock_recv(receiver, 9000)


async def answer_to(asker: socket.socket, group: tuple[str, int], question: bytes = b"") -> bytes:
    """Ask until there is an answer, once in a while, since the Manager may just be starting."""
    for _ in range(100):
        asker.sendto(question or search_request(), group)
        try:
            async with asyncio.timeout(0.2):
                return await asyncio.get_running_loop().sock_recv(asker, 9000)
        except TimeoutError:
            continue
    pytest.fail("nobody answers")


async def test_a_flamenco_3_worker_that_asks_gets_an_answer(group: tuple[str, int]) -> None:
    async with announced("site", ADDRESS, "ssdp", interfaces=lambda: [LOOPBACK], group=group):
        with asking() as asker:
            assert manager_in_reply(await answer_to(asker, group)) == "http://127.0.0.1:8080"


async def test_it_tells_when_it_comes_when_its_address_changes_and_when_it_goes(group: tuple[str, int]) -> None:
    others = [Interface("127.0.0.2/8")]
    addresses = [[LOOPBACK], [LOOPBACK], others]

    def interfaces() -> list[Interface]:
        return addresses.pop(0) if len(addresses) > 1 else addresses[0]

    with group_receiver(*group, [LOOPBACK, *others]) as listening:
        async with announced("site", ADDRESS, "ssdp", interfaces=interfaces, group=group, look_every_s=0.01):
            notices = [await heard(listening) for _ in range(3)]
        notices.append(await heard(listening))
    kinds = [next(line for line in notice.split(b"\r\n") if line.startswith(b"NTS")) for notice in notices]
    assert kinds == [b"NTS: ssdp:alive", b"NTS: ssdp:byebye", b"NTS: ssdp:alive", b"NTS: ssdp:byebye"]
    assert b"LOCATION: http://127.0.0.1:8080/" in notices[0]
    assert b"LOCATION: http://127.0.0.2:8080/" in notices[2]


async def test_other_questions_and_rubbish_are_not_answered(group: tuple[str, int]) -> None:
    other = search_request().replace(b"flamenco:manager", b"other:thing")
    async with announced("site", ADDRESS, "ssdp", interfaces=lambda: [LOOPBACK], group=group):
        with asking() as stranger, asking() as asker:
            await answer_to(asker, group)
            for datagram in (other, b"", b"\xff" * 9000, b"M-SEARCH * HTTP/1.1\r\n\r\n"):
                stranger.sendto(datagram, group)
            stranger.sendto(search_request(), group)
            assert manager_in_reply(await heard(stranger)) == "http://127.0.0.1:8080"
            with pytest.raises(BlockingIOError):  # one answer to five datagrams
                stranger.recv(9000)


class Outgoing:
    """Takes datagrams instead of a socket."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, object]] = []

    def sendto(self, data: bytes, address: object) -> None:
        self.sent.append((data, address))


@pytest.mark.parametrize(
    ("address", "answers"),
    [("192.168.7.9", 1), ("10.0.0.1", 1), ("169.254.1.1", 1), ("127.0.0.1", 1), ("8.8.8.8", 0), ("93.184.216.34", 0)],
)
def test_nobody_outside_of_local_networks_is_answered(address: str, answers: int) -> None:
    """Who asks may have forged where from, so as to have us flood somebody else."""
    outgoing, answering = Outgoing(), _Answering(Place([LOOPBACK], 8080), utc_now)
    answering.connection_made(outgoing)
    answering.datagram_received(search_request(), (address, 5000))
    assert len(outgoing.sent) == answers


def test_whoever_asks_is_told_the_address_in_his_own_network_first() -> None:
    place = Place([Interface("10.0.0.1/24"), Interface("192.168.7.1/24")], 8080)
    assert place.urls("192.168.7.20") == ["http://192.168.7.1:8080", "http://10.0.0.1:8080"]
    assert place.urls("10.0.0.9") == place.urls() == ["http://10.0.0.1:8080", "http://192.168.7.1:8080"]


async def test_it_is_found_by_multicast_dns_under_its_name_and_not_any_more_when_it_is_gone() -> None:
    names: asyncio.Queue[tuple[ServiceStateChange, str]] = asyncio.Queue()

    def noticed(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        names.put_nowait((state_change, name))

    async with AsyncZeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only) as network, asyncio.timeout(30):
        browser = AsyncServiceBrowser(network.zeroconf, MDNS_TYPE, handlers=[noticed])
        async with announced("Größe 4.0", ADDRESS, "mdns", interfaces=lambda: [LOOPBACK]):
            change, name = await names.get()
            assert (change, name) == (ServiceStateChange.Added, f"Größe 4.0.{MDNS_TYPE}")
            info = AsyncServiceInfo(MDNS_TYPE, name)
            assert await info.async_request(network.zeroconf, 20_000)
            assert (info.parsed_addresses(), info.port) == (["127.0.0.1"], 8080)
            assert info.decoded_properties == {"version": VERSION, "path": "/"}
        while (await names.get())[0] is not ServiceStateChange.Removed:
            pass
        await browser.async_cancel()


async def test_two_managers_of_one_name_are_both_found() -> None:
    names: set[str] = set()
    found = asyncio.Event()

    def noticed(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        names.add(name)
        if len(names) == 2:
            found.set()

    async with (
        announced("site", ADDRESS, "mdns", interfaces=lambda: [LOOPBACK]),
        announced("site", Address("0.0.0.0", 8081), "mdns", interfaces=lambda: [LOOPBACK]),
        AsyncZeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only) as network,
        asyncio.timeout(30),
    ):
        browser = AsyncServiceBrowser(network.zeroconf, MDNS_TYPE, handlers=[noticed])
        await found.wait()
        await browser.async_cancel()


@pytest.mark.parametrize(
    ("name", "instance"),
    [("site", "site"), ("a\nb\x00", "ab"), ("", "Flamenco Manager"), ("ü" * 100, "ü" * 29), ("  x ", "x")],
)
def test_any_name_of_a_manager_makes_a_name_of_a_service(name: str, instance: str) -> None:
    assert instance_name(name) == instance


async def test_a_network_that_does_not_let_us_is_logged_and_harms_nothing(group: tuple[str, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken, capture_logs() as lines:
        taken.bind(group)  # without sharing it
        async with announced("site", ADDRESS, "ssdp", interfaces=lambda: [LOOPBACK], group=group), asyncio.timeout(20):
            while not lines:  # noqa: ASYNC110 (a line in a log tells nobody that it is there)
                await asyncio.sleep(0.01)
    assert lines[0]["event"] == "Workers cannot find this Manager by themselves"
    assert (lines[0]["by"], lines[0]["log_level"]) == ("ssdp", "warning")


async def test_a_manager_that_nobody_could_reach_announces_nothing() -> None:
    looked: asyncio.Queue[None] = asyncio.Queue()

    def nowhere() -> list[Interface]:
        loop.call_soon_threadsafe(looked.put_nowait, None)
        return interfaces_of("127.0.0.1")

    loop = asyncio.get_running_loop()
    with capture_logs() as lines:
        async with announced("site", ADDRESS, "both", interfaces=nowhere, look_every_s=0.01), asyncio.timeout(20):
            for _ in range(3):  # it has begun what it does with what it saw before
                await looked.get()
    assert lines == []


async def test_a_manager_that_is_told_so_does_not_even_look() -> None:
    def look() -> list[Interface]:
        pytest.fail("it looked")

    async with announced("site", ADDRESS, "off", interfaces=look):
        assert len(asyncio.all_tasks()) == 1


async def test_the_service_announces_itself_at_the_port_that_it_has(server: FakeServer, tmp_path: Path) -> None:
    """On a machine without a network there is nothing to announce, and the service runs all the same."""
    stop = asyncio.Event()
    settings = Settings(server=server.url, data=tmp_path, token=TOKEN, listen=Address("0.0.0.0", 0))
    urls: list[str] = []
    with capture_logs() as lines:
        running = asyncio.create_task(serve(settings, stop=stop, ready=urls.append))
        async with asyncio.timeout(30):
            while not urls or (own_interfaces() and not said(lines)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        stop.set()
        await running
    port = urls[0].rpartition(":")[2]
    for line in said(lines):
        assert all(url.endswith(f":{port}") for url in line.get("urls", []))


def said(lines: list[Any]) -> list[Any]:
    return [line for line in lines if "find this Manager" in line["event"]]


def test_each_way_has_its_setting() -> None:
    assert WAYS == {"both": ("mdns", "ssdp"), "mdns": ("mdns",), "ssdp": ("ssdp",), "off": ()}
