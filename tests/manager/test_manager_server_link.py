"""Orders in, reports out: each applied once, in order, whatever is lost in between (manager-api.md)."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from fake_server import TOKEN, FakeServer
from manager_world import TestTime, World, a_task, manager_world

from flamenco_core.identifiers import new_id
from flamenco_manager.server_link import MustResync
from flamenco_manager.serving import serve
from flamenco_manager.settings import Settings
from flamenco_runtime.settings import Address


async def test_trace_25_a_report_whose_answer_was_lost_is_sent_again_byte_for_byte(
    server: FakeServer, tmp_path: Path
) -> None:
    server.lose_answers = 2
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        job = await server.submit([a_task()])
        await worker.update(await worker.task(), taskStatus="completed", seq=1)
        await server.until_job(job, "completed")
    bodies: dict[int, set[bytes]] = {}
    for body in server.received:
        bodies.setdefault(orjson.loads(body)["report"], set()).add(body)
    assert len(server.received) > len(bodies)
    assert all(len(same) == 1 for same in bodies.values())
    assert sorted(bodies) == list(range(1, server.applied + 1))


async def test_a_frozen_report_survives_a_restart(server: FakeServer, tmp_path: Path) -> None:
    server.lose_answers = 1_000_000
    async with manager_world(tmp_path, server) as world:
        await world.worker()
        await server.until(lambda: server.applied == 1)
    server.lose_answers = 0
    before = len(server.received)
    async with manager_world(tmp_path, server) as world:
        await world.worker("other")
        await server.until(lambda: len(server.mirror["workers"]) == 2)
    assert all(orjson.loads(body)["report"] > 1 for body in server.received[before:]), "the hello said it was there"


async def test_a_job_cancelled_before_its_tasks_came_never_runs(server: FakeServer, tmp_path: Path) -> None:
    job = server.add_job([a_task()])
    await server.issue("job.submit", job=job)
    await server.issue("job.cancel", job=job)
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        await server.until_job(job, "canceled")
        await server.until(
            lambda: {number: one["result"] for number, one in server.results.items()} == {1: "done", 2: "done"}
        )
        assert (await worker.ask()).status == 204


async def test_a_job_whose_definition_says_cancelled_is_canceled(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server):
        job = await server.submit([a_task()], cancel_requested=True)
        await server.until_job(job, "canceled")


async def test_trace_33_a_job_that_is_gone_is_dropped(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server):
        await server.issue("job.submit", job=new_id())
        await server.until(lambda: server.results.get(1, {}).get("result") == "dropped")


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("job.levitate", {"job": new_id()}),
        ("job.submit", {"job": "../../etc"}),
        ("job.cancel", {"job": new_id()}),
        ("job.cancel", {}),
        ("worker.approve", {"worker": new_id()}),
    ],
)
async def test_orders_that_cannot_be_carried_out_are_dropped_with_why(
    server: FakeServer, tmp_path: Path, kind: str, details: dict[str, str]
) -> None:
    async with manager_world(tmp_path, server):
        await server.issue(kind, **details)
        await server.until(lambda: 1 in server.results)
        assert server.results[1]["result"] == "dropped"
        assert server.results[1]["why"]


async def test_an_order_that_came_too_late_is_expired(server: FakeServer, tmp_path: Path) -> None:
    number = await server.issue("job.cancel", job=new_id())
    server.orders[number - 1]["expires"] = "2020-01-01T00:00:00Z"
    async with manager_world(tmp_path, server):
        await server.until(lambda: server.results.get(1, {}).get("result") == "expired")


async def test_an_order_with_the_id_of_an_applied_one_is_not_done_again(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server):
        job = await server.submit([a_task()])
        await server.until_job(job, "queued")
        server.orders.append({**server.orders[0], "order": 2})
        await server.issue("job.cancel", job=job)
        await server.until_job(job, "canceled")
        await server.until(lambda: server.results.get(3, {}).get("result") == "done")
        assert (server.results[1]["result"], server.results[2]["result"]) == ("done", "done")


async def test_cancelling_an_ended_job_is_dropped(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        job = await server.submit([a_task()])
        await worker.update(await worker.task(), taskStatus="completed", seq=1)
        await server.until_job(job, "completed")
        await server.issue("job.cancel", job=job)
        await server.until(lambda: 2 in server.results)
        assert server.results[2]["result"] == "dropped"
        assert "completed" in server.results[2]["why"]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"commands": [{"name": "echo", "parameters": {}, "total_step_count": -1}]}, "commands.0.total_step_count"),
        ({"priority": "high"}, "priority: Not a valid integer"),
        ({"index": 7}, "sent task 7 of 700 where task 600 was due"),
        ({"id": "6f2c2a9e-5a0e-4c4e-9f4f-0c9c0c1a5a11"}, "Task 600 has the id 6f2c2a9e"),
        ({"depends_on": [600]}, "Task 600 ('echo') waits for a task that comes after it"),
        ({"frames": "1-"}, "Task 600 ('echo') has bad frames"),
    ],
)
async def test_a_task_that_is_wrong_fails_the_job_and_is_named(
    server: FakeServer, tmp_path: Path, fault: dict[str, Any], why: str
) -> None:
    async with manager_world(tmp_path, server):
        job = server.add_job([a_task() for _ in range(700)])
        server.tasks[job][600] |= fault
        await server.issue("job.submit", job=job)
        assert why in (await server.until_job(job, "failed"))["activity"]


@pytest.mark.parametrize("path", ["../evil", "/etc/passwd", "a/../../b", "C:/x", "con", "a\\b", "dir/\x00"])
async def test_a_manifest_that_leaves_the_checkout_fails_the_job(server: FakeServer, tmp_path: Path, path: str) -> None:
    async with manager_world(tmp_path / "data", server):
        job = await server.submit([a_task()], files={path: b"x"})
        report = await server.until_job(job, "failed")
        assert "cannot be laid out" in report["activity"]
    assert not (tmp_path / "data" / "jobs").exists()


async def test_a_missing_blob_fails_the_job_and_names_the_file(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server):
        job = server.add_job([a_task()], files={"scene.blend": b"BLENDER"})
        server.blobs.clear()
        await server.issue("job.submit", job=job)
        assert "scene.blend" in (await server.until_job(job, "failed"))["activity"]


async def test_a_blob_with_other_contents_is_not_kept(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server):
        job = server.add_job([a_task()], files={"scene.blend": b"BLENDER"})
        (digest,) = server.blobs
        server.blobs[digest] = b"forged"
        await server.issue("job.submit", job=job)
        await server.until(lambda: "something else" in server.mirror["jobs"].get(job, {}).get("activity", ""))
        assert [file for file in (tmp_path / "blobs").rglob("*") if file.is_file()] == []
        server.blobs[digest] = b"BLENDER"
        await server.until_job(job, "queued")


async def test_a_log_is_followed_while_its_task_runs(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        await server.submit([a_task()])
        task = await worker.task()
        await worker.update(task, log="one\n", log_at=0, seq=1)
        await server.issue("task.log", task=task["uuid"], attempt=1, seconds=20)
        key = (task["uuid"], 1)
        await server.until(lambda: server.logs.get(key) == b"one\n")
        await worker.update(task, log="two\n", log_at=4, seq=2)
        await server.until(lambda: server.logs[key] == b"one\ntwo\n")
        assert key not in server.whole_logs
        await worker.update(task, taskStatus="completed", seq=3)
        await server.until(lambda: key in server.whole_logs)


async def test_another_feed_leads_to_a_new_hello(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server):
        await server.until(lambda: server.manager_feed is not None)
        server.manager_feed = new_id()  # the Server forgot us
        await server.issue("job.cancel", job=new_id())
        await server.until(lambda: 1 in server.results)


async def test_a_server_with_other_orders_than_those_applied_is_noticed(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server):
        await server.issue("job.cancel", job=new_id())
        await server.until(lambda: 1 in server.results)
    server.orders[0]["details"] = {"job": new_id()}
    with pytest.raises(MustResync, match="asks to begin anew"):
        async with manager_world(tmp_path, server):
            await asyncio.get_running_loop().create_future()
    assert 2 not in server.results


async def test_a_manager_that_is_to_resync_keeps_its_workers_served(server: FakeServer, tmp_path: Path) -> None:
    server.resync = True  # and does not know how
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    settings = Settings(server=server.url, data=tmp_path, token=TOKEN, listen=Address("127.0.0.1", 0))
    serving = asyncio.create_task(serve(settings, stop=stop, ready=url.set_result))
    async with aiohttp.ClientSession() as session:
        world = World(await url, server, session, TestTime(), None, None)  # type: ignore[arg-type]
        await server.until(lambda: server.hellos > 6)
        while True:
            with contextlib.suppress(aiohttp.ClientError):  # it tries again in between
                worker = await world.worker()
                assert (await worker.ask()).status == 204
                break
        assert server.received == []
        server.resync = False
        await server.until(lambda: server.mirror["workers"])
    stop.set()
    await serving


async def test_a_server_that_is_away_does_not_stop_the_farm(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        job = await server.submit([a_task(), a_task()])
        await server.until_job(job, "queued")
        server.lose_answers = 1_000_000
        for _ in range(2):
            await worker.update(await worker.task(), taskStatus="completed", seq=1)
        await asyncio.sleep(0)
        server.lose_answers = 0
        await server.until_job(job, "completed")
