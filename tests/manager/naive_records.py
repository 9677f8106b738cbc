"""What the naive model of the farm is made of; statuses are the words of the protocol. See ``naive_farm``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

WAITING = ("queued", "soft-failed")
ENDED = ("completed", "failed", "canceled")
SET_ASIDE = ("paused", "pause-requested")
IN_TOUCH = ("starting", "awake", "asleep")
LEAVING = ("offline", "restart")


class Brief:
    """Shows what of a record is not as usual."""

    def __repr__(self) -> str:
        said = [
            f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if getattr(self, one.name) != one.default
        ]  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(said)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


@dataclass(frozen=True, repr=False)
class NaiveNeeds(Brief):
    """What a task asks for; None leaves it to the job."""

    tag: str | None = None
    memory: int | None = None
    gpu: str | None = None
    limits: Mapping[str, int] | None = None


NO_NEEDS = NaiveNeeds()


@dataclass(eq=False)
class NaiveWorker:
    id: str
    ours: bool
    types: Sequence[str]
    tags: frozenset[str] = frozenset()
    memory: int = 0
    gpus: Sequence[str] = ()
    approved: bool = True
    can_restart: bool = False
    status: str | None = None
    before_error: str | None = None
    requested: str | None = None
    lazy: bool = False
    seen: float = 0.0
    signed_on_since: bool = False
    """It has signed on since it was handed what it holds."""
    given_away: "tuple[NaiveTask, int] | None" = None
    """The attempt of it that counts as lost until it is heard of."""
    gone: bool = False

    @property
    def is_at_work(self) -> bool:
        """Awake, and not about to be something else."""
        is_here = self.approved and not self.gone
        return is_here and self.status == "awake" and self.requested in (None, "awake")


@dataclass(eq=False)
class NaiveTask:
    id: str
    job: "NaiveJob"
    index: int
    type: str
    priority: int
    depends_on: Sequence[int]
    needs: NaiveNeeds
    steps_total: int
    status: str = "queued"
    attempt: int = 0
    holder: str | None = None
    """The Worker whose attempt can still change it: it is active, or suspended."""
    reserved: str | None = None
    """The Worker that has it ahead of time."""
    begun: bool = False
    steps: int = 0
    failed_by: list[str] = field(default_factory=list)
    retry_at: float = 0.0
    lost: list[int] = field(default_factory=list)
    """The attempts that count as lost."""
    marks: dict[str, float] = field(default_factory=dict)
    """When a Flamenco 3 Worker that had it last said something about it."""
    frames: dict[int, int] = field(default_factory=dict)
    """Saved frames, and by which attempt."""
    fresh_after: int = 0
    canceled_by_failure: bool = False
    pause_wanted: bool = False
    requeued_in: int = -1
    touched: float = 0.0
    begun_at: float = 0.0
    output_at: float = 0.0

    @property
    def waits_for(self) -> "list[NaiveTask]":
        return [self.job.tasks[index] for index in self.depends_on]

    @property
    def is_suspended(self) -> bool:
        return self.holder is not None and self.status != "active"


@dataclass(eq=False)
class NaiveJob:
    id: str
    number: int
    priority: int = 50
    created: float = 0.0
    project: str = ""
    needs: NaiveNeeds = NO_NEEDS
    start_after: float | None = None
    max_workers: int | None = None
    needs_jobs: Sequence[tuple[str, bool]] = ()
    runtime_limit: float | None = None
    silence_limit: float | None = None
    tasks: "list[NaiveTask]" = field(default_factory=list)
    status: str = "under-construction"
    whole: bool = False
    started: bool = False
    cancelled: bool = False
    deleted: bool = False
    erased: bool = False
    pause_wanted: bool | None = None
    """What people asked last while it was under construction."""
    asked: dict[str, object] = field(default_factory=dict)
    blocked: set[tuple[str, str]] = field(default_factory=set)


@dataclass
class Run:
    """One hand-out: to whom, and how far it was heard of."""

    worker: str
    seq: int = 0


@dataclass(frozen=True)
class Word:
    """What a Worker says of a task."""

    task: str
    attempt: int | None = None
    seq: int | None = None
    status: str | None = None
    steps: int | None = None
    frames: Sequence[int] = ()
