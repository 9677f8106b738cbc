"""What people ask of Workers: to wake, sleep, restart or shut down; tags, sleep schedule, approval, blocks."""

from collections.abc import Awaitable, Callable
from typing import Any
from zoneinfo import available_timezones

from aiohttp import web
from aiohttp.typedefs import Handler
from marshmallow import RAISE, Schema, ValidationError, fields, validate

from flamenco_core.wire.manager_api import DAYS, SleepScheduleSchema, SleepWindowSchema
from flamenco_core.wire.schema import Boolean, Uuid
from flamenco_runtime.clock import Clock
from flamenco_runtime.json_body import json_reply, read_json
from flamenco_server import worker_requests
from flamenco_server.asking import Asker, Step
from flamenco_server.documents import worker_document
from flamenco_server.http.job_requests import asker
from flamenco_server.http.parameters import uuid_in_path
from flamenco_server.http.submissions import TagField
from flamenco_server.job_terms import FarmFacts, check_tags
from flamenco_server.records import Worker
from flamenco_server.steering import Steering
from flamenco_server.worker_requests import Unblock

MOST_TAGS = 100
MOST_WINDOWS = 100


class StatusSchema(Schema):
    """What a Worker shall be; ``lazy``: after its current task."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    status = fields.String(required=True, validate=validate.OneOf(["awake", "asleep", "offline", "restart"]))
    lazy = Boolean(load_default=False)


class TagsSchema(Schema):
    """Which tags a Worker has from now on."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    tags = fields.List(TagField(), required=True, validate=validate.Length(max=MOST_TAGS))


class _Window(SleepWindowSchema):
    class Meta:
        unknown = RAISE

    days = fields.List(fields.String(validate=validate.OneOf(DAYS)), required=True, validate=validate.Length(1, 7))


def _known_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(f"{name!r} is no time zone; write it as in Europe/Amsterdam.")


class _Schedule(SleepScheduleSchema):
    class Meta:
        unknown = RAISE

    time_zone = fields.String(required=True, validate=_known_time_zone)
    windows = fields.List(fields.Nested(_Window), required=True, validate=validate.Length(max=MOST_WINDOWS))


class ScheduleSchema(Schema):
    """When a Worker sleeps; null: never by itself."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    schedule = fields.Nested(_Schedule, required=True, allow_none=True)


class UnblockSchema(Schema):
    """Which blocks are lifted; without: all of them."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    job = Uuid(load_default=None)
    task_type = fields.String(load_default=None, validate=validate.Length(1, 200))


Decide = Callable[[Worker, Asker, Any], Step[Worker]]
"""What is asked of a Worker, given what came."""


def worker_request_routes(steering: Steering, facts: FarmFacts, clock: Clock) -> list[web.RouteDef]:
    """List the routes."""

    async def check(wanted: Any) -> None:
        await check_tags(facts, wanted["tags"], "tags")

    def asking(decide: Decide, schema: Schema | None = None, check: Check = _unchecked) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            worker_id = uuid_in_path(request, "worker_id")
            wanted = await read_json(request, schema) if schema is not None else None
            await check(wanted)
            by = asker(request, clock)
            worker = await steering.worker(worker_id, lambda worker: decide(worker, by, wanted))
            return json_reply(worker_document(worker), status=202)

        return handle

    here = "/api/v1/workers/{worker_id}"
    return [
        web.post(f"{here}/status", asking(_set_status, StatusSchema())),
        web.put(f"{here}/tags", asking(_set_tags, TagsSchema(), check)),
        web.put(f"{here}/schedule", asking(_set_schedule, ScheduleSchema())),
        web.post(f"{here}/unblock", asking(_unblock, UnblockSchema())),
        web.post(f"{here}/approve", asking(lambda worker, by, _: worker_requests.approve(worker, by))),
        web.post(f"{here}/forget", asking(lambda worker, by, _: worker_requests.forget(worker, by))),
    ]


Check = Callable[[Any], Awaitable[None]]


async def _unchecked(_: Any) -> None:
    """Nothing but the schema says what is right."""


def _set_status(worker: Worker, by: Asker, wanted: Any) -> Step[Worker]:
    return worker_requests.set_status(worker, by, wanted["status"], lazy=wanted["lazy"])


def _set_tags(worker: Worker, by: Asker, wanted: Any) -> Step[Worker]:
    return worker_requests.set_tags(worker, by, list(dict.fromkeys(wanted["tags"])))


def _set_schedule(worker: Worker, by: Asker, wanted: Any) -> Step[Worker]:
    return worker_requests.set_schedule(worker, by, wanted["schedule"])


def _unblock(worker: Worker, by: Asker, wanted: Any) -> Step[Worker]:
    return worker_requests.unblock(worker, by, Unblock(**wanted))
