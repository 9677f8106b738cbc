"""Calls of the Server's public API, ``/api/v1``. Errors are those of ``flamenco_runtime.http_client``."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp

from flamenco_cli.connection import Connection
from flamenco_cli.events import Event, EventReader
from flamenco_cli.records import (
    Answer,
    FoundLinkRequest,
    Frame,
    Job,
    JobType,
    LinkedManager,
    LinkRequest,
    Manager,
    NewManager,
    SignInLink,
    Tag,
    Task,
    Worker,
    WorkerState,
)
from flamenco_core.errors import NotSignedIn, Unavailable
from flamenco_runtime.http_client import TIMEOUT, Reply, Unreachable, error_of, reason_of, send

PARTIAL = 206
"""The status of an answer with the range that was asked for."""
PAGE = 200
"""The most rows that the Server returns at once."""


class Client:
    """The Server, as one user sees it. Made by ``open_client``."""

    def __init__(self, session: aiohttp.ClientSession, connection: Connection) -> None:
        self._session = session
        self.connection = connection

    async def call(
        self,
        method: str,
        path: str,
        *,
        document: object = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make one call below ``/api/v1``. Raises Unreachable, or the error that the answer stands for."""
        url = f"{self.connection.url}/api/v1/{path}"
        headers = {**self._credentials(), **(headers or {})}
        with self._advice():
            return await send(self._session, method, url, headers=headers, document=document, data=data)

    async def me(self) -> Mapping[str, str]:
        """Return name and role of the user whose token we carry."""
        answer: Mapping[str, str] = await self._read("me")
        return answer

    async def job_types(self) -> Sequence[JobType]:
        """Return all job types."""
        answer: Sequence[JobType] = await self._read("job-types", "job_types")
        return answer

    async def job_type(self, name: str) -> JobType:
        """Return one job type. Raises NotFound."""
        answer: JobType = await self._read(f"job-types/{quote(name, safe='')}")
        return answer

    async def missing_blobs(self, blobs: Sequence[Mapping[str, object]]) -> Sequence[str]:
        """Return the SHA-256 of those that the Server lacks."""
        answer: Sequence[str] = (await self.call("POST", "blobs/missing", document={"blobs": blobs})).json()["missing"]
        return answer

    async def submit(self, submission: Mapping[str, object], key: str) -> Job:
        """Submit a job; the same ``key`` again returns the same job."""
        headers = {"Idempotency-Key": key}
        answer: Job = (await self.call("POST", "jobs", document=submission, headers=headers)).json()
        return answer

    async def jobs(self, *, status: str | None = None, deleted: bool = False) -> AsyncIterator[Job]:
        """Yield jobs, newest first; ``deleted``: those in the bin."""
        async for job in self._pages("jobs", "jobs", status=status, deleted="true" if deleted else None):
            yield job

    async def job(self, job_id: str) -> Job:
        """Return one job with all its details. Raises NotFound."""
        answer: Job = await self._read(f"jobs/{job_id}")
        return answer

    async def ask_job(self, job_id: str, verb: str, document: Mapping[str, object] | None = None) -> Job:
        """Ask something of a job: ``cancel``, ``pause`` … Raises Conflict where that makes no sense."""
        answer: Job = (await self.call("POST", f"jobs/{job_id}/{verb}", document=document)).json()
        return answer

    async def change_job(self, job_id: str, **changes: object) -> Job:
        """Change ``priority`` or ``tag`` of a job. Raises Conflict if it is deleted."""
        answer: Job = (await self.call("PATCH", f"jobs/{job_id}", document=changes)).json()
        return answer

    async def why(self, plural: str, thing_id: str) -> Answer:
        """Ask why one of the ``jobs`` or ``tasks`` does not run. Raises NotFound, Unavailable."""
        answer: Answer = await self._read(f"{plural}/{thing_id}/why")
        return answer

    async def tasks(self, job_id: str, *, status: str | None = None) -> AsyncIterator[Task]:
        """Yield the tasks of a job, in its order."""
        async for task in self._pages(f"jobs/{job_id}/tasks", "tasks", status=status):
            yield task

    async def task(self, task_id: str) -> Task:
        """Return one task. Raises NotFound."""
        answer: Task = await self._read(f"tasks/{task_id}")
        return answer

    async def ask_task(self, task_id: str, verb: str) -> Task:
        """Ask something of a task: ``cancel``, ``pause``, ``requeue``. Raises Conflict where that makes no sense."""
        answer: Task = (await self.call("POST", f"tasks/{task_id}/{verb}")).json()
        return answer

    async def log_behind(self, task_id: str, attempt: int | None, behind: int) -> tuple[bytes, bool]:
        """Return what follows the first ``behind`` bytes of a log, and whether nothing more will come.

        The byte before is asked for, too: a range that begins at the end is none.
        """
        headers = {"Range": f"bytes={behind - 1}-"} if behind else {}
        reply = await self.call("GET", f"tasks/{task_id}/log{_query(attempt=attempt)}", headers=headers)
        found = {name.lower(): value for name, value in reply.headers.items()}
        more = reply.body[1:] if reply.status == PARTIAL else reply.body[behind:]
        return more, found.get("flamenco-log-complete") != "false"

    async def frames(self, job_id: str) -> Sequence[Frame]:
        """Return every frame that the job is to render."""
        answer: Sequence[Frame] = await self._read(f"jobs/{job_id}/frames", "frames")
        return answer

    async def workers(self) -> Sequence[Worker]:
        """Return all Workers."""
        answer: Sequence[Worker] = await self._read("workers", "workers")
        return answer

    async def worker(self, worker_id: str) -> Worker:
        """Return one Worker. Raises NotFound."""
        answer: Worker = await self._read(f"workers/{worker_id}")
        return answer

    async def ask_worker(self, worker_id: str, what: str, document: object = None, *, method: str = "POST") -> Worker:
        """Ask something of a Worker: ``status``, ``approve`` … Raises Conflict where that makes no sense."""
        answer: Worker = (await self.call(method, f"workers/{worker_id}/{what}", document=document)).json()
        return answer

    async def worker_states(self, worker_id: str) -> AsyncIterator[WorkerState]:
        """Yield what a Worker was, the newest first."""
        async for state in self._pages(f"workers/{worker_id}/states", "states"):
            yield state

    async def tags(self) -> Sequence[Tag]:
        """Return all tags."""
        answer: Sequence[Tag] = await self._read("tags", "tags")
        return answer

    async def put_tag(self, name: str, description: str) -> Tag:
        """Make a tag, or describe it anew."""
        document = {"description": description}
        answer: Tag = (await self.call("PUT", f"tags/{quote(name, safe='')}", document=document)).json()
        return answer

    async def delete_tag(self, name: str, *, force: bool) -> None:
        """Delete a tag. Raises NotFound, and Conflict if it is used, unless by force."""
        await self.call("DELETE", f"tags/{quote(name, safe='')}{_query(force='true' if force else None)}")

    async def farm_settings(self) -> Mapping[str, Any]:
        """Return the farm's settings."""
        answer: Mapping[str, Any] = await self._read("settings/farm")
        return answer

    async def put_farm_settings(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change the farm's settings; what is absent is at its default. Raises BadInput that names what is wrong."""
        answer: Mapping[str, Any] = (await self.call("PUT", "settings/farm", document=settings)).json()
        return answer

    async def managers(self) -> Sequence[Manager]:
        """Return all Managers."""
        answer: Sequence[Manager] = await self._read("managers", "managers")
        return answer

    async def add_manager(self, name: str) -> NewManager:
        """Add a Manager; its token is in the answer and nowhere else."""
        answer: NewManager = (await self.call("POST", "managers", document={"name": name})).json()
        return answer

    async def link_requests(self) -> Sequence[LinkRequest]:
        """Return the Managers that wait to be linked. Raises Forbidden for all but admins."""
        answer: Sequence[LinkRequest] = await self._read("link-requests", "link_requests")
        return answer

    async def link_request(self, code: str) -> FoundLinkRequest:
        """Return the Manager that shows a code. Raises NotFound, and BadInput for what can be no code."""
        path = "link-requests/look-up"
        answer: FoundLinkRequest = (await self.call("POST", path, document={"code": code})).json()
        return answer

    async def confirm_link(self, request_id: str, code: str, **decided: str) -> LinkedManager:
        """Link a Manager, by another ``name``, or in place of the one that ``relink`` names. Raises Conflict."""
        path = f"link-requests/{request_id}/confirm"
        answer: LinkedManager = (await self.call("POST", path, document={"code": code, **decided})).json()
        return answer

    async def refuse_link(self, request_id: str) -> None:
        """Turn a Manager down. Raises NotFound."""
        await self.call("POST", f"link-requests/{request_id}/refuse")

    async def sign_in_link(self) -> SignInLink:
        """Make a link that signs in one browser, once."""
        answer: SignInLink = (await self.call("POST", "sign-in-links")).json()
        return answer

    @asynccontextmanager
    async def events(self, job_id: str) -> AsyncIterator[AsyncIterator[Event]]:
        """Listen to what happens to a job; it ends when the Server stops. Raises Unreachable, also when it breaks."""
        url = f"{self.connection.url}/api/v1/events{_query(job=job_id)}"
        try:
            async with self._session.get(url, headers=self._credentials()) as response:
                if response.status >= 400:
                    raise error_of(Reply(response.status, await response.read(), dict(response.headers)))
                yield _events_of(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"Lost the connection to {self.connection.url}: {reason_of(error)}.") from error

    @contextmanager
    def _advice(self) -> Iterator[None]:
        """Say what to do where the call itself cannot know it."""
        server, token_from = self.connection.url, self.connection.token_from
        try:
            yield
        except Unreachable as error:
            raise Unreachable(f"{error} Is the Server running? 'flamenco up' starts one on this computer.") from error
        except NotSignedIn as error:
            raise NotSignedIn(
                f"{server} does not know the token in {token_from}. Mend that, or sign in: flamenco login {server}"
            ) from error

    def _credentials(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.connection.token}"}

    async def _read(self, path: str, member: str | None = None) -> Any:
        document = (await self.call("GET", path)).json()
        return document if member is None else document[member]

    async def _pages(self, path: str, member: str, **narrowed: str | None) -> AsyncIterator[Any]:
        after: str | None = None
        while True:
            page = await self._read(path + _query(limit=PAGE, after=after, **narrowed))
            for item in page[member]:
                yield item
            after = page["next"]
            if after is None:
                return


async def _events_of(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    reader = EventReader()
    async for piece in response.content.iter_any():
        for event in reader.feed(piece):
            yield event


@asynccontextmanager
async def open_client(connection: Connection) -> AsyncIterator[Client]:
    """Open a client; it closes its connections at the end."""
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        yield Client(session, connection)


async def answers(url: str) -> bool:
    """Tell whether a service at this URL says that it is well."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        try:
            return (await send(session, "GET", f"{url}/healthz")).status == 200
        except Unavailable:
            return False


def _query(**values: object) -> str:
    given = {key: value for key, value in values.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""
