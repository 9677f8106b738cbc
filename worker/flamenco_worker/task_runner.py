"""Runs one task at a time: its commands in order, watched by the Manager, told of by a reporter."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from flamenco_core.errors import FlamencoError
from flamenco_core.identifiers import new_id
from flamenco_core.statuses import TaskStatus
from flamenco_core.wire.worker_api import AssignedTask
from flamenco_worker.command_run import CommandRun
from flamenco_worker.failures import CommandFailed
from flamenco_worker.lease import Lease
from flamenco_worker.manager_link import ManagerLink
from flamenco_worker.previews import PreviewQueue, TaskPreviews
from flamenco_worker.programs import Programs
from flamenco_worker.registry import KnownCommand, run_command
from flamenco_worker.task_reporter import TaskReporter
from flamenco_worker.timing import Timing
from flamenco_worker.update_sender import UpdateSender

log = structlog.get_logger()


@dataclass
class TaskRunner:
    """Runs the tasks of one slot. ``wait_s``: for how long the Manager holds answers back; None: it does not."""

    link: ManagerLink
    sender: UpdateSender
    previews: PreviewQueue
    programs: Programs
    commands: Mapping[str, KnownCommand]
    timing: Timing
    wait_s: int | None = None

    async def run(self, task: AssignedTask) -> bool:
        """Run a task and report how it ended (True); or end it without a report when the Manager says so (False).

        Cancelling this (the Worker stops) ends the task too; what was saved and logged is handed over, no status is.
        """
        with structlog.contextvars.bound_contextvars(task=task.uuid, attempt=task.attempt):
            log.info("task begins", name=task.name)
            reporter = TaskReporter(task.attempt, partial(self.sender.post, task.uuid), self.timing)
            await reporter.begin()
            working = asyncio.create_task(self._work(task, reporter))
            watching = asyncio.create_task(self._watch(task))
            try:
                await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
                return await self._conclude(working, watching)
            except asyncio.CancelledError:
                await _ended(working, watching)
                await reporter.hand_over()
                raise

    async def _conclude(self, working: "asyncio.Task[None]", watching: "asyncio.Task[str]") -> bool:
        """End whichever of the two still goes on, and tell whether the work is done; raises what nobody foresaw."""
        if working.done():
            await _ended(watching)
            working.result()
            return True
        reason = watching.result()
        await _ended(working)
        log.info("task ended by the Manager", reason=reason)
        return False

    async def _work(self, task: AssignedTask, reporter: TaskReporter) -> None:
        """Run the commands, then report the result."""
        handing_over = asyncio.create_task(reporter.run())
        result: dict[str, Any] = {}
        try:
            status, activity = await self._outcome(task, reporter, result)
        finally:
            await _ended(handing_over)
        log.info("task ended", status=str(status), activity=activity)
        await reporter.end(status, activity, result)

    async def _outcome(
        self, task: AssignedTask, reporter: TaskReporter, result: dict[str, Any]
    ) -> tuple[TaskStatus, str]:
        try:
            await self._run_commands(task, reporter, result)
        except Exception as error:  # noqa: BLE001 (a fault in a command fails its task, not the Worker)
            reason = _reason(error)
            reporter.log(f"Failed: {reason}")
            return TaskStatus.FAILED, f"Failed: {reason}"
        return TaskStatus.COMPLETED, "Completed"

    async def _run_commands(self, task: AssignedTask, reporter: TaskReporter, result: dict[str, Any]) -> None:
        attempt_name = str(task.attempt) if task.attempt is not None else new_id()
        for command in task.commands:
            run = CommandRun(
                task_id=task.uuid,
                attempt_name=attempt_name,
                total_step_count=command.total_step_count,
                frames_done=task.frames_done or (),
                programs=self.programs,
                reporter=reporter,
                previews=TaskPreviews(self.previews, task.uuid),
                permit=Lease(self.link, task.uuid, task.deadline_seconds),
                result=result,
            )
            await run_command(self.commands, command.name, command.parameters, run)
            if not run.counts_own_steps:
                reporter.count_steps(1)

    async def _watch(self, task: AssignedTask) -> str:
        """Return, with the reason, once the task is not ours any more."""
        refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def note_refusal(task_id: str, attempt: int | None, error: FlamencoError) -> None:
            if (task_id, attempt) == (task.uuid, task.attempt) and not refused.done():
                refused.set_result(str(error))

        self.sender.on_refused = note_refusal
        asking = asyncio.create_task(self._ask_until_refused(task.uuid))
        try:
            done, _ = await asyncio.wait({refused, asking}, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            self.sender.on_refused = None
            await _ended(asking)

    async def _ask_until_refused(self, task_id: str) -> str:
        """Ask whether the task may go on, for ever; it does while the Manager cannot be asked."""
        while True:
            pause_s = self.timing.poll_may_i_run_s
            try:
                answer = await self.link.may_i_run(task_id, self.wait_s)
            except FlamencoError as error:
                log.warning("cannot ask whether the task may go on; it does", why=str(error))
                pause_s = self.timing.first_retry_s
            else:
                if not answer.verdict.may_keep_running:
                    return answer.verdict.reason
                if answer.waited:
                    pause_s = self.timing.least_gap_s
            await asyncio.sleep(self.timing.jittered(pause_s))


async def _ended(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks and wait until they have cleaned up."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _reason(error: BaseException) -> str:
    """Say why a command failed; what it did not foresee is logged with its traceback."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, CommandFailed):
        return str(error)
    log.error("a command failed in a way that it did not foresee", exc_info=error)
    return f"the Worker met {type(error).__name__}: {error}"
