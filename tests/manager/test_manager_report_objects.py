"""What a report says of rows is what the schema would write: read through it and written again, it is the same."""

from collections.abc import Mapping
from typing import Any

import apsw
import orjson
from hypothesis import given
from hypothesis import strategies as st

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.manager_api import NO_DIGEST, ReportSchema
from flamenco_core.wire.worker_api import (
    Gpu,
    Hardware,
    HardwareSchema,
    Program,
    ProgramSchema,
)
from flamenco_manager.stores import reports
from flamenco_manager.stores.outbox import prepare_link
from flamenco_runtime.migrations import migrate

SCHEMA = ReportSchema()
KINDS = ("orders", "jobs", "tasks", "frames", "workers", "worker_states")
JOB, TASK, WORKER = (bytes([number]) * 16 for number in (1, 2, 3))
NODE_TEXT = "04040404-0404-0404-0404-040404040404"
KEY = 1 << 20

NUMBERS = st.sampled_from([0, 1, 2**53])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
TIMES = st.sampled_from([0.0, 1769860800.25, 1769860800.9999, 4e9])
OBJECTS = st.dictionaries(TEXTS, st.none() | st.booleans() | NUMBERS | TEXTS | st.lists(TEXTS, max_size=1), max_size=2)


def _words(statuses: Any) -> st.SearchStrategy[str]:
    return st.sampled_from([str(status) for status in statuses])


def _json(of: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return of.map(orjson.dumps)


def _maybe(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | of


HARDWARE = HardwareSchema().dump(Hardware(8, 2**34, [Gpu("OPTIX", "RTX", 2**33)]))
PROGRAMS = [ProgramSchema().dump(Program("blender", "4.5.1", "/opt/blender"))]
SCHEDULE = {
    "is_active": True,
    "time_zone": "Europe/Amsterdam",
    "windows": [{"days": ["mon"], "start": "08:00", "end": "18:30"}],
}
PROFILES = st.fixed_dictionaries(
    {
        "name": TEXTS,
        "platform": TEXTS,
        "address": TEXTS,
        "task_types": st.lists(TEXTS, max_size=2),
        "software": TEXTS,
        "can_restart": st.booleans(),
        "node": _maybe(st.just(NODE_TEXT)),
        "slot": _maybe(NUMBERS),
        "hardware": _maybe(st.just(HARDWARE)),
        "programs": st.sampled_from([[], PROGRAMS]),
        "features": st.just(["attempt"]),
    }
)
FACTS = st.fixed_dictionaries(
    {}, optional={"priority": NUMBERS, "tag": TEXTS, "project": TEXTS, "asked": OBJECTS, "is_whole": st.just(True)}
)
ROWS: Mapping[str, Mapping[str, st.SearchStrategy[Any]]] = {
    "workers": {
        "id": st.just(WORKER),
        "secret_sha256": st.binary(min_size=32, max_size=32),
        "profile": _json(PROFILES),
        "status": _maybe(_words(WorkerStatus)),
        "status_requested": _maybe(_words(WorkerStatus)),
        "is_approved": st.booleans(),
        "has_signed_on_since": st.booleans(),
        "current_task": _maybe(st.just(KEY)),
        "last_seen": _maybe(TIMES),
        "rev": NUMBERS,
        "is_lazy": st.booleans(),
        "tags": _json(st.lists(TEXTS, max_size=2)),
        "schedule": _maybe(_json(st.just(SCHEDULE))),
        "is_forgotten": st.booleans(),
    },
    "worker_states": {"worker": st.just(WORKER), "status": _words(WorkerStatus), "at": TIMES, "why": TEXTS},
    "jobs": {
        "key": st.just(1),
        "id": st.just(JOB),
        "status": _words(JobStatus),
        "activity": TEXTS,
        "is_deleted": st.booleans(),
        "facts": _json(FACTS),
        "counts": _json(st.dictionaries(_words(TaskStatus), NUMBERS)),
        "steps_completed": NUMBERS,
        "steps_total": NUMBERS,
        "started_at": _maybe(TIMES),
        "finished_at": _maybe(TIMES),
        "rev": NUMBERS,
    },
    "tasks": {
        "key": st.just(KEY),
        "id": st.just(TASK),
        "name": TEXTS,
        "type": TEXTS,
        "priority": NUMBERS,
        "depends_on": st.just(b""),
        "status": _words(TaskStatus),
        "attempt": NUMBERS,
        "worker": _maybe(st.just(WORKER)),
        "activity": TEXTS,
        "steps_completed": NUMBERS,
        "steps_total": NUMBERS,
        "failed_by": _maybe(_json(st.lists(st.tuples(st.just(NODE_TEXT), TEXTS), max_size=2))),
        "result": _maybe(_json(OBJECTS)),
        "started_at": _maybe(TIMES),
        "finished_at": _maybe(TIMES),
        "rev": NUMBERS,
    },
    "frames": {
        "task": st.just(KEY),
        "frame": NUMBERS,
        "layer": TEXTS,
        "attempt": NUMBERS,
        "path": TEXTS,
        "size_bytes": NUMBERS,
        "sha256": st.binary(min_size=32, max_size=32),
        "width": NUMBERS,
        "height": NUMBERS,
        "seconds": st.sampled_from([0.0, 0.25, 3600.0]),
        "rev": NUMBERS,
    },
    "orders": {
        "number": st.just(1),
        "id": st.just(JOB),
        "kind": st.just("task.why"),
        "applied_at": TIMES,
        "result": st.sampled_from(["done", "dropped", "expired"]),
        "why": TEXTS,
        "answer": _maybe(_json(OBJECTS)),
        "change": NUMBERS,
    },
}


FULL: Mapping[str, Mapping[str, Any]] = {
    "workers": {
        "profile": orjson.dumps(
            {
                **dict.fromkeys(("name", "platform", "address", "software"), "text"),
                "task_types": ["misc"],
                "can_restart": True,
                "node": NODE_TEXT,
                "slot": 1,
                "hardware": HARDWARE,
                "programs": PROGRAMS,
                "features": ["attempt"],
            }
        ),
        "status_requested": "asleep",
        "current_task": KEY,
        "last_seen": 1.0,
        "schedule": orjson.dumps(SCHEDULE),
    },
    "worker_states": {},
    "jobs": {"facts": b'{"priority": 50, "tag": "fast"}', "started_at": 1.0, "finished_at": 2.0},
    "tasks": {"worker": WORKER, "result": b'{"a": 1}', "started_at": 1.0, "finished_at": 2.0},
    "frames": {},
    "orders": {"answer": b'{"reasons": []}'},
}
"""What columns hold that may be empty."""


def _told(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the report of a store with these rows, one of each kind."""
    connection = apsw.Connection(":memory:")
    migrate(connection, "flamenco_manager.stores.migrations")
    prepare_link(connection, NODE_TEXT)
    for table, row in stored.items():
        columns = {**row, "unreported": 1}
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        connection.execute(statement, tuple(columns.values()))
    gathered = reports.gather(connection, most=10)
    connection.close()
    body: dict[str, Any] = orjson.loads(orjson.dumps({"report": 1, "previous": NO_DIGEST, **gathered.objects}))
    return body


@given(st.fixed_dictionaries({table: st.fixed_dictionaries(dict(row)) for table, row in ROWS.items()}))
def test_every_object_is_as_the_schema_writes_it(stored: dict[str, dict[str, Any]]) -> None:
    report = _told(stored)
    assert [len(report[kind]) for kind in KINDS] == [1] * len(KINDS)
    assert SCHEMA.dump(SCHEMA.load(report)) == report


@given(st.fixed_dictionaries({table: st.fixed_dictionaries(dict(row)) for table, row in ROWS.items()}))
def test_nothing_that_a_row_holds_is_left_out(stored: dict[str, dict[str, Any]]) -> None:
    report = _told({table: {**row, **FULL[table]} for table, row in stored.items()})
    for kind in KINDS:
        assert set(report[kind][0]) == set(SCHEMA.fields[kind].inner.schema.fields), kind


def test_what_became_of_an_order_is_told_when_all_that_it_changed_is_told() -> None:
    connection = apsw.Connection(":memory:")
    migrate(connection, "flamenco_manager.stores.migrations")
    prepare_link(connection, NODE_TEXT)
    connection.execute(
        "INSERT INTO jobs (key, id, status, activity, counts, rev, unreported) VALUES (1, ?, 'active', '', '{}', 7, 0)",
        (JOB,),
    )
    for index in range(4):
        columns = "key, id, name, type, priority, depends_on, steps_total, rev, unreported"
        bindings = (KEY + index, bytes([index]) * 16, "", "", 50, b"", 0, 3 + index, 1)
        connection.execute(f"INSERT INTO tasks ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", bindings)
    for number, change in ((1, 3), (2, 4), (3, 6)):
        columns = "number, id, kind, applied_at, result, unreported, change"
        bindings = (number, bytes([number]) * 16, "job.cancel", 0.0, "done", 1, change)
        connection.execute(f"INSERT INTO orders ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", bindings)
    told = []
    while not (gathered := reports.gather(connection, most=2)).is_empty:
        told.append(
            (
                [task["rev"][1] for task in gathered.objects["tasks"]],
                [order["order"] for order in gathered.objects["orders"]],
            )
        )
        reports.mark_reported(connection, gathered)
    assert told == [([3, 4], [1]), ([5, 6], [2]), ([], [3])]
