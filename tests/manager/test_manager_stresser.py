"""Flamenco 3's ``stresser`` on our Manager (worker-api.md, section 12)."""

from collections import Counter
from pathlib import Path

from fake_server import FakeServer
from fake_stresser import FakeStresser
from manager_world import a_task, manager_world

UPDATES = 40


async def test_every_update_of_every_worker_is_taken(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path / "manager", server) as world:
        job = await server.submit([a_task(steps_total=steps) for steps in (0, 1, 7, 1000, 5, 5, 5, 5)])
        await server.until_job(job, "queued")
        stresser = FakeStresser(world.url, tmp_path, 8)
        await stresser.run(UPDATES)
        calls = sum((worker.calls for worker in stresser.workers), Counter[str]())
        assert calls == {
            "sign-on 403": 8,
            "register-worker 200": 8,
            "sign-on 200": 8,
            "state-changed 204": 8,
            "task 200": 8,
            "task 204": 8 * (UPDATES + 1),
            "sign-off 204": 8,
        }
        await server.until(lambda: len(server.whole_logs) == 8)
        for log in server.logs.values():
            lines = bytes(log).decode().splitlines()
            assert [line.split(",")[0] for line in lines] == [
                f"line {line} of stress test update {number}" for number in range(1, UPDATES + 1) for line in range(5)
            ]
        for task in server.mirror["tasks"].values():
            assert 0 <= task["steps_completed"] <= task["steps_total"]


async def test_a_second_run_signs_on_with_what_the_first_left(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path / "manager", server) as world:
        job = await server.submit([a_task() for _ in range(5)])
        await server.until_job(job, "queued")
        await FakeStresser(world.url, tmp_path, 2).run(3)
        await world.passes(61)  # a Flamenco 3 worker gets no task back that left it a moment ago
        again = FakeStresser(world.url, tmp_path, 3)
        await again.run(3)
        calls = sum((worker.calls for worker in again.workers), Counter[str]())
        assert (calls["register-worker 200"], calls["sign-on 200"], calls["task 200"]) == (1, 3, 3)
        await world.server.until(lambda: len(world.server.mirror["workers"]) == 3)
