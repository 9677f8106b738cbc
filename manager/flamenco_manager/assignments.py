"""Making a hand-out ready for its Worker: commands with variables filled in, and the frames that need no rendering."""

from collections.abc import Sequence
from typing import Protocol

from flamenco_core.statuses import TaskStatus
from flamenco_core.wire.worker_api import AssignedTask, Command, SavedFrame
from flamenco_manager.attempts import HandOut
from flamenco_manager.farm_variables import FarmVariables
from flamenco_manager.model import Policy, Task, Worker


class Commands(Protocol):
    """Where commands are kept."""

    async def commands_of(self, task: Task) -> Sequence[Command]:
        """Return the commands of a task."""


class Frames(Protocol):
    """Where saved frames are kept."""

    async def frames_done(self, task: Task) -> list[SavedFrame]:
        """Return what attempts of a task have saved."""


class Assignments:
    """Turns hand-outs into what is sent to Workers."""

    def __init__(self, commands: Commands, frames: Frames, variables: FarmVariables, policy: Policy) -> None:
        self._commands = commands
        self._frames = frames
        self._variables = variables
        self._policy = policy

    async def describe(self, handed: HandOut, worker: Worker) -> AssignedTask:
        """Describe a task that was handed out, or will be the Worker's next but one (then it is still queued)."""
        task = handed.task
        commands = await self._commands.commands_of(task)
        return AssignedTask(
            uuid=task.id,
            job=task.job.id,
            name=task.name,
            status=TaskStatus.QUEUED if task.is_reserved else TaskStatus.ACTIVE,
            priority=task.priority,
            job_priority=task.job.priority,
            job_type=task.job.type,
            task_type=task.type,
            commands=self._variables.expanded(commands, worker.platform),
            steps_completed=0,
            steps_total=task.steps_total,
            attempt=handed.attempt,
            deadline_seconds=self._policy.worker_timeout_s,
            frames_done=await self._frames.frames_done(task) if task.saved_frames else None,
        )
