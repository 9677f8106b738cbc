"""How long an attempt may take for granted that the task is still its own (``jobs.md``, "Frames on disk")."""

import asyncio

import structlog

from flamenco_core.errors import FlamencoError
from flamenco_runtime.http_client import pauses
from flamenco_worker.manager_link import ManagerLink

log = structlog.get_logger()

DEFAULT_DEADLINE_S = 60.0
"""How long a Manager that does not say it tolerates silence: Flamenco 3's ``worker_timeout``."""


class Lease:
    """The permit of one attempt to replace files. It holds while the Manager has answered us recently."""

    def __init__(self, link: ManagerLink, task_id: str, deadline_s: float | None) -> None:
        self._link = link
        self._task_id = task_id
        self._deadline_s = DEFAULT_DEADLINE_S if deadline_s is None else deadline_s

    async def may_replace(self) -> bool:
        """Tell whether the attempt surely holds its task; asks the Manager when it was not heard of for too long."""
        return self._link.silent_for_s < self._deadline_s or await self._has_task()

    async def wait_until_known(self) -> None:
        """Ask until the Manager says that the task is ours. If it is not, the task's watcher ends this wait."""
        for pause_s in pauses():
            if await self._has_task():
                return
            await asyncio.sleep(pause_s)

    async def _has_task(self) -> bool:
        try:
            answer = await self._link.may_i_run(self._task_id, wait_s=None)
        except FlamencoError as error:
            log.warning("cannot ask whether the task is still ours", task=self._task_id, why=str(error))
            return False
        return answer.verdict.may_keep_running
