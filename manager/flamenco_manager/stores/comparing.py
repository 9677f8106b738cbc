"""What is in memory beside what is stored of it, field by field."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import apsw
import orjson

from flamenco_manager.model import Job, Moment, Task, Worker
from flamenco_manager.stores import rows

Fields = dict[str, Any]
Thing = Job | Task | Worker

_TASK_FIELDS = (
    *("status", "attempt", "worker", "is_held", "has_begun", "seq", "activity", "steps_completed", "lost"),
    *("failed_by", "retry_at", "marks", "failed_with_job", "result", "started_at", "finished_at", "rev"),
    *("is_reserved", "is_pause_wanted", "requeued_by", "fresh_after", "key"),
)
"""In the order of ``rows.task_row``."""
_JOB_FIELDS = (
    *("id", "key", "status", "activity", "is_cancelled", "is_deleted", "facts", "counts", "steps_completed"),
    *("steps_total", "started_at", "finished_at", "rev"),
)
"""In the order of ``rows.job_row``."""
_WORKER_FIELDS = tuple(rows.WORKER_COLUMNS.split(", "))
_AS_JSON = frozenset({"failed_by", "result", "facts", "counts", "tags", "schedule", "profile"})
_NOT_COMPARED = frozenset({"retry_at", "marks", "last_seen", "lost_task"})
"""They are times, which move between the two clocks, and what is only written with something else."""


class Remembered:
    """Things in memory as they would be stored now; made in one go, so of one moment."""

    def __init__(self, things: Iterable[Thing], now: Moment) -> None:
        self.revs = {thing.id: thing.rev for thing in things}
        self._fields = {thing.id: _fields_of(thing, now) for thing in things}

    def differences(self, connection: apsw.Connection) -> dict[str, str]:
        """Return, by id, what is stored otherwise, in words."""
        stored: dict[str, Fields] = {}
        kinds: dict[str, list[str]] = {}
        for thing, (table, _) in self._fields.items():
            kinds.setdefault(table, []).append(thing)
        for table, ids in kinds.items():
            stored.update(_stored(connection, table, ids))
        found = {thing: "; ".join(_different(fields, stored.get(thing))) for thing, (_, fields) in self._fields.items()}
        return {thing: what for thing, what in found.items() if what}


def _fields_of(thing: Thing, now: Moment) -> tuple[str, Fields]:
    if isinstance(thing, Task):
        return "tasks", _named(_TASK_FIELDS, rows.task_row(thing, now))
    if isinstance(thing, Job):
        return "jobs", _named(_JOB_FIELDS, rows.job_row(thing))
    return "workers", _named(_WORKER_FIELDS, rows.worker_row(thing))


def _stored(connection: apsw.Connection, table: str, ids: Sequence[str]) -> Iterator[tuple[str, Fields]]:
    names = {"tasks": _TASK_FIELDS, "jobs": _JOB_FIELDS, "workers": _WORKER_FIELDS}[table]
    query = f"SELECT id, {', '.join(names)} FROM {table} WHERE id = ?"  # noqa: S608 (constants)
    for thing in ids:
        for row in connection.execute(query, (rows.id_bytes(thing),)):
            yield thing, _named(names, row[1:])


def _named(names: Sequence[str], row: Sequence[Any]) -> Fields:
    return {name: _READ.get(name, _plain)(value) for name, value in zip(names, row, strict=True)}


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _document(value: Any) -> Any:
    """Read JSON; a member that is empty is as good as one that is not there."""
    document = orjson.loads(value) if value else None
    if isinstance(document, dict):
        return {name: one for name, one in document.items() if one not in (None, "", False, {}, [])}
    return document


_READ: Mapping[str, Callable[[Any], Any]] = dict.fromkeys(_AS_JSON, _document)


def _different(remembered: Fields, stored: Fields | None) -> Iterator[str]:
    if stored is None:
        yield "it is not stored"
        return
    for name, value in remembered.items():
        if name in _NOT_COMPARED or value == stored[name]:
            continue
        if name == "worker" and value is None:  # one that was forgotten since: only the row still knows it
            continue
        yield from _difference(name, value, stored[name])


def _difference(name: str, value: Any, stored: Any) -> Iterator[str]:
    if isinstance(value, dict) and isinstance(stored, dict):
        for member in sorted({*value, *stored}):
            if value.get(member) != stored.get(member):
                yield from _difference(f"{name}.{member}", value.get(member), stored.get(member))
        return
    yield f"{name} is {_short(value)}, stored is {_short(stored)}"


def _short(value: Any) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
