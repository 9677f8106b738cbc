"""What the log of a Manager says of what happens at night: when, which job, task and Worker, and why."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from fake_server import TOKEN, FakeServer
from manager_world import World, a_task, manager_world
from structlog.testing import capture_logs


def named(lines: list[Any], event: str) -> list[Any]:
    return [line for line in lines if line["event"] == event]


async def failing(world: World, *, times: int) -> tuple[str, dict[str, Any], list[Any]]:
    """Let a task fail so often, each time at another Worker; returns the job, the task, what the log said."""
    job = await world.server.submit([a_task(name="render-1")])
    with capture_logs() as lines:
        for number in range(times):
            worker = await world.worker(f"w{number}")
            task = await worker.task()
            why = f"Blender crashed {number}"
            assert (await worker.update(task, taskStatus="failed", seq=1, activity=why)).status == 204
    return job, task, lines


async def test_a_task_that_fails_is_told_with_its_job_worker_attempt_and_reason(
    server: FakeServer, tmp_path: Path
) -> None:
    async with manager_world(tmp_path, server) as world:
        job, task, lines = await failing(world, times=3)
        told = named(lines, "task failed")
        assert [(line["attempt"], line["worker"], line["why"]) for line in told] == [
            (number + 1, f"w{number}", f"Blender crashed {number}") for number in range(3)
        ]
        assert [line["for_good"] for line in told] == [False, False, True]
        assert {(line["job"], line["task"], line["name"], line["log_level"]) for line in told} == {
            (job, task["uuid"], "render-1", "warning")
        }
        assert all(line["worker_id"] in world.foreman.farm.workers for line in told)
        [ended] = named(lines, "job ended")
        assert (ended["job"], ended["status"], ended["log_level"]) == (job, "failed", "warning")


async def test_what_goes_well_is_not_told_task_by_task(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        job = await server.submit([a_task(), a_task()])
        with capture_logs() as lines:
            for _ in range(2):
                task = await worker.task()
                assert (await worker.update(task, taskStatus="active", seq=1)).status == 204
                assert (await worker.update(task, taskStatus="completed", seq=2)).status == 204
            await server.until_job(job, "completed")
        assert [line for line in lines if line.get("task")] == []
        [ended] = named(lines, "job ended")
        assert (ended["status"], ended["log_level"]) == ("completed", "info")


async def test_a_worker_that_comes_falls_silent_and_goes_is_told_with_the_reason(
    server: FakeServer, tmp_path: Path
) -> None:
    async with manager_world(tmp_path, server, start_up_grace_s=0) as world:
        with capture_logs() as lines:
            worker = await world.worker("render-07")
            await world.passes(600)
            await worker.sign_off()
        told = named(lines, "worker changed")
        assert {line["worker"] for line in told} == {"render-07"}
        assert {line["worker_id"] for line in told} == {worker.id}
        states = [line["status"] for line in told]
        assert states[0] == "starting"
        assert "error" in states
        assert states[-1] == "offline"
        [lost] = [line for line in told if line["status"] == "error"]
        assert lost["log_level"] == "warning"
        assert lost["why"]


async def test_what_people_ask_is_told_with_who_asked_and_what_about(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        job = await server.submit([a_task()])
        with capture_logs() as lines:
            await server.asked("job.priority", job=job, priority=70)
            await server.asked("worker.tags", worker=worker.id, tags=["gpu"])
        first, second = named(lines, "order applied")[-2:]
        assert (first["kind"], first["job"], first["result"]) == ("job.priority", job, "done")
        assert (second["kind"], second["worker"]) == ("worker.tags", worker.id)
        assert first["asked_by"] == server.orders[-1]["asked_by"]


async def test_a_refused_worker_is_named(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker("render-07")
        with capture_logs() as lines:
            assert (await worker.call("POST", "state-changed", json={"status": "dancing"})).status == 400
        [refused] = named(lines, "worker refused")
        assert (refused["worker"], refused["worker_id"], refused["status"]) == ("render-07", worker.id, 400)


async def test_each_line_of_a_manager_is_json_where_that_is_asked_for_from_ready_to_stopped(
    server: FakeServer, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flamenco_cli", "manager", "--server", server.url, "--data", str(tmp_path / "m")),
        *("--listen", "127.0.0.1:0", "--name", "site", "--log-json"),
        env={"FLAMENCO_MANAGER_TOKEN": TOKEN, "FLAMENCO_CONFIG_DIR": str(tmp_path), "PATH": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert (await process.stdout.readline()).startswith(b"ready: http://127.0.0.1:")
        process.terminate()
        _, said = await process.communicate()
    assert process.returncode == 0
    lines = [json.loads(line) for line in said.splitlines()]
    ready = next(line for line in lines if line["event"] == "ready")
    assert (ready["name"], ready["jobs"], ready["tasks"], ready["workers"]) == ("site", 0, 0, 0)
    assert ready.keys() >= {"version", "data", "took_s", "timestamp", "level"}
    assert [line["event"] for line in lines if line["event"].startswith("stop")] == ["stopping", "stopped"]
    assert TOKEN not in said.decode()
