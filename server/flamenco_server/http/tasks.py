"""Tasks and their logs."""

from aiohttp import web
from marshmallow import RAISE, Schema, fields, validate

from flamenco_runtime.clock import Clock
from flamenco_runtime.json_body import json_reply
from flamenco_server.http.access import signed_in
from flamenco_server.http.parameters import query_of, uuid_in_path
from flamenco_server.reading import FarmView
from flamenco_server.task_logs import Attempt, LogDesk, LogFolder, log_to_show


class LogQuery(Schema):
    """Which attempt's log; without: the newest."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    attempt = fields.Integer(load_default=None, validate=validate.Range(1, 10**9))


_LOG_QUERY = LogQuery()
COMPLETE_HEADER = "Flamenco-Log-Complete"


def task_routes(view: FarmView, desk: LogDesk, folder: LogFolder, clock: Clock) -> list[web.RouteDef]:
    """List the routes."""

    async def one(request: web.Request) -> web.Response:
        return json_reply(await view.task(uuid_in_path(request, "task_id")))

    async def log(request: web.Request) -> web.StreamResponse:
        task_id = uuid_in_path(request, "task_id")
        attempt = query_of(request, _LOG_QUERY)["attempt"]
        state = await log_to_show(desk, task_id, attempt, signed_in(request), now=clock())
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            COMPLETE_HEADER: "true" if state is not None and state.is_complete else "false",
        }
        if state is None:
            return web.Response(body=b"", headers=headers)
        return web.FileResponse(folder.file(Attempt(task_id, state.attempt)), headers=headers)

    return [web.get("/api/v1/tasks/{task_id}", one), web.get("/api/v1/tasks/{task_id}/log", log)]
