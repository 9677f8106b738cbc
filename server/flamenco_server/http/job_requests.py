"""What people ask of jobs: cancel, pause, resume, requeue, delete; priority and tag."""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates_schema

from flamenco_core.wire.schema import Integer, Uuid
from flamenco_runtime.clock import Clock
from flamenco_runtime.json_body import MIB, json_reply, read_json
from flamenco_server import job_requests
from flamenco_server.asking import Asker, Step
from flamenco_server.documents import job_document
from flamenco_server.http.access import signed_in
from flamenco_server.http.parameters import uuid_in_path
from flamenco_server.http.submissions import TagField
from flamenco_server.job_terms import FarmFacts, check_tags
from flamenco_server.records import Job
from flamenco_server.steering import MOST_CHOSEN, JobTasks, Steering, check_chosen

SIMPLE = {
    "cancel": job_requests.cancel,
    "pause": job_requests.pause,
    "resume": job_requests.resume,
    "delete": job_requests.delete,
    "undelete": job_requests.undelete,
}
"""What needs no more than the job."""


class RequeueSchema(Schema):
    """Which tasks shall run again."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    which = fields.String(required=True, validate=validate.OneOf(["all", "not-completed", "failed", "chosen"]))
    tasks = fields.List(Uuid(), validate=validate.Length(1, MOST_CHOSEN))

    @validates_schema
    def _check(self, data: dict[str, Any], **_: object) -> None:
        if (data["which"] == "chosen") != ("tasks" in data):
            raise ValidationError("go with which=chosen, and only with that.", "tasks")


class ChangeSchema(Schema):
    """What is to be different."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    priority = Integer(validate=validate.Range(0, 100))
    tag = TagField(allow_none=True)

    @validates_schema
    def _check(self, data: dict[str, Any], **_: object) -> None:
        if not data:
            raise ValidationError("Say what to change: priority, tag.")


_REQUEUE = RequeueSchema()
_CHANGE = ChangeSchema()


def job_request_routes(steering: Steering, tasks: JobTasks, facts: FarmFacts, clock: Clock) -> list[web.RouteDef]:
    """List the routes."""

    async def requeue(request: web.Request) -> web.Response:
        job_id = uuid_in_path(request, "job_id")
        wanted = await read_json(request, _REQUEUE, limit_bytes=MIB)
        chosen = list(dict.fromkeys(task.lower() for task in wanted.get("tasks", [])))
        await check_chosen(tasks, job_id, chosen)
        by = asker(request, clock)
        job = await steering.job(job_id, lambda job: job_requests.requeue(job, by, wanted["which"], chosen))
        return json_reply(job_document(job), status=202)

    async def change(request: web.Request) -> web.Response:
        job_id = uuid_in_path(request, "job_id")
        wanted = await read_json(request, _CHANGE)
        if wanted.get("tag") is not None:
            await check_tags(facts, [wanted["tag"]], "tag")
        by = asker(request, clock)
        job = await steering.job(job_id, lambda job: job_requests.change(job, by, wanted))
        return json_reply(job_document(job), status=202)

    return [
        *(web.post(f"/api/v1/jobs/{{job_id}}/{verb}", _simple(steering, ask, clock)) for verb, ask in SIMPLE.items()),
        web.post("/api/v1/jobs/{job_id}/requeue", requeue),
        web.patch("/api/v1/jobs/{job_id}", change),
    ]


def asker(request: web.Request, clock: Clock) -> Asker:
    """Tell who asks."""
    return Asker(signed_in(request).name, clock())


def _simple(steering: Steering, ask: Callable[[Job, Asker], Step[Job]], clock: Clock) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        by = asker(request, clock)
        job = await steering.job(uuid_in_path(request, "job_id"), lambda job: ask(job, by))
        return json_reply(job_document(job), status=202)

    return handle
