"""The life of one slot: it joins, then is awake or asleep as the Manager says, until it is told to leave."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from flamenco_core.errors import FlamencoError, Forbidden, NotSignedIn
from flamenco_core.statuses import WorkerStatus
from flamenco_core.wire.worker_api import MOST_TASKS_AT_ONCE, WorkerStateChange
from flamenco_runtime.http_client import pause_after, pauses
from flamenco_worker.manager_link import ManagerLink
from flamenco_worker.task_queue import TaskQueue
from flamenco_worker.task_runner import TaskRunner
from flamenco_worker.timing import Timing
from flamenco_worker.update_sender import UpdateSender

log = structlog.get_logger()

LEAVING = (WorkerStatus.OFFLINE, WorkerStatus.RESTART)
Join = Callable[[], Awaitable[WorkerStateChange]]


class Session:
    """One Worker towards the Manager, from joining to leaving."""

    def __init__(self, join: Join, link: ManagerLink, sender: UpdateSender, runner: TaskRunner, timing: Timing) -> None:
        self._join = join
        self._link = link
        self._sender = sender
        self._runner = runner
        self._queue = TaskQueue(link, runner, timing)
        self._timing = timing
        self._is_signed_on = False
        self._wait_s: int | None = None
        self._most_tasks: int | None = None
        self._waits = pauses(timing.first_retry_s, timing.longest_retry_s)

    async def run(self, on_signed_on: Callable[[], None]) -> WorkerStatus:
        """Live until the Manager asks to leave; returns ``offline`` or ``restart``."""
        status = await self._sign_on()
        on_signed_on()
        while status not in LEAVING:
            try:
                status = await self._be(status)
            except (Forbidden, NotSignedIn) as error:
                log.warning("the Manager rejects our credentials: signing on again", why=str(error))
                await asyncio.sleep(pause_after(error, self._waits))
                status = await self._sign_on()
            except FlamencoError as error:  # also 409: then it takes us for something else than we said
                log.warning("the Manager cannot be asked; trying again", why=str(error))
                await asyncio.sleep(pause_after(error, self._waits))
        log.info("the Manager asks this Worker to leave", status=str(status))
        return status

    async def leave(self) -> None:
        """Deliver what is left, within some seconds, and sign off, so that a task is given to others at once."""
        if not self._is_signed_on:
            return
        try:
            async with asyncio.timeout(self._timing.flush_s):
                await self._sender.drained()
        except (TimeoutError, FlamencoError) as error:
            log.warning("leaving with undelivered updates: the next start sends them", why=str(error))
        try:
            async with asyncio.timeout(self._timing.sign_off_s):
                await self._link.sign_off()
        except (TimeoutError, FlamencoError) as error:
            log.warning("cannot sign off", why=str(error))

    async def _sign_on(self) -> WorkerStatus:
        change = await self._join()
        self._is_signed_on = True
        features = change.features or ()
        self._wait_s = self._timing.wait_s if "wait" in features else None
        self._runner.wait_s = self._wait_s
        self._most_tasks = MOST_TASKS_AT_ONCE if "attempt" in features else None
        self._sender.takes_batches = "batch" in features
        self._sender.resume()
        log.info("signed on", status=str(change.status_requested), manager_waits=self._wait_s is not None)
        return change.status_requested

    async def _be(self, status: WorkerStatus) -> WorkerStatus:
        """Be awake or asleep until the Manager wants something else; returns what."""
        if status is WorkerStatus.AWAKE:
            return await self._be_awake()
        if status is not WorkerStatus.ASLEEP:
            log.warning("the Manager asks for a status that no Worker can have; sleeping", status=str(status))
        return await self._be_asleep()

    async def _be_awake(self) -> WorkerStatus:
        await self._sender.drained()
        await self._tell(WorkerStatus.AWAKE)
        self._sender.most_next = self._most_tasks
        try:
            return await self._work()
        finally:
            self._sender.most_next = None
            self._sender.take_next()  # whoever asks, or says another status, gives them back

    async def _work(self) -> WorkerStatus:
        """Run tasks until the Manager wants another status; returns that."""
        while True:
            await self._sender.drained()  # so that the Manager knows how the last task ended before it gives a new one
            if tasks := self._sender.take_next():
                await self._queue.run(tasks)
                continue
            answer = await self._link.ask_for_task(self._wait_s, self._most_tasks)
            if answer.status is not None:
                return answer.status
            if answer.tasks:
                await self._queue.run(answer.tasks)
            else:
                await self._pause(answer.waited, self._timing.poll_task_s)

    async def _be_asleep(self) -> WorkerStatus:
        await self._tell(WorkerStatus.ASLEEP)
        while True:
            answer = await self._link.wanted_status(self._wait_s)
            if answer.status not in (None, WorkerStatus.ASLEEP):
                return answer.status
            if answer.status is WorkerStatus.ASLEEP:  # asked to be what we are: say so, or we are asked for ever
                await self._tell(WorkerStatus.ASLEEP)
                await self._pause(False, self._timing.poll_state_s)
            else:
                await self._pause(answer.waited, self._timing.poll_state_s)

    async def _tell(self, status: WorkerStatus) -> None:
        await self._link.tell_status(status)
        self._waits = pauses(self._timing.first_retry_s, self._timing.longest_retry_s)

    async def _pause(self, has_waited: bool, poll_s: float) -> None:
        await asyncio.sleep(self._timing.least_gap_s if has_waited else self._timing.jittered(poll_s))
