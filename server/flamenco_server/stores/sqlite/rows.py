"""Rows of SQLite to records and back: moments are text, lists and objects are JSON."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import apsw
import orjson

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.manager_api import (
    Block,
    FailedAttempt,
    JobFile,
    NeededJob,
    Rev,
    SleepSchedule,
    SleepScheduleSchema,
)
from flamenco_core.wire.worker_api import Gpu, Hardware, Program
from flamenco_server.records import Asked, Asks, CurrentTask, Job, Manager, Task, Terms, Worker, WorkerState

Row = dict[str, Any]

_SCHEDULE = SleepScheduleSchema()


def rows(cursor: apsw.Cursor) -> Iterator[Row]:
    """Yield the rows of a query by the names of its columns."""
    names: list[str] = []
    for row in cursor:
        names = names or [column[0] for column in cursor.get_description()]
        yield dict(zip(names, row, strict=True))


def first(cursor: apsw.Cursor) -> Row | None:
    """Return the first row of a query, None if it has none."""
    return next(rows(cursor), None)


def moment(text: str | None) -> datetime | None:
    """Read a moment, if there is one."""
    return datetime.fromisoformat(text) if text is not None else None


def as_json(value: object) -> str:
    """Write JSON as it is stored; dataclasses become objects."""
    return orjson.dumps(value).decode()


def job_of(row: Row, files: str = "[]") -> Job:
    """Make a job of a row of ``job_rows`` and, where they are wanted, its files."""
    values = {
        **{name: row[name] for name in row if name not in ("rev_epoch", "rev_commit")},
        "status": JobStatus(row["status"]),
        "created_at": datetime.fromisoformat(row["created_at"]),
        "started_at": moment(row["started_at"]),
        "finished_at": moment(row["finished_at"]),
        "settings": orjson.loads(row["settings"]),
        "metadata": orjson.loads(row["metadata"]),
        "counts": orjson.loads(row["counts"]),
        "reported_status": JobStatus(row["reported_status"]),
        "start_paused": bool(row["start_paused"]),
        "terms": _terms(row["terms"]),
        "asks": asks_of(row["asks"]),
        "deleted_at": moment(row["deleted_at"]),
        "erased": bool(row["erased"]),
        "rev": _rev(row),
        "manager_name": row["manager_name"] or "",
        "files": [JobFile(**file) for file in orjson.loads(files)],
    }
    return Job(**values)


def task_of(row: Row) -> Task:
    """Make a task of a row of ``tasks``, without its commands."""
    return Task(
        id=row["id"],
        job=row["job"],
        index=row["position"],
        name=row["name"],
        type=row["type"],
        status=TaskStatus(row["status"]),
        priority=row["priority"],
        steps_total=row["steps_total"],
        attempt=row["attempt"],
        activity=row["activity"],
        steps_completed=row["steps_completed"],
        frames=row["frames"],
        depends_on=orjson.loads(row["depends_on"]),
        worker=row["worker"],
        worker_name=row["worker_name"],
        failed_by=[FailedAttempt(**entry) for entry in orjson.loads(row["failed_by"])],
        result=orjson.loads(row["result"]) if row["result"] else None,
        started_at=moment(row["started_at"]),
        finished_at=moment(row["finished_at"]),
        asks=asks_of(row["asks"]),
        refused=row["refused"],
        rev=_rev(row),
    )


def worker_of(row: Row) -> Worker:
    """Make a Worker of a row of ``worker_rows``."""
    current = None
    if row["task_job"] is not None:
        current = CurrentTask(row["current_task"], row["task_name"], row["task_job"], row["job_name"] or "")
    return Worker(
        id=row["id"],
        name=row["name"],
        manager_id=row["manager"],
        manager_name=row["manager_name"],
        status=WorkerStatus(row["status"]),
        approved=bool(row["approved"]),
        platform=row["platform"],
        software=row["software"],
        address=row["address"],
        task_types=orjson.loads(row["task_types"]),
        status_requested=WorkerStatus(row["status_requested"]) if row["status_requested"] else None,
        current_task=current,
        last_seen=moment(row["last_seen"]),
        hardware=_hardware(row["hardware"]),
        programs=[Program(**program) for program in orjson.loads(row["programs"])],
        node=row["node"],
        slot=row["slot"],
        tags=orjson.loads(row["tags"]),
        lazy=bool(row["lazy"]),
        schedule=_schedule(row["schedule"]),
        can_restart=bool(row["can_restart"]),
        blocked=[Block(**block) for block in orjson.loads(row["blocked"])],
        asks=asks_of(row["asks"]),
        refused=row["refused"],
    )


def state_of(row: Row) -> WorkerState:
    """Make a state of a row of ``worker_states``."""
    return WorkerState(row["number"], WorkerStatus(row["status"]), datetime.fromisoformat(row["at"]), row["why"])


def manager_of(row: Row) -> Manager:
    """Make a Manager of a row of ``managers``."""
    return Manager(
        id=row["id"],
        name=row["name"],
        created_at=datetime.fromisoformat(row["created_at"]),
        software=row["software"],
        platform=row["platform"],
        last_seen=moment(row["last_seen"]),
    )


def asks_of(text: str) -> Asks:
    """Read what is asked of something."""
    return {about: Asked(**asked) for about, asked in orjson.loads(text).items()}


def _terms(text: str) -> Terms:
    values = orjson.loads(text)
    start_after = moment(values["start_after"])
    needs_jobs = [NeededJob(**needed) for needed in values["needs_jobs"]]
    return Terms(**{**values, "start_after": start_after, "needs_jobs": needs_jobs})


def _rev(row: Row) -> Rev | None:
    return Rev(row["rev_epoch"], row["rev_commit"]) if row["rev_commit"] else None


def _schedule(text: str | None) -> SleepSchedule | None:
    if text is None:
        return None
    schedule: SleepSchedule = _SCHEDULE.load(orjson.loads(text))
    return schedule


def _hardware(text: str | None) -> Hardware | None:
    if text is None:
        return None
    values = orjson.loads(text)
    return Hardware(**{**values, "gpus": [Gpu(**gpu) for gpu in values["gpus"]]})


def erase_tasks(db: apsw.Connection, job_id: str) -> None:
    """Erase what was stored of a job's tasks by its compile."""
    db.execute("DELETE FROM tasks WHERE job = ?", (job_id,))
    db.execute("DELETE FROM task_slices WHERE job = ?", (job_id,))
