"""Delivers a slot's updates to the Manager in their order, until each is acknowledged or refused.

Where the Manager takes batches (worker-api.md 15.5), many go at once; elsewhere one after the other.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any

import orjson
import structlog

from flamenco_core.errors import Conflict, FlamencoError, Forbidden, NotFound, NotSignedIn, Unavailable
from flamenco_core.wire.worker_api import AssignedTask, BatchResult, TaskUpdate, TaskUpdateSchema
from flamenco_runtime.clock import Clock, utc_now
from flamenco_runtime.http_client import pause_after, pauses
from flamenco_worker.manager_link import ManagerLink
from flamenco_worker.outbox import Outbox, OutboxItem
from flamenco_worker.timing import Timing

log = structlog.get_logger()

OnRefused = Callable[[str, int | None, FlamencoError], None]
"""Told of each attempt that the Manager wants to hear no more of: task, attempt, why."""

MOST_AT_ONCE = 200
MOST_BYTES_AT_ONCE = 4 * 1024 * 1024
"""A batch is half as large as it may be, so that what stands around the updates fits too."""

_REFUSALS = {
    BatchResult.STALE: Conflict("The Manager says that this attempt is over."),
    BatchResult.UNKNOWN: NotFound("The Manager knows no such task."),
}


class UpdateSender:
    """Puts updates into the outbox and, while ``run`` runs, takes them to the Manager in that order.

    Which answers drop an update: worker-api.md 15.5. Credentials that are not accepted stop the delivery until
    ``resume``: the slot must sign on or register first. ``takes_batches``: the Manager said so at sign-on.
    ``most_next``: how many tasks the answer to a batch may bring, when it ends the last one that we have.
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
        self.takes_batches = False
        self.most_next: int | None = None
        self._next_tasks: Sequence[AssignedTask] = ()
        self.on_refused: OnRefused | None = None

    async def post(self, task_id: str, update: TaskUpdate) -> None:
        """Take an update; when this returns, it will be delivered whatever happens to the Manager or to us."""
        body = orjson.dumps(TaskUpdateSchema().dump(update))
        await self._outbox.add(task_id, update.attempt, body, self._clock())
        self._is_empty = False
        self._kick.set()

    async def drained(self) -> None:
        """Wait until all is delivered. Raises Forbidden or NotSignedIn when our credentials are not accepted."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._is_empty or self._rejection is not None)
        if self._rejection is not None:
            raise self._rejection

    def take_next(self) -> Sequence[AssignedTask]:
        """Return the tasks that came with the answer to a batch, once."""
        tasks, self._next_tasks = self._next_tasks, ()
        return tasks

    def resume(self) -> None:
        """Deliver again, after the slot signed on."""
        self._rejection = None
        self._kick.set()

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            await self._kick.wait()
            self._kick.clear()
            while self._rejection is None and (items := await self._oldest()):
                await self._deliver(items)
            async with self._changed:
                self._is_empty = self._rejection is None and not self._kick.is_set()
                self._changed.notify_all()

    async def _oldest(self) -> list[OutboxItem]:
        """Return what goes next: a batch of updates of numbered attempts, or one of any."""
        if not self.takes_batches:
            return await self._outbox.oldest()
        items = await self._outbox.oldest(MOST_AT_ONCE, MOST_BYTES_AT_ONCE)
        batch = list(takewhile(lambda item: item.attempt is not None, items))
        return batch or items[:1]

    async def _deliver(self, items: Sequence[OutboxItem]) -> None:
        """Try until the Manager has acknowledged or refused these, or does not accept our credentials."""
        waits = pauses(longest_s=self._timing.longest_retry_s)
        while True:
            try:
                await self._send(items)
            except Unavailable as error:
                log.warning("updates not delivered yet", updates=len(items), why=str(error))
                await asyncio.sleep(pause_after(error, waits))
            except (Forbidden, NotSignedIn) as error:
                self._rejection = error
                return
            else:
                return

    async def _send(self, items: Sequence[OutboxItem]) -> None:
        """Send once. Raises what leaves them where they are: Unavailable, Forbidden, NotSignedIn."""
        if not self.takes_batches or items[0].attempt is None:
            await self._send_one(items[0])
            return
        try:
            answer = await self._link.send_batch([_document(item) for item in items], self.most_next)
        except (Unavailable, Forbidden, NotSignedIn):
            raise
        except FlamencoError as error:  # one of them spoils it, or the Manager takes no batches any more
            log.warning("batch refused; its updates go one by one", updates=len(items), why=str(error))
            for item in items:
                await self._send_one(item)
        else:
            self._next_tasks = answer.next or self._next_tasks
            await self._conclude(items, [one.result for one in answer.results])

    async def _conclude(self, items: Sequence[OutboxItem], results: Sequence[BatchResult]) -> None:
        """Forget what is acknowledged, put aside what is refused. All of it has reached the Manager, logs too."""
        await self._outbox.remove(
            [item for item, result in zip(items, results, strict=True) if result not in _REFUSALS]
        )
        for item, result in zip(items, results, strict=True):
            if result in _REFUSALS:
                await self._put_aside([item], _REFUSALS[result])
                self._tell_refused(item, _REFUSALS[result])

    async def _send_one(self, item: OutboxItem) -> None:
        try:
            await self._link.send_update(item.task, item.body)
        except (Unavailable, Forbidden, NotSignedIn):
            raise
        except (Conflict, NotFound) as error:  # nothing more of this attempt is wanted
            await self._put_aside(await self._outbox.of_attempt(item), error)
            self._tell_refused(item, error)
        except FlamencoError as error:
            await self._put_aside([item], error)
        else:
            await self._outbox.remove([item])

    async def _put_aside(self, items: Sequence[OutboxItem], error: FlamencoError) -> None:
        for item in items:
            log.warning("update refused", task=item.task, attempt=item.attempt, why=str(error))
        await self._outbox.bury(items, str(error), self._clock())

    def _tell_refused(self, item: OutboxItem, error: FlamencoError) -> None:
        if self.on_refused is not None:
            self.on_refused(item.task, item.attempt, error)


def _document(item: OutboxItem) -> dict[str, Any]:
    """Write an update as it stands in a batch."""
    return {"task": item.task, "at": item.added_at, **orjson.loads(item.body)}
