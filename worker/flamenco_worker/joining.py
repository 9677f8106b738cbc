"""How a slot comes to the Manager: registers once, signs on at each start, and keeps who it is."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from flamenco_core import VERSION
from flamenco_core.errors import FlamencoError, Forbidden, Unavailable
from flamenco_core.wire.worker_api import FEATURES, Hardware, WorkerRegistration, WorkerSignOn, WorkerStateChange
from flamenco_runtime.http_client import pause_after, pauses
from flamenco_worker.credentials import Credentials, load_credentials, new_credentials, save_credentials
from flamenco_worker.manager_link import ManagerLink
from flamenco_worker.programs import Programs, platform_word
from flamenco_worker.timing import Timing

log = structlog.get_logger()


@dataclass(frozen=True)
class Introduction:
    """What a slot tells of itself: its name, its place on the machine, what the machine has, the Manager's token."""

    name: str
    node: str
    slot: int
    hardware: Hardware
    programs: Programs
    token: str | None

    def registration(self, secret: str) -> WorkerRegistration:
        """Word it for a Manager that does not know us."""
        return WorkerRegistration(
            secret=secret,
            platform=platform_word(),
            supported_task_types=self.programs.task_types,
            name=self.name,
            node=self.node,
            slot=self.slot,
            hardware=self.hardware,
            programs=self.programs.found,
            features=FEATURES,
            token=self.token,
        )

    def sign_on(self) -> WorkerSignOn:
        """Word it for a Manager that does."""
        return WorkerSignOn(
            name=self.name,
            supported_task_types=self.programs.task_types,
            software_version=VERSION,
            can_restart=True,
            node=self.node,
            slot=self.slot,
            hardware=self.hardware,
            programs=self.programs.found,
            features=FEATURES,
        )


async def join(link: ManagerLink, path: Path, introduction: Introduction, timing: Timing) -> WorkerStateChange:
    """Sign on, registering first where need be; tries for as long as it takes. ``path`` is the file of credentials.

    The identity is given up only when the Manager says that it does not know it (403); whatever else goes wrong is
    tried again, since a Manager that is starting or overloaded must not cost a Worker its name and history.
    """
    waits = _pauses(timing)
    while True:
        credentials = await _registered(link, path, introduction, waits)
        link.identify(credentials)
        try:
            return await link.sign_on(introduction.sign_on())
        except Forbidden as error:
            log.warning("the Manager does not know this Worker: it registers anew", why=str(error))
            await asyncio.to_thread(save_credentials, path, new_credentials())
        except FlamencoError as error:
            log.warning("cannot sign on yet", why=str(error))
            await asyncio.sleep(pause_after(error, waits))


async def _registered(link: ManagerLink, path: Path, introduction: Introduction, waits: Iterator[float]) -> Credentials:
    """Return credentials with an id, from the file or from the Manager.

    The secret is kept before it is sent: when we die in between, the Manager recognises us by it (15.1).
    """
    credentials = await asyncio.to_thread(load_credentials, path)
    if credentials is None:
        credentials = new_credentials()
        await asyncio.to_thread(save_credentials, path, credentials)
    while credentials.uuid is None:
        try:
            registered = await link.register(introduction.registration(credentials.secret))
        except Unavailable as error:
            log.warning("cannot register yet", why=str(error))
            await asyncio.sleep(pause_after(error, waits))
        except FlamencoError as error:
            log.error("the Manager refuses to register this Worker; is the token right?", why=str(error))
            await asyncio.sleep(pause_after(error, waits))
        else:
            credentials = credentials.registered_as(registered.uuid)
            await asyncio.to_thread(save_credentials, path, credentials)
            log.info("registered", worker=credentials.uuid)
    return credentials


def _pauses(timing: Timing) -> Iterator[float]:
    return pauses(timing.first_retry_s, timing.longest_retry_s)
