"""Clients that go away in the middle: what was begun is carried through, and what was only waited for is given up."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import apsw
import pytest
from aiohttp import web
from server_world import DEADLINE_S, World, a_job_type, a_submission, server_world
from site_manager import linked

from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address
from flamenco_server.http.carried_through import carried_through

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Handler:
    """A request handler that waits until it may go on."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handle(self, request: web.Request) -> web.Response:
        self.begun.set()
        try:
            await self.may_go_on.wait()
        except asyncio.CancelledError:
            self.ended.set_result("given up")
            raise
        self.ended.set_result("carried through")
        return web.Response()


@asynccontextmanager
async def cut_off(method: str) -> AsyncIterator[Handler]:
    """Begin a request, and have its client go away; yields the handler, which does not know yet."""
    handler = Handler()
    app = web.Application(middlewares=[carried_through()])
    app.router.add_route(method, "/", handler.handle)
    async with listening(app, Address("127.0.0.1", 0)) as address, asyncio.timeout(DEADLINE_S):
        _, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(f"{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        await handler.begun.wait()
        writer.close()
        await writer.wait_closed()
        await round_trip(address)
        yield handler


async def round_trip(address: Address) -> None:
    """Make a call that is answered after everything that came before it was noticed."""
    for _ in range(2):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET /nonsense HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert await reader.read()
        writer.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_change_is_carried_through_without_its_client(method: str) -> None:
    async with cut_off(method) as handler:
        assert not handler.ended.done()
        handler.may_go_on.set()
        assert await handler.ended == "carried through"


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_what_changes_nothing_is_given_up_with_its_client(method: str) -> None:
    async with cut_off(method) as handler:
        assert await handler.ended == "given up"


class Cut:
    """A Server whose store somebody else locks, so that a client can leave while its change is being written."""

    def __init__(self, world: World, reached: Path) -> None:
        self.world = world
        self.reached = reached

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep the Server from writing; it waits five seconds for us."""
        connection = apsw.Connection(str(self.world.data / "server.sqlite"))
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")
            connection.close()

    async def submit_and_leave(self) -> None:
        """Submit a job; leave once it is being stored."""
        body = f'{{"name": "cut off", "type": "{a_submission(type="own")["type"]}"}}'
        async with self.world.raw_connection() as (_, writer):
            head = ["POST /api/v1/jobs HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
            head += [f"Authorization: {self.world.admin.headers['Authorization']}", "Content-Type: application/json"]
            writer.write("\r\n".join([*head, "", body]).encode())
            async with asyncio.timeout(DEADLINE_S):
                while not self.reached.exists():  # noqa: ASYNC110 (of a file nobody tells)
                    await asyncio.sleep(0.005)
        for _ in range(2):
            assert (await self.world.nobody.call("GET", "/healthz")).status == 200


@asynccontextmanager
async def a_cut(folder: Path) -> AsyncIterator[Cut]:
    """Run a Server with a job type that leaves a file when a job is about to be stored."""
    (folder / "types").mkdir()
    reached = folder / "reached"
    more = f", outline=lambda settings: (Path({str(reached)!r}).touch(), Outline())[1]"
    (folder / "types" / "own.py").write_text(a_job_type("yield task()", more=more))
    async with server_world(folder / "server", job_types=folder / "types") as world:
        yield Cut(world, reached)


async def test_a_job_whose_client_left_while_it_was_stored_is_compiled_and_issued(tmp_path: Path) -> None:
    async with a_cut(tmp_path) as cut:
        manager = await linked(cut.world)
        waiting = asyncio.create_task(manager.next_orders())
        with cut.locked():
            await cut.submit_and_leave()
        async with asyncio.timeout(DEADLINE_S):
            (order,) = await waiting
        (job,) = (await cut.world.admin.get("jobs"))["jobs"]
        assert (order["kind"], order["details"]) == ("job.submit", {"job": job["id"]})
        assert (job["name"], job["task_count"]) == ("cut off", 1)
