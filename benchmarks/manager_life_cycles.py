"""How many life cycles a second a Manager carries: ask, started, log and step, completed; four durable requests each.

A Manager and a Server that only hands out one job run in a process of their own; W Workers in this one, on raw sockets,
each as fast as it can. Usage: python benchmarks/manager_life_cycles.py [--workers 10] [--tasks 10000] [--seconds 10]
"""

import argparse
import asyncio
import base64
import multiprocessing
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "manager"))

from fake_server import TOKEN, fake_server
from manager_world import a_task

from flamenco_manager.app import serve
from flamenco_manager.settings import Settings
from flamenco_runtime.settings import Address


def run_manager(data: Path, tasks: int, pipe: Connection) -> None:
    """Serve until the parent says that it is done."""

    async def main() -> None:
        stop = asyncio.Event()
        async with fake_server() as server:
            settings = Settings(server=server.url, data=data, token=TOKEN, listen=Address("127.0.0.1", 0))
            job = await server.submit([a_task() for _ in range(tasks)])
            began = time.perf_counter()
            running = asyncio.create_task(serve(settings, stop=stop, ready=pipe.send))
            await server.until_job(job, "queued")
            pipe.send(time.perf_counter() - began)
            await asyncio.to_thread(pipe.recv)
            stop.set()
            await running

    asyncio.run(main())


class RawWorker:
    """One keep-alive connection."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.latencies: dict[str, list[float]] = {}
        self.authorization = "Basic Og=="

    async def open(self, number: int) -> None:
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        types = ["misc"]
        registration = {
            "secret": f"s{number}",
            "platform": "linux",
            "supported_task_types": types,
            "name": f"w{number}",
        }
        _, body = await self.call("register", "register-worker", registration)
        credentials = f"{orjson.loads(body)['uuid']}:s{number}".encode()
        self.authorization = "Basic " + base64.b64encode(credentials).decode()
        signing = {"name": "w", "supported_task_types": types, "software_version": "4", "features": ["attempt"]}
        await self.call("sign-on", "sign-on", signing)
        await self.call("state", "state-changed", {"status": "awake"})

    async def call(self, name: str, path: str, document: object = None) -> tuple[int, bytes]:
        body = b"" if document is None else orjson.dumps(document)
        head = (
            f"POST /api/v3/worker/{path} HTTP/1.1\r\nHost: m\r\nAuthorization: {self.authorization}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter()
        self.writer.write(head.encode() + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        length = 0
        for line in answer.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        content = await self.reader.readexactly(length) if length else b""
        self.latencies.setdefault(name, []).append(time.perf_counter() - began)
        return status, content

    async def work(self, until: float) -> int:
        cycles = 0
        while time.perf_counter() < until:
            status, body = await self.call("ask", "task")
            if status != 200:
                break
            task = orjson.loads(body)
            path, attempt = f"task/{task['uuid']}", task["attempt"]
            for seq, (name, said) in enumerate(
                (
                    ("started", {"taskStatus": "active", "activity": "Started"}),
                    ("log and step", {"log": "x" * 80 + "\n", "log_at": 0, "steps_completed": 1}),
                    ("completed", {"taskStatus": "completed", "activity": "Completed"}),
                ),
                start=1,
            ):
                status, _ = await self.call(name, path, {"attempt": attempt, "seq": seq, **said})
                assert status == 204, status
            cycles += 1
        return cycles


async def drive(url: str, workers: int, seconds: float) -> None:
    host, port = url.removeprefix("http://").split(":")
    raw = [RawWorker(host, int(port)) for _ in range(workers)]
    for number, worker in enumerate(raw):
        await worker.open(number)
    began = time.perf_counter()
    cycles = sum(await asyncio.gather(*[worker.work(began + seconds) for worker in raw]))
    took = time.perf_counter() - began
    print(f"{cycles} life cycles in {took:.1f} s with {workers} Workers: {cycles / took:.0f}/s")
    for name in ("ask", "started", "log and step", "completed"):
        times = sorted(one for worker in raw for one in worker.latencies.get(name, []))
        if times:
            p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
            print(f"  {name:>12}: p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, max {times[-1] * 1e3:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.Process(target=run_manager, args=(Path(folder), chosen.tasks, theirs))
        process.start()
        url = ours.recv()
        print(f"{chosen.tasks} tasks fetched and stored in {ours.recv():.2f} s")
        asyncio.run(drive(url, chosen.workers, chosen.seconds))
        ours.send("done")
        process.join(20)


if __name__ == "__main__":
    main()
