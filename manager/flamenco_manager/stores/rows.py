"""Rows of the store and objects of the farm, one into the other.

Rows are made in the event loop, so that the writer thread never sees an object that changes under it.
"""

from array import array
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.definitions import JobDefinitionSchema, Needs, TaskDefinition
from flamenco_core.wire.reports import FailedAttempt, SleepSchedule, SleepScheduleSchema, WorkerReport, WorkerState
from flamenco_core.wire.worker_api import HardwareSchema, ProgramSchema, SavedFrame
from flamenco_manager.farm import Farm
from flamenco_manager.job_rules import describe, heed
from flamenco_manager.model import Job, Kind, Moment, Task, Worker

Row = tuple[Any, ...]

TASKS_PER_JOB = 1 << 20
"""Task keys leave room for so many tasks of one job: more than a job may have."""

SLICE_TASKS = 250
"""The commands of so many tasks are compressed together, and read together (quality.md 2.5)."""

WORKER_COLUMNS = (
    "id, secret_sha256, profile, status, status_before_error, status_requested, is_approved, has_signed_on_since, "
    "lost_task, current_task, last_seen, rev, is_lazy, tags, schedule, schedule_at, is_forgotten"
)
JOB_COLUMNS = "key, id, definition, status, activity, is_cancelled, is_deleted, facts, started_at, finished_at, rev"
TASK_COLUMNS = (
    "key, id, name, type, priority, steps_total, frames, depends_on, status, attempt, worker, is_held, has_begun, seq, "
    "activity, steps_completed, lost, failed_by, retry_at, marks, failed_with_job, result, started_at, finished_at, "
    "rev, needs, is_reserved, is_pause_wanted, requeued_by, fresh_after"
)

_PROFILE = (
    *("name", "platform", "address", "task_types", "software", "can_restart", "node", "slot", "hardware", "programs"),
    "features",
)
_STATUSES = {status.value: status for status in TaskStatus}
_DEFINITION = JobDefinitionSchema()
_HARDWARE = HardwareSchema()
_PROGRAM = ProgramSchema()
_SCHEDULE = SleepScheduleSchema()


def id_bytes(text: str) -> bytes:
    """Return the 16 bytes of a UUID."""
    return bytes.fromhex(text.replace("-", ""))


def id_text(raw: bytes) -> str:
    """Return a UUID in its hyphenated form."""
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def moment_of(seconds: float | None) -> datetime | None:
    """Read a stored time."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def task_key(job_key: int, index: int) -> int:
    """Return the key of a job's task."""
    return job_key * TASKS_PER_JOB + index


def job_key_of(key: int) -> int:
    """Return the key of the job that a task belongs to."""
    return key // TASKS_PER_JOB


def new_task_row(job_key: int, task: TaskDefinition) -> Row:
    """Make the row of a task that has just come from the Server."""
    return (
        task_key(job_key, task.index),
        id_bytes(task.id),
        task.name,
        task.type,
        task.priority,
        task.steps_total,
        task.frames,
        array("I", sorted(set(task.depends_on))).tobytes() if task.depends_on else b"",
        _needs_row(task),
    )


def task_row(task: Task, now: Moment) -> Row:
    """Make what changes of a task, with its key last."""
    # Those that are over too: a word of their Workers makes them begin anew.
    marks = {worker: _wall(until_s, now) for worker, until_s in (task.marks or {}).items()}
    failed_by = [(entry.worker, entry.reason) for entry in task.failed_by]
    return (
        str(task.status),
        task.attempt,
        id_bytes(task.worker.id) if task.worker else None,
        task.is_held,
        task.has_begun,
        task.seq,
        task.activity,
        task.steps_completed,
        task.lost,
        orjson.dumps(failed_by) if failed_by else None,
        _wall(task.retry_at_s, now) if task.retry_at_s > now.monotonic_s else None,
        orjson.dumps(marks) if marks else None,
        task.failed_with_job,
        orjson.dumps(task.result) if task.result is not None else None,
        seconds_of(task.started_at),
        seconds_of(task.finished_at),
        task.rev,
        task.is_reserved,
        task.is_pause_wanted,
        task.requeued_by,
        task.fresh_after,
        task.key,
    )


class TaskReader:
    """Makes the tasks of one job of their rows, for a farm that has its Workers already.

    What many tasks have in common is made once: a job may have a million of them, and memory holds them all.
    """

    def __init__(self, job: Job, farm: Farm, now: Moment) -> None:
        self._job = job
        self._farm = farm
        self._now = now
        self._names: dict[str, str] = {}
        self._kinds: dict[tuple[str, bytes | None], tuple[Kind, Needs | None]] = {}

    def task_of(self, row: Row) -> Task:
        """Make a task of its row (TASK_COLUMNS)."""
        kind, needs = self._kinds.get((row[3], row[25])) or self._kind_of(row[3], row[25])
        return Task(
            key=row[0],
            id=id_text(row[1]),
            job=self._job,
            index=row[0] % TASKS_PER_JOB,
            name=self._names.setdefault(row[2], row[2]),
            kind=kind,
            needs=needs,
            priority=row[4],
            steps_total=row[5],
            frames=row[6],
            depends_on=array("I", row[7]) if row[7] else (),
            status=_STATUSES[row[8]],
            attempt=row[9],
            worker=self._farm.workers.get(id_text(row[10])) if row[10] else None,
            is_held=bool(row[11]),
            has_begun=bool(row[12]),
            seq=row[13],
            activity=row[14],
            steps_completed=row[15],
            lost=row[16],
            failed_by=failures_of(row[17]),
            retry_at_s=_monotonic(row[18], self._now) if row[18] else 0.0,
            marks=self._marks_of(row[19]),
            failed_with_job=bool(row[20]),
            result=orjson.loads(row[21]) if row[21] else None,
            touched_s=self._now.monotonic_s,
            begun_s=self._now.monotonic_s,
            output_s=self._now.monotonic_s,
            started_at=moment_of(row[22]),
            finished_at=moment_of(row[23]),
            rev=row[24],
            is_reserved=bool(row[26]),
            is_pause_wanted=bool(row[27]),
            requeued_by=row[28],
            fresh_after=row[29],
        )

    def _kind_of(self, task_type: str, stored: bytes | None) -> tuple[Kind, Needs | None]:
        needs = Needs(**orjson.loads(stored)) if stored else None
        found = self._kinds[task_type, stored] = self._farm.kind_of(self._job, task_type, needs), needs
        return found

    def _marks_of(self, stored: bytes | None) -> dict[str, float] | None:
        marks = orjson.loads(stored) if stored else {}
        return {worker: _monotonic(until, self._now) for worker, until in marks.items()} or None


def more_marks(stored: bytes | None, marks: Mapping[str, datetime]) -> bytes:
    """Add marks, with the wall time until which they hold, to those of a task's row."""
    present = orjson.loads(stored) if stored else {}
    return orjson.dumps({**present, **{worker: until.timestamp() for worker, until in marks.items()}})


def failures_of(stored: bytes | None) -> Sequence[FailedAttempt]:
    """Read a stored failure list."""
    return [FailedAttempt(worker, reason) for worker, reason in orjson.loads(stored)] if stored else ()


def job_row(job: Job) -> Row:
    """Make what changes of a job, its id first."""
    facts = {
        "priority": job.priority,
        "tag": job.needs.tag,
        "project": job.project,
        "asked": job.asked,
        "blocked": sorted(job.blocked),
        "typical_s": job.typical_s,
        "is_pause_wanted": job.is_pause_wanted,
        "is_whole": job.is_whole,
    }
    return (
        id_bytes(job.id),
        job.key,
        str(job.status),
        job.activity,
        job.is_cancelled,
        job.is_deleted,
        orjson.dumps({name: fact for name, fact in facts.items() if fact not in (None, "", False, {}, [])}),
        orjson.dumps({str(status): count for status, count in job.counts.items() if count}),
        job.steps_completed,
        job.steps_total,
        seconds_of(job.started_at),
        seconds_of(job.finished_at),
        job.rev,
    )


def job_of(row: Row) -> Job:
    """Make a job of its row (JOB_COLUMNS); its tasks are linked later."""
    job = Job(key=row[0], id=id_text(row[1]), status=JobStatus(row[3]), activity=row[4], is_cancelled=bool(row[5]))
    job.is_deleted, facts = bool(row[6]), orjson.loads(row[7])
    job.asked, job.typical_s = facts.get("asked", {}), facts.get("typical_s", {})
    job.blocked = {(worker, task_type) for worker, task_type in facts.get("blocked", ())}
    job.is_pause_wanted, job.is_whole = facts.get("is_pause_wanted", False), facts.get("is_whole", False)
    heed(job)
    if row[2] is not None:
        describe(job, _DEFINITION.load(orjson.loads(row[2])))
    job.started_at, job.finished_at, job.rev = moment_of(row[8]), moment_of(row[9]), row[10]
    return job


def worker_row(worker: Worker) -> Row:
    """Make the row of a Worker, in the order of WORKER_COLUMNS."""
    return (
        id_bytes(worker.id),
        worker.secret_sha256,
        _profile(worker),
        _word(worker.status),
        _word(worker.status_before_error),
        _word(worker.status_requested),
        worker.is_approved,
        worker.has_signed_on_since,
        worker.lost_task.key if worker.lost_task else None,
        worker.task.key if worker.task else None,
        seconds_of(worker.last_seen),
        worker.rev,
        worker.is_lazy,
        orjson.dumps(sorted(worker.tags)),
        orjson.dumps(_SCHEDULE.dump(worker.schedule)) if worker.schedule else None,
        seconds_of(worker.schedule_at),
        worker.is_forgotten,
    )


def _profile(worker: Worker) -> bytes:
    """Write what a Worker says of itself; that changes seldom, and is written at every hand-out."""
    said = tuple(getattr(worker, name) for name in _PROFILE)
    if worker.stored_profile is not None and worker.stored_profile[0] == said:
        return worker.stored_profile[1]
    worker.stored_profile = (said, profile_row(worker))
    return worker.stored_profile[1]


def profile_row(said: Worker | WorkerReport) -> bytes:
    """Write what a Worker says of itself."""
    profile = {
        "name": said.name,
        "platform": said.platform,
        "address": said.address,
        "task_types": list(said.task_types),
        "software": said.software,
        "can_restart": said.can_restart,
        "node": said.node,
        "slot": said.slot,
        "hardware": _HARDWARE.dump(said.hardware) if said.hardware else None,
        "programs": [_PROGRAM.dump(program) for program in said.programs],
        "features": list(said.features),
    }
    return orjson.dumps(profile)


def worker_of(row: Row, now: Moment) -> Worker:
    """Make a Worker of its row (WORKER_COLUMNS); its task is linked by the task."""
    profile = orjson.loads(row[2])
    profile["hardware"] = _HARDWARE.load(profile["hardware"]) if profile["hardware"] else None
    profile["programs"] = tuple(_PROGRAM.load(program) for program in profile["programs"])
    return Worker(
        id=id_text(row[0]),
        secret_sha256=row[1],
        **profile,
        status=_status(row[3]),
        status_before_error=_status(row[4]),
        status_requested=_status(row[5]),
        is_approved=bool(row[6]),
        has_signed_on_since=bool(row[7]),
        last_seen=moment_of(row[10]),
        seen_s=now.monotonic_s,
        rev=row[11],
        is_lazy=bool(row[12]),
        tags=frozenset(orjson.loads(row[13])),
        schedule=schedule_of(row[14]),
        schedule_at=moment_of(row[15]),
        is_forgotten=bool(row[16]),
    )


def schedule_of(stored: bytes | None) -> SleepSchedule | None:
    """Read a stored sleep schedule."""
    return None if stored is None else _SCHEDULE.load(orjson.loads(stored))


def worker_state_row(state: WorkerState) -> Row:
    """Make the row of what a Worker became."""
    return (id_bytes(state.worker), str(state.status), state.at.timestamp(), state.why)


def frame_row(task: int, attempt: int, frame: SavedFrame, rev: int) -> Row:
    """Make the row of a saved frame; ``task`` is the task's key."""
    return (
        task,
        frame.frame,
        frame.layer,
        attempt,
        frame.path,
        frame.size_bytes,
        bytes.fromhex(frame.sha256),
        frame.width,
        frame.height,
        frame.seconds,
        rev,
    )


def frame_of(row: Sequence[Any]) -> SavedFrame:
    """Make a saved frame of (frame, layer, path, size_bytes, sha256, width, height, seconds)."""
    frame, layer, path, size_bytes, sha256, width, height, seconds = row
    return SavedFrame(frame, path, size_bytes, sha256.hex(), layer, width, height, seconds)


def _needs_row(task: TaskDefinition) -> bytes | None:
    said = {name: value for name in Needs.__slots__ if (value := getattr(task, name)) is not None}
    return orjson.dumps(said) if said else None


def seconds_of(moment: datetime | None) -> float | None:
    """Write a time as it is stored."""
    return None if moment is None else moment.timestamp()


def _wall(monotonic_s: float, now: Moment) -> float:
    return now.wall.timestamp() + (monotonic_s - now.monotonic_s)


def _monotonic(wall: float, now: Moment) -> float:
    return now.monotonic_s + (wall - now.wall.timestamp())


def _word(status: WorkerStatus | None) -> str | None:
    return None if status is None else str(status)


def _status(word: str | None) -> WorkerStatus | None:
    return None if word is None else WorkerStatus(word)
