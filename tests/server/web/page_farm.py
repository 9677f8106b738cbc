"""A farm in memory that the page can look at: documents of the public API, live events, and the few calls it makes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from aiohttp import web
from page_pictures import jpeg

from flamenco_core.errors import NotFound
from flamenco_core.frames import parse_frames
from flamenco_core.statuses import JobStatus
from flamenco_core.wire.schema import rfc3339
from flamenco_runtime.problems import problems
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address
from flamenco_server.http.pages import page_routes
from flamenco_server.web.site import load_site

Document = dict[str, Any]
SESSION_COOKIE = "flamenco_session"
VISITOR = "admin"


def numbered(kind: int, number: int) -> str:
    """Make an id that says what it is of: jobs 1, tasks 2, Workers 3, Managers 4."""
    return f"{kind:08d}-0000-4000-8000-{number:012d}"


def ago(**length: float) -> str:
    """Write a time before now, as the API does."""
    return rfc3339(datetime.now(UTC) - timedelta(**length))


SITE = {"id": numbered(4, 1), "name": "studio-farm"}


def a_job(number: int = 1, **changes: Any) -> Document:
    """Build a job that nobody has begun."""
    job: Document = {
        "id": numbered(1, number),
        "name": f"sh{number:03d}_anim",
        "type": "simple-blender-render",
        "status": "queued",
        "activity": "",
        "priority": 50,
        "owner": "ada",
        "created_at": ago(minutes=number),
        "started_at": None,
        "finished_at": None,
        "cancel_requested": False,
        "manager": SITE,
        "task_count": 24,
        "task_counts": {"queued": 24},
        "steps_completed": 0,
        "steps_total": 24,
        "frames": "1-24",
        "frame_count": 24,
        "frames_done": 0,
        "output": f"/render/film/sh{number:03d}/######",
        "newest_frame": None,
        "settings": {"frames": "1-24", "chunk_size": 1, "fps": 24, "format": "PNG", "preview_video": True},
        "metadata": {"project": "Short film"},
        "files": [
            {"path": "sh010/anim.blend", "sha256": "3f" * 32, "size_bytes": 48_213_554},
            {"path": "textures/sand_albedo.png", "sha256": "a7" * 32, "size_bytes": 12_004_112},
        ],
    }
    return job | changes


def a_task(job: Document, index: int, **changes: Any) -> Document:
    """Build a task of one frame that nobody has begun."""
    number = int(job["id"][-12:]) * 100_000 + index
    task: Document = {
        "id": numbered(2, number),
        "job": job["id"],
        "index": index,
        "name": f"render-{index + 1}",
        "type": "blender",
        "status": "queued",
        "priority": 50,
        "attempt": 0,
        "activity": "",
        "steps_completed": 0,
        "steps_total": 1,
        "frames": str(index + 1),
        "depends_on": [],
        "worker": None,
        "failed_by": [],
        "result": None,
        "started_at": None,
        "finished_at": None,
    }
    return task | changes


def a_frame(job: Document, number: int, **changes: Any) -> Document:
    """Build a frame that is not there yet."""
    frame: Document = {
        "frame": number,
        "layer": "",
        "status": "queued",
        "task": None,
        "path": None,
        "size_bytes": None,
        "sha256": None,
        "width": None,
        "height": None,
        "seconds": None,
        "worker_name": None,
        "thumbnail": None,
    }
    return frame | changes


def a_done_frame(job: Document, number: int, **changes: Any) -> Document:
    """Build a frame that was rendered."""
    done = {
        "status": "completed",
        "path": f"/render/film/{job['name']}/{number:06d}.png",
        "size_bytes": 1_843_000 + number * 1000,
        "sha256": "5c" * 32,
        "width": 1920,
        "height": 1080,
        "seconds": 41.3 + number * 7 % 13,
        "worker_name": f"node-{number % 3 + 1:02d}",
        "thumbnail": f"/api/v1/jobs/{job['id']}/frames/{number}/thumbnail",
    }
    return a_frame(job, number) | done | changes


def a_worker(number: int = 1, **changes: Any) -> Document:
    """Build a Worker that waits for work."""
    worker: Document = {
        "id": numbered(3, number),
        "name": f"node-{number:02d}",
        "manager": SITE,
        "status": "awake",
        "status_requested": None,
        "approved": True,
        "platform": "linux",
        "software": "4.0.0",
        "address": f"10.0.0.{number}",
        "task_types": ["blender", "ffmpeg", "file-management", "misc"],
        "current_task": None,
        "last_seen": ago(seconds=4),
        "hardware": {
            "cpu_count": 16,
            "memory_bytes": 64 * 2**30,
            "gpus": [{"backend": "OPTIX", "name": "RTX 4090", "memory_bytes": 24 * 2**30}],
        },
        "programs": [{"name": "blender", "version": "4.5.3", "path": "/opt/blender-4.5/blender"}],
        "node": None,
        "slot": 0,
    }
    return worker | changes


def a_manager(**changes: Any) -> Document:
    """Build a Manager that is in touch."""
    manager = {**SITE, "software": "4.0.0", "platform": "linux", "created_at": ago(days=9)}
    return {**manager, "last_seen": ago(seconds=2), "away": False, **changes}


class NoSuchThing(NotFound):
    """What the fake was asked for and does not have."""


@dataclass
class FakeFarm:
    """Everything that the page can see. ``signed_in``: whether requests carry a session."""

    job_list: list[Document] = field(default_factory=list)
    task_lists: dict[str, list[Document]] = field(default_factory=dict)
    frame_lists: dict[str, list[Document]] = field(default_factory=dict)
    worker_list: list[Document] = field(default_factory=list)
    manager_list: list[Document] = field(default_factory=lambda: [a_manager()])
    logs: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    refusal: Exception | None = None
    signed_in: bool = True
    viewers: set["asyncio.Queue[bytes | None]"] = field(default_factory=set)

    async def jobs(self, limit: int, after: str | None, status: JobStatus | None) -> Document:
        """Return a page of jobs."""
        fitting = [job for job in self.job_list if status is None or job["status"] == status]
        start = int(after or 0)
        more = str(start + limit) if len(fitting) > start + limit else None
        return {"jobs": fitting[start : start + limit], "next": more}

    async def job(self, job_id: str) -> Document:
        """Return one job."""
        return _found(self.job_list, job_id)

    async def tasks(self, job_id: str, limit: int, after: str | None) -> Document:
        """Return a page of tasks."""
        tasks, start = self.task_lists.get(job_id, []), int(after or 0)
        return {
            "tasks": tasks[start : start + limit],
            "next": str(start + limit) if len(tasks) > start + limit else None,
        }

    async def task(self, task_id: str) -> Document:
        """Return one task."""
        return _found([task for tasks in self.task_lists.values() for task in tasks], task_id)

    async def frames(self, job_id: str) -> Document:
        """Return all frames of a job."""
        return {"frames": self.frame_lists.get(job_id, [])}

    async def workers(self) -> Document:
        """Return all Workers."""
        return {"workers": self.worker_list}

    async def managers(self) -> Document:
        """Return all Managers."""
        return {"managers": self.manager_list}

    async def visitor(self, _request: web.Request) -> str | None:
        """Tell who looks."""
        return VISITOR if self.signed_in else None

    def add(self, job: Document) -> Document:
        """Add a job with its tasks and frames, all of them waiting."""
        self.job_list.insert(0, job)
        self.task_lists[job["id"]] = [a_task(job, index) for index in range(min(job["task_count"], 1000))]
        numbers = parse_frames(job["frames"]) if job["frames"] else []
        self.frame_lists[job["id"]] = [a_frame(job, number) for number in numbers]
        return job

    def change(self, kind: str, thing: Document, **changes: Any) -> Document:
        """Change a job, task, frame, Worker or Manager, and tell those who look."""
        thing.update(changes)
        self.tell(kind, thing)
        return thing

    def tell(self, kind: str, thing: Document) -> None:
        """Send an event."""
        event = b"event: %s\nid: 1\ndata: %s\n\n" % (kind.encode(), orjson.dumps(thing))
        for viewer in self.viewers:
            viewer.put_nowait(event)

    def hang_up(self) -> None:
        """End all event streams."""
        for viewer in self.viewers:
            viewer.put_nowait(None)


def _found(things: list[Document], wanted: str) -> Document:
    for thing in things:
        if thing["id"] == wanted:
            return thing
    raise NoSuchThing(f"There is nothing with the id {wanted}.")


@asynccontextmanager
async def served(farm: FakeFarm, address: Address = Address("127.0.0.1", 0)) -> AsyncIterator[Address]:
    """Serve the page and the API over a fake farm; yields where."""
    app = web.Application(middlewares=[problems])
    app.add_routes(page_routes(farm, farm.visitor, await asyncio.to_thread(load_site)))
    app.add_routes(_api_routes(farm))
    async with listening(app, address) as found:
        yield found
        farm.hang_up()


def _api_routes(farm: FakeFarm) -> list[web.RouteDef]:
    async def jobs(request: web.Request) -> web.Response:
        status = request.query.get("status")
        limit, after = int(request.query["limit"]), request.query.get("after")
        return web.json_response(await farm.jobs(limit, after, JobStatus(status) if status else None))

    async def job(request: web.Request) -> web.Response:
        return web.json_response(await farm.job(request.match_info["id"]))

    async def tasks(request: web.Request) -> web.Response:
        after = request.query.get("after")
        return web.json_response(await farm.tasks(request.match_info["id"], int(request.query["limit"]), after))

    async def frames(request: web.Request) -> web.Response:
        return web.json_response(await farm.frames(request.match_info["id"]))

    async def thumbnail(request: web.Request) -> web.Response:
        look = int(request.match_info["id"][-12:])
        body = await asyncio.to_thread(jpeg, int(request.match_info["frame"]) % 24, look)
        return web.Response(body=body, content_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})

    async def workers(_: web.Request) -> web.Response:
        return web.json_response(await farm.workers())

    async def managers(_: web.Request) -> web.Response:
        return web.json_response(await farm.managers())

    async def log(request: web.Request) -> web.Response:
        task = await farm.task(request.match_info["id"])
        complete = "true" if task["status"] != "active" else "false"
        return web.Response(text=farm.logs.get(task["id"], ""), headers={"Flamenco-Log-Complete": complete})

    return [
        web.get("/api/v1/jobs", jobs),
        web.get("/api/v1/jobs/{id}", job),
        web.get("/api/v1/jobs/{id}/tasks", tasks),
        web.get("/api/v1/jobs/{id}/frames", frames),
        web.get("/api/v1/jobs/{id}/frames/{frame}/thumbnail", thumbnail),
        web.get("/api/v1/tasks/{id}/log", log),
        web.get("/api/v1/workers", workers),
        web.get("/api/v1/managers", managers),
        *_action_routes(farm),
    ]


def _action_routes(farm: FakeFarm) -> list[web.RouteDef]:
    async def me(_: web.Request) -> web.Response:
        return web.json_response({"name": VISITOR, "role": "admin"}, status=200 if farm.signed_in else 401)

    async def act(request: web.Request) -> web.Response:
        farm.calls.append(request.path)
        if farm.refusal is not None:
            raise farm.refusal
        return web.json_response({}, status=202)

    async def sign_out(_: web.Request) -> web.Response:
        farm.signed_in = False
        return web.Response(status=204)

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        await response.write(b"retry: 2000\n\n")
        viewer: asyncio.Queue[bytes | None] = asyncio.Queue()
        farm.viewers.add(viewer)
        try:
            while (event := await viewer.get()) is not None:
                await response.write(event)
        finally:
            farm.viewers.discard(viewer)
        return response

    return [
        web.get("/api/v1/me", me),
        web.post("/api/v1/jobs/{id}/cancel", act),
        web.post("/api/v1/workers/{id}/approve", act),
        web.post("/api/v1/sign-out", sign_out),
        web.get("/api/v1/events", events),
    ]
