"""The traces 5 to 15, 17 and 19 of traces.md over HTTP: what people ask of jobs. Time is an argument."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fake_server import FakeServer
from manager_world import World, a_task, manager_world
from trace_steps import (
    GRACE_S,
    asked,
    begun,
    completed,
    done,
    failed,
    may_run,
    passes,
    reported,
    starts_again,
    submitted,
    task_id,
    until_job,
    until_tasks,
)


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server) as running:
        await running.passes(GRACE_S)
        yield running


async def test_trace_5_a_task_whose_answer_was_lost_is_not_left_active_with_nobody(world: World) -> None:
    worker = await world.worker()
    job = await submitted(world, a_task(), a_task(), priority=90)
    other = await submitted(world, a_task(name="other work"))
    assert (await worker.ask()).status == 200  # the answer is lost
    await done(world, "job.pause", job=job)
    assert (await worker.task())["job"] == other
    await until_tasks(world, job, "paused", "paused")
    await until_job(world, job, "paused")


async def test_trace_6_a_silent_holder_is_heard_of_again_in_a_job_that_was_paused_meanwhile(world: World) -> None:
    worker = await world.worker()
    job = await submitted(world, a_task(), a_task())
    task = await worker.task()
    await passes(world, 182)
    await done(world, "job.pause", job=job)
    await until_job(world, job, "paused")
    assert (await worker.update(task, activity="still at it", seq=1)).status == 204
    await until_tasks(world, job, "active", "paused")
    await until_job(world, job, "pause-requested")
    assert (await worker.update(task, taskStatus="completed", seq=2)).status == 204
    await until_job(world, job, "paused")
    await until_tasks(world, job, "completed", "paused")


@pytest.mark.parametrize("is_t1_active", [True, False])
async def test_trace_7_a_task_requeued_in_a_paused_job_is_paused_whether_another_is_active_or_not(
    world: World, *, is_t1_active: bool
) -> None:
    worker = await world.worker()
    job = await submitted(world, a_task(), a_task())
    await completed(worker)
    t1 = await begun(worker) if is_t1_active else None
    await done(world, "job.pause", job=job)
    await done(world, "task.requeue", task=task_id(world, job, 0))
    await until_tasks(world, job, "paused", "active" if is_t1_active else "paused")
    if t1 is not None:
        await until_job(world, job, "pause-requested")
        assert (await worker.update(t1, taskStatus="completed", seq=2)).status == 204
        await until_tasks(world, job, "paused", "completed")
    await until_job(world, job, "paused")


async def test_trace_8_a_task_that_soft_fails_in_a_paused_job_is_paused(world: World) -> None:
    first, second = await world.worker("first"), await world.worker("second")
    job = await submitted(world, a_task(), a_task())
    t0, t1 = await begun(first), await begun(second)
    await done(world, "job.pause", job=job)
    assert (await first.update(t0, taskStatus="failed", activity="no camera", seq=2)).status == 204
    await until_tasks(world, job, "paused", "active")
    await until_job(world, job, "pause-requested")
    assert len(reported(world, job, 0)["failed_by"]) == 1
    assert (await second.update(t1, taskStatus="completed", seq=2)).status == 204
    await until_job(world, job, "paused")


async def test_trace_9_one_cancelled_task_of_fifty_leaves_a_paused_job_paused(world: World) -> None:
    job = await submitted(world, *[a_task() for _ in range(50)])
    await done(world, "job.pause", job=job)
    await done(world, "task.cancel", task=task_id(world, job, 7))
    await until_tasks(world, job, *["paused"] * 7, "canceled", *["paused"] * 42)
    assert world.server.mirror["jobs"][job]["status"] == "paused"


async def test_trace_9_a_job_goes_on_when_its_last_queued_task_is_cancelled_while_another_runs(world: World) -> None:
    worker = await world.worker()
    job = await submitted(world, a_task(), a_task())
    task = await begun(worker)
    await done(world, "task.cancel", task=task_id(world, job, 1))
    await until_tasks(world, job, "active", "canceled")
    assert await may_run(worker, task)
    assert world.server.mirror["jobs"][job]["status"] == "active"
    assert (await worker.update(task, taskStatus="completed", seq=2)).status == 204
    await until_job(world, job, "canceled")


async def test_trace_10_a_job_with_a_failed_task_is_canceled_when_people_cancel_it(world: World) -> None:
    worker = await world.worker()
    await done(world, "settings", failed_attempts=1)
    job = await submitted(world, a_task(), a_task())
    await failed(worker)
    await done(world, "job.cancel", job=job)
    await until_tasks(world, job, "failed", "canceled")
    await until_job(world, job, "canceled")


async def test_trace_10_a_job_whose_task_waits_for_a_cancelled_one_is_canceled_and_goes_on_with_both(
    world: World,
) -> None:
    worker = await world.worker()
    job = await submitted(world, a_task(), a_task(), a_task(depends_on=[0]))
    await done(world, "task.cancel", task=task_id(world, job, 0))
    await completed(worker)
    await until_job(world, job, "canceled")
    await until_tasks(world, job, "canceled", "completed", "queued")
    await done(world, "job.requeue", job=job, which="chosen", tasks=[task_id(world, job, 2)])
    await until_job(world, job, "active")
    await until_tasks(world, job, "queued", "completed", "queued")
    for index in (0, 2):
        assert (await completed(worker))["uuid"] == task_id(world, job, index)
    await until_job(world, job, "completed")


async def test_trace_10_a_task_requeued_in_a_cancelled_job_brings_along_what_it_waits_for(world: World) -> None:
    job = await submitted(world, a_task(), a_task(), a_task(depends_on=[0]))
    await done(world, "job.cancel", job=job)
    await until_job(world, job, "canceled")
    await done(world, "job.requeue", job=job, which="chosen", tasks=[task_id(world, job, 2)])
    await until_tasks(world, job, "queued", "canceled", "queued")


async def test_trace_11_orders_for_a_deleted_job_are_dropped_and_updates_get_409_until_it_is_erased(
    world: World,
) -> None:
    worker = await world.worker()
    job = await submitted(world, a_task(), a_task())
    task = await begun(worker)
    await done(world, "job.delete", job=job)
    for kind, details in (
        ("job.requeue", {"job": job, "which": "all"}),
        ("task.requeue", {"task": task["uuid"]}),
        ("job.resume", {"job": job}),
    ):
        dropped = await asked(world, kind, **details)
        assert (dropped["result"], "deleted" in dropped["why"]) == ("dropped", True)
    assert not await may_run(worker, task)
    assert (await worker.update(task, taskStatus="completed", seq=2)).status == 409
    await until_tasks(world, job, "canceled", "canceled")
    await done(world, "job.erase", job=job)
    assert (await worker.update(task, taskStatus="completed", seq=2)).status == 404
    assert (await worker.batch({"task": task["uuid"], "attempt": 1, "seq": 2})).json()["results"][0]["result"] == (
        "unknown"
    )


async def test_trace_12_a_failure_that_is_the_last_of_its_task_and_blocks_its_worker_fails_no_job(
    world: World,
) -> None:
    bad, good = await world.worker("bad"), await world.worker("good")
    await done(world, "settings", failed_attempts=1)
    job = await submitted(world, *[a_task() for _ in range(4)])
    held = await begun(good)
    for _ in range(3):
        await failed(bad)
    await until_tasks(world, job, "active", "queued", "queued", "queued")
    assert (await bad.ask()).status == 204  # it is blocked
    assert world.server.mirror["jobs"][job]["status"] == "active"
    assert (await good.update(held, taskStatus="completed", seq=2)).status == 204
    for _ in range(3):
        await completed(good)
    await until_job(world, job, "completed")


async def test_trace_13_a_completed_task_stays_so_when_the_worker_that_had_failed_it_is_blocked(world: World) -> None:
    bad, good = await world.worker("bad"), await world.worker("good")
    job = await submitted(world, *[a_task() for _ in range(4)])
    first = await failed(bad)
    assert (await completed(good))["uuid"] == first["uuid"]
    for _ in range(2):
        await failed(bad)
    await world.server.until(lambda: reported(world, job, 0).get("failed_by") == [])  # its failure goes from all lists
    await until_tasks(world, job, "completed", "queued", "queued", "queued")
    assert (await bad.ask()).status == 204


async def test_trace_14_a_job_runs_after_the_one_it_waits_for_was_paused_resumed_and_completed(world: World) -> None:
    worker = await world.worker()
    a = await submitted(world, a_task(name="a"))
    b = await submitted(world, a_task(name="b"), needs_jobs=[{"job": a, "ended": False}])
    await done(world, "job.pause", job=a)
    assert (await worker.ask()).status == 204
    await done(world, "job.resume", job=a)
    assert (await completed(worker))["name"] == "a"
    await until_job(world, a, "completed")
    assert (await completed(worker))["name"] == "b"
    await until_job(world, b, "completed")


@pytest.mark.parametrize("ended", [False, True])
async def test_trace_14_a_job_does_not_fail_when_the_one_it_waits_for_is_deleted(world: World, *, ended: bool) -> None:
    worker = await world.worker()
    a = await submitted(world, a_task(name="a"))
    b = await submitted(world, a_task(name="b"), needs_jobs=[{"job": a, "ended": ended}])
    await done(world, "job.delete", job=a)
    assert world.server.mirror["jobs"][b]["status"] == "queued"
    assert (await worker.ask()).status == (200 if ended else 204)


async def test_trace_15_after_a_requeue_lost_attempts_are_counted_anew(world: World) -> None:
    worker = await world.worker()
    await done(world, "settings", lost_attempts=2)
    job = await submitted(world, a_task())
    for _ in range(2):
        await begun(worker)
        await starts_again(worker)
    assert (await worker.ask()).status == 204
    await until_job(world, job, "failed")
    await done(world, "job.requeue", job=job, which="failed")
    await begun(worker)
    await starts_again(worker)
    assert (await worker.task())["job"] == job
    await until_tasks(world, job, "active")


async def test_trace_17_requeueing_a_task_ends_the_suspended_attempt_of_what_depends_on_it(world: World) -> None:
    worker = await world.worker()
    job = await submitted(world, a_task(name="t0"), a_task(name="t1", depends_on=[0]))
    await completed(worker)
    t1 = await begun(worker)
    await passes(world, 62)
    await until_tasks(world, job, "completed", "queued")  # suspended
    await done(world, "task.requeue", task=task_id(world, job, 0))
    await until_tasks(world, job, "queued", "queued")
    assert (await worker.update(t1, taskStatus="completed", seq=2)).status == 409
    assert not await may_run(worker, t1)
    assert (await worker.task())["name"] == "t0"


async def test_trace_19_a_job_cancelled_while_its_order_is_on_the_way_never_runs(world: World) -> None:
    worker = await world.worker()
    world.server.refuse_tasks = True  # its tasks do not arrive
    job = await world.server.submit([a_task(), a_task()])
    await world.server.until(lambda: job in world.server.mirror["jobs"])
    assert (await asked(world, "job.cancel", job=job))["result"] == "done"
    world.server.refuse_tasks = False
    await until_job(world, job, "canceled")
    assert (await worker.ask()).status == 204


async def test_trace_19_a_job_that_was_cancelled_while_it_was_compiled_comes_as_cancelled(world: World) -> None:
    worker = await world.worker()
    job = await world.server.submit([a_task()], cancel_requested=True)
    await until_job(world, job, "canceled")
    assert (await worker.ask()).status == 204


async def test_trace_19_a_cancel_just_before_the_last_task_completes_wins(world: World) -> None:
    worker = await world.worker()
    job = await submitted(world, a_task(), a_task())
    await completed(worker)
    last = await begun(worker)
    await done(world, "job.cancel", job=job)
    assert (await worker.update(last, taskStatus="completed", seq=2)).status == 409
    await until_job(world, job, "canceled")
    await until_tasks(world, job, "completed", "canceled")


async def test_trace_19_a_cancel_just_after_the_last_task_completed_is_dropped(world: World) -> None:
    worker = await world.worker()
    job = await submitted(world, a_task())
    await completed(worker)
    dropped = await asked(world, "job.cancel", job=job)
    assert (dropped["result"], "completed" in dropped["why"]) == ("dropped", True)
    await until_job(world, job, "completed")
