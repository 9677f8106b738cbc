"""Jobs: submit, list, look at; their tasks, frames and thumbnails."""

from aiohttp import web
from marshmallow import fields

from flamenco_core.errors import BadInput
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_runtime.clock import Clock
from flamenco_runtime.json_body import json_reply, load_json, read_json_bytes
from flamenco_server.documents import job_detail
from flamenco_server.http.access import signed_in
from flamenco_server.http.parameters import PageQuery, number_in_path, query_of, uuid_in_path
from flamenco_server.http.submissions import SubmissionSchema
from flamenco_server.jobs import Submission, SubmissionKey, Submitting, submit_job
from flamenco_server.reading import FarmView
from flamenco_server.thumbnails import MEDIA_TYPES, ThumbnailFolder

LONGEST_KEY = 255
"""Characters of an Idempotency-Key."""


class BadIdempotencyKey(BadInput):
    """A key that cannot be kept."""

    type = "bad-idempotency-key"

    def __init__(self) -> None:
        super().__init__(f"An Idempotency-Key has 1 to {LONGEST_KEY} characters; a fresh UUID is best.")


class JobsQuery(PageQuery):
    """The query of the list of jobs."""

    status = fields.Enum(JobStatus, by_value=True, load_default=None)
    deleted = fields.Boolean(load_default=False)


class TasksQuery(PageQuery):
    """The query of a list of tasks."""

    status = fields.Enum(TaskStatus, by_value=True, load_default=None)


_SUBMISSION = SubmissionSchema()
_JOBS_QUERY = JobsQuery()
_TASKS_QUERY = TasksQuery()


def job_routes(view: FarmView, desk: Submitting, clock: Clock) -> list[web.RouteDef]:
    """List the routes of jobs."""

    async def submit(request: web.Request) -> web.Response:
        body = await read_json_bytes(request)
        key = _submission_key(request, body)
        wanted: Submission = load_json(_SUBMISSION, body)
        submitted = await submit_job(desk, wanted, key, signed_in(request), now=clock())
        response = json_reply(job_detail(submitted.job), status=201)
        response.headers["Location"] = f"/api/v1/jobs/{submitted.job.id}"
        if submitted.is_replay:
            response.headers["Idempotency-Replayed"] = "true"
        return response

    async def every(request: web.Request) -> web.Response:
        return json_reply(await view.jobs(**query_of(request, _JOBS_QUERY)))

    async def one(request: web.Request) -> web.Response:
        return json_reply(await view.job(uuid_in_path(request, "job_id")))

    async def tasks(request: web.Request) -> web.Response:
        return json_reply(await view.tasks(uuid_in_path(request, "job_id"), **query_of(request, _TASKS_QUERY)))

    async def frames(request: web.Request) -> web.Response:
        return json_reply(await view.frames(uuid_in_path(request, "job_id")))

    return [
        web.post("/api/v1/jobs", submit),
        web.get("/api/v1/jobs", every),
        web.get("/api/v1/jobs/{job_id}", one),
        web.get("/api/v1/jobs/{job_id}/tasks", tasks),
        web.get("/api/v1/jobs/{job_id}/frames", frames),
    ]


def thumbnail_routes(thumbnails: ThumbnailFolder) -> list[web.RouteDef]:
    """List the routes of thumbnails."""

    async def one(request: web.Request) -> web.StreamResponse:
        file = await thumbnails.file(uuid_in_path(request, "job_id"), number_in_path(request, "frame"))
        headers = {"Content-Type": MEDIA_TYPES[file.suffix], "Cache-Control": "private, no-cache"}
        return web.FileResponse(file, headers={**headers, "X-Content-Type-Options": "nosniff"})

    return [web.get("/api/v1/jobs/{job_id}/frames/{frame}/thumbnail", one)]


def _submission_key(request: web.Request, body: bytes) -> SubmissionKey | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
        raise BadIdempotencyKey
    return SubmissionKey.of(key, body)
