"""The traces 1 to 4, 16, 18 and 20 to 24 of traces.md over HTTP: attempts. Time is an argument."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fake_server import FakeServer
from manager_world import HttpWorker, TestTime, World, a_frame, a_frame_task, a_task, manager_world, told
from raw_asks import RawAsk
from trace_steps import (
    GRACE_S,
    begun,
    completed,
    disk_held,
    done,
    failed,
    may_run,
    passes,
    reported,
    starts_again,
    submitted,
    task_id,
    until_in_memory,
    until_job,
    until_tasks,
)


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server) as running:
        await running.passes(GRACE_S)
        yield running


async def test_trace_1_a_frame_that_always_fails_on_one_worker_ends_within_a_minute(world: World) -> None:
    worker, job = await world.worker(), await submitted(world, a_frame_task("12"))
    began_s = world.time.passed_s
    for pause_s in (5, 30, 0):
        await failed(worker)
        assert (await worker.ask()).status == 204  # not at once again
        await passes(world, pause_s, worker)
    report = await until_job(world, job, "failed")
    assert report["activity"] == "1 of 1 frame failed: 12"
    assert world.time.passed_s - began_s <= 60
    assert [one["reason"] for one in reported(world, job, 0)["failed_by"]] == ["no camera"] * 3


async def test_trace_2_a_worker_that_dies_of_its_task_again_and_again_ends_it(world: World) -> None:
    worker, job = await world.worker(), await submitted(world, a_task())
    for attempt in (1, 2, 3):
        assert (await begun(worker))["attempt"] == attempt
        await passes(world, 20)
        await starts_again(worker)
    assert (await worker.ask()).status == 204
    await until_job(world, job, "failed")
    assert reported(world, job, 0)["activity"] == "Its Worker disappeared 3 times."


async def test_trace_3_a_task_that_takes_its_machine_away_does_not_walk_through_the_farm(world: World) -> None:
    workers = [await world.worker(f"w{number}") for number in range(4)]
    job = await submitted(world, a_task())
    for number, worker in enumerate(workers[:3]):
        assert (await begun(worker))["attempt"] == number + 1
        await passes(world, 62, *workers[number + 1 :])
    assert (await workers[3].ask()).status == 204
    await until_job(world, job, "failed")
    assert reported(world, job, 0)["activity"] == "Its Worker disappeared 3 times."
    assert reported(world, job, 0)["attempt"] == 3


async def test_trace_4_a_network_that_is_gone_for_five_minutes_costs_no_frame(world: World) -> None:
    worker, job = await world.worker(), await submitted(world, a_frame_task("1"))
    task = await begun(worker)
    for gap_s in (61, 300):
        await passes(world, 600, worker)
        assert await may_run(worker, task)
        await passes(world, gap_s)
        await until_tasks(world, job, "queued")  # others could have it
        assert await may_run(worker, task)
        await until_tasks(world, job, "active")
    assert (await worker.update(task, taskStatus="completed", seq=2)).status == 204
    await until_job(world, job, "completed")
    assert (reported(world, job, 0)["attempt"], reported(world, job, 0)["worker"]) == (1, worker.id)


async def test_trace_16_a_second_worker_may_fail_a_task_twice_while_a_third_sleeps(world: World) -> None:
    first, second, third = [await world.worker(f"w{number}") for number in range(3)]
    await third.say_status("asleep")
    job = await submitted(world, a_task())
    for worker in (first, second, second):
        await failed(worker)
        await passes(world, 31, first, second, third)
    await until_job(world, job, "failed")


async def test_trace_18_the_result_of_run_1_ends_the_run_that_its_own_worker_was_handed_again(world: World) -> None:
    old, job = await world.worker(ours=False), await submitted(world, a_task())
    task = await begun(old)
    again = await old.task()  # it has finished, but what it says of that is in its queue
    assert (again["uuid"], again["attempt"]) == (task["uuid"], 2)
    assert (await old.update(task, taskStatus="completed")).status == 204  # nobody else had it: it is done
    assert (await old.update(again, taskStatus="active")).status == 409  # and its second run is over
    await until_job(world, job, "completed")


async def test_trace_18_the_result_of_run_1_does_not_end_a_run_after_another_worker_had_the_task(world: World) -> None:
    old, job = await world.worker("old", ours=False), await submitted(world, a_task())
    ours = await world.worker("ours")
    task = await begun(old)
    await passes(world, 62, ours)
    assert (await ours.task())["attempt"] == 2  # given away
    assert (await ours.sign_off()).status == 204
    assert (await old.ask()).status == 204  # its queue may still hold what it had to say
    await passes(world, 30, old)
    assert (await old.update(task, taskStatus="completed")).status == 409
    await passes(world, 59, old)
    assert (await old.ask()).status == 204  # within a minute of its last word about it
    await passes(world, 2, old)
    assert (await old.task())["attempt"] == 3
    assert (await old.update(task, taskStatus="completed")).status == 409  # later still: before its own "active"
    await until_tasks(world, job, "active")
    assert (await old.update(task, taskStatus="active")).status == 204
    assert (await old.update(task, taskStatus="completed")).status == 204
    await until_job(world, job, "completed")


@pytest.mark.parametrize("in_between", ["nothing", "a restart"])
async def test_trace_18_a_task_that_was_completed_and_requeued_is_not_ended_by_its_first_run(
    server: FakeServer, tmp_path: Path, in_between: str
) -> None:
    time = TestTime()
    async with manager_world(tmp_path, server, time=time) as world:
        old, job = await world.worker(ours=False), await submitted(world, a_task(), a_task(type="nobody-has-this"))
        task = await completed(old)  # the answer is lost, so it says it once more, later
        await until_tasks(world, job, "completed", "queued")
        await done(world, "task.requeue", task=task["uuid"])
        if in_between == "nothing":
            await _replay_of_a_requeued_task(world, old, job, task)
    if in_between == "a restart":
        async with manager_world(tmp_path, server, time=time) as world:
            old.world = world
            await _replay_of_a_requeued_task(world, old, job, task)


async def _replay_of_a_requeued_task(world: World, old: HttpWorker, job: str, task: dict[str, Any]) -> None:
    assert (await old.ask()).status == 204
    assert (await old.update(task, taskStatus="completed")).status == 409
    await until_tasks(world, job, "queued", "queued")
    await passes(world, 61, old)
    again = await old.task()
    assert again["attempt"] == 2
    assert (await old.update(again, taskStatus="completed")).status == 409
    await until_tasks(world, job, "active", "queued")
    assert await may_run(old, again)


async def test_trace_18_the_manager_restarts_between_the_two_runs(server: FakeServer, tmp_path: Path) -> None:
    time = TestTime()
    async with manager_world(tmp_path, server, time=time) as world:
        old, job = await world.worker(ours=False), await submitted(world, a_task())
        task = await begun(old)
    async with manager_world(tmp_path, server, time=time) as world:
        old.world = world
        assert (await old.task())["attempt"] == 2
        assert (await old.update(task, log="of run 1\n")).status == 204
        assert (await old.update(task, taskStatus="completed")).status == 204
        await until_job(world, job, "completed")


async def test_trace_20_completed_overtakes_the_log_and_everything_comes_twice(world: World) -> None:
    worker, job = await world.worker(), await submitted(world, a_task())
    task = await worker.task()
    words = [
        told(task, 3, taskStatus="completed", activity="Completed", steps_completed=4),
        told(task, 2, log="one\n", log_at=0, activity="Working", steps_completed=2),
        told(task, 1, taskStatus="active", activity="Started"),
    ]
    for _ in range(2):
        for word in words:
            assert (await worker.batch(word)).status == 200
    await until_job(world, job, "completed")
    assert (await worker.batch(words[1])).json()["results"][0]["result"] == "repeated"
    await world.server.until(lambda: world.server.logs.get((task["uuid"], 1)) == b"one\n")
    end = reported(world, job, 0)
    assert (end["activity"], end["steps_completed"]) == ("Completed", end["steps_total"])


async def test_trace_21_the_manager_tells_a_stopped_worker_that_its_attempt_is_over(world: World) -> None:
    stopped, other = await world.worker("stopped"), await world.worker("other")
    job = await submitted(world, a_frame_task("1"))
    task = await begun(stopped)
    await passes(world, 62, other)  # SIGSTOP, just before it publishes its frame
    newer = await begun(other)
    assert (await other.update(newer, seq=2, frames=[a_frame(1, sha256="b" * 64)])).status == 204
    assert not await may_run(stopped, task)  # it wakes, and asks before it publishes
    late = await stopped.update(task, seq=2, taskStatus="completed", frames=[a_frame(1)])
    assert late.status == 409
    assert (await other.update(newer, seq=3, taskStatus="completed")).status == 204
    await until_job(world, job, "completed")
    await world.server.until(lambda: world.server.frames.get((job, 1), {}).get("sha256") == "b" * 64)


async def test_trace_22_a_task_that_died_after_7_of_10_frames_goes_on_with_the_other_3(world: World) -> None:
    worker, job = await world.worker(), await submitted(world, a_frame_task("1-10"))
    task = await begun(worker)
    saved = [a_frame(number) for number in range(1, 8)]
    assert (await worker.update(task, seq=2, frames=saved)).status == 204
    await starts_again(worker)
    again = await worker.task()
    assert [frame["frame"] for frame in again["frames_done"]] == [1, 2, 3, 4, 5, 6, 7]
    assert [frame["sha256"] for frame in again["frames_done"]] == [frame["sha256"] for frame in saved]
    await done(world, "job.requeue", job=job, which="all")
    fresh = await worker.task()
    assert not fresh.get("frames_done")  # a person wants them all anew


async def test_trace_23_a_manager_that_was_stopped_for_two_minutes_times_nobody_out(world: World) -> None:
    working, idle = await world.worker("working"), await world.worker("idle")
    job = await submitted(world, a_task())
    await begun(working)
    world.time.passed_s += 120  # and no tick came in that time
    await world.foreman.tick()
    await passes(world, 59, idle)
    assert (await idle.ask()).status == 204  # it is still the other's
    assert world.server.mirror["workers"][working.id]["status"] == "awake"
    await passes(world, 3, idle)
    assert (await idle.task())["attempt"] == 2
    await until_tasks(world, job, "active")


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_trace_24_a_task_does_not_wait_for_an_ask_whose_connection_died(world: World, how: str) -> None:
    dead, alive = await world.worker("dead"), await world.worker("alive")
    ask = await RawAsk.parked(dead)
    await ask.until_parked(world)
    await (ask.close() if how == "closed" else ask.reset())
    job = await world.server.submit([a_task()])
    assert (await alive.task())["attempt"] == 1
    await until_job(world, job, "active")


async def test_trace_24_an_ask_that_ends_at_any_moment_loses_no_task(world: World) -> None:
    dead, alive = await world.worker("dead"), await world.worker("alive")
    for number in range(40):
        ask = await RawAsk.parked(dead)
        submitting = asyncio.create_task(world.server.submit([a_task()]))
        for _ in range(number * 5):  # so many turns of the event loop later
            await asyncio.sleep(0)
        await ask.reset()
        await submitting
        task = await alive.task()
        assert (await alive.update(task, taskStatus="completed", seq=1)).status == 204
        assert task["attempt"] <= 2  # handed out in vain once at most


async def test_trace_24_a_hand_out_that_cannot_be_delivered_is_taken_back(world: World) -> None:
    dead, alive = await world.worker("dead"), await world.worker("alive")
    job = await submitted(world, a_task())
    held = world.foreman.farm.tasks[task_id(world, job, 0)]
    with disk_held(world):  # the hand-out cannot be stored, so its answer waits
        ask = await RawAsk.parked(dead, wait_s=0)
        await until_in_memory(lambda: held.is_held)
        await ask.reset()
        await until_in_memory(lambda: not held.is_held)
    task = await alive.task()
    assert (task["uuid"], task["attempt"]) == (held.id, 2)
    assert held.lost == 0
