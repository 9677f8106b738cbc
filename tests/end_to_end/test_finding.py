"""A Worker finds a Manager of ours, by each way in which it is announced; over this machine's loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from flamenco_core.wire.discovery import SSDP_GROUP
from flamenco_manager.announcing import announced
from flamenco_manager.http.reading import Site, reading_routes
from flamenco_runtime.network import Interface
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address
from flamenco_worker.finding import Found, ManagerFinder
from flamenco_worker.ssdp_search import search_by_ssdp

LOOPBACK = Interface("127.0.0.1/8")


@pytest.fixture
async def address() -> AsyncIterator[Address]:
    app = web.Application()
    app.add_routes(reading_routes(Site("studio", "/jobs", lambda _, __: {}, lambda: "idle")))
    async with listening(app, Address("127.0.0.1", 0)) as where:
        yield where


@pytest.mark.parametrize(("discovery", "ways"), [("mdns", "mDNS"), ("ssdp", "SSDP"), ("both", "mDNS SSDP")])
async def test_a_worker_finds_a_manager(address: Address, discovery: str, ways: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        group = (SSDP_GROUP, int(probe.getsockname()[1]))

    async def by_ssdp(interfaces: Sequence[Interface], found: Found) -> None:
        await search_by_ssdp(interfaces, found, group=group)

    async with (
        announced("studio", address, discovery, interfaces=lambda: [LOOPBACK], group=group),
        aiohttp.ClientSession() as http,
        asyncio.timeout(60),
    ):
        finder = ManagerFinder(http, [], by_ssdp=by_ssdp, interfaces=lambda: [LOOPBACK])
        with capture_logs() as lines:
            assert await finder.find() == address.url
    [line] = [line for line in lines if line["event"] == "found a Manager"]
    assert line["name"] == "studio"
    assert line["by"] in ways.split()
