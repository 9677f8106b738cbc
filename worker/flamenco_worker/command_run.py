"""What a command is given beside its parameters: the run of one task by one slot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from flamenco_core.wire.worker_api import SavedFrame
from flamenco_worker.frame_folder import PublishPermit
from flamenco_worker.programs import Programs


class Reporter(Protocol):
    """How a command tells what it does; nothing here waits for the Manager."""

    def log(self, line: str) -> None:
        """Add a line to the task's log."""

    def tell(self, activity: str) -> None:
        """Say in a few words what is going on."""

    def count_steps(self, steps: int) -> None:
        """Count finished steps."""

    def add_frame(self, frame: SavedFrame) -> None:
        """Report a frame that is on disk under its final name."""

    async def relieve(self) -> None:
        """Hand over what has gathered, if that is much. To be awaited now and then by whoever logs a lot."""


class Previews(Protocol):
    """Where saved frames are offered for a small picture; it may come later, or never."""

    def offer(self, frame: SavedFrame) -> None:
        """Have a preview of this frame made and sent, when there is time."""


@dataclass
class CommandRun:
    """One command of one attempt of a task.

    ``attempt_name`` names the attempt's folders and is unlike that of any other attempt. ``result`` collects what is
    told with the last status of the task.
    """

    task_id: str
    attempt_name: str
    total_step_count: int
    frames_done: Sequence[SavedFrame]
    programs: Programs
    reporter: Reporter
    previews: Previews
    permit: PublishPermit
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def counts_own_steps(self) -> bool:
        """Whether the command reports its steps itself; else it is one step, counted when it ends."""
        return self.total_step_count > 0

    def count_steps(self, steps: int) -> None:
        """Count finished steps, if this command counts them itself."""
        if self.counts_own_steps:
            self.reporter.count_steps(steps)

    def add_result(self, facts: Mapping[str, Any]) -> None:
        """Add facts to the task's result; those of a later command win."""
        self.result.update(facts)
