"""A hand-out is written without the schema, and must be what the schema writes."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from flamenco_core.statuses import TaskStatus
from flamenco_core.wire.worker_api import AssignedTask, AssignedTaskSchema, Command, SavedFrame
from flamenco_manager.http.hand_outs import document_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBER = st.integers(-(2**53), 2**53)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT, lambda child: st.lists(child, max_size=2) | st.dictionaries(TEXT, child)
)
COMMANDS = st.builds(Command, TEXT, st.dictionaries(TEXT, JSON, max_size=3), st.integers(0, 9))
FRAMES = st.builds(
    SavedFrame, NUMBER, TEXT, NUMBER, st.just("ab" * 32), TEXT, NUMBER, NUMBER, st.floats(0, 1e9, width=32)
)
ID = st.just("6f2c2a9e-5a0e-4c4e-9f4f-0c9c0c1a5a11")
TASKS = st.builds(
    AssignedTask,
    uuid=ID,
    job=ID,
    name=TEXT,
    status=st.sampled_from([TaskStatus.ACTIVE, TaskStatus.QUEUED]),
    priority=NUMBER,
    job_priority=NUMBER,
    job_type=TEXT,
    task_type=TEXT,
    commands=st.lists(COMMANDS, max_size=3),
    steps_completed=NUMBER,
    steps_total=NUMBER,
    attempt=st.none() | NUMBER,
    deadline_seconds=st.none() | st.sampled_from([60, 60.0, 0.5]),
    frames_done=st.none() | st.lists(FRAMES, max_size=2),
)


@given(TASKS)
def test_a_hand_out_is_written_as_the_schema_writes_it(task: AssignedTask) -> None:
    by_schema = orjson.dumps(AssignedTaskSchema().dump(task))
    assert orjson.loads(orjson.dumps(document_of(task))) == orjson.loads(by_schema)
