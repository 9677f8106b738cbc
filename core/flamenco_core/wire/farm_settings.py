"""The settings of a farm: people change them on the Server, its Managers follow them (``jobs.md``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from marshmallow import fields as wire
from marshmallow import validate

from flamenco_core.wire.schema import Integer, Number, WireSchema
from flamenco_core.wire.variables import Variables, VariablesField

POLICIES = ("fifo", "balanced")

_NAME = validate.Length(1, 200)
_SECONDS = validate.Range(0, 10**8)
_COUNT = validate.Range(1, 10**6)


@dataclass(frozen=True, slots=True)
class FarmSettings:
    """The numbers in a farm's rules (jobs.md, "Time-outs", "Failure", "Who gets which task"). Times are in seconds.

    ``policy`` decides between jobs of one priority. ``limits`` are named counters and their capacity, ``project_caps``
    the most active Workers of a project. ``block_after``: failed tasks of one type in one job by one Worker;
    ``retry_pauses_s``: how long a Worker that failed a task waits after the first, second, … time; ``ahead_s``: so much
    work may be handed out ahead to one Worker; ``start_up_grace_s``: nothing times out so soon after a Manager's start.
    """

    policy: str = "fifo"
    limits: Mapping[str, int] = field(default_factory=dict)
    project_caps: Mapping[str, int] = field(default_factory=dict)
    failed_attempts: int = 3
    lost_attempts: int = 3
    job_failed_tasks: int = 3
    job_failed_share: float = 0.1
    block_after: int = 3
    worker_timeout_s: float = 60.0
    idle_worker_timeout_s: float = 180.0
    starting_worker_timeout_s: float = 180.0
    task_timeout_s: float = 600.0
    start_up_grace_s: float = 120.0
    retry_pauses_s: Sequence[float] = (5.0, 30.0, 120.0)
    ahead_s: float = 10.0
    variables: Variables = field(default_factory=dict)


class FarmSettingsSchema(WireSchema):
    record = FarmSettings
    policy = wire.String(validate=validate.OneOf(POLICIES))
    limits = wire.Dict(keys=wire.String(validate=_NAME), values=Integer(validate=validate.Range(0, 10**6)))
    project_caps = wire.Dict(keys=wire.String(validate=_NAME), values=Integer(validate=_COUNT))
    failed_attempts = Integer(validate=_COUNT)
    lost_attempts = Integer(validate=_COUNT)
    job_failed_tasks = Integer(validate=_COUNT)
    job_failed_share = Number(validate=validate.Range(0, 1))
    block_after = Integer(validate=_COUNT)
    worker_timeout_s = Number(validate=_SECONDS)
    idle_worker_timeout_s = Number(validate=_SECONDS)
    starting_worker_timeout_s = Number(validate=_SECONDS)
    task_timeout_s = Number(validate=_SECONDS)
    start_up_grace_s = Number(validate=_SECONDS)
    retry_pauses_s = wire.List(Number(validate=_SECONDS), validate=validate.Length(1, 20))
    ahead_s = Number(validate=_SECONDS)
    variables = VariablesField()


_SCHEMA = FarmSettingsSchema()
_DEFAULTS: Mapping[str, Any] = _SCHEMA.dump(FarmSettings())


def changed_from_default(settings: FarmSettings) -> dict[str, Any]:
    """Return the settings that are not at their default, as JSON."""
    document = _SCHEMA.dump(settings)
    return {item.name: document[item.name] for item in fields(settings) if document[item.name] != _DEFAULTS[item.name]}


def change_between(before: FarmSettings, after: FarmSettings) -> dict[str, Any]:
    """Return what a Manager that follows ``before`` must hear: all that is not at its default, and what is so again."""
    now = changed_from_default(after)
    return {**{key: _DEFAULTS[key] for key in changed_from_default(before)}, **now}
