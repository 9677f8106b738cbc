"""The quick way into tasks finds what the schema finds, and leaves to it whatever is not plain."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from flamenco_core.wire.manager_api import TaskDefinition, TaskDefinitionSchema
from flamenco_core.wire.plain_tasks import plain_task

TASK = "6f2c2a9e-5a0e-4c4e-9f4f-0c9c0c1a5a11"
SCHEMA = TaskDefinitionSchema()
ODD = st.sampled_from([None, True, 1.0, "", "1", [], {}, [None], {"a": None}])
NUMBERS = st.sampled_from([0, 1, 50, 2**63 - 1, 2**63, -1, -(2**63) + 1, -(2**63)]) | ODD
TEXTS = st.sampled_from(["", "render", "ß☃", "x" * 1024, "x" * 1025]) | ODD
COUNTS = st.dictionaries(st.text(max_size=2), NUMBERS, max_size=2) | ODD
PARAMETERS = st.dictionaries(st.text(max_size=2), ODD, max_size=2) | ODD
COMMANDS = st.fixed_dictionaries(
    {}, optional={"name": TEXTS, "parameters": PARAMETERS, "total_step_count": NUMBERS, "newer": ODD}
)
ECHO = {"name": "echo", "parameters": {"message": "hello"}}
TASKS = {
    "index": NUMBERS,
    "id": st.sampled_from([TASK, TASK.upper(), TASK + "\n", "x"]) | ODD,
    "name": TEXTS,
    "type": TEXTS,
    "commands": st.lists(st.just(ECHO) | COMMANDS | ODD, max_size=2) | ODD,
    "priority": NUMBERS,
    "depends_on": st.lists(NUMBERS, max_size=2) | ODD,
    "frames": TEXTS,
    "tag": TEXTS,
    "memory_bytes": NUMBERS,
    "gpu": TEXTS,
    "limits": COUNTS,
    "newer": ODD,
}
LEAST: dict[str, Any] = {"index": 3, "id": TASK, "name": "render", "type": "blender", "commands": [ECHO]}
FULL: dict[str, Any] = {
    **LEAST,
    "commands": [{**ECHO, "total_step_count": 7}, ECHO],
    "priority": -5,
    "depends_on": [0, 2],
    "frames": "1-10",
    "tag": "fast",
    "memory_bytes": 2**33,
    "gpu": "OPTIX",
    "limits": {"nuke": 2},
}


def _by_schema(document: object) -> TaskDefinition | None:
    try:
        task: TaskDefinition = SCHEMA.load(document)
    except ValidationError:
        return None
    return task


@given(st.fixed_dictionaries({}, optional=TASKS))
def test_what_is_plain_is_what_the_schema_makes_of_it(document: dict[str, Any]) -> None:
    """Nothing that the schema refuses is let through, and nothing is read otherwise."""
    found = plain_task(document)
    assert found is None or found == _by_schema(document)


@given(st.sampled_from(sorted(TASKS)), st.data())
def test_one_odd_field_of_a_good_task_is_judged_by_the_schema(field: str, data: st.DataObject) -> None:
    """Of those drawn above nearly all lack something; this has all but one right."""
    document = {**FULL, field: data.draw(TASKS[field])}
    found = plain_task(document)
    assert found is None or found == _by_schema(document)


@given(st.sets(st.sampled_from(sorted(FULL.keys() - LEAST.keys()))))
def test_what_the_server_writes_is_plain(said: set[str]) -> None:
    document = {**LEAST, **{key: FULL[key] for key in said}}
    assert plain_task(document) == _by_schema(document) != None  # noqa: E711 (neither of them may be)


@pytest.mark.parametrize("field", ["frames", "tag", "memory_bytes", "gpu", "limits"])
def test_null_says_nothing(field: str) -> None:
    document = {**FULL, field: None}
    assert plain_task(document) == SCHEMA.load(document)


@pytest.mark.parametrize("document", [None, [], "text", 5, [FULL], {}])
def test_what_is_no_task_is_for_the_schema(document: object) -> None:
    assert plain_task(document) is None
    assert _by_schema(document) is None


@pytest.mark.parametrize("field", sorted(LEAST))
def test_what_lacks_something_is_for_the_schema(field: str) -> None:
    document = {key: value for key, value in FULL.items() if key != field}
    assert plain_task(document) is None
    assert _by_schema(document) is None
