"""A Manager that speaks TLS: Workers of ours that verify it, what it is announced as, and what plain HTTP says."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from fake_server import TOKEN, FakeServer
from structlog.testing import capture_logs

from flamenco_core.errors import BadInput
from flamenco_core.wire.discovery import manager_in_reply, search_reply
from flamenco_manager.announcing import announced
from flamenco_manager.serving import serve
from flamenco_manager.settings import Settings
from flamenco_manager.ssdp import Place
from flamenco_runtime.clock import utc_now
from flamenco_runtime.network import Interface
from flamenco_runtime.settings import Address
from flamenco_runtime.tls import BadCertificate, trusting
from flamenco_worker.app import serve as run_worker
from flamenco_worker.mdns_search import search_by_mdns
from flamenco_worker.settings import Settings as WorkerSettings

DEADLINE_S = 30.0
LOOPBACK = Interface("127.0.0.1/8")
LOCAL = Address("127.0.0.1", 0)


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, Path]:
    """Settings of a Manager with a certificate, and beside them ``ca``: who made it."""
    ca = trustme.CA()
    issued = ca.issue_cert("127.0.0.1", "render-manager.example")
    files = {name: tmp_path / f"{name}.pem" for name in ("tls_certificate", "tls_key", "ca")}
    issued.private_key_pem.write_to_path(str(files["tls_key"]))
    issued.cert_chain_pems[0].write_to_path(str(files["tls_certificate"]))
    ca.cert_pem.write_to_path(str(files["ca"]))
    return files


@asynccontextmanager
async def serving(run: Callable[..., Any], settings: Any, **options: Any) -> AsyncIterator[str]:
    """Run a service until the context ends; yields its URL once it is ready."""
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(run(settings, stop=stop, ready=url.set_result, **options))
    try:
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.wait({task, url}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield url.result()
    finally:
        stop.set()
        await asyncio.wait({task})
    task.result()


def settings_of(server: FakeServer, data: Path, tls: dict[str, Path], **more: Any) -> Settings:
    of_manager = {key: file for key, file in tls.items() if key != "ca"}
    return Settings(**{"server": server.url, "data": data, "token": TOKEN, "listen": LOCAL, **of_manager, **more})


async def test_a_worker_that_knows_the_authority_signs_on_over_tls(
    server: FakeServer, tmp_path: Path, tls: dict[str, Path]
) -> None:
    async with serving(serve, settings_of(server, tmp_path / "m", tls)) as url:
        assert url.startswith("https://127.0.0.1:")
        worker = WorkerSettings(manager=url, data=tmp_path / "w", name="node", ca=tls["ca"])
        async with serving(run_worker, worker) as found:
            assert found == url
            await server.until(
                lambda: "awake" in [worker["status"] for worker in server.mirror["workers"].values()], DEADLINE_S
            )


async def test_a_worker_that_does_not_know_the_authority_says_so_and_sends_no_secret(
    server: FakeServer, tmp_path: Path, tls: dict[str, Path]
) -> None:
    async with serving(serve, settings_of(server, tmp_path / "m", tls)) as url:
        worker = WorkerSettings(manager=url, data=tmp_path / "w", name="node", token="let-me-in")
        stop = asyncio.Event()
        with capture_logs() as lines:
            running = asyncio.create_task(run_worker(worker, stop=stop, ready=lambda _: pytest.fail("it signed on")))
            async with asyncio.timeout(DEADLINE_S):
                while not any("certificate is not trusted" in line.get("why", "") for line in lines):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            stop.set()
            await running
        assert not [line for line in lines if line["event"] == "registered"]


async def test_a_manager_calls_a_server_whose_authority_it_is_told(
    server: FakeServer, tmp_path: Path, tls: dict[str, Path]
) -> None:
    """Over a Manager's own TLS port, which answers hello with 404: that it was heard at all is what counts."""
    async with serving(serve, settings_of(server, tmp_path / "a", tls)) as url:
        for ca, says in ((tls["ca"], "Not Found"), (None, "certificate is not trusted")):
            other = Settings(server=url, server_ca=ca, data=tmp_path / says, token=TOKEN, listen=LOCAL)
            with capture_logs() as lines:
                async with serving(serve, other), asyncio.timeout(DEADLINE_S):
                    while not any(says in line.get("error", "") for line in lines):  # noqa: ASYNC110
                        await asyncio.sleep(0.01)


async def test_bad_certificates_stop_the_start(server: FakeServer, tmp_path: Path, tls: dict[str, Path]) -> None:
    tls["tls_key"].unlink()
    settings = settings_of(server, tmp_path / "m", tls)
    with pytest.raises(BadCertificate, match=r"Cannot read .*tls_key\.pem"):
        await serve(settings, stop=asyncio.Event(), ready=lambda _: None)
    with pytest.raises(BadCertificate, match=r"Cannot read .*none\.pem"):
        await serve(
            Settings(server=server.url, data=tmp_path / "n", token=TOKEN, listen=LOCAL, server_ca=Path("/none.pem")),
            stop=asyncio.Event(),
            ready=lambda _: None,
        )


@pytest.mark.parametrize(("given", "missing"), [("tls_key", "tls_certificate"), ("tls_certificate", "tls_key")])
def test_one_without_the_other_is_refused(given: str, missing: str) -> None:
    with pytest.raises(BadInput, match=f"{missing} is missing"):
        Settings(**{given: Path("x.pem")})


@contextmanager
def warned() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines
    lines[:] = [line for line in lines if "others in the network can read" in line["event"]]


async def test_plain_http_is_warned_of_once_where_others_could_listen(
    server: FakeServer, tmp_path: Path, tls: dict[str, Path]
) -> None:
    everywhere = Address("0.0.0.0", 0)
    of = {"server": server.url, "token": TOKEN, "discovery": "off"}
    for settings, times in (
        (Settings(data=tmp_path / "a", listen=everywhere, **of), 1),
        (Settings(data=tmp_path / "b", listen=LOCAL, **of), 0),
        (settings_of(server, tmp_path / "c", tls, listen=everywhere, discovery="off"), 0),
    ):
        with warned() as lines:
            async with serving(serve, settings):
                pass
        assert len(lines) == times, settings.listen
        assert all("tls_certificate" in line["what_to_do"] for line in lines)


def test_it_is_told_by_the_name_that_its_certificate_holds_then_by_its_addresses() -> None:
    place = Place([LOOPBACK], 8080, "https", ["render-manager.example"])
    assert place.urls() == ["https://render-manager.example:8080", "https://127.0.0.1:8080"]
    assert place.url_in(LOOPBACK) == "https://render-manager.example:8080"
    assert Place([LOOPBACK], 8080, "https").url_in(LOOPBACK) == "https://127.0.0.1:8080"
    assert [manager_in_reply(search_reply(url, utc_now())) for url in place.urls()] == place.urls()


async def test_a_worker_finds_it_as_https_by_multicast_dns() -> None:
    found: asyncio.Queue[str] = asyncio.Queue()
    address = Address("0.0.0.0", 8080, "https")
    async with announced(
        "site", address, "mdns", hosts=lambda: ["render-manager.example"], interfaces=lambda: [LOOPBACK]
    ):
        searching = asyncio.create_task(search_by_mdns([LOOPBACK], found.put_nowait))
        async with asyncio.timeout(DEADLINE_S):
            urls = {await found.get(), await found.get()}
        searching.cancel()
        await asyncio.wait({searching})
    assert urls == {"https://render-manager.example:8080", "https://127.0.0.1:8080"}


async def test_the_command_line_trusts_who_the_environment_names(
    server: FakeServer, tmp_path: Path, tls: dict[str, Path]
) -> None:
    """It asks a Manager here as if that were a Server: what counts is which of its answers is heard at all."""
    async with serving(serve, settings_of(server, tmp_path / "m", tls)) as url:
        for trusted, says in (({"SSL_CERT_FILE": str(tls["ca"])}, b"Not Found"), ({}, b"certificate is not trusted")):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "flamenco_cli", "jobs"),
                env={"FLAMENCO_URL": url, "FLAMENCO_TOKEN": "hush", "FLAMENCO_CONFIG_DIR": str(tmp_path), **trusted},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            async with asyncio.timeout(DEADLINE_S):
                said, _ = await process.communicate()
            assert says in said
            assert b"hush" not in said


async def test_a_program_that_trusts_the_authority_reads_from_it(
    server: FakeServer, tmp_path: Path, tls: dict[str, Path]
) -> None:
    async with serving(serve, settings_of(server, tmp_path / "m", tls)) as url:
        connector = aiohttp.TCPConnector(ssl=trusting(tls["ca"]))
        async with aiohttp.ClientSession(connector=connector) as session, session.get(f"{url}/readyz") as answer:
            assert (answer.status, (await answer.json())["status"]) == (200, "ready")
