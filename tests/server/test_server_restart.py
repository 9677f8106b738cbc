"""Stopping and starting on the same data: nothing that was acknowledged is lost, also by ``kill -9``."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from server_world import BLEND, DEADLINE_S, Caller, Reply, World, a_job_type, a_submission, an_animation, server_world
from site_manager import linked

from end_to_end.farm import free_port
from flamenco_core.identifiers import new_id, task_id
from flamenco_server.connection_file import read_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

TASKS = 1200
START_DEADLINE_S = 60


async def everything(world: World, job_id: str) -> list[Any]:
    """Return all that people can see of a farm with one animation."""
    paths = ("jobs", f"jobs/{job_id}", f"jobs/{job_id}/tasks", f"jobs/{job_id}/frames", "workers", "managers", "me")
    log = await world.admin.call("GET", f"tasks/{task_id(job_id, 0)}/log")
    thumbnail = await world.admin.call("GET", f"jobs/{job_id}/frames/1/thumbnail")
    return [*[await world.admin.get(path) for path in paths], log.body, log.headers["Content-Length"], thumbnail.body]


async def test_a_farm_looks_the_same_after_a_restart(tmp_path: Path) -> None:
    async with server_world(tmp_path) as world:
        manager = await linked(world)
        files = [await world.upload(BLEND), await world.upload(b"", "a/empty")]
        job_id = (await world.admin.post("jobs", an_animation(files))).json()["id"]
        await manager.next_orders()
        worker = manager.worker(new_id(), current_task=task_id(job_id, 0))
        await manager.report(
            jobs=[manager.job(job_id, counts={"active": 1, "queued": 3})],
            tasks=[manager.task(job_id, 0, worker=worker["id"], result={"device": "CPU"})],
            frames=[manager.frame(job_id, 1)],
            workers=[worker],
        )
        await manager.call("PUT", f"tasks/{task_id(job_id, 0)}/attempts/1/log", data=b"a line\n")
        await manager.call("PUT", f"jobs/{job_id}/frames/1", data=b"\xff\xd8\xff" + bytes(100))
        await world.admin.post(f"jobs/{job_id}/cancel")
        before = await everything(world, job_id)
        orders = await manager.orders()
        assert before[1]["status"] == "cancel-requested"
    async with server_world(tmp_path) as world:
        assert await everything(world, job_id) == before
        manager.world = world
        assert await manager.orders() == orders
        assert (await manager.call("GET", f"jobs/{job_id}")).json()["task_count"] == 4
        await manager.report(jobs=[manager.job(job_id, "canceled")])
        assert (await world.admin.get(f"jobs/{job_id}"))["status"] == "canceled"


async def test_starting_again_and_again_changes_nothing(tmp_path: Path) -> None:
    async with server_world(tmp_path) as world:
        await world.compiled()
    seen = []
    for _ in range(3):
        async with server_world(tmp_path) as world:
            seen.append(await world.admin.get("jobs"))
    assert seen == seen[:1] * 3


@dataclass
class ServerProcess:
    """A Server as a process of its own, that can be killed."""

    folder: Path
    session: aiohttp.ClientSession
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def admin(self) -> Caller:
        connection = read_connection(self.folder / "data")
        assert connection is not None
        return Caller(self.session, self.url, {"Authorization": f"Bearer {connection.token}"})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        (self.folder / "types").mkdir(exist_ok=True)
        arguments = ["--data", str(self.folder / "data"), "--listen", f"127.0.0.1:{self.port}"]
        arguments += ["--job-types", str(self.folder / "types")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLAMENCO_")}
        with (self.folder / "log").open("ab") as log:
            program = [sys.executable, "-m", "flamenco_cli", "server", *arguments]
            self.process = subprocess.Popen(program, env=environment, stdout=log, stderr=log)  # noqa: ASYNC220
        async with asyncio.timeout(START_DEADLINE_S):
            while not await self._answers():
                assert self.process.poll() is None, (self.folder / "log").read_text()
                await asyncio.sleep(0.05)

    async def _answers(self) -> bool:
        try:
            return (await Caller(self.session, self.url).call("GET", "/healthz")).status == 200
        except aiohttp.ClientError:
            return False

    def kill(self) -> None:
        """``kill -9``, with whatever it is doing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    async def stop(self) -> int:
        """Stop it as Ctrl-C does; returns its exit status."""
        assert self.process is not None
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, START_DEADLINE_S)

    async def until(self, path: str, is_so: Any) -> Any:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                document = await self.admin.get(path)
                if is_so(document):
                    return document
                await asyncio.sleep(0.01)


@asynccontextmanager
async def a_process(folder: Path) -> AsyncIterator[ServerProcess]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        server = ServerProcess(folder, session)
        try:
            await server.start()
            yield server
        finally:
            if server.process is not None and server.process.poll() is None:
                server.kill()


async def all_tasks(server: ServerProcess, job_id: str) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    after = ""
    while True:
        page = await server.admin.get(f"jobs/{job_id}/tasks?limit=200{after}")
        found += [(task["index"], task["id"]) for task in page["tasks"]]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


async def test_a_server_that_is_killed_half_way_through_a_compile_begins_it_again(tmp_path: Path) -> None:
    half, go_on = tmp_path / "half", tmp_path / "go on"
    source = f"""
        import time
        for number in range({TASKS}):
            if number == {TASKS // 2 + 100} and not Path({str(go_on)!r}).exists():
                Path({str(half)!r}).touch()
                time.sleep(3600)
            yield task(f'task {{number}}')
    """
    async with a_process(tmp_path) as server:
        (tmp_path / "types" / "own.py").write_text(a_job_type(source))
        key = {"Idempotency-Key": "k-1"}
        cut = (await server.admin.post("jobs", a_submission(type="own"), headers=key)).json()["id"]
        behind = (await server.admin.post("jobs", a_submission())).json()["id"]
        async with asyncio.timeout(DEADLINE_S):
            while not half.exists():  # noqa: ASYNC110 (of a file nobody tells)
                await asyncio.sleep(0.01)
        stored = await all_tasks(server, cut)
        assert 0 < len(stored) < TASKS
        assert (await server.admin.get(f"jobs/{cut}"))["activity"] == "Compiling"
        server.kill()
        go_on.touch()
        await server.start()
        job = await server.until(f"jobs/{cut}", lambda job: job["activity"] != "Compiling")
        assert (job["task_count"], job["task_counts"]) == (TASKS, {"queued": TASKS})
        assert await all_tasks(server, cut) == [(index, task_id(cut, index)) for index in range(TASKS)]
        assert (await server.until(f"jobs/{behind}", lambda job: job["task_count"]))["task_count"] == 2
        again = await server.admin.post("jobs", a_submission(type="own"), headers=key)
        assert (again.json()["id"], again.headers["Idempotency-Replayed"]) == (cut, "true")
        assert await server.stop() == 0


async def test_what_was_acknowledged_before_a_kill_is_there_after_it_and_nothing_doubles(tmp_path: Path) -> None:
    async with a_process(tmp_path) as server:
        acknowledged: dict[str, str] = {}

        async def submit(key: str) -> None:
            reply = await sent(server, key)
            if reply is not None:
                assert reply.status == 201
                assert acknowledged.setdefault(key, reply.json()["id"]) == reply.json()["id"]

        for round_number in range(3):
            keys = [f"{round_number}-{number}" for number in range(30)]
            sending = [asyncio.create_task(submit(key)) for key in keys]
            for done in asyncio.as_completed(sending):
                await done
                if len(acknowledged) >= 30 * round_number + 7:  # the others are on their way
                    break
            server.kill()
            await asyncio.gather(*sending)
            await server.start()
            for key in keys:  # as a client does that got no answer
                await submit(key)
        assert len(acknowledged) == 90
        for job_id in acknowledged.values():
            job = await server.until(f"jobs/{job_id}", lambda job: job["task_count"])
            assert job["task_count"] == 2
        listed = (await server.admin.get("jobs?limit=200"))["jobs"]
        assert sorted(job["id"] for job in listed) == sorted(acknowledged.values())
        assert await server.stop() == 0


async def sent(server: ServerProcess, key: str) -> Reply | None:
    """Submit a job; None if no answer came."""
    try:
        return await server.admin.post("jobs", a_submission(name=key), headers={"Idempotency-Key": key})
    except (aiohttp.ClientError, ConnectionError):
        return None
