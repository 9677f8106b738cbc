import asyncio
import os
import signal
import socket

import aiohttp
import pytest
from aiohttp import web

from flamenco_runtime.service import PortTaken, listening, stop_on_signals
from flamenco_runtime.settings import Address

LOCAL = Address("127.0.0.1", 0)


def app() -> web.Application:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    made = web.Application()
    made.router.add_get("/", hello)
    return made


async def test_it_answers_at_the_address_that_it_tells() -> None:
    async with listening(app(), LOCAL) as address, aiohttp.ClientSession() as session:
        assert address.port != 0
        async with session.get(address.url) as answer:
            assert await answer.text() == "hello"


async def test_it_closes_its_port_at_the_end() -> None:
    async with listening(app(), LOCAL) as address:
        pass
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(address.host, address.port)


async def test_a_port_that_is_taken_is_named_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(PortTaken, match=f"Cannot listen on {address}: .* Choose another with --listen"):
            async with listening(app(), address):
                pass


async def test_it_cleans_up_when_the_port_is_taken() -> None:
    cleaned = []

    async def note(_: web.Application) -> None:
        cleaned.append(True)

    async with listening(app(), LOCAL) as address:
        second = app()
        second.on_cleanup.append(note)
        with pytest.raises(PortTaken):
            async with listening(second, address):
                pass
    assert cleaned == [True]


async def test_a_host_that_is_not_ours_is_refused() -> None:
    with pytest.raises(PortTaken, match=r"Cannot listen on 192\.0\.2\.1:8000"):
        async with listening(app(), Address("192.0.2.1", 8000)):
            pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_ask_to_stop(number: signal.Signals) -> None:
    with stop_on_signals() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        async with asyncio.timeout(30):
            await stop.wait()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
