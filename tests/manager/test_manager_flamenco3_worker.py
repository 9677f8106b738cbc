"""An unmodified Flamenco 3 Worker on our Manager: whole jobs, and everything that happens to a Worker."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cable import Cable, cable
from fake_flamenco3_worker import QUICK, FakeFlamenco3Worker, running
from fake_server import FakeServer
from images import an_image
from manager_world import TestTime, World, a_task, manager_world

GOOD = {200, 202, 204, 423}
"""What a Flamenco 3 Worker must see in an undisturbed life: anything else makes it pause, or lose something."""

FAKE_BLENDER = """#!{python}
import os, shutil, sys
pattern = sys.argv[sys.argv.index("--render-output") + 1]
first, last = (int(number) for number in sys.argv[-1].split(".."))
for frame in range(first, last + 1):
    path = pattern.replace("######", "%06d" % frame) + ".png"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy({image!r}, path)
    print("Fra:%d Mem:20M" % frame)
    print("Saved: '" + path + "'")
    print("Time: 00:00.10 (Saving: 00:00.01)", flush=True)
"""


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path / "manager", server) as running_manager:
        yield running_manager


@pytest.fixture
async def line(world: World) -> AsyncIterator[Cable]:
    async with cable(world.url) as laid:
        yield laid


async def until(question: Callable[[], object], what: str, *, deadline_s: float = 30) -> None:
    """Wait for something that only the fake Worker knows."""
    try:
        async with asyncio.timeout(deadline_s):
            while not question():  # noqa: ASYNC110 (it tells nobody)
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"not within {deadline_s:g} s: {what}") from None


def a_command(name: str, steps: int = 0, **parameters: Any) -> dict[str, Any]:
    return {"name": name, "parameters": parameters, "total_step_count": steps}


def a_nap(seconds: float, **more: Any) -> dict[str, Any]:
    return a_task(name="nap", commands=[a_command("sleep", duration_in_seconds=seconds)], **more)


def a_render(folder: Path, frames: str, **more: Any) -> dict[str, Any]:
    blender = folder / "blender"
    image = folder / "image.png"
    image.write_bytes(an_image("png", 64, 36))
    blender.write_text(FAKE_BLENDER.format(python=sys.executable, image=str(image)))
    blender.chmod(0o755)
    args = ["--render-output", f"{folder}/frames/######", "--render-frame", frames]
    command = a_command(
        "blender-render", steps=3, exe=str(blender), exeArgs="{blenderArgs}", blendfile="", argsBefore=[1], args=args
    )
    return a_task(name="render", type="blender", commands=[command], **more)


def task_of(world: World, job: str, index: int = 0) -> str:
    return str(world.server.tasks[job][index]["id"])


def reported(world: World, job: str, index: int = 0) -> dict[str, Any]:
    return world.server.mirror["tasks"].get(task_of(world, job, index), {})


async def until_task(world: World, job: str, status: str, index: int = 0) -> None:
    await world.server.until(lambda: reported(world, job, index).get("status") == status)


def log_of(world: World, job: str, index: int = 0, attempt: int = 1) -> str:
    return world.server.logs.get((task_of(world, job, index), attempt), bytearray()).decode()


def answers(worker: FakeFlamenco3Worker) -> set[int]:
    return {status for _, _, status in worker.exchanges}


async def test_it_works_through_a_job_of_every_command(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    files = [
        a_command("make-directory", path=str(folder / "new")),
        a_command("copy-file", src=str(tmp_path / "image.png"), dest=str(folder / "new" / "copy.png")),
        a_command("move-directory", src=str(folder / "new"), dest=str(folder / "old")),
    ]
    job = await world.server.submit(
        [
            a_task(commands=[a_command("echo", message="first line"), a_command("echo", message="second\nthird")]),
            a_render(tmp_path, "1..3", depends_on=[0], steps_total=3),
            a_task(name="files", type="file-management", commands=files, depends_on=[1]),
            a_task(name="exec", commands=[a_command("exec", exe="/bin/echo", args=["from", 7])], depends_on=[2]),
            a_nap(0.02, depends_on=[3]),
        ]
    )
    worker = FakeFlamenco3Worker(world.url, tmp_path / "worker")
    preview = f"task/{task_of(world, job, 1)}/output-produced"
    async with running(worker):
        report = await world.server.until_job(job, "completed")
        await until(lambda: ("POST", preview, 202) in worker.exchanges, "a preview is uploaded")
    assert report["counts"] == {"completed": 5}
    assert answers(worker) <= GOOD
    assert log_of(world, job, 0) == "first line\nsecond\nthird\n"
    assert "Saved: '" in log_of(world, job, 1)
    assert log_of(world, job, 1).startswith("cmd: ")
    assert "> from 7\n" in log_of(world, job, 3)
    assert (folder / "old" / "copy.png").read_bytes() == (tmp_path / "image.png").read_bytes()
    assert reported(world, job, 1)["steps_completed"] == 3


async def test_its_life_begins_and_ends_as_the_protocol_says(world: World, tmp_path: Path) -> None:
    worker = FakeFlamenco3Worker(world.url, tmp_path / "worker")
    async with running(worker) as process:
        await until(lambda: ("POST", "task", 204) in worker.exchanges, "it asks for a task")
        worker.stop.set()
        assert await process == 1
    assert worker.exchanges[:4] == [
        ("POST", "register-worker", 200),
        ("POST", "sign-on", 200),
        ("POST", "state-changed", 204),
        ("POST", "task", 204),
    ]
    assert worker.exchanges[-1] == ("POST", "sign-off", 204)
    again = FakeFlamenco3Worker(world.url, tmp_path / "worker")
    async with running(again):
        await until(lambda: ("POST", "task", 204) in again.exchanges, "it is back")
    assert again.exchanges[0] == ("POST", "sign-on", 200)
    assert again.id == worker.id


async def test_a_failing_task_ends_after_three_tries_and_the_worker_goes_on(world: World, tmp_path: Path) -> None:
    failing = a_task(commands=[a_command("exec", exe="/bin/sh", args=["-c", "echo no camera; exit 3"])])
    unknown = a_task(commands=[a_command("dance")])
    job = await world.server.submit([failing, unknown, a_task()])
    worker = FakeFlamenco3Worker(world.url, tmp_path / "worker")
    async with running(worker):
        await until_task(world, job, "completed", 2)
        for tries in (1, 2):
            await world.server.until(
                lambda tries=tries: all(len(reported(world, job, index)["failed_by"]) == tries for index in (0, 1))
            )
            await world.passes(61)  # the pause before the same Worker tries again, and the minute that its mark lasts
        report = await world.server.until_job(job, "failed")
    assert report["counts"] == {"completed": 1, "failed": 2}
    failures = reported(world, job, 0)["failed_by"]
    assert [one["reason"] for one in failures] == ["Failed: exit status 3"] * 3
    assert "unknown command" in reported(world, job, 1)["failed_by"][0]["reason"]
    assert "no camera" in log_of(world, job, 0)
    assert log_of(world, job, 0).endswith("Failed: exit status 3\n")
    assert answers(worker) <= GOOD


async def test_a_cancelled_job_reaches_it_and_it_takes_the_next_one(world: World, tmp_path: Path) -> None:
    job = await world.server.submit([a_nap(600)])
    worker = FakeFlamenco3Worker(world.url, tmp_path / "worker")
    async with running(worker):
        await until_task(world, job, "active")
        await world.server.issue("job.cancel", job=job)
        assert (await world.server.until_job(job, "canceled"))["counts"] == {"canceled": 1}
        other = await world.server.submit([a_task()])
        await world.server.until_job(other, "completed")
    assert ("POST", f"task/{task_of(world, job)}", 409) not in worker.exchanges  # an aborted task is not reported


async def test_put_to_sleep_at_once_it_drops_its_task_and_wakes_to_finish_it(world: World, tmp_path: Path) -> None:
    job = await world.server.submit([a_nap(600), a_nap(0.01)])
    worker = FakeFlamenco3Worker(world.url, tmp_path / "worker")
    async with running(worker):
        await until_task(world, job, "active")
        await world.server.issue("worker.status", worker=worker.id, status="asleep", lazy=False)
        await until(lambda: worker.status == "asleep", "it sleeps")
        await until_task(world, job, "queued")
        await world.server.until(lambda: world.server.mirror["workers"][worker.id]["status"] == "asleep")
        await world.server.issue("worker.status", worker=worker.id, status="awake", lazy=False)
        await until_task(world, job, "completed", 1)  # the other task first: this one left it a moment ago
        await world.passes(61)
        await until_task(world, job, "active")
    assert answers(worker) <= GOOD


async def test_put_to_sleep_lazily_it_finishes_its_task_first(world: World, tmp_path: Path) -> None:
    job = await world.server.submit([a_nap(0.5), a_nap(0.01)])
    worker = FakeFlamenco3Worker(world.url, tmp_path / "worker")
    async with running(worker):
        await until_task(world, job, "active")
        await world.server.issue("worker.status", worker=worker.id, status="asleep", lazy=True)
        await until(lambda: worker.status == "asleep", "it sleeps")
        await until_task(world, job, "completed")
    assert reported(world, job, 1).get("status", "queued") == "queued"
    assert reported(world, job, 0)["attempt"] == 1


@pytest.mark.parametrize(("asked", "exit_code"), [("offline", 0), ("restart", 47)])
async def test_asked_to_leave_it_signs_off_and_its_task_is_free(
    world: World, tmp_path: Path, asked: str, exit_code: int
) -> None:
    job = await world.server.submit([a_nap(600)])
    worker = FakeFlamenco3Worker(world.url, tmp_path / "worker")
    async with running(worker) as process:
        await until_task(world, job, "active")
        await world.server.issue("worker.status", worker=worker.id, status=asked, lazy=False)
        assert await process == exit_code
    await until_task(world, job, "queued")
    assert worker.exchanges[-1] == ("POST", "sign-off", 204)
    again = FakeFlamenco3Worker(world.url, tmp_path / "worker")
    async with running(again):
        await until(lambda: again.status == "awake", "it is awake again, not sent away once more")


async def test_stopped_by_a_signal_it_gives_its_task_back_at_once(world: World, tmp_path: Path) -> None:
    job = await world.server.submit([a_nap(600)])
    first = FakeFlamenco3Worker(world.url, tmp_path / "first", name="first")
    async with running(first) as process:
        await until_task(world, job, "active")
        second = FakeFlamenco3Worker(world.url, tmp_path / "second", name="second")
        async with running(second):
            first.stop.set()
            assert await process == 1
            await world.server.until(lambda: reported(world, job).get("worker") == second.id)
    assert reported(world, job)["attempt"] == 2


async def test_killed_and_started_again_it_gets_its_own_task_back(world: World, tmp_path: Path) -> None:
    job = await world.server.submit([a_nap(0.3)])
    worker = FakeFlamenco3Worker(world.url, tmp_path / "worker")
    async with running(worker):
        await until_task(world, job, "active")
    again = FakeFlamenco3Worker(world.url, tmp_path / "worker")
    async with running(again):
        await world.server.until_job(job, "completed")
    assert reported(world, job)["attempt"] == 2
    assert answers(again) <= GOOD


def a_talk(lines: int) -> dict[str, Any]:
    """A task that says something every few hundredths of a second."""
    nap = a_command("sleep", duration_in_seconds=0.03)
    spoken = [a_command("echo", message=f"line {number}") for number in range(lines)]
    return a_task(commands=[one for echo in spoken for one in (echo, nap)])


async def until_it_ended_unheard(world: World, worker: FakeFlamenco3Worker, line: Cable, job: str) -> None:
    """Cut the connection while the Worker is at work, and wait until it is done with its task."""
    await until_task(world, job, "active")
    await until(lambda: worker.exchanges.count(("POST", f"task/{task_of(world, job)}", 204)) > 3, "it has begun")
    line.cut()
    await until(lambda: any(said.get("taskStatus") for _, said in worker.queued), "it has ended unheard")


async def test_a_lost_connection_costs_neither_the_task_nor_a_line_of_its_log(
    world: World, line: Cable, tmp_path: Path
) -> None:
    job = await world.server.submit([a_talk(8)])
    patient = replace(QUICK, resend=0.01, after_task=60.0)  # its queue goes out before it asks again
    worker = FakeFlamenco3Worker(line.url, tmp_path / "worker", timers=patient)
    async with running(worker):
        await until_it_ended_unheard(world, worker, line, job)
        line.mend()
        await world.server.until_job(job, "completed")
        await until(lambda: not worker.queued, "its queue is empty")
    await world.server.until(lambda: _holds_all_lines(world, job, 8))
    assert reported(world, job)["attempt"] == 1


async def test_asking_before_its_queue_is_out_it_is_handed_its_task_again_and_the_queue_ends_it(
    world: World, line: Cable, tmp_path: Path
) -> None:
    job = await world.server.submit([a_talk(8)])
    worker = FakeFlamenco3Worker(line.url, tmp_path / "worker")
    async with running(worker):
        await until_it_ended_unheard(world, worker, line, job)
        worker.replays.clear()
        line.mend()
        await world.server.until(lambda: reported(world, job)["attempt"] == 2)
        worker.replays.set()
        await world.server.until_job(job, "completed")
        await until(lambda: not worker.queued, "its queue is empty")
        await until(lambda: worker.exchanges[-1] == ("POST", "task", 204), "it has dropped its second run")
    await world.server.until(lambda: _holds_all_lines(world, job, 8))


def _holds_all_lines(world: World, job: str, lines: int) -> bool:
    """Tell whether the logs of all attempts together hold every line of the first run, in order."""
    attempts = range(1, reported(world, job)["attempt"] + 1)
    found = iter("".join(log_of(world, job, attempt=attempt) for attempt in attempts).splitlines())
    return all(f"line {number}" in found for number in range(lines))


async def test_it_survives_a_restart_of_the_manager(server: FakeServer, tmp_path: Path) -> None:
    time = TestTime()
    async with AsyncExitStack() as stack:
        async with manager_world(tmp_path / "manager", server, time=time) as world:
            line = await stack.enter_async_context(cable(world.url))
            worker = FakeFlamenco3Worker(line.url, tmp_path / "worker")
            await stack.enter_async_context(running(worker))
            job = await server.submit([a_nap(0.3), a_nap(0.01)])
            await until_task(world, job, "active")
            line.cut()
        await until(lambda: any(said.get("taskStatus") for _, said in worker.queued), "it has ended unheard")
        async with manager_world(tmp_path / "manager", server, time=time) as world:
            line.lead_to(world.url)
            line.mend()
            report = await server.until_job(job, "completed")
    assert report["counts"] == {"completed": 2}
    assert worker.queued == []


async def test_a_stranger_sleeps_until_it_is_approved(world: World, tmp_path: Path) -> None:
    job = await world.server.submit([a_task()])
    worker = FakeFlamenco3Worker(world.url, tmp_path / "worker")
    worker.headers = {"X-Forwarded-For": "192.0.2.7"}
    async with running(worker):
        await until(lambda: ("GET", "state", 204) in worker.exchanges, "it sleeps")
        assert reported(world, job).get("status") != "active"
        await world.server.issue("worker.approve", worker=worker.id)
        await world.server.until_job(job, "completed")
    assert answers(worker) <= GOOD


async def test_two_of_them_share_a_job(world: World, tmp_path: Path) -> None:
    job = await world.server.submit([a_nap(0.05) for _ in range(12)])
    first = FakeFlamenco3Worker(world.url, tmp_path / "first", name="first")
    second = FakeFlamenco3Worker(world.url, tmp_path / "second", name="second")
    async with running(first), running(second):
        await world.server.until_job(job, "completed")
    by = {reported(world, job, index)["worker"] for index in range(12)}
    assert by == {first.id, second.id}
    assert {reported(world, job, index)["attempt"] for index in range(12)} == {1}
    assert answers(first) | answers(second) <= GOOD
