"""The statuses of jobs, tasks and Workers; their names are those of the Flamenco 3 protocol.

This module also travels in the add-on, so it stays on Python 3.10 and the standard library.
"""

from enum import Enum


class _Word(str, Enum):  # noqa: UP042 (StrEnum is not in Python 3.10, which Blender 3.4 carries)
    """An enum whose members are their own wire text, also when formatted."""

    __hash__ = str.__hash__
    """Equal to its text, so found by it; that of ``Enum`` is another, and slow where tasks are counted by status."""

    def __str__(self) -> str:
        return str(self.value)


class TaskStatus(_Word):
    """Where a task stands. Only the Manager of its job changes it."""

    QUEUED = "queued"
    """Waits for a Worker, or for the tasks that it depends on."""
    ACTIVE = "active"
    """A Worker holds it."""
    SOFT_FAILED = "soft-failed"
    """Failed at least once, and will be tried again."""
    FAILED = "failed"
    """Failed too often; nobody tries it again by himself."""
    PAUSED = "paused"
    """A person put it aside."""
    CANCELED = "canceled"
    """A person gave it up, or its job failed."""
    COMPLETED = "completed"
    """Done."""

    @property
    def is_waiting(self) -> bool:
        """It could be handed out once what it depends on is completed."""
        return self in (TaskStatus.QUEUED, TaskStatus.SOFT_FAILED)

    @property
    def is_ended(self) -> bool:
        """Nothing more happens to it by itself."""
        return self in (TaskStatus.FAILED, TaskStatus.CANCELED, TaskStatus.COMPLETED)


class JobStatus(_Word):
    """Where a job stands. Its Manager changes it, before that the Server (while it compiles)."""

    UNDER_CONSTRUCTION = "under-construction"
    """The Server compiles it, or the Manager fetches its tasks and files."""
    QUEUED = "queued"
    """Ready; no Worker has begun."""
    ACTIVE = "active"
    """Worked on."""
    REQUEUEING = "requeueing"
    """Somebody asked for a requeue, and the Manager has not reported yet."""
    PAUSE_REQUESTED = "pause-requested"
    """Active tasks finish, then it is paused."""
    PAUSED = "paused"
    """Put aside by a person."""
    CANCEL_REQUESTED = "cancel-requested"
    """Somebody asked to cancel, and the Manager has not reported yet."""
    CANCELED = "canceled"
    """Given up by a person."""
    COMPLETED = "completed"
    """Every task is completed."""
    FAILED = "failed"
    """Some tasks failed and nothing more can be done without a person."""

    @property
    def is_ended(self) -> bool:
        """Nothing more happens to it by itself."""
        return self in (JobStatus.CANCELED, JobStatus.COMPLETED, JobStatus.FAILED)

    @property
    def is_runnable(self) -> bool:
        """Its tasks may be handed out."""
        return self in (JobStatus.QUEUED, JobStatus.ACTIVE)


class WorkerStatus(_Word):
    """What a Worker does, or is asked to do."""

    STARTING = "starting"
    """Signed on, and has not said yet what it does."""
    AWAKE = "awake"
    """Works, or asks for work."""
    ASLEEP = "asleep"
    """Stays in touch, and takes no work."""
    ERROR = "error"
    """Not heard of for too long."""
    TESTING = "testing"
    """Part of the protocol; never used."""
    OFFLINE = "offline"
    """Signed off; as a request: shut down."""
    RESTART = "restart"
    """Only as a request: shut down, and be started again by whoever watches the process."""
