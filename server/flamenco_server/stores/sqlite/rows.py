"""Rows of SQLite to records and back: moments are text, lists and objects are JSON."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import apsw
import orjson

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.manager_api import FailedAttempt, JobFile
from flamenco_core.wire.worker_api import Gpu, Hardware, Program
from flamenco_server.records import CurrentTask, Job, Manager, Task, Worker

Row = dict[str, Any]


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
        **row,
        "status": JobStatus(row["status"]),
        "created_at": datetime.fromisoformat(row["created_at"]),
        "started_at": moment(row["started_at"]),
        "finished_at": moment(row["finished_at"]),
        "settings": orjson.loads(row["settings"]),
        "metadata": orjson.loads(row["metadata"]),
        "counts": orjson.loads(row["counts"]),
        "cancel_requested": bool(row["cancel_requested"]),
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
    )


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


def _hardware(text: str | None) -> Hardware | None:
    if text is None:
        return None
    values = orjson.loads(text)
    return Hardware(**{**values, "gpus": [Gpu(**gpu) for gpu in values["gpus"]]})
