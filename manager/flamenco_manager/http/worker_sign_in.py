"""Who calls: HTTP Basic with the Worker's id and the secret that it made up (worker-api.md, section 2)."""

import base64
import ipaddress

from aiohttp import web

from flamenco_manager.model import Worker
from flamenco_manager.registration import Gate, UnknownWorker
from flamenco_runtime.proxies import is_forwarded

WORKER = web.RequestKey("worker", Worker)


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


def is_this_machine(request: web.Request) -> bool:
    """Tell whether the caller runs on this machine: a loopback peer, and nobody who forwards for others."""
    if is_forwarded(request):
        return False
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


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
