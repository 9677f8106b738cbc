"""The JSON of a submission."""

from dataclasses import fields as fields_of
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, pre_load, validate

from flamenco_core.tags import checked_tag
from flamenco_core.wire.manager_api import JobFileSchema, NeededJobSchema
from flamenco_core.wire.schema import Boolean, Integer, Number, Timestamp
from flamenco_server.jobs import Submission
from flamenco_server.records import Terms

GPUS = ("any", "CUDA", "HIP", "METAL", "ONEAPI", "OPTIX")
"""What a job may ask for: any GPU, or one that Cycles can use by this backend."""

_COUNT = validate.Range(1, 10**6)
_SECONDS = validate.Range(0, 10**8, min_inclusive=False)


def _printable(text: str) -> None:
    if not text.strip() or not text.isprintable():
        raise ValidationError("must be a line of text.")


def _printable_or_empty(text: str) -> None:
    if text:
        _printable(text)


class _FileSchema(JobFileSchema):
    class Meta:
        unknown = RAISE


class _NeededJobSchema(NeededJobSchema):
    class Meta:
        unknown = RAISE


class TagField(fields.String):
    """The name of a tag, without the space around it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        try:
            return checked_tag(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error


class SubmissionSchema(Schema):
    """What somebody wants rendered."""

    class Meta:
        """A misspelt key is refused, not forgotten."""

        unknown = RAISE

    name = fields.String(required=True, validate=[validate.Length(1, 200), _printable])
    type = fields.String(required=True, validate=validate.Length(max=200))
    type_etag = fields.String(load_default=None, allow_none=True)
    priority = Integer(load_default=50, validate=validate.Range(0, 100))
    settings = fields.Dict(keys=fields.String(), load_default=dict)
    metadata = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict)
    files = fields.List(fields.Nested(_FileSchema), load_default=list)
    project = fields.String(validate=[validate.Length(max=200), _printable_or_empty])
    tag = TagField(allow_none=True)
    start_paused = Boolean()
    start_after = Timestamp(allow_none=True)
    max_workers = Integer(allow_none=True, validate=_COUNT)
    needs_jobs = fields.List(fields.Nested(_NeededJobSchema), validate=validate.Length(max=100))
    memory_bytes = Integer(allow_none=True, validate=validate.Range(0, 2**50))
    gpu = fields.String(allow_none=True, validate=validate.OneOf(GPUS))
    limits = fields.Dict(keys=fields.String(validate=validate.Length(1, 200)), values=Integer(validate=_COUNT))
    task_runtime_limit_s = Number(allow_none=True, validate=_SECONDS)
    task_silence_limit_s = Number(allow_none=True, validate=_SECONDS)

    @pre_load
    def _spell_gpu(self, data: Any, **_: object) -> Any:
        gpu = data.get("gpu") if isinstance(data, dict) else None
        known = {name.casefold(): name for name in GPUS}
        return {**data, "gpu": known.get(gpu.casefold(), gpu)} if isinstance(gpu, str) else data

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> Submission:
        names = {field.name for field in fields_of(Terms)}
        terms = Terms(**{name: value for name, value in data.items() if name in names})
        return Submission(terms=terms, **{name: value for name, value in data.items() if name not in names})
