"""Job types, for whoever draws a form of their settings."""

from aiohttp import web

from flamenco_runtime.json_body import json_reply
from flamenco_server.documents import job_type_document
from flamenco_server.http.parameters import NoSuchThing
from flamenco_server.job_type_registry import JobTypes


def job_type_routes(job_types: JobTypes) -> list[web.RouteDef]:
    """List the routes."""

    async def every(_: web.Request) -> web.Response:
        present = await job_types.all()
        return json_reply({"job_types": [job_type_document(present[name]) for name in sorted(present)]})

    async def one(request: web.Request) -> web.Response:
        present = await job_types.all()
        loaded = present.get(request.match_info["name"])
        if loaded is None:
            raise NoSuchThing(f"There is no such job type. Known are: {', '.join(sorted(present))}.")
        return json_reply(job_type_document(loaded))

    return [web.get("/api/v1/job-types", every), web.get("/api/v1/job-types/{name}", one)]
