"""TLS of a service that listens: its certificate is checked before it is used, and taken over anew when it changes.

And of one that calls: which certificate authority it trusts.
"""

import asyncio
import contextlib
import os
import signal
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from flamenco_core.errors import BadInput
from flamenco_runtime.clock import Clock, utc_now
from flamenco_runtime.http_client import wait_or_stop

log = structlog.get_logger()

LOOK_EVERY_S = 30.0
"""How soon a changed certificate is noticed, unless SIGHUP says so."""
WARN_BEFORE = timedelta(days=14)
"""So long before its end a certificate is warned of, once a day."""
_WRONG_PAIR = "KEY_VALUES_MISMATCH"


class BadCertificate(BadInput):
    """A certificate or key that cannot be used; the message names the file and what would be right."""

    type = "bad-certificate"


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """For whom a certificate stands, and until when."""

    hosts: Sequence[str]
    """Names of hosts, without wildcards."""
    ends: datetime


class ServedCertificate:
    """A certificate and its key, as files; ``context`` serves them, and always the newest that could be used."""

    def __init__(self, certificate: Path, key: Path, clock: Clock = utc_now) -> None:
        """Read both. Raises BadCertificate."""
        self._certificate = certificate
        self._key = key
        self._clock = clock
        self._stamp = self._stamp_now()
        self.context, self.facts = _checked(certificate, key)
        self._changed = asyncio.Event()
        if os.name == "posix" and key.stat().st_mode & 0o007:
            log.warning("others on this machine may read the key", file=str(key), what_to_do=f"chmod 600 {key}")

    async def follow(self, look_every_s: float = LOOK_EVERY_S) -> None:
        """Take over new files when they change, and at SIGHUP, for ever; those that cannot be used are told of."""
        warned: datetime | None = None
        with _on_hangup(self._changed):
            while True:
                now = self._clock()
                if self.facts.ends - now < WARN_BEFORE and (warned is None or now - warned >= timedelta(days=1)):
                    warned = now
                    log.warning("the certificate ends soon", file=str(self._certificate), ends=self.facts.ends)
                is_asked = await wait_or_stop(self._changed, look_every_s)
                self._changed.clear()
                stamp = await asyncio.to_thread(self._stamp_now)
                if is_asked or stamp != self._stamp:
                    self._stamp = stamp
                    await self._take_over()

    async def _take_over(self) -> None:
        try:
            _, facts = await asyncio.to_thread(_checked, self._certificate, self._key)
            self.context.load_cert_chain(self._certificate, self._key)  # new connections get it, those open keep theirs
        except (BadCertificate, ssl.SSLError, OSError) as error:
            log.error("the new certificate cannot be used; the one before goes on", error=str(error))
        else:
            self.facts = facts
            log.info("new certificate", file=str(self._certificate), hosts=facts.hosts, ends=facts.ends)

    def _stamp_now(self) -> Sequence[tuple[int, int] | None]:
        """Return what changes when one of the files is written, or replaced."""
        return [_stamp(file) for file in (self._certificate, self._key)]


def trusting(authority: Path | None) -> ssl.SSLContext:
    """Make a context for calls that trusts this certificate authority alone; None: those of the system.

    Raises BadCertificate.
    """
    if authority is None:
        return ssl.create_default_context()
    _check_text(authority, b"-----BEGIN CERTIFICATE-----", "a certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    try:
        return ssl.create_default_context(cafile=authority)
    except (ssl.SSLError, OSError) as error:
        raise BadCertificate(f"{authority} is not a certificate authority's file: {_words(error)}.") from error


def check_certificate(certificate: Path, key: Path) -> None:
    """See that TLS can be spoken with both. Raises BadCertificate."""
    _checked(certificate, key)


def _checked(certificate: Path, key: Path) -> tuple[ssl.SSLContext, CertificateFacts]:
    """Load both into a new context, and see that a client takes them. Raises BadCertificate."""
    _check_text(certificate, b"-----BEGIN CERTIFICATE-----", "a certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    secret = _check_text(key, b"PRIVATE KEY-----", "a private key in PEM form (-----BEGIN PRIVATE KEY-----)")
    if b"ENCRYPTED" in secret:
        raise BadCertificate(f"The key {key} is protected by a password: give one that is not, and let nobody read it.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        if error.reason == _WRONG_PAIR:
            raise BadCertificate(f"The key {key} does not belong to the certificate {certificate}.") from error
        raise BadCertificate(f"The certificate {certificate} or its key {key} is damaged: {_words(error)}.") from error
    return context, _facts(context, certificate)


def _facts(context: ssl.SSLContext, certificate: Path) -> CertificateFacts:
    """Find out what a certificate says, by shaking hands in memory with a client that trusts just it.

    The standard library reads a certificate for nobody else, and so it is seen too whether clients could take it.
    """
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        client_context.load_verify_locations(certificate)
        client = client_context.wrap_bio(to_client, to_server)
        server = context.wrap_bio(to_server, to_client, server_side=True)
        for side in (client, server, client):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
        said = client.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        raise BadCertificate(f"The certificate {certificate} cannot be used: {error.verify_message}.") from error
    except (ssl.SSLError, ValueError) as error:
        raise BadCertificate(f"The certificate {certificate} cannot be used: {_words(error)}.") from error
    pairs: Any = said.get("subjectAltName", ())
    names = [name for kind, name in pairs if kind == "DNS"]
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(said["notAfter"])), UTC)
    return CertificateFacts([name for name in names if "*" not in name], ends)


def _check_text(file: Path, marker: bytes, wanted: str) -> bytes:
    """Return what is in a file that has a mark. Raises BadCertificate."""
    try:
        text = file.read_bytes()
    except OSError as error:
        raise BadCertificate(f"Cannot read {file}: {error.strerror}.") from error
    if marker not in text:
        raise BadCertificate(f"{file} is not {wanted}.")
    return text


def _words(error: Exception) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return reason.lower().replace("_", " ") if reason else str(error)


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


@contextmanager
def _on_hangup(changed: asyncio.Event) -> Iterator[None]:
    """Set an event at SIGHUP, where there is such a thing and we may listen to it."""
    number, loop = getattr(signal, "SIGHUP", None), asyncio.get_running_loop()
    try:
        if number is not None:
            loop.add_signal_handler(number, changed.set)
    except (NotImplementedError, RuntimeError, ValueError):  # another thread than the main one
        number = None
    try:
        yield
    finally:
        if number is not None:
            loop.remove_signal_handler(number)
