"""The quick way into updates finds what the schema finds, and leaves to it whatever is not plain."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError

from flamenco_core.wire.plain_updates import plain_update
from flamenco_core.wire.worker_api import BatchedUpdate, BatchedUpdateSchema, TaskUpdate, TaskUpdateSchema

TASK = "6f2c2a9e-5a0e-4c4e-9f4f-0c9c0c1a5a11"
NUMBERS: st.SearchStrategy[Any] = st.sampled_from(
    [-1, 0, 1, 2, 10**6, 2**62, 2**63 - 1, 2**63, 10**30, -(2**63), True, 1.0, "1", None, []]
)
TEXTS: st.SearchStrategy[Any] = st.sampled_from(["", "a line\n", "ß☃", None, 5, [], {}])
STATUSES: st.SearchStrategy[Any] = st.sampled_from(
    ["active", "completed", "failed", "queued", "soft-failed", "Active", "", None, 3, []]
)
MOMENTS: st.SearchStrategy[Any] = st.sampled_from(
    [
        "2026-01-31T12:00:00.250Z",
        "2026-01-31 12:00:00.250Z",
        "2026-02-31T12:00:00.250Z",
        "2026-01-31T24:00:00.000Z",
        "2026-01-31T12:00:60.000Z",
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.250+02:00",
        "2026-W05-6T12:00:00.25Z",
        "0000-01-31T12:00:00.250Z",
        "٢026-01-31T12:00:00.250Z",
        "noon",
        "",
        None,
        7,
    ]
)
SAID = {
    "taskStatus": STATUSES,
    "activity": TEXTS,
    "log": TEXTS,
    "steps_completed": NUMBERS,
    "attempt": NUMBERS,
    "seq": NUMBERS,
    "log_at": NUMBERS,
    "frames": st.sampled_from([[], None, [5]]),
    "result": st.sampled_from([{}, {"a": [1]}, None, "x"]),
    "task_status": st.just("failed"),
    "from a newer peer": st.just(1),
}
BATCHED = {**SAID, "task": st.sampled_from([TASK, TASK.upper(), "x", "", None, 5]), "at": MOMENTS}


def _by_schema(schema: Schema, document: Any) -> Any:
    try:
        return Schema.load(schema, document)
    except ValidationError:
        return None


@given(st.fixed_dictionaries({}, optional=SAID))
def test_what_is_plain_is_what_the_schema_makes_of_an_update(document: dict[str, Any]) -> None:
    """Nothing that the schema refuses is let through, and nothing is read otherwise."""
    found = plain_update(document)
    assert found is None or TaskUpdate(**found) == _by_schema(TaskUpdateSchema(), document)


@given(st.fixed_dictionaries({}, optional=BATCHED))
def test_what_is_plain_is_what_the_schema_makes_of_an_update_of_a_batch(document: dict[str, Any]) -> None:
    """The same where an update says more."""
    found = plain_update(document, is_batched=True)
    assert found is None or BatchedUpdate(**found) == _by_schema(BatchedUpdateSchema(), document)


NEEDED = {"task": st.just(TASK), "attempt": st.just(1), "seq": st.just(1)}


@given(st.fixed_dictionaries(NEEDED, optional={name: said for name, said in BATCHED.items() if name not in NEEDED}))
def test_what_lacks_nothing_is_read_alike(document: dict[str, Any]) -> None:
    """Most of what is drawn above lacks something; this has all that an update of a batch needs."""
    found = plain_update(document, is_batched=True)
    assert found is None or BatchedUpdate(**found) == _by_schema(BatchedUpdateSchema(), document)


@pytest.mark.parametrize("document", [None, [], "text", 5, [{"attempt": 1}]])
def test_what_is_no_object_is_for_the_schema(document: object) -> None:
    """It knows what to say of it."""
    assert plain_update(document) is None
    with pytest.raises(ValidationError):
        TaskUpdateSchema().load(document)


def test_what_workers_say_all_day_is_plain() -> None:
    """Else the quick way would be none."""
    start = {"taskStatus": "active", "activity": "Started", "attempt": 3, "seq": 1}
    line = {"log": "Fra:1\n", "log_at": 0, "steps_completed": 1, "attempt": 3, "seq": 2}
    assert plain_update(start) is not None
    assert plain_update(line) is not None
    assert plain_update({**line, "task": TASK, "at": "2026-01-31T12:00:00.250Z"}, is_batched=True) is not None
    assert TaskUpdateSchema().load(start) == TaskUpdate(**(plain_update(start) or {}))
