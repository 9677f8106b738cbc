"""Variables of a farm, as settings name them: ``{name}`` in a command stands for a value (``jobs.md``, "Variables").

In JSON, and in a Manager's settings file: name -> ``{"is_twoway", "values": [{"platform", "audience", "value"}]}``.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields, pre_load, validate, validates_schema

from flamenco_core.wire.schema import Boolean, WireSchema

ALL = "all"
PLATFORMS = ("linux", "windows", "darwin", "freebsd", "netbsd", "openbsd")
AUDIENCES = ("workers", "users")
"""Who reads a value: Workers, or people with their Blender."""
IMPLICIT = "jobs"
"""Where the checkouts are; each Manager knows that itself."""
MOST_VARIABLES = 200
NAME = r"[A-Za-z_][A-Za-z0-9_]*"


@dataclass(frozen=True, slots=True)
class VariableValue:
    """A value of a variable, for a platform and an audience, or for all."""

    value: str
    platform: str = ALL
    audience: str = ALL


class VariableValueSchema(WireSchema):
    record = VariableValue
    value = fields.String(required=True, validate=validate.Length(max=4096))
    platform = fields.String(validate=validate.OneOf([ALL, *PLATFORMS]))
    audience = fields.String(validate=validate.OneOf([ALL, *AUDIENCES]))

    @pre_load
    def _check_characters(self, data: Any, **_: object) -> Any:
        value = data.get("value") if isinstance(data, dict) else None
        if isinstance(value, str) and any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
            raise ValidationError("A control character.", "value")
        return data


@dataclass(frozen=True, slots=True)
class Variable:
    """What a name stands for. ``is_twoway``: paths of submitters that begin with its value become ``{name}/…``, too."""

    values: Sequence[VariableValue] = ()
    is_twoway: bool = False


class VariableSchema(WireSchema):
    record = Variable
    values = fields.List(fields.Nested(VariableValueSchema), required=True, validate=validate.Length(max=50))
    is_twoway = Boolean()

    @validates_schema
    def _check(self, data: Mapping[str, Any], **_: object) -> None:
        values: Sequence[VariableValue] = data["values"]
        counts = Counter((value.platform, value.audience) for value in values)
        for index, value in enumerate(values):
            if counts[value.platform, value.audience] > 1:
                raise ValidationError({"values": {index: f"There are several for {value.platform}, {value.audience}."}})
            if data.get("is_twoway") and not value.value.strip("/\\"):
                raise ValidationError({"values": {index: "A two-way variable stands for a folder below the root."}})


Variables = Mapping[str, Variable]
"""By name."""


class VariablesField(fields.Field[Variables]):
    """Variables by name; errors say the name, then the field."""

    _variable = VariableSchema()

    def _serialize(self, value: Variables | None, attr: str | None, obj: Any, **kwargs: Any) -> dict[str, Any] | None:
        return None if value is None else {name: self._variable.dump(variable) for name, variable in value.items()}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Variables:
        if not isinstance(value, Mapping):
            raise ValidationError("Not a mapping of names to variables.")
        if len(value) > MOST_VARIABLES:
            raise ValidationError(f"More than {MOST_VARIABLES} variables.")
        read: dict[str, Variable] = {}
        errors: dict[str, Any] = {}
        for name, described in value.items():
            try:
                _check_name(name)
                read[name] = self._variable.load(described)
            except ValidationError as error:
                errors[str(name)] = error.messages
        if errors:
            raise ValidationError(errors)
        return read


def _check_name(name: object) -> None:
    if not isinstance(name, str) or len(name) > 64 or not re.fullmatch(NAME, name):
        raise ValidationError("A name has up to 64 letters, digits and _, and no digit first.")
    if name == IMPLICIT:
        raise ValidationError("Each Manager sets this one itself: it is where the jobs' files are.")
