"""Batches of updates on the wire (worker-api.md, 15.5)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from marshmallow import ValidationError, fields, validate

from flamenco_core.wire.schema import WireSchema
from flamenco_core.wire.worker_api import (
    MOST_BATCH_BYTES,
    MOST_BATCHED,
    BatchedUpdate,
    BatchedUpdateSchema,
    BatchResult,
)
from flamenco_runtime.json_body import invalid, read_json

SLICE = 50
"""So many updates are looked at before others get their turn in the event loop."""


@dataclass(frozen=True, slots=True)
class _Envelope:
    updates: Sequence[Any]


class _EnvelopeSchema(WireSchema):
    record = _Envelope
    updates = fields.List(fields.Raw(), required=True, validate=validate.Length(max=MOST_BATCHED))


_ENVELOPE = _EnvelopeSchema()
_UPDATE = BatchedUpdateSchema()


async def read_batch(request: web.Request) -> list[BatchedUpdate]:
    """Read a batch. Raises TooLarge, BadJson, and BadInput that names the update and its field: ``updates.3.seq``."""
    envelope: _Envelope = await read_json(request, _ENVELOPE, limit_bytes=MOST_BATCH_BYTES)
    updates: list[BatchedUpdate] = []
    for index, document in enumerate(envelope.updates):
        if index % SLICE == SLICE - 1:
            await asyncio.sleep(0)
        try:
            updates.append(_UPDATE.load(document))
        except ValidationError as error:
            raise invalid(ValidationError({"updates": {index: error.messages}})) from error
    return updates


def batch_answer(updates: Sequence[BatchedUpdate], results: Sequence[BatchResult]) -> dict[str, Any]:
    """Return the document that says what became of each update, in their order."""
    return {
        "results": [
            {"task": item.task, "seq": item.seq, "result": result.value}
            for item, result in zip(updates, results, strict=True)
        ]
    }


def ends_something(updates: Sequence[BatchedUpdate], results: Sequence[BatchResult]) -> bool:
    """Tell whether a task has just ended by a batch."""
    return any(
        result is BatchResult.APPLIED and item.task_status is not None and item.task_status.is_ended
        for item, result in zip(updates, results, strict=True)
    )
