"""What people ask of tasks, and why a task does not run."""

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from flamenco_runtime.clock import Clock
from flamenco_runtime.json_body import json_reply
from flamenco_server import task_requests
from flamenco_server.asking import Asker, Step
from flamenco_server.documents import task_document
from flamenco_server.http.job_requests import asker
from flamenco_server.http.parameters import uuid_in_path
from flamenco_server.records import Job, Task
from flamenco_server.steering import Steering
from flamenco_server.why import Why, WhyDesk

REQUESTS = {"cancel": task_requests.cancel, "pause": task_requests.pause, "requeue": task_requests.requeue}


def task_request_routes(steering: Steering, clock: Clock) -> list[web.RouteDef]:
    """List the routes of what is asked of tasks."""
    return [
        web.post(f"/api/v1/tasks/{{task_id}}/{verb}", _request(steering, ask, clock)) for verb, ask in REQUESTS.items()
    ]


def why_routes(desk: WhyDesk, clock: Clock) -> list[web.RouteDef]:
    """List the routes of questions."""

    async def of_task(request: web.Request) -> web.Response:
        return _answer(await desk.of_task(uuid_in_path(request, "task_id"), asker(request, clock)))

    async def of_job(request: web.Request) -> web.Response:
        return _answer(await desk.of_job(uuid_in_path(request, "job_id"), asker(request, clock)))

    return [
        web.get("/api/v1/tasks/{task_id}/why", of_task, allow_head=False),
        web.get("/api/v1/jobs/{job_id}/why", of_job, allow_head=False),
    ]


def _answer(why: Why) -> web.Response:
    response = json_reply({"task": why.task, "reasons": list(why.reasons)})
    response.headers["Cache-Control"] = "no-store"
    return response


def _request(steering: Steering, ask: Callable[[Task, Job, Asker], Step[Task]], clock: Clock) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        by = asker(request, clock)
        task = await steering.task(uuid_in_path(request, "task_id"), lambda task, job: ask(task, job, by))
        return json_reply(task_document(task), status=202)

    return handle
