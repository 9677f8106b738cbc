"""A Server for the add-on's tests: it keeps what it is sent, and its jobs go as far as a test lets them."""

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from blender_addon.job_type_documents import EVERY_SETTING, SIMPLE_RENDER

TOKEN = "the token of this test"
PICTURE = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")


@dataclass
class Received:
    """A request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeServer:
    """What the Server knows, and what was asked of it. ``url`` is set once it listens."""

    url: str = ""
    job_types: list[dict[str, Any]] = field(default_factory=lambda: [SIMPLE_RENDER, EVERY_SETTING])
    workers: list[dict[str, Any]] = field(default_factory=lambda: [a_worker("node-1"), a_worker("node-2", busy=True)])
    blobs: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    submissions: list[dict[str, Any]] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    requests: list[Received] = field(default_factory=list)
    picture: bytes = PICTURE
    answers_with: bytes | None = None
    """What every answer is, as if something else than a Server stood there."""
    lose_answers: int = 0
    """How many answers to submissions are lost on their way."""
    hold_uploads: threading.Event = field(default_factory=threading.Event)
    """Uploads wait for this; it is set unless a test clears it."""

    def __post_init__(self) -> None:
        self.hold_uploads.set()

    def make_job(self, submission: dict[str, Any]) -> dict[str, Any]:
        """Store a submission as a job that waits."""
        self.submissions.append(submission)
        job_id = str(uuid.uuid4())
        frames = 24 if "frames" in submission["settings"] else 0
        job = {
            "id": job_id,
            "name": submission["name"],
            "type": submission["type"],
            "status": "queued",
            "activity": "",
            "cancel_requested": False,
            "task_count": 3,
            "task_counts": {"queued": 3},
            "steps_completed": 0,
            "steps_total": 24,
            "frame_count": frames,
            "frames_done": 0,
            "output": submission["settings"].get("render_output_path"),
            "newest_frame": None,
        }
        self.jobs[job_id] = job
        return job

    def let_job(self, job_id: str, **changes: Any) -> None:
        """Change what a job is, as a farm would."""
        if frame := changes.pop("frame", None):
            thumbnail = f"/api/v1/jobs/{job_id}/frames/{frame}/thumbnail"
            changes["newest_frame"] = {"frame": frame, "thumbnail": thumbnail}
        self.jobs[job_id].update(changes)


def a_worker(name: str, *, busy: bool = False, approved: bool = True, status: str = "awake") -> dict[str, Any]:
    """Make a Worker as the API lists it, as far as the add-on reads it."""
    task = {"id": "task", "name": "render-1-10", "job": "job", "job_name": "another"}
    return {"name": name, "status": status, "approved": approved, "current_task": task if busy else None}


@contextmanager
def serving() -> Iterator[FakeServer]:
    """Serve on a free port of this machine until the block ends."""
    fake = FakeServer()

    class Handler(_Handler):
        server_of = fake

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield fake
        finally:
            fake.hold_uploads.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_of: FakeServer

    def log_message(self, *args: Any) -> None:
        """Say nothing; the requests are kept."""

    def do_GET(self) -> None:
        self._handle(b"")

    def do_POST(self) -> None:
        self._handle(self.rfile.read(int(self.headers["Content-Length"])))

    def do_PUT(self) -> None:
        if self._is_signed_in():
            self.server_of.hold_uploads.wait(30)
        self._handle(self.rfile.read(int(self.headers["Content-Length"])))

    def _is_signed_in(self) -> bool:
        return self.headers["Authorization"] == f"Bearer {TOKEN}"

    def _handle(self, body: bytes) -> None:
        fake = self.server_of
        fake.requests.append(Received(self.command, self.path, dict(self.headers), body))
        if not self._is_signed_in():
            self._problem(401, "not-signed-in", "Sign in first.")
            return
        if fake.answers_with is not None:
            self._answer(200, fake.answers_with, "text/html")
            return
        parts = self.path.strip("/").split("/")[2:]
        if not (self._read(parts) if self.command == "GET" else self._write(parts, body)):
            self._problem(404, "not-found", f"There is no {self.path}.")

    def _read(self, parts: list[str]) -> bool:
        """Answer a GET. Returns False if there is no such thing."""
        fake = self.server_of
        match parts:
            case ["job-types"]:
                self._json(200, {"job_types": fake.job_types})
            case ["workers"]:
                self._json(200, {"workers": fake.workers})
            case ["jobs", job_id] if job_id in fake.jobs:
                self._json(200, fake.jobs[job_id])
            case ["jobs", _, "frames", _, "thumbnail"]:
                self._answer(200, fake.picture, "image/jpeg")
            case _:
                return False
        return True

    def _write(self, parts: list[str], body: bytes) -> bool:
        """Answer a POST or PUT. Returns False if there is no such thing."""
        fake = self.server_of
        match parts:
            case ["blobs", "missing"]:
                asked = [blob["sha256"] for blob in json.loads(body)["blobs"]]
                self._json(200, {"missing": [sha256 for sha256 in asked if sha256 not in fake.blobs]})
            case ["blobs", sha256]:
                self._keep(sha256, body)
            case ["jobs"]:
                self._submit(json.loads(body))
            case ["jobs", job_id, "cancel"] if job_id in fake.jobs:
                fake.jobs[job_id].update(status="cancel-requested", cancel_requested=True)
                self._json(202, fake.jobs[job_id])
            case ["test", "jobs", job_id]:
                fake.let_job(job_id, **json.loads(body))
                self._json(200, fake.jobs[job_id])
            case ["test", "uploads"]:
                fake.hold_uploads.clear() if json.loads(body)["held"] else fake.hold_uploads.set()
                self._json(200, {})
            case _:
                return False
        return True

    def _keep(self, sha256: str, body: bytes) -> None:
        if hashlib.sha256(body).hexdigest() != sha256:
            self._problem(422, "wrong-hash", "The contents are not those of the hash.")
            return
        self.server_of.blobs[sha256] = body
        self._answer(201, b"", "text/plain")

    def _submit(self, submission: dict[str, Any]) -> None:
        fake = self.server_of
        etags = {job_type["name"]: job_type["etag"] for job_type in fake.job_types}
        if submission["type_etag"] != etags[submission["type"]]:
            self._problem(412, "job-type-changed", "Job type has changed: refresh it, then submit again.")
            return
        key = self.headers["Idempotency-Key"]
        if key not in fake.keys:
            fake.keys[key] = fake.make_job(submission)["id"]
        if fake.lose_answers:
            fake.lose_answers -= 1
            self.close_connection = True
            return
        self._json(201, fake.jobs[fake.keys[key]])

    def _problem(self, status: int, kind: str, detail: str) -> None:
        content = json.dumps({"type": kind, "status": status, "detail": detail}).encode()
        self._answer(status, content, "application/problem+json")

    def _json(self, status: int, document: object) -> None:
        self._answer(status, json.dumps(document).encode(), "application/json")

    def _answer(self, status: int, content: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
