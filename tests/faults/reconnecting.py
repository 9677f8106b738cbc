"""Many Workers that come back within a second, as after a power cut of the network: all served, none taken for lost."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fake_server import FakeServer, fake_server
from manager_process import ManagerProcess, manager_process
from raw_link import RawLink
from recorded_worker import TYPES

WITHIN_S = 1.0
"""They come back spread over so long."""
DEADLINE_S = 100.0
"""Ten times what it should take (quality.md, 4.3): it only ends the test."""
FEATURES = ["attempt", "wait", "batch"]
WORK = {"name": "echo", "parameters": {"message": "hello"}, "total_step_count": 0}


class Returning:
    """A Worker that holds a task; its connection is lost and it comes back, as ours and Flamenco 3's do."""

    def __init__(self, number: int, manager: ManagerProcess) -> None:
        self._link = RawLink(lambda: (manager.host, manager.port))
        self._name, self._ours = f"w{number}", number % 2 == 0
        self.id = ""
        self.task: dict[str, Any] = {}

    async def begin(self) -> None:
        """Register, sign on, take a task and begin it."""
        said = {"secret": f"secret {self._name}", "platform": "linux", "supported_task_types": TYPES}
        registered: Any = (await self._call("POST", "register-worker", {**said, "name": self._name})).json()
        self.id = registered["uuid"]
        self._link.sign(self.id, f"secret {self._name}")
        await self._sign_on()
        answer = await self._link.call("POST", "task", wait_s=30 if self._ours else 0)
        while answer.status != 200:
            assert answer.status == 204, answer.body
            answer = await self._link.call("POST", "task")
        self.task = answer.json()  # type: ignore[assignment]
        await self._say(1, taskStatus="active")

    async def lose(self) -> None:
        """Lose the connection."""
        await self._link.close()

    async def come_back(self) -> float:
        """Do what a Worker does whose Manager is back: sign on, go on with the task; returns how long it took."""
        began = time.monotonic()
        await self._sign_on()
        may: Any = (await self._call("GET", f"task/{self.task['uuid']}/may-i-run")).json()
        assert may["mayKeepRunning"], (self._name, may)
        await self._say(2, log=f"{self._name} goes on\n", **({"log_at": 0} if self._ours else {}))
        await self._say(3, taskStatus="completed")
        return time.monotonic() - began

    async def _sign_on(self) -> None:
        said = {"name": self._name, "supported_task_types": TYPES, "software_version": "4"}
        answer: Any = (
            await self._call("POST", "sign-on", {**said, "features": FEATURES} if self._ours else said)
        ).json()
        assert answer["status_requested"] == "awake"
        await self._call("POST", "state-changed", {"status": "awake"})

    async def _say(self, seq: int, **said: Any) -> None:
        about = {"attempt": self.task["attempt"], "seq": seq} if self._ours else {}
        await self._call("POST", f"task/{self.task['uuid']}", {**about, **said})

    async def _call(self, method: str, path: str, document: object = None) -> Any:
        answer = await self._link.call(method, path, document)
        assert answer.status in (200, 204), (self._name, path, answer)
        return answer


async def all_come_back(
    folder: Path, *, workers: int, restart: bool, say: Callable[[str], None] = print
) -> list[float]:
    """Let so many Workers come back; ``restart``: the Manager was killed meanwhile. Returns the seconds of each."""
    settings = {"new_workers_per_hour": 10**6, "connections_per_address": 10**6}
    async with fake_server() as server, manager_process(folder / "manager", server.url, **settings) as manager:
        await manager.start()
        await server.submit([{"name": "t", "type": "misc", "commands": [WORK]} for _ in range(workers)])
        crew = [Returning(number, manager) for number in range(workers)]
        for part in range(0, workers, 50):  # not what is tried here
            await asyncio.gather(*(worker.begin() for worker in crew[part : part + 50]))
        await asyncio.gather(*(worker.lose() for worker in crew))
        if restart:
            await manager.kill()
            await manager.start()
        async with asyncio.timeout(DEADLINE_S):
            took = await asyncio.gather(*(_after(WITHIN_S * n / workers, worker) for n, worker in enumerate(crew)))
        await _check(server, crew)
        await asyncio.gather(*(worker.lose() for worker in crew))
    times = sorted(took)
    say(
        f"{workers:,} Workers came back within {WITHIN_S:g} s{' to a Manager that began anew' if restart else ''}: "
        f"served in {times[len(times) // 2]:.2f} s (half of them), {times[-1]:.2f} s (the last); none lost"
    )
    return times


async def _after(seconds: float, worker: Returning) -> float:
    await asyncio.sleep(seconds)
    return await worker.come_back()


async def _check(server: FakeServer, crew: list[Returning]) -> None:
    """Each task was completed by who held it, at its first attempt, and no Worker was ever taken for lost."""
    tasks, states = server.mirror["tasks"], server.worker_states
    await server.until(
        lambda: all(tasks.get(one.task["uuid"], {}).get("status") == "completed" for one in crew), DEADLINE_S
    )
    for worker in crew:
        task = tasks[worker.task["uuid"]]
        assert (task["attempt"], task["worker"]) == (1, worker.id)
    assert {state["status"] for state in states} <= {"starting", "awake"}, "none was in error, or offline"
