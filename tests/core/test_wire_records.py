"""Every record on the wire: what is written is read again as the same, and what is wrong is refused by its field."""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import marshmallow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire import farm_settings, manager_api, variables, worker_api
from flamenco_core.wire.schema import LARGEST_INTEGER, Integer, ListOf, Timestamp, WireSchema, rfc3339

SCHEMAS = {
    schema.__name__: schema
    for module in (worker_api, manager_api, farm_settings)
    for schema in vars(module).values()
    if isinstance(schema, type) and issubclass(schema, WireSchema) and hasattr(schema, "record")
}
UUIDS = st.uuids().map(str)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)).map(  # noqa: DTZ001 (made aware below)
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
)
COUNTS = st.integers(1, 1023)
"""Whole numbers that every field takes."""
DOCUMENTS = st.dictionaries(TEXTS, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS, max_size=3)


def values_of(field: marshmallow.fields.Field[Any]) -> st.SearchStrategy[Any]:
    """Make valid values of a field, as they are in a record."""
    return VALUES[type(field).__name__](field)


def _texts_of(field: marshmallow.fields.Field[Any]) -> st.SearchStrategy[str]:
    choices = _choices_of(field)
    patterns = [rule.regex for rule in field.validators if isinstance(rule, marshmallow.validate.Regexp)]
    if patterns:
        return st.from_regex(patterns[0], fullmatch=True)
    return st.sampled_from(choices) if choices else TEXTS.filter(bool)


def _least_of(field: marshmallow.fields.Field[Any]) -> int:
    return max((rule.min or 0 for rule in field.validators if isinstance(rule, marshmallow.validate.Length)), default=0)


def _choices_of(field: marshmallow.fields.Field[Any]) -> list[str]:
    return [
        choice for rule in field.validators if isinstance(rule, marshmallow.validate.OneOf) for choice in rule.choices
    ]


VALUES: Mapping[str, Callable[[Any], st.SearchStrategy[Any]]] = {
    "Boolean": lambda _: st.booleans(),
    "Dict": lambda field: (
        st.dictionaries(values_of(field.key_field), values_of(field.value_field), max_size=3)
        if field.value_field
        else DOCUMENTS
    ),
    "Enum": lambda field: st.sampled_from(_choices_of(field) or list(field.enum)),
    "Integer": lambda _: COUNTS,
    "List": lambda field: st.lists(values_of(field.inner), min_size=_least_of(field), max_size=2),
    "ListOf": lambda field: st.lists(values_of(field.inner), max_size=2),
    "Nested": lambda field: records_of(type(field.schema)),
    "Number": lambda _: st.floats(0, 1),
    "RevField": lambda _: st.builds(manager_api.Rev, COUNTS, COUNTS),
    "Sha256": lambda _: st.binary(min_size=32, max_size=32).map(bytes.hex),
    "String": _texts_of,
    "TimeOfDay": lambda _: st.times().map("{:%H:%M}".format),
    "Timestamp": lambda _: MOMENTS,
    "Uuid": lambda _: UUIDS,
    "VariablesField": lambda _: st.dictionaries(VARIABLE_NAMES, VARIABLES, max_size=2),
}
VARIABLE_NAMES = st.from_regex("[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True).filter(
    lambda name: name != variables.IMPLICIT
)
VARIABLES = st.builds(
    variables.Variable,
    st.sets(st.sampled_from(variables.PLATFORMS), max_size=2).map(
        lambda platforms: [variables.VariableValue(f"/mnt/{platform}", platform) for platform in sorted(platforms)]
    ),
    st.booleans(),
)
SAMPLES: Mapping[str, Callable[[Any], Any]] = {
    "Boolean": lambda _: True,
    "Dict": lambda field: {"queued": _sample(field.value_field) if field.value_field else 1},
    "Enum": lambda field: (_choices_of(field) or list(field.enum))[0],
    "Integer": lambda _: 1,
    "List": lambda field: [_sample(field.inner)],
    "ListOf": lambda field: [_sample(field.inner)],
    "Nested": lambda field: a_record(type(field.schema)),
    "Number": lambda _: 0.5,
    "RevField": lambda _: manager_api.Rev(1, 2),
    "Sha256": lambda _: "a" * 64,
    "String": lambda field: (_choices_of(field) or ["done"])[0],
    "TimeOfDay": lambda _: "22:00",
    "Timestamp": lambda _: datetime(2026, 1, 31, 12, tzinfo=UTC),
    "Uuid": lambda _: "6f1c2b1e-9a2d-4a53-8f5b-0d6c4d1b7a10",
    "VariablesField": lambda _: {"storage": variables.Variable([variables.VariableValue("/mnt")])},
}


def records_of(schema: type[WireSchema]) -> st.SearchStrategy[Any]:
    """Make valid records of a schema; optional fields are there or not."""
    declared = schema().fields
    required = {name: values_of(field) for name, field in declared.items() if field.required}
    optional = {name: values_of(field) for name, field in declared.items() if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda given: schema.record(**given))


def written(schema: WireSchema, record: object) -> Any:
    """Write a record as JSON text, and parse that."""
    return json.loads(json.dumps(schema.dump(record), allow_nan=False))


def plain(value: object) -> object:
    """Compare records without minding tuples against lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__, {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def a_record(schema: type[WireSchema]) -> Any:
    """Make a record that has every field of a schema."""
    return schema.record(**{name: _sample(field) for name, field in schema().fields.items()})


def a_document(schema: type[WireSchema]) -> dict[str, Any]:
    """Make a document that has every field of a schema."""
    document: dict[str, Any] = written(schema(), a_record(schema))
    return document


def _sample(field: marshmallow.fields.Field[Any]) -> Any:
    return SAMPLES[type(field).__name__](field)


EVERY_FIELD = [(name, key) for name, schema in SCHEMAS.items() for key in schema().fields]


def _field(schema: type[WireSchema], name: str) -> tuple[marshmallow.fields.Field[Any], str]:
    field = schema().fields[name]
    return field, field.data_key or name


def test_every_record_is_under_test() -> None:
    assert len(SCHEMAS) > 25


@pytest.mark.parametrize("name", SCHEMAS)
@given(data=st.data())
def test_what_is_written_is_read_again_as_the_same(name: str, data: st.DataObject) -> None:
    schema = SCHEMAS[name]
    record = data.draw(records_of(schema))
    assert plain(schema().load(written(schema(), record))) == plain(record)


@pytest.mark.parametrize("name", SCHEMAS)
def test_unknown_keys_are_for_newer_peers_and_ignored(name: str) -> None:
    schema = SCHEMAS[name]()
    document = a_document(SCHEMAS[name])
    assert schema.load({**document, "from_the_future": {"a": [1]}}) == schema.load(document)


@pytest.mark.parametrize("name", SCHEMAS)
def test_absent_keys_leave_the_records_defaults_and_stay_absent(name: str) -> None:
    schema = SCHEMAS[name]()
    document = a_document(SCHEMAS[name])
    least = {key: document[key] for key in document if _is_required(schema, key)}
    record = schema.load(least)
    for field in fields(record):
        if not schema.fields[field.name].required:
            assert getattr(record, field.name) == _default_of(field)
    assert None not in schema.dump(record).values()


def _default_of(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _is_required(schema: WireSchema, key: str) -> bool:
    return any(field.required for name, field in schema.fields.items() if (field.data_key or name) == key)


@pytest.mark.parametrize(("name", "field_name"), EVERY_FIELD)
def test_a_required_field_that_is_missing_is_named(name: str, field_name: str) -> None:
    field, key = _field(SCHEMAS[name], field_name)
    document = a_document(SCHEMAS[name])
    del document[key]
    if not field.required:
        SCHEMAS[name]().load(document)
        return
    with pytest.raises(ValidationError) as caught:
        SCHEMAS[name]().load(document)
    assert list(caught.value.messages) == [key]


WRONG: Mapping[str, list[Any]] = {
    "Integer": [True, False, "1", 1.0, 1.5, float("nan"), float("inf"), 10**30, 2**63, -(2**63) - 1, [1], {}],
    "Number": [True, "1.5", float("nan"), float("inf"), float("-inf"), 10**400, [1.0], {}],
    "Boolean": [0, 1, "true", "yes", "", [], {}],
    "String": [1, True, 1.5, ["x"], {"x": 1}],
    "Uuid": ["", "x", 5, True, "6f1c2b1e9a2d4a538f5b0d6c4d1b7a10", "6f1c2b1e-9a2d-4a53-8f5b-0d6c4d1b7a1٣", []],
    "Sha256": ["", "A" * 64, "a" * 63, 5, True, []],
    "Enum": ["", "QUEUED", "no such status", 1, True, [], {}],
    "TimeOfDay": [1, True, "", "24:00", "12:60", "9:00", "09:00:00", "09:00\n", "0٩:00", ["09:00"]],
    "Timestamp": [1, 1.5, True, "", "yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", {}],
    "List": ["x", 1, True, {"0": "x"}],
    "ListOf": ["x", 1, True, {"0": "x"}],
    "Dict": ["x", 1, True, ["x"]],
    "Nested": ["x", 1, True, ["x"]],
    "VariablesField": ["x", 1, True, ["x"], {"storage": "/mnt"}, {"storage": {"values": "/mnt"}}],
    "RevField": ["1,2", 1, [1], [1, 2, 3], [True, 1], [1.0, 2], [-1, 1], [1, 2**63], {"epoch": 1}],
}


@pytest.mark.parametrize(("name", "field_name"), EVERY_FIELD)
def test_a_value_of_the_wrong_type_is_refused_and_its_field_named(name: str, field_name: str) -> None:
    field, key = _field(SCHEMAS[name], field_name)
    document = a_document(SCHEMAS[name])
    for wrong in WRONG[type(field).__name__]:
        with pytest.raises(ValidationError) as caught:
            SCHEMAS[name]().load({**document, key: wrong})
        assert list(caught.value.messages) == [key], wrong


@pytest.mark.parametrize(("name", "field_name"), EVERY_FIELD)
def test_null_is_refused_where_it_means_nothing(name: str, field_name: str) -> None:
    field, key = _field(SCHEMAS[name], field_name)
    document = {**a_document(SCHEMAS[name]), key: None}
    if field.allow_none:
        assert getattr(SCHEMAS[name]().load(document), field_name) is None
        return
    with pytest.raises(ValidationError):
        SCHEMAS[name]().load(document)


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("document", [None, 1, "x", True, [], [{}]])
def test_a_document_that_is_no_object_is_refused(name: str, document: object) -> None:
    with pytest.raises(ValidationError):
        SCHEMAS[name]().load(document)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [LARGEST_INTEGER, -LARGEST_INTEGER, 0])
def test_integers_may_have_64_bits(value: int) -> None:
    assert Integer().deserialize(value) == value


@pytest.mark.parametrize(
    ("schema", "key", "value"),
    [
        (worker_api.SavedFrameSchema, "frame", -1),
        (worker_api.SavedFrameSchema, "frame", 1_048_575),
        (worker_api.SavedFrameSchema, "size_bytes", -1),
        (worker_api.SavedFrameSchema, "path", "x" * 4097),
        (worker_api.SavedFrameSchema, "seconds", -0.1),
        (worker_api.TaskUpdateSchema, "attempt", 0),
        (worker_api.TaskUpdateSchema, "seq", 0),
        (worker_api.TaskUpdateSchema, "log_at", -1),
        (worker_api.WorkerSignOnSchema, "name", "x" * 1025),
        (worker_api.WorkerSignOnSchema, "slot", 1024),
        (worker_api.CommandSchema, "total_step_count", -1),
        (manager_api.ReportSchema, "report", 0),
        (manager_api.OrderSchema, "order", 0),
        (manager_api.OrderResultSchema, "result", "perhaps"),
        (manager_api.HelloSchema, "name", ""),
        (manager_api.JobFileSchema, "path", ""),
        (manager_api.TaskDefinitionSchema, "depends_on", [-1]),
        (manager_api.TaskDefinitionSchema, "memory_bytes", -1),
        (manager_api.TaskDefinitionSchema, "limits", {"renderman": -1}),
        (manager_api.JobDefinitionSchema, "max_workers", 0),
        (manager_api.JobDefinitionSchema, "task_runtime_limit_s", -1),
        (farm_settings.FarmSettingsSchema, "policy", "random"),
        (farm_settings.FarmSettingsSchema, "limits", {"renderman": -1}),
        (farm_settings.FarmSettingsSchema, "limits", {"": 1}),
        (farm_settings.FarmSettingsSchema, "project_caps", {"film": 0}),
        (farm_settings.FarmSettingsSchema, "failed_attempts", 0),
        (farm_settings.FarmSettingsSchema, "job_failed_share", 1.1),
        (farm_settings.FarmSettingsSchema, "worker_timeout_s", -1),
        (farm_settings.FarmSettingsSchema, "retry_pauses_s", []),
        (farm_settings.FarmSettingsSchema, "variables", {"my storage": {"values": []}}),
        (manager_api.SleepWindowSchema, "days", ["monday"]),
        (manager_api.SleepScheduleSchema, "time_zone", ""),
    ],
)
def test_a_value_out_of_range_is_refused(schema: type[WireSchema], key: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        schema().load({**a_document(schema), key: value})
    assert list(caught.value.messages) == [key]


def test_times_are_written_in_utc_with_milliseconds() -> None:
    noon = datetime(2026, 1, 31, 13, 0, 0, 250_999, tzinfo=timezone(timedelta(hours=1)))
    assert rfc3339(noon) == "2026-01-31T12:00:00.250Z"


@pytest.mark.parametrize(
    "text", ["2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00.000Z", "2026-01-31T12:00:00"]
)
def test_times_are_read_into_utc(text: str) -> None:
    moment = Timestamp().deserialize(text)
    assert moment == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert moment.utcoffset() == timedelta(0)


def test_keys_are_those_of_the_flamenco_3_protocol() -> None:
    update = worker_api.TaskUpdate(task_status=TaskStatus.ACTIVE, steps_completed=3)
    assert written(worker_api.TaskUpdateSchema(), update) == {
        "taskStatus": "active",
        "steps_completed": 3,
        "frames": [],
    }
    answer = worker_api.MayKeepRunning(may_keep_running=True)
    assert written(worker_api.MayKeepRunningSchema(), answer) == {
        "mayKeepRunning": True,
        "reason": "",
        "statusChangeRequested": False,
    }
    change = worker_api.WorkerStateChange(status_requested=WorkerStatus.ASLEEP)
    assert written(worker_api.WorkerStateChangeSchema(), change) == {"status_requested": "asleep"}


@given(st.lists(st.integers(0, 50), max_size=5))
def test_a_tasks_steps_are_the_sum_of_its_commands_each_at_least_one(counts: list[int]) -> None:
    commands = [worker_api.Command("echo", {}, count) for count in counts]
    task = manager_api.TaskDefinition(0, "id", "name", "misc", commands)
    assert task.steps_total == sum(max(count, 1) for count in counts)


def test_a_jobs_status_is_read_by_its_word() -> None:
    document = a_document(manager_api.JobReportSchema)
    assert manager_api.JobReportSchema().load({**document, "status": "paused"}).status is JobStatus.PAUSED


def test_a_task_needs_what_it_says_and_of_the_rest_what_its_job_says() -> None:
    of_job = manager_api.Needs(tag="gpu", memory_bytes=8, gpu="OPTIX", limits={"renderman": 1})
    assert manager_api.Needs().over(of_job) == of_job
    assert manager_api.Needs(tag="render", limits={"nuke": 2}).over(of_job) == manager_api.Needs(
        tag="render", memory_bytes=8, gpu="OPTIX", limits={"nuke": 2}
    )


def test_a_task_may_need_nothing_of_what_its_job_needs() -> None:
    of_job = manager_api.Needs(tag="gpu", memory_bytes=8, gpu="OPTIX", limits={"renderman": 1})
    nothing = manager_api.Needs(tag="", memory_bytes=0, gpu="", limits={})
    assert nothing.over(of_job) == nothing


def test_what_a_definition_says_of_needs_is_gathered() -> None:
    needs = manager_api.Needs(tag="gpu", memory_bytes=8, gpu="any", limits={"renderman": 1})
    said = {"tag": "gpu", "memory_bytes": 8, "gpu": "any", "limits": {"renderman": 1}}
    for schema in (manager_api.JobDefinitionSchema, manager_api.TaskDefinitionSchema):
        assert schema().load({**a_document(schema), **said}).needs == needs


OLD_DOCUMENTS = {
    manager_api.JobDefinitionSchema: {
        "id": "6f1c2b1e-9a2d-4a53-8f5b-0d6c4d1b7a10",
        "name": "sh010",
        "type": "echo-sleep-test",
        "priority": 50,
        "owner": "anna",
        "created": "2026-01-31T12:00:00.000Z",
        "task_count": 1,
        "cancel_requested": True,
    },
    manager_api.OrderResultSchema: {"order": 1, "result": "done", "why": ""},
    manager_api.ReportSchema: {"report": 1, "previous": "a" * 64, "jobs": [], "workers": []},
}


@pytest.mark.parametrize("schema", OLD_DOCUMENTS)
def test_what_was_written_before_a_field_was_known_is_read_still(schema: type[WireSchema]) -> None:
    document = OLD_DOCUMENTS[schema]
    record = schema().load(document)
    assert document.items() <= written(schema(), record).items()


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_a_list_that_is_too_long_is_refused_before_its_items_are_looked_at(schema: type[WireSchema]) -> None:
    for name, field in schema().fields.items():
        if isinstance(field, ListOf):
            key = field.data_key or name
            with pytest.raises(ValidationError) as caught:
                schema().load({**a_document(schema), key: [object()] * 20_000})
            assert list(caught.value.normalized_messages()[key]) == [f"Longer than maximum length {field.most}."]
