"""Delivers a slot's updates to the Manager: one after the other, until each is acknowledged or refused."""

import asyncio
from collections.abc import Callable

import orjson
import structlog

from flamenco_core.errors import FlamencoError, Forbidden, NotSignedIn, Unavailable
from flamenco_core.wire.worker_api import TaskUpdate, TaskUpdateSchema
from flamenco_runtime.clock import Clock, utc_now
from flamenco_runtime.http_client import pauses
from flamenco_worker.manager_link import ManagerLink
from flamenco_worker.outbox import Outbox, OutboxItem
from flamenco_worker.timing import Timing

log = structlog.get_logger()

OnRefused = Callable[[str, int | None, FlamencoError], None]
"""Told of each update that the Manager refused for good: task, attempt, why."""


class UpdateSender:
    """Puts updates into the outbox and, while ``run`` runs, takes them to the Manager in that order.

    Which answers drop an update: worker-api.md 15.5. Credentials that are not accepted stop the delivery until
    ``resume``: the slot must sign on or register first.
    """

    def __init__(self, link: ManagerLink, outbox: Outbox, timing: Timing, clock: Clock = utc_now) -> None:
        self._link = link
        self._outbox = outbox
        self._timing = timing
        self._clock = clock
        self._kick = asyncio.Event()
        self._kick.set()
        self._changed = asyncio.Condition()
        self._is_empty = False
        self._rejection: FlamencoError | None = None
        self.on_refused: OnRefused | None = None

    async def post(self, task_id: str, update: TaskUpdate) -> None:
        """Take an update; when this returns, it will be delivered whatever happens to the Manager or to us."""
        body = orjson.dumps(TaskUpdateSchema().dump(update))
        await self._outbox.add(task_id, update.attempt, body)
        self._is_empty = False
        self._kick.set()

    async def drained(self) -> None:
        """Wait until all is delivered. Raises Forbidden or NotSignedIn when our credentials are not accepted."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._is_empty or self._rejection is not None)
        if self._rejection is not None:
            raise self._rejection

    def resume(self) -> None:
        """Deliver again, after the slot signed on."""
        self._rejection = None
        self._kick.set()

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            await self._kick.wait()
            self._kick.clear()
            while self._rejection is None and (item := await self._outbox.head()):
                await self._deliver(item)
            async with self._changed:
                self._is_empty = self._rejection is None and not self._kick.is_set()
                self._changed.notify_all()

    async def _deliver(self, item: OutboxItem) -> None:
        """Try until the Manager has acknowledged or refused this update, or does not accept our credentials."""
        waits = pauses(longest_s=self._timing.longest_retry_s)
        while True:
            try:
                await self._link.send_update(item.task, item.body)
            except Unavailable as error:
                log.warning("update not delivered yet", task=item.task, why=str(error))
                await asyncio.sleep(next(waits))
            except (Forbidden, NotSignedIn) as error:
                self._rejection = error
                return
            except FlamencoError as error:
                await self._refused(item, error)
                return
            else:
                await self._outbox.remove(item)
                return

    async def _refused(self, item: OutboxItem, error: FlamencoError) -> None:
        log.warning("update refused", task=item.task, attempt=item.attempt, why=str(error))
        await self._outbox.bury(item, str(error), self._clock())
        if self.on_refused is not None:
            self.on_refused(item.task, item.attempt, error)
