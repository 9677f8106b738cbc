"""Calls of the Server's public API, ``/api/v1``. Errors are those of ``flamenco_runtime.http_client``."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp

from flamenco_cli.connection import Connection
from flamenco_cli.events import Event, EventReader
from flamenco_cli.records import Frame, Job, JobType, Manager, NewManager, SignInLink, Task, Worker
from flamenco_core.errors import NotSignedIn, Unavailable
from flamenco_runtime.http_client import TIMEOUT, Reply, Unreachable, error_of, reason_of, send

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

    async def jobs(self, *, status: str | None = None) -> AsyncIterator[Job]:
        """Yield jobs, newest first."""
        async for job in self._pages("jobs", "jobs", status=status):
            yield job

    async def job(self, job_id: str) -> Job:
        """Return one job with all its details. Raises NotFound."""
        answer: Job = await self._read(f"jobs/{job_id}")
        return answer

    async def cancel(self, job_id: str) -> Job:
        """Ask to cancel a job. Raises Conflict if it has ended."""
        answer: Job = (await self.call("POST", f"jobs/{job_id}/cancel")).json()
        return answer

    async def tasks(self, job_id: str, *, status: str | None = None) -> AsyncIterator[Task]:
        """Yield the tasks of a job, in its order."""
        async for task in self._pages(f"jobs/{job_id}/tasks", "tasks", status=status):
            yield task

    async def task(self, task_id: str) -> Task:
        """Return one task. Raises NotFound."""
        answer: Task = await self._read(f"tasks/{task_id}")
        return answer

    async def log(self, task_id: str, attempt: int | None = None) -> tuple[str, bool]:
        """Return the log of a task's attempt (the newest by default), and whether nothing more will come."""
        reply = await self.call("GET", f"tasks/{task_id}/log{_query(attempt=attempt)}")
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return reply.body.decode("utf-8", "replace"), headers.get("flamenco-log-complete") != "false"

    async def frames(self, job_id: str) -> Sequence[Frame]:
        """Return every frame that the job is to render."""
        answer: Sequence[Frame] = await self._read(f"jobs/{job_id}/frames", "frames")
        return answer

    async def workers(self) -> Sequence[Worker]:
        """Return all Workers."""
        answer: Sequence[Worker] = await self._read("workers", "workers")
        return answer

    async def approve(self, worker_id: str) -> None:
        """Let a new Worker take work."""
        await self.call("POST", f"workers/{worker_id}/approve")

    async def managers(self) -> Sequence[Manager]:
        """Return all Managers."""
        answer: Sequence[Manager] = await self._read("managers", "managers")
        return answer

    async def add_manager(self, name: str) -> NewManager:
        """Add a Manager; its token is in the answer and nowhere else."""
        answer: NewManager = (await self.call("POST", "managers", document={"name": name})).json()
        return answer

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

    async def _pages(self, path: str, member: str, *, status: str | None) -> AsyncIterator[Any]:
        after: str | None = None
        while True:
            page = await self._read(path + _query(limit=PAGE, after=after, status=status))
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
