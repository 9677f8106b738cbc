"""Taking in Workers: who they are, whether they need a person's approval, and how they prove it later."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from hmac import compare_digest

from flamenco_core.errors import BadInput, Forbidden
from flamenco_core.identifiers import new_id
from flamenco_core.wire.worker_api import RegisteredWorker, WorkerRegistration
from flamenco_manager import worker_rules
from flamenco_manager.foreman import Foreman
from flamenco_manager.model import Worker
from flamenco_manager.newcomers import NewcomerLimits, Newcomers

MOST_SECRET_BYTES = 72
"""What Flamenco 3 takes at most, so that a Worker can be moved between the two."""


class UnknownWorker(Forbidden):
    """Credentials that fit no Worker."""

    type = "unknown-worker"


class Approval(StrEnum):
    """Which new Workers need nobody's approval: those of this machine and those with the token never do."""

    TOKEN = "token"  # noqa: S105 (a word of the settings)
    LAN = "lan"
    """Nor those of the local network."""
    ALL = "all"
    """Nobody does."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a registration comes from; ``is_near``: from the local network, for certain."""

    address: str
    is_this_machine: bool
    is_near: bool


class Gate:
    """Lets Workers in."""

    def __init__(
        self, foreman: Foreman, *, registration_token: str | None, approval: Approval, limits: NewcomerLimits
    ) -> None:
        self._foreman = foreman
        self._token = registration_token
        self._approval = approval
        self._newcomers = Newcomers(limits)

    async def register(self, registration: WorkerRegistration, caller: Caller, token: str | None) -> RegisteredWorker:
        """Take in a Worker, or one of ours again that had been here. Raises BadInput, TooManyNewcomers."""
        secret = registration.secret.encode()
        if len(secret) > MOST_SECRET_BYTES:
            raise BadInput("secret has more than 72 bytes.", {"secret": "Longer than 72 bytes."})
        farm, digest = self._foreman.farm, hashlib.sha256(secret).digest()
        worker = worker_rules.returning(farm, registration, digest)
        is_vouched_for = caller.is_this_machine or self._fits(token)
        is_approved = is_vouched_for or self._trusts(caller)
        if worker is None:
            if not is_vouched_for:
                self._newcomers.check_room(farm, caller.address, self._foreman.now(), is_approved=is_approved)
            worker = Worker(new_id(), digest, registration.name, registration.platform, caller.address, ())
        worker.address = caller.address
        worker_rules.register(farm, worker, registration, self._foreman.now(), is_approved=is_approved)
        await self._foreman.settle()
        return RegisteredWorker(
            uuid=worker.id,
            name=worker.name,
            address=worker.address,
            platform=worker.platform,
            supported_task_types=registration.supported_task_types,
        )

    def recognise(self, worker_id: str, secret: str) -> Worker:
        """Return the Worker with these credentials. Raises UnknownWorker."""
        worker = self._foreman.farm.workers.get(worker_id.lower())
        digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
        if worker is None or not compare_digest(worker.secret_sha256, digest):
            raise UnknownWorker("Unknown Worker, or wrong secret: register again.")
        return worker

    def _trusts(self, caller: Caller) -> bool:
        return self._approval is Approval.ALL or (self._approval is Approval.LAN and caller.is_near)

    def _fits(self, token: str | None) -> bool:
        return self._token is not None and token is not None and compare_digest(self._token.encode(), token.encode())
