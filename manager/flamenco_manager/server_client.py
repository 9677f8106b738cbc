"""The calls that a Manager makes to its Server (manager-api.md). Errors are those that the Server raised."""

from collections.abc import AsyncIterator, Mapping, Sequence
from urllib.parse import quote

import aiohttp

from flamenco_core.wire.manager_api import (
    COMMANDS_MEDIA_TYPE,
    MANAGER_FEED,
    SERVER_FEED,
    Hello,
    HelloReply,
    HelloReplySchema,
    HelloSchema,
    JobDefinition,
    JobDefinitionSchema,
    Order,
    OrdersSchema,
    ReportAcknowledgedSchema,
    TaskDefinition,
    TaskDefinitionSchema,
)
from flamenco_core.wire.plain_tasks import plain_task
from flamenco_core.wire.resync import (
    Known,
    KnownSchema,
    ResyncReply,
    ResyncReplySchema,
    ResyncRequest,
    ResyncRequestSchema,
)
from flamenco_runtime.http_client import Reply, Unreachable, error_of, send
from flamenco_runtime.json_body import load_document, load_json
from flamenco_runtime.strict_json import parse_json_lines

ORDERS_WAIT_S = 30
PIECE_BYTES = 1024 * 1024
TASKS_AT_ONCE = 250
"""So many are read in one go: everybody else waits that long."""

_HELLO = HelloSchema()
_HELLO_REPLY = HelloReplySchema()
_RESYNC = ResyncRequestSchema()
_RESYNC_REPLY = ResyncReplySchema()
_KNOWN = KnownSchema()
_ORDERS = OrdersSchema()
_JOB = JobDefinitionSchema()
_TASK = TaskDefinitionSchema()
_ACKNOWLEDGED = ReportAcknowledgedSchema()


class ServerClient:
    """Speaks to one Server as one Manager. The feeds are sent with every call once ``hello`` has told them."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self._base = url.rstrip("/") + "/api/v1/manager/"
        self._headers = {"Authorization": f"Bearer {token}"}

    def know_feeds(self, own: str, servers: str) -> None:
        """Carry both feeds on every call from now on."""
        self._headers |= {MANAGER_FEED: own, SERVER_FEED: servers}

    async def hello(self, hello: Hello) -> HelloReply:
        """Say who we are, and how far we have come."""
        reply = await self._call("POST", "hello", document=_HELLO.dump(hello))
        answer: HelloReply = load_json(_HELLO_REPLY, reply.body)
        return answer

    async def orders(self, after: int) -> list[Order]:
        """Wait for orders after a number; asking acknowledges those up to it."""
        reply = await self._call("GET", f"orders?after={after}&wait={ORDERS_WAIT_S}")
        return list(load_json(_ORDERS, reply.body).orders)

    async def resync(self, request: ResyncRequest) -> ResyncReply:
        """Begin anew, since the two stores do not fit."""
        reply = await self._call("POST", "resync", document=_RESYNC.dump(request))
        answer: ResyncReply = load_json(_RESYNC_REPLY, reply.body)
        return answer

    async def give_back(self, job_id: str, lines: bytes) -> None:
        """Give the Server a job that it has lost: its definition, then its tasks, as JSON lines."""
        headers = {"Content-Type": COMMANDS_MEDIA_TYPE}
        await self._call("PUT", f"jobs/{job_id}", data=lines, headers=headers)

    async def known(self) -> AsyncIterator[Known]:
        """Stream what the Server knows of our jobs, tasks and Workers; a job comes before its tasks."""
        rest = b""
        async for piece in self._stream("resync"):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield load_json(_KNOWN, line)

    async def job(self, job_id: str) -> JobDefinition:
        """Fetch a job's definition. Raises NotFound when it is gone."""
        reply = await self._call("GET", f"jobs/{job_id}")
        definition: JobDefinition = load_json(_JOB, reply.body)
        return definition

    async def tasks(self, job_id: str, first: int) -> AsyncIterator[Sequence[TaskDefinition]]:
        """Stream a job's tasks from an index on, some at a time."""
        url = f"jobs/{job_id}/tasks" + (f"?after={first - 1}" if first else "")
        rest = b""
        async for piece in self._stream(url):
            *lines, rest = (rest + piece).split(b"\n")
            for start in range(0, len(lines), TASKS_AT_ONCE):
                yield _tasks_of(lines[start : start + TASKS_AT_ONCE])
        if rest.strip():
            yield _tasks_of([rest])

    def blob(self, sha256: str) -> AsyncIterator[bytes]:
        """Stream the contents of a file. Raises NotFound when the Server does not have it."""
        return self._stream(f"blobs/{sha256}")

    async def report(self, body: bytes) -> int:
        """Send a frozen report; returns the number up to which the Server has everything on disk."""
        headers = {"Content-Type": "application/json"}
        reply = await self._call("POST", "reports", data=body, headers=headers)
        return int(load_json(_ACKNOWLEDGED, reply.body).acknowledged)

    async def put_log(self, task: str, attempt: int, piece: bytes, start: int, total: int | None) -> None:
        """Send a piece of a log; ``total`` is its whole size, or None while it grows."""
        whole = "*" if total is None else str(total)
        span = f"{start}-{start + len(piece) - 1}" if piece else "*"
        headers = {"Content-Range": f"bytes {span}/{whole}", "Content-Type": "text/plain; charset=utf-8"}
        await self._call("PUT", f"tasks/{task}/attempts/{attempt}/log", data=piece, headers=headers)

    async def put_frame(self, job: str, frame: int, image: bytes) -> None:
        """Send the thumbnail of a frame."""
        headers = {"Content-Type": "image/jpeg"}
        await self._call("PUT", f"jobs/{job}/frames/{frame}", data=image, headers=headers)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        document: object = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        return await send(
            self._session,
            method,
            self._base + path,
            headers={**self._headers, **(headers or {})},
            document=document,
            data=data,
        )

    async def _stream(self, path: str) -> AsyncIterator[bytes]:
        url = self._base + quote(path, safe="/?=&")
        try:
            async with self._session.get(url, headers=self._headers, allow_redirects=False) as response:
                if response.status != 200:
                    raise error_of(Reply(response.status, await response.read(), response.headers))
                async for piece in response.content.iter_chunked(PIECE_BYTES):
                    yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"Cannot fetch {url}: {error or type(error).__name__}.") from error


def _tasks_of(lines: Sequence[bytes]) -> list[TaskDefinition]:
    """Read tasks, a line each; empty lines are passed over. Raises BadInput."""
    documents = parse_json_lines([line for line in lines if line])
    return [plain_task(document) or load_document(_TASK, document) for document in documents]
