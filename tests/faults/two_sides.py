"""A real Server and a real Manager, each on its folder: stopped, put back from a copy, and started again."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import apsw
from manager_world import HttpWorker, Reply, TestTime, World

from flamenco_manager import serving
from flamenco_manager.settings import Settings as ManagerSettings
from flamenco_runtime.settings import Address
from flamenco_server import app as server_app
from flamenco_server.connection_file import read_connection
from flamenco_server.settings import Settings as ServerSettings

DEADLINE_S = 15
ANY = Address("127.0.0.1", 0)


@dataclass
class Running:
    """A service that runs, and what stops it."""

    url: str
    stop: asyncio.Event
    run: "asyncio.Task[None]"

    async def end(self) -> None:
        self.stop.set()
        await self.run


class TwoSides:
    """Both services. The Server keeps its port when it is started again, so that the Manager finds it."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession) -> None:
        self.folder = folder
        self.session = session
        self.server: Running | None = None
        self.manager: Running | None = None
        self.token: str | None = None
        self._listen = ANY

    async def start_server(self) -> None:
        settings = ServerSettings(data=self.folder / "server", listen=self._listen)
        self.server = await _started(lambda stop, ready: server_app.serve(settings, stop=stop, ready=ready))
        self._listen = Address("127.0.0.1", int(self.server.url.rpartition(":")[2]))
        if self.token is None:
            self.token = (await self.call("POST", "managers", json={"name": "site"})).json()["token"]

    async def start_manager(self) -> World:
        settings = ManagerSettings(
            server=f"http://{self._listen}", data=self.folder / "manager", listen=ANY, token=self.token, name="site"
        )
        self.manager = await _started(lambda stop, ready: serving.serve(settings, stop=stop, ready=ready))
        return World(self.manager.url, None, self.session, TestTime(), None, None)  # type: ignore[arg-type]

    async def stop_server(self) -> None:
        if self.server is not None:
            await self.server.end()
        self.server = None

    async def stop_manager(self) -> None:
        if self.manager is not None:
            await self.manager.end()
        self.manager = None

    def copy(self, side: str) -> None:
        """Copy the database of a side, as a careless backup of a service that is stopped."""
        file = self.folder / side / f"{side}.sqlite"
        assert not file.with_name(file.name + "-wal").exists()
        shutil.copy(file, self.folder / f"{side}.copy")

    def put_back(self, side: str) -> None:
        """Put the copy back, and tell nobody."""
        shutil.copy(self.folder / f"{side}.copy", self.folder / side / f"{side}.sqlite")

    def restored(self) -> None:
        """Do to the Manager's store what ``flamenco manager restore`` does once the copy is in its place."""
        connection = apsw.Connection(str(self.folder / "manager" / "manager.sqlite"))
        connection.execute("UPDATE link SET feed = randomblob(16), is_restored = 1")
        connection.close()

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        """Call the Server as its admin."""
        assert self.server is not None
        connection = read_connection(self.folder / "server")
        assert connection is not None
        headers = {"Authorization": f"Bearer {connection.token}"}
        url = f"{self.server.url}/api/v1/{path}"
        async with self.session.request(method, url, headers=headers, **options) as response:
            reply = Reply(response.status, await response.read(), dict(response.headers))
        assert reply.status < 300, reply
        return reply

    async def submit(self, sleeps: int = 1, **terms: Any) -> str:
        settings = {"message": "hello", "sleep_duration_seconds": 0, "sleep_repeats": sleeps}
        job = {"name": "shot", "type": "echo-sleep-test", "settings": settings, **terms}
        return str((await self.call("POST", "jobs", json=job)).json()["id"])

    async def job(self, job: str) -> dict[str, Any]:
        return (await self.call("GET", f"jobs/{job}")).json()  # type: ignore[no-any-return]

    async def statuses(self, job: str) -> list[str]:
        """The statuses of a job's tasks, as the Server shows them."""
        found = (await self.call("GET", f"jobs/{job}/tasks")).json()
        return [task["status"] for task in found["tasks"]]

    async def until_statuses(self, job: str, statuses: list[str]) -> None:
        """Wait until a job's tasks are shown as they should be."""
        async with asyncio.timeout(DEADLINE_S):
            while await self.statuses(job) != statuses:  # noqa: ASYNC110 (asked over HTTP)
                await asyncio.sleep(0.05)

    async def until(self, job: str, is_so: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until a job is shown as it should be."""
        async with asyncio.timeout(DEADLINE_S):
            while not is_so(found := await self.job(job)):  # noqa: ASYNC110 (asked over HTTP)
                await asyncio.sleep(0.05)
        return found

    async def until_all_is_answered(self) -> None:
        """Wait until the Manager has answered every order."""
        file = self.folder / "server" / "server.sqlite"
        async with asyncio.timeout(DEADLINE_S):
            while True:
                connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
                found = connection.execute("SELECT count(*) FROM orders WHERE result IS NULL").get
                connection.close()
                if found == 0:
                    return
                await asyncio.sleep(0.05)

    async def until_epoch(self, epoch: int) -> None:
        """Wait until the Manager has begun anew so often, less one."""
        file = self.folder / "manager" / "manager.sqlite"
        async with asyncio.timeout(DEADLINE_S):
            while True:
                connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
                found = connection.execute("SELECT epoch FROM link").get
                connection.close()
                if found >= epoch:
                    return
                await asyncio.sleep(0.05)

    async def until_status(self, job: str, status: str) -> dict[str, Any]:
        return await self.until(job, lambda found: found["status"] == status)


@asynccontextmanager
async def two_sides(folder: Path) -> AsyncIterator[TwoSides]:
    """Have both while the context lasts; neither runs yet."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(2 * DEADLINE_S):
        sides = TwoSides(folder, session)
        try:
            yield sides
        finally:
            await sides.stop_manager()
            await sides.stop_server()


async def do_task(worker: HttpWorker) -> dict[str, Any]:
    """Ask until there is a task, and complete it."""
    task = await worker_task(worker)
    for seq, status in ((1, "active"), (2, "completed")):
        assert (await worker.update(task, seq=seq, taskStatus=status)).status == 204
    return task


async def worker_task(worker: HttpWorker) -> dict[str, Any]:
    """Ask until there is a task, whatever happens to the Manager meanwhile."""
    while True:
        with contextlib.suppress(aiohttp.ClientError):
            reply = await worker.ask(wait_s=5)
            if reply.status == 200:
                return reply.json()  # type: ignore[no-any-return]


async def _started(serve: Callable[..., Any]) -> Running:
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()

    def tell(url: str) -> None:
        if not ready.done():
            ready.set_result(url)

    run = asyncio.ensure_future(serve(stop, tell))
    await asyncio.wait({ready, run}, return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        await run
    return Running(ready.result(), stop, run)
