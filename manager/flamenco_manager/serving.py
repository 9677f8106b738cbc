"""Running a Manager until it is told to stop, also while its disk is full."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog

from flamenco_core import VERSION
from flamenco_core.errors import FlamencoError
from flamenco_manager.announcing import announced
from flamenco_manager.app import FOREMAN, LINK, resynced, running
from flamenco_manager.http.meanwhile import BeginningAnew, Meanwhile, Starting
from flamenco_manager.room import room_on_disk
from flamenco_manager.server_link import MustResync
from flamenco_manager.settings import Settings
from flamenco_runtime.clock import utc_now
from flamenco_runtime.data_folder import held_folder
from flamenco_runtime.http_client import pauses
from flamenco_runtime.journal import StoreFull, StoreLocked
from flamenco_runtime.service import Door
from flamenco_runtime.tls import ServedCertificate

log = structlog.get_logger()

CALM_S = 60.0
"""After so long without a misfit, the next one has a cause of its own."""

LOOK_AGAIN_S = 1.0
"""So long after a try it is looked whether the store is still locked by another program."""


async def serve(settings: Settings, *, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Run a Manager until ``stop`` is set; ``ready`` is called with its URL once it answers.

    Its port is open from the beginning to the end. When the disk is full, nobody is told that anything was done; when
    there is room again, all is read anew from what is on disk, and goes on. Raises BadCertificate, DataInUse,
    PortTaken, and Unavailable when the store cannot be written.
    """
    door, meanwhile = Door(settings.http_limits, settings.trusted_proxies), Meanwhile()
    async with (
        _certificate(settings) as certificate,
        held_folder(settings.data, "Manager"),
        door.leading_to(meanwhile.app()),
        door.open(settings.listen, certificate.context if certificate else None) as address,
        announced(
            settings.name, address, settings.discovery, hosts=lambda: certificate.facts.hosts if certificate else ()
        ),
    ):
        serving = _Serving(settings, door, meanwhile, stop, _Once(partial(ready, address.url)))
        while not stop.is_set():
            await serving.serve_once()
    log.info("stopped")


@asynccontextmanager
async def _certificate(settings: Settings) -> AsyncIterator[ServedCertificate | None]:
    """Yield what TLS is spoken with, kept up to date while the context lasts. Raises BadCertificate."""
    if settings.tls_certificate is None or settings.tls_key is None:
        if not settings.listen.is_loopback:
            log.warning(
                "others in the network can read what Workers and this Manager say to each other",
                listen=str(settings.listen),
                what_to_do="set tls_certificate and tls_key, or let a proxy with TLS stand before it",
            )
        yield None
        return
    certificate = await asyncio.to_thread(ServedCertificate, settings.tls_certificate, settings.tls_key)
    following = asyncio.create_task(certificate.follow())
    try:
        yield certificate
    finally:
        following.cancel()
        await asyncio.wait({following})


class _Serving:
    """Serves until it is told to stop, or something needs the store while no farm lives in memory."""

    def __init__(
        self, settings: Settings, door: Door, meanwhile: Meanwhile, stop: asyncio.Event, ready: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._door = door
        self._meanwhile = meanwhile
        self._stop = stop
        self._ready = ready
        self._pauses = pauses()
        self._patience_s = 0.0
        self._misfit_s = -CALM_S

    async def serve_once(self) -> None:
        """Serve; then see to what ended that, so that it can begin again."""
        self._meanwhile.why = Starting()
        try:
            # In a task of its own: a TaskGroup in it cancels the task that it runs in when the store fails.
            await asyncio.create_task(self._serve())
        except MustResync as error:
            log.warning("this Manager and its Server do not fit together; they begin anew", why=str(error))
            self._meanwhile.why = BeginningAnew()
            await _either(self._stop.wait(), self._begin_anew())
        except StoreLocked as error:
            log.error("the store cannot be opened yet", error=str(error))
            self._meanwhile.why = error
            await _either(self._stop.wait(), asyncio.sleep(LOOK_AGAIN_S))
        except StoreFull as error:
            log.error("the disk is full; nothing is done until there is room", error=str(error))
            self._meanwhile.why = error
            await _either(self._stop.wait(), room_on_disk(self._settings.data))
            log.info("going on")

    async def _serve(self) -> None:
        began_s = time.monotonic()
        async with running(self._settings, utc_now, time.monotonic) as app, self._door.leading_to(app):
            app[LINK].patience_s = self._patience_s
            self._ready()
            farm = app[FOREMAN].farm
            log.info(
                "ready",
                version=VERSION,
                name=self._settings.name,
                data=str(self._settings.data),
                jobs=len(farm.jobs),
                tasks=len(farm.tasks),
                workers=len(farm.workers),
                took_s=round(time.monotonic() - began_s, 3),
            )
            await self._stop.wait()
            log.info("stopping")
            self._door.shut()

    async def _begin_anew(self) -> None:
        """Try once. When that does not work, or does not help, Workers are served for a while before the next try."""
        now_s = time.monotonic()
        if now_s - self._misfit_s - self._patience_s > CALM_S:
            self._pauses = pauses()
        self._misfit_s, self._patience_s = now_s, next(self._pauses)
        try:
            await resynced(self._settings, utc_now)
        except FlamencoError as error:
            log.error("this Manager and its Server cannot begin anew yet", error=str(error))


class _Once:
    """Calls something the first time that it is called itself."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def __call__(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()


async def _either(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait for whichever ends first."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()  # what it raised is ours
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
