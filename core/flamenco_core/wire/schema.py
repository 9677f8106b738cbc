"""The base of our wire schemas: JSON on one side, frozen dataclasses on the other."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_dump, post_load

from flamenco_core import identifiers

LARGEST_INTEGER = 2**63 - 1
"""What SQLite and the typed integers of Flamenco 3's programs hold."""


class WireSchema(Schema):
    """Reads JSON objects into ``record`` and writes them; unknown keys are ignored, ``None`` is left out when writing.

    A key that is absent leaves the record's own default in place.
    """

    record: ClassVar[type]

    class Meta:
        """Unknown keys are for newer peers than we are."""

        unknown = EXCLUDE

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> Any:
        return self.record(**data)

    @post_dump
    def _drop_absent(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        return {key: value for key, value in data.items() if value is not None}


class Integer(fields.Integer):
    """A JSON integer: no text, no fraction, no boolean, within 64 bits."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strict=True, **kwargs)

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
            raise self.make_error("invalid", input=value)
        number: int = super()._validated(value)
        return number


class Number(fields.Float):
    """A JSON number: no text, no boolean, neither infinite nor NaN."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_nan=False, **kwargs)

    def _validated(self, value: Any) -> float:
        if not isinstance(value, int | float):
            raise self.make_error("invalid", input=value)
        number: float = super()._validated(value)
        return number


class Boolean(fields.Boolean):
    """JSON ``true`` or ``false``, and nothing that looks like it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class ListOf(fields.List[Any]):
    """A list of at most ``most`` items; a longer one is refused before any of them is looked at, which takes time."""

    def __init__(self, item: fields.Field[Any] | type[fields.Field[Any]], *, most: int, **kwargs: Any) -> None:
        super().__init__(item, **kwargs)
        self.most = most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if isinstance(value, list) and len(value) > self.most:
            raise ValidationError(f"Longer than maximum length {self.most}.")
        items: list[Any] = super()._deserialize(value, attr, data, **kwargs)
        return items


class Uuid(fields.String):
    """A UUID in its hyphenated form, kept as text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=_checked(identifiers.is_uuid, "Not a UUID."), **kwargs)


class Sha256(fields.String):
    """A SHA-256 in lower-case hexadecimal."""

    def __init__(self, **kwargs: Any) -> None:
        rule = _checked(identifiers.is_sha256, "Not a SHA-256 in lower-case hexadecimal.")
        super().__init__(validate=rule, **kwargs)


class Timestamp(fields.AwareDateTime):
    """RFC 3339 in UTC, written with ``Z``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", default_timezone=UTC, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        moment: datetime = super()._deserialize(value, attr, data, **kwargs)
        try:
            return moment.astimezone(UTC)
        except OverflowError as error:  # before the year 1 or after 9999, once it is in UTC
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from error

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else rfc3339(value)


class TimeOfDay(fields.String):
    """Hours and minutes of a day, ``00:00`` to ``23:59``, kept as text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=_checked(_is_time_of_day, "Not a time of day, such as 08:30."), **kwargs)


def _is_time_of_day(text: str) -> bool:
    return re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", text) is not None


def rfc3339(moment: datetime) -> str:
    """Write an aware time in UTC with milliseconds, as ``2026-01-31T12:00:00.250Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _checked(rule: Callable[[str], bool], message: str) -> Callable[[str], None]:
    def validate(text: str) -> None:
        if not rule(text):
            raise ValidationError(message)

    return validate
