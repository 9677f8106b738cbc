"""Who calls: HTTP Basic with the Worker's id and the secret that it made up (worker-api.md, section 2)."""

import base64
import ipaddress

from aiohttp import web

from flamenco_manager.model import Worker
from flamenco_manager.registration import Caller, Gate, UnknownWorker
from flamenco_runtime.proxies import client_address, is_believed, is_forwarded

WORKER = web.RequestKey("worker", Worker)

_NEAR = [
    ipaddress.ip_network(text)
    for text in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
]
"""Addresses that no router passes on to the Internet (RFC 1918, 3927, 4193, 4291)."""


def sign_in(request: web.Request, gate: Gate) -> Worker:
    """Return the Worker that calls. Raises UnknownWorker."""
    worker = gate.recognise(*_credentials(request))
    request[WORKER] = worker
    return worker


def signed_in(request: web.Request) -> Worker | None:
    """Return the Worker that called, if it was recognised."""
    return request.get(WORKER)


def bearer_token(request: web.Request) -> str | None:
    """Return the token of an ``Authorization: Bearer`` header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def caller_of(request: web.Request) -> Caller:
    """Tell where a registration comes from."""
    address = client_address(request)
    return Caller(address, is_this_machine(request), is_believed(request) and _is_near(address))


def is_this_machine(request: web.Request) -> bool:
    """Tell whether the caller runs on this machine: a loopback peer, and nobody who forwards for others."""
    if is_forwarded(request):
        return False
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


def _is_near(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return any((mapped or found) in network for network in _NEAR)


def _credentials(request: web.Request) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise UnknownWorker("Sign in with the id and the secret of a Worker.")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError as error:  # not ASCII, not base64, or not UTF-8 inside
        raise UnknownWorker("The Authorization header cannot be read.") from error
    worker_id, _, secret = text.partition(":")
    return worker_id, secret
