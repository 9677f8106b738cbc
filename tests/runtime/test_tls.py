"""Certificates that a service serves, and authorities that a caller trusts: made here, as files, over real sockets."""

import asyncio
import os
import re
import signal
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import trustme
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.hazmat.primitives.serialization import load_pem_private_key as load_key
from structlog.testing import capture_logs

from flamenco_core.errors import Unavailable
from flamenco_runtime.http_client import send
from flamenco_runtime.http_limits import HttpLimits
from flamenco_runtime.service import Door
from flamenco_runtime.settings import Address
from flamenco_runtime.tls import BadCertificate, ServedCertificate, trusting

DEADLINE_S = 20.0


class Files:
    """A certificate authority of this test, and the files of a service that has a certificate of it."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.certificate, self.key, self.authority = (folder / name for name in ("cert.pem", "key.pem", "ca.pem"))
        self.ca.cert_pem.write_to_path(str(self.authority))
        self.issue()

    def issue(self, *names: str, until: datetime | None = None, ca: trustme.CA | None = None) -> int:
        """Write a new certificate; returns its serial number."""
        issued = (ca or self.ca).issue_cert(*(names or ("127.0.0.1", "localhost")), not_after=until)
        self.key.write_bytes(issued.private_key_pem.bytes())
        self.certificate.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
        return serial_of(issued)

    def served(self) -> ServedCertificate:
        return ServedCertificate(self.certificate, self.key)


def serial_of(issued: trustme.LeafCert) -> int:
    return x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()).serial_number


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@asynccontextmanager
async def answering(certificate: ServedCertificate, limits: HttpLimits | None = None) -> AsyncIterator[Address]:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    door = Door(limits or HttpLimits())
    async with door.leading_to(app), door.open(Address("127.0.0.1", 0), certificate.context) as address:
        yield address


async def said_at(address: Address, authority: Path) -> bytes:
    connector = aiohttp.TCPConnector(ssl=trusting(authority))
    async with aiohttp.ClientSession(connector=connector) as session:
        return (await send(session, "GET", address.url)).body


async def serial_at(address: Address, authority: Path) -> int:
    """Shake hands anew, and return the number of the certificate that came."""
    _, writer = await asyncio.open_connection(address.host, address.port, ssl=trusting(authority))
    found = writer.get_extra_info("peercert")
    writer.close()
    await writer.wait_closed()
    return int(found["serialNumber"], 16)


async def test_a_service_with_a_certificate_says_https_and_is_believed_by_whoever_trusts_its_authority(
    files: Files,
) -> None:
    async with answering(files.served()) as address:
        assert address.url == f"https://127.0.0.1:{address.port}"
        assert await said_at(address, files.authority) == b"hello"


async def test_who_does_not_trust_its_authority_is_told_what_would_help(files: Files, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    async with answering(files.served()) as address:
        with pytest.raises(Unavailable, match=r"its certificate is not trusted: .* name that authority's file"):
            await said_at(address, other)


async def test_a_certificate_for_another_host_is_refused(files: Files) -> None:
    files.issue("render-manager.example")
    async with answering(files.served()) as address:
        with pytest.raises(Unavailable, match="its certificate is not trusted: IP address mismatch"):
            await said_at(address, files.authority)


@pytest.mark.parametrize(("version", "is_taken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
async def test_it_speaks_tls_1_2_and_later(files: Files, version: str, is_taken: bool) -> None:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(files.authority)
    client.set_ciphers("DEFAULT:@SECLEVEL=0")  # so that it is not the client who refuses
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        client.minimum_version = client.maximum_version = ssl.TLSVersion[version]
    certificate = files.served()
    assert certificate.context.minimum_version is ssl.TLSVersion.TLSv1_2
    async with answering(certificate) as address:
        if is_taken:
            _, writer = await asyncio.open_connection(address.host, address.port, ssl=client)
            writer.close()
        else:
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                await asyncio.open_connection(address.host, address.port, ssl=client)


async def test_who_does_not_shake_hands_is_cut_off(files: Files) -> None:
    async with answering(files.served(), HttpLimits(headers_s=0.2)) as address:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        async with asyncio.timeout(DEADLINE_S):
            assert await reader.read() == b""
        writer.close()


async def test_plain_http_to_it_gets_no_answer_and_harms_nobody(files: Files) -> None:
    async with answering(files.served()) as address:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: m\r\n\r\n")
        async with asyncio.timeout(DEADLINE_S):
            assert b"hello" not in await reader.read()
        writer.close()
        assert await said_at(address, files.authority) == b"hello"


def test_what_a_certificate_says_is_known(files: Files) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=40)
    files.issue("render-manager.example", "*.farm.example", "127.0.0.1", until=ends)
    facts = files.served().facts
    assert (facts.hosts, facts.ends) == (["render-manager.example"], ends)


def test_what_cannot_be_served_is_refused_by_its_name_and_reason(files: Files, tmp_path: Path) -> None:
    good_certificate, good_key = files.certificate.read_bytes(), files.key.read_bytes()
    other_key = trustme.CA().issue_cert("x").private_key_pem.bytes()
    locked = load_key(good_key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    begin = b"-----BEGIN CERTIFICATE-----\n"
    for certificate, key, says in (
        (b"", good_key, f"{files.certificate} is not a certificate in PEM form"),
        (good_certificate, b"hello", f"{files.key} is not a private key in PEM form"),
        (good_key, good_key, f"{files.certificate} is not a certificate in PEM form"),
        (good_certificate, other_key, f"key {files.key} does not belong to the certificate {files.certificate}"),
        (good_certificate, locked, f"key {files.key} is protected by a password"),
        (begin + b"AAAA\n-----END CERTIFICATE-----\n", good_key, "is damaged"),
        (good_certificate, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "is damaged"),
    ):
        files.certificate.write_bytes(certificate)
        files.key.write_bytes(key)
        with pytest.raises(BadCertificate, match=re.escape(says)):
            files.served()
    with pytest.raises(BadCertificate, match=r"Cannot read .*missing\.pem: No such file or directory"):
        ServedCertificate(tmp_path / "missing.pem", files.key)


def test_a_certificate_that_has_expired_is_refused(files: Files) -> None:
    files.issue("localhost", until=datetime.now(UTC) - timedelta(days=1))
    with pytest.raises(BadCertificate, match="certificate has expired"):
        files.served()


@pytest.mark.parametrize(("mode", "is_warned"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_key_that_others_may_read_is_warned_of(files: Files, mode: int, is_warned: bool) -> None:
    files.key.chmod(mode)
    with capture_logs() as lines:
        files.served()
    assert [line["log_level"] for line in lines] == ["warning"] * is_warned
    assert all(str(files.key) in line["what_to_do"] for line in lines)


def test_an_authority_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCertificate, match=r"Cannot read .*nothing\.pem"):
        trusting(tmp_path / "nothing.pem")
    (tmp_path / "words.pem").write_text("hello")
    with pytest.raises(BadCertificate, match=r"words\.pem is not a certificate in PEM form"):
        trusting(tmp_path / "words.pem")


def test_without_an_authority_those_of_the_system_are_trusted() -> None:
    assert trusting(None).verify_mode is ssl.CERT_REQUIRED
    assert trusting(None).check_hostname


@asynccontextmanager
async def following(certificate: ServedCertificate, look_every_s: float) -> AsyncIterator[None]:
    task = asyncio.create_task(certificate.follow(look_every_s))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_new_certificate_is_taken_over_while_the_service_runs_and_open_connections_stay(files: Files) -> None:
    certificate = files.served()
    async with answering(certificate) as address, following(certificate, 0.01):
        connector = aiohttp.TCPConnector(ssl=trusting(files.authority))
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.timeout(DEADLINE_S):
            assert (await send(session, "GET", address.url)).body == b"hello"
            new = files.issue()
            while await serial_at(address, files.authority) != new:
                pass
            assert (await send(session, "GET", address.url)).body == b"hello"


async def test_at_sighup_a_new_certificate_is_taken_over_at_once(files: Files) -> None:
    certificate = files.served()
    async with answering(certificate) as address, following(certificate, 3600):
        await asyncio.sleep(0)  # it listens to the signal now
        new = files.issue()
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(DEADLINE_S):
            while await serial_at(address, files.authority) != new:
                pass
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


async def test_a_new_certificate_that_cannot_be_used_is_told_of_and_the_old_one_goes_on(files: Files) -> None:
    """Whoever renews a certificate writes two files, one after the other."""
    certificate = files.served()
    old = certificate.facts
    async with answering(certificate) as address, following(certificate, 0.01):
        before = await serial_at(address, files.authority)
        with capture_logs() as lines:
            files.key.write_bytes(trustme.CA().issue_cert("x").private_key_pem.bytes())
            async with asyncio.timeout(DEADLINE_S):
                while not any("does not belong" in line.get("error", "") for line in lines):
                    assert await serial_at(address, files.authority) == before
        assert certificate.facts == old
        new = files.issue()
        async with asyncio.timeout(DEADLINE_S):
            while await serial_at(address, files.authority) != new:
                pass


async def test_a_certificate_that_ends_soon_is_warned_of_once_a_day(files: Files) -> None:
    files.issue(until=datetime.now(UTC) + timedelta(days=13))
    passed, looked = [timedelta()], asyncio.Event()

    def clock() -> datetime:
        passed.append(passed[-1] + timedelta(hours=9))
        if len(passed) == 6:
            looked.set()
        return datetime.now(UTC) + passed[-2]

    with capture_logs() as lines:
        async with following(ServedCertificate(files.certificate, files.key, clock), 0.001):
            async with asyncio.timeout(DEADLINE_S):
                await looked.wait()
            warned = [line for line in lines if line["event"] == "the certificate ends soon"]
    assert len(warned) == 2, "0, 9, 18, 27 and 36 hours: at the first and the fourth"
