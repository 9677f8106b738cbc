"""A Manager's store with tasks in it, made without a Manager: a million of them would take it an hour."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import apsw
import orjson

from flamenco_core.identifiers import new_id, task_ids
from flamenco_core.wire.definitions import JobDefinition, JobDefinitionSchema
from flamenco_manager.stores import rows
from flamenco_manager.stores.arrivals import SLICE_TASKS
from flamenco_manager.stores.outbox import prepare_link
from flamenco_runtime.clock import utc_now
from flamenco_runtime.migrations import migrate

TASKS_PER_JOB = 50_000

_TASK = """
INSERT INTO tasks (key, id, name, type, priority, steps_total, depends_on, status, attempt, started_at, finished_at,
    rev, unreported) VALUES (?, ?, 'echo', 'misc', 50, 0, x'', ?, ?, ?, ?, 1, 0)
"""
_JOB = """
INSERT INTO jobs (key, id, definition, status, activity, facts, counts, started_at, finished_at, rev, unreported)
VALUES (?, ?, ?, ?, '', '{"priority": 50, "is_whole": true}', ?, ?, ?, 1, 0)
"""


def store_history(data: Path, *, finished: int = 0, waiting: int = 0) -> None:
    """Make a store with so many finished and so many waiting tasks, in jobs of TASKS_PER_JOB."""
    data.mkdir(parents=True, exist_ok=True)
    connection = apsw.Connection(str(data / "manager.sqlite"))
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    migrate(connection, "flamenco_manager.stores.migrations")
    with connection:
        prepare_link(connection, new_id())
        connection.execute("UPDATE link SET changes = 1")
        key = 0
        for status, total in (("completed", finished), ("queued", waiting)):
            for first in range(0, total, TASKS_PER_JOB):
                key += 1
                _add_job(connection, key, status, min(TASKS_PER_JOB, total - first))
    connection.close()


def _add_job(connection: apsw.Connection, key: int, status: str, tasks: int) -> None:
    job, now = new_id(), utc_now()
    is_done = status == "completed"
    definition = orjson.dumps(JobDefinitionSchema().dump(JobDefinition(job, "shot", "test", 50, "admin", now, tasks)))
    ended_s = now.timestamp() if is_done else None
    counts = orjson.dumps({status: tasks})
    connection.execute(_JOB, (key, UUID(job).bytes, definition, status, counts, ended_s, ended_s))

    commands = orjson.dumps([{"name": "echo", "parameters": {"message": "hello"}, "total_step_count": 0}])
    for first in range(0, tasks, SLICE_TASKS):
        body = zlib.compress(b"\n".join([commands] * min(SLICE_TASKS, tasks - first)), 1)
        connection.execute("INSERT INTO command_slices VALUES (?, ?, ?)", (key, first, body))

    def all_tasks() -> Iterator[tuple[object, ...]]:
        id_of = task_ids(job)
        for index in range(tasks):
            yield (rows.task_key(key, index), rows.id_bytes(id_of(index)), status, int(is_done), ended_s, ended_s)

    connection.executemany(_TASK, all_tasks())
