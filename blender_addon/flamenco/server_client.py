"""The Server's public API, as far as the add-on needs it. Every call here may block: run them in the background."""

import http.client
import json
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from .connection import Connection
from .core import WorkerStatus
from .job_types import JobType, read_job_types
from .problems import CannotConnect, Problem, Refused

TIMEOUT_S = 20.0
"""For connecting, and for each wait for bytes."""
LARGEST_ANSWER_BYTES = 64 * 1024 * 1024
"""What is read of an answer at most; no answer that the add-on asks for comes near."""


@dataclass(frozen=True)
class SentFile:
    """A file of a job: its path in the job's folder, and its contents by hash."""

    path: str
    sha256: str
    size_bytes: int

    def as_json(self) -> "dict[str, Any]":
        """Write it as the API has it."""
        return {"path": self.path, "sha256": self.sha256, "size_bytes": self.size_bytes}


@dataclass(frozen=True)
class Workers:
    """How many Workers the farm has that may work, and how many of them have nothing to do."""

    free: int
    total: int


class ServerClient:
    """Calls one Server. Raises CannotConnect and Refused, whose messages are for the artist."""

    def __init__(self, connection: Connection, timeout_s: float = TIMEOUT_S) -> None:
        self._connection = connection
        self._parts = urlsplit(connection.url)
        self._timeout_s = timeout_s

    @property
    def host(self) -> str:
        """The short name of the Server."""
        return self._connection.host

    def job_types(self) -> "tuple[JobType, ...]":
        """Fetch all job types."""
        return read_job_types(self._json("GET", "/api/v1/job-types")["job_types"])

    def workers(self) -> Workers:
        """Count the Workers."""
        listed = [worker for worker in self._json("GET", "/api/v1/workers")["workers"] if worker["approved"]]
        free = [item for item in listed if item["status"] == WorkerStatus.AWAKE and item["current_task"] is None]
        return Workers(len(free), len(listed))

    def missing(self, files: Iterable[SentFile]) -> "set[str]":
        """Ask which contents the Server lacks; returns their hashes."""
        blobs = [{"sha256": file.sha256, "size_bytes": file.size_bytes} for file in files]
        return set(self._json("POST", "/api/v1/blobs/missing", {"blobs": blobs})["missing"])

    def upload(self, file: SentFile, chunks: Iterable[bytes]) -> None:
        """Send the contents of a file. What ``chunks`` raises goes through, and ends the call."""
        headers = {"Content-Length": str(file.size_bytes), "Content-Type": "application/octet-stream"}
        self._call("PUT", f"/api/v1/blobs/{file.sha256}", chunks, headers)

    def submit(self, submission: Mapping[str, Any], idempotency_key: str) -> "dict[str, Any]":
        """Create a job, or get the one that was created with this key before. Returns the job."""
        return self._json("POST", "/api/v1/jobs", submission, {"Idempotency-Key": idempotency_key})

    def job(self, job_id: str) -> "dict[str, Any]":
        """Fetch a job."""
        return self._json("GET", f"/api/v1/jobs/{quote(job_id, safe='')}")

    def cancel(self, job_id: str) -> "dict[str, Any]":
        """Ask to cancel a job. Returns it."""
        return self._json("POST", f"/api/v1/jobs/{quote(job_id, safe='')}/cancel")

    def picture(self, path: str) -> bytes:
        """Fetch the thumbnail of a frame; ``path`` as the job names it."""
        if not path.startswith("/api/v1/"):
            raise Problem("The Server names a picture that is not one of its own.", path)
        return self._call("GET", path)

    def _json(
        self, method: str, path: str, body: object = None, headers: "Mapping[str, str] | None" = None
    ) -> "dict[str, Any]":
        content = None if body is None else [json.dumps(body).encode()]
        sent = dict(headers or {})
        if content is not None:
            sent.update({"Content-Type": "application/json", "Content-Length": str(len(content[0]))})
        answer = self._call(method, path, content, sent)
        try:
            document = json.loads(answer)
        except ValueError as error:
            raise self._not_a_server(answer) from error
        if not isinstance(document, dict):
            raise self._not_a_server(answer)
        return document

    def _call(
        self,
        method: str,
        path: str,
        body: "Iterable[bytes] | None" = None,
        headers: "Mapping[str, str] | None" = None,
    ) -> bytes:
        connection = self._open()
        sent = {"Authorization": f"Bearer {self._connection.token}", **(headers or {})}
        if method != "GET" and body is None:
            sent["Content-Length"] = "0"
        try:
            self._send(connection, method, self._parts.path + path, body, sent)
            response = connection.getresponse()
            answer = response.read(LARGEST_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()
        if response.status >= 400:
            raise refusal(response.status, answer, self.host)
        return answer

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: "Iterable[bytes] | None",
        headers: Mapping[str, str],
    ) -> None:
        """Send a request. A Server that refuses a body hangs up before its end, and its answer can still be read."""
        try:
            connection.request(method, path, body=body, headers=dict(headers))
        except (BrokenPipeError, ConnectionResetError):
            if connection.sock is None:
                raise

    def _open(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=context)
        return http.client.HTTPConnection(host, port, timeout=self._timeout_s)

    def _unreachable(self, error: Exception) -> CannotConnect:
        reason = "it does not answer" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return CannotConnect(
            f"The Server {self.host} cannot be reached ({reason}). See whether it runs and whether its URL is right.",
            f"{self._connection.url}: {error!r}",
        )

    def _not_a_server(self, answer: bytes) -> Problem:
        return Problem(
            f"What answers at {self._connection.url} is not a Flamenco Server. Check the URL in the preferences.",
            repr(answer[:500]),
        )


def refusal(status: int, answer: bytes, host: str) -> Refused:
    """Make a problem of an error answer (RFC 9457, or of a proxy that knows nothing of it)."""
    try:
        document = json.loads(answer)
        kind, detail = str(document.get("type", "")), str(document.get("detail", ""))
        errors = document.get("errors") or {}
    except (ValueError, AttributeError):
        kind, detail, errors = "", "", {}
    details = f"HTTP {status} from {host}: {answer[:2000].decode('utf-8', 'replace')}"
    if status == 401:
        message = f"The Server {host} does not know your token. Paste a valid one into the add-on's preferences."
    elif errors:
        message = "; ".join(f"{field.removeprefix('settings.')}: {wrong}" for field, wrong in errors.items())
    else:
        message = detail or f"The Server {host} answered with the error {status}. Try again later."
    return Refused(message, status, kind, details)
