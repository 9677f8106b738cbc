"""The tasks that a slot was handed at once: run one after the other, and given back where that takes too long."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from flamenco_core.errors import FlamencoError
from flamenco_core.wire.worker_api import AssignedTask
from flamenco_worker.manager_link import ManagerLink
from flamenco_worker.task_runner import TaskRunner
from flamenco_worker.timing import Timing

log = structlog.get_logger()


class TaskQueue:
    """Runs tasks of one hand-out (worker-api.md 15.6). Those that wait are the Manager's to take back at any time."""

    def __init__(self, link: ManagerLink, runner: TaskRunner, timing: Timing) -> None:
        self._link = link
        self._runner = runner
        self._timing = timing

    async def run(self, tasks: Sequence[AssignedTask]) -> None:
        """Run them in turn; once the Manager ends one, or one takes long, what waits behind it is given back."""
        waiting = deque(tasks)
        while waiting:
            task = waiting.popleft()
            async with self._giving_back_late(waiting):
                is_done = await self._runner.run(task)
            if not is_done:
                await self._give_back(waiting)

    @asynccontextmanager
    async def _giving_back_late(self, waiting: deque[AssignedTask]) -> AsyncIterator[None]:
        """Give back what waits when the context lasts for long: others could run it meanwhile."""
        giving_back = asyncio.create_task(self._give_back_after(self._timing.keep_waiting_s, waiting))
        try:
            yield
        finally:
            giving_back.cancel()
            await asyncio.gather(giving_back, return_exceptions=True)

    async def _give_back_after(self, seconds: float, waiting: deque[AssignedTask]) -> None:
        await asyncio.sleep(seconds)
        await self._give_back(waiting)

    async def _give_back(self, waiting: deque[AssignedTask]) -> None:
        while waiting:
            task = waiting.pop()
            try:
                await self._link.release(task)
            except FlamencoError as error:  # it is not ours any more, or will be given back when we ask
                log.info("task not given back", task=task.uuid, why=str(error))
