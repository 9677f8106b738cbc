"""Batches of updates (worker-api.md, 15.5): results, limits, one transaction for many."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import orjson
import pytest
from fake_server import FakeServer
from manager_world import World, a_frame, a_frame_task, a_task, manager_world, told

from flamenco_core.identifiers import new_id

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server) as running:
        yield running


async def test_a_batch_tells_what_became_of_each_update_in_their_order(world: World) -> None:
    worker = await world.worker()
    job = await world.server.submit([a_frame_task("1-2")])
    first = await worker.task()
    second = await worker.task()  # the same task: the first attempt is over
    ghost = {"uuid": new_id(), "attempt": 1}
    reply = await worker.batch(
        told(first, 1, taskStatus="active", log="one\n", log_at=0),
        told(second, 1, taskStatus="active", activity="Started"),
        told(second, 2, log="two\n", log_at=0, frames=[a_frame(1)], steps_completed=1),
        told(second, 1, taskStatus="active", activity="Started"),
        told(ghost, 7, log="boo"),
        told(second, 3, taskStatus="completed", frames=[a_frame(2)]),
    )
    assert reply.status == 200
    assert reply.json() == {
        "results": [
            {"task": first["uuid"], "seq": 1, "result": "stale"},
            {"task": second["uuid"], "seq": 1, "result": "applied"},
            {"task": second["uuid"], "seq": 2, "result": "applied"},
            {"task": second["uuid"], "seq": 1, "result": "repeated"},
            {"task": ghost["uuid"], "seq": 7, "result": "unknown"},
            {"task": second["uuid"], "seq": 3, "result": "applied"},
        ]
    }
    assert (await world.server.until_job(job, "completed"))["counts"] == {"completed": 1}
    logs = {(first["uuid"], 1): b"one\n", (first["uuid"], 2): b"two\n"}
    await world.server.until(lambda: world.server.logs == logs)
    assert {frame["attempt"] for frame in world.server.frames.values()} == {2}


async def test_a_whole_batch_may_be_repeated_after_the_job_has_left_memory(world: World) -> None:
    worker = await world.worker()
    job = await world.server.submit([a_task()])
    task = await worker.task()
    batch = (told(task, 1, taskStatus="active", log="a line\n", log_at=0), told(task, 2, taskStatus="completed"))
    assert [one["result"] for one in (await worker.batch(*batch)).json()["results"]] == ["applied", "applied"]
    await world.server.until_job(job, "completed")
    assert [one["result"] for one in (await worker.batch(*batch)).json()["results"]] == ["repeated", "repeated"]
    late = await worker.batch(told(task, 3, taskStatus="failed", log="more\n", log_at=7))
    assert late.json()["results"][0]["result"] == "stale"
    await world.server.until(lambda: world.server.logs.get((task["uuid"], 1)) == b"a line\nmore\n")


async def test_updates_of_a_task_of_another_worker_are_stale(world: World) -> None:
    worker, other = await world.worker("a"), await world.worker("b")
    await world.server.submit([a_task()])
    task = await worker.task()
    reply = await other.batch(told(task, 1, taskStatus="failed", log="mine\n", log_at=0))
    assert reply.json()["results"][0]["result"] == "stale"
    assert (await worker.may_i_run(task)).json()["mayKeepRunning"] is True


async def test_a_batch_is_one_transaction(world: World, tmp_path: Path) -> None:
    worker = await world.worker()
    job = await world.server.submit([a_task()])
    task = await worker.task()
    await world.server.until_job(job, "active")
    reader = apsw.Connection(str(tmp_path / "manager.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
    before = reader.execute("SELECT changes FROM link").get
    await worker.batch(*[told(task, number, steps_completed=number) for number in range(1, 301)])
    after = reader.execute("SELECT changes FROM link").get
    reader.close()
    assert after == before + 1


async def test_what_is_answered_is_on_disk(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        await server.submit([a_task(), a_task()])
        task = await worker.task()
        said = told(task, 5, taskStatus="completed", result={"device": "CPU"})
        assert (await worker.batch(said)).json()["results"][0]["result"] == "applied"
        reader = apsw.Connection(str(tmp_path / "manager.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
        row = reader.execute("SELECT status, seq FROM tasks WHERE attempt = 1").fetchone()
        reader.close()
        assert row == ("completed", 5)


async def test_the_largest_batch_is_taken_and_a_larger_one_refused(world: World) -> None:
    worker = await world.worker()
    await world.server.submit([a_task()])
    task = await worker.task()
    batch = [told(task, number, activity=f"step {number}") for number in range(1, 1002)]
    refused = await worker.batch(*batch)
    assert (refused.status, "updates" in refused.json()["message"]) == (400, True)
    taken = await worker.batch(*batch[:1000])
    assert [one["result"] for one in taken.json()["results"]] == ["applied"] * 1000
    assert (await worker.batch()).json() == {"results": []}


async def test_a_batch_above_8_mib_gets_413(world: World) -> None:
    worker = await world.worker()
    for size, status in ((2**23, 413), (2**22, 200)):
        said = {"task": new_id(), "attempt": 1, "seq": 1, "log": "x" * size}
        reply = await worker.call("POST", "updates", data=io.BytesIO(orjson.dumps({"updates": [said]})), headers=JSON)
        assert reply.status == status


UNKNOWN = {"task": "00000000-0000-4000-8000-000000000000", "attempt": 1, "seq": 1}
HOSTILE = [
    (b"", "not valid JSON"),
    (b"[]", "body"),
    (b"{}", "updates"),
    (b'{"updates": {}}', "updates"),
    (b'{"updates": ["text"]}', "updates.0"),
    (b'{"updates": [null]}', "updates.0"),
    (orjson.dumps({"updates": [UNKNOWN, {"task": "x", "attempt": 1, "seq": 1}]}), "updates.1.task"),
    (orjson.dumps({"updates": [{**UNKNOWN, "attempt": 0}]}), "updates.0.attempt"),
    (orjson.dumps({"updates": [{"task": UNKNOWN["task"], "attempt": 1}]}), "updates.0.seq"),
    (orjson.dumps({"updates": [{"task": UNKNOWN["task"], "seq": 1}]}), "updates.0.attempt"),
    (orjson.dumps({"updates": [{**UNKNOWN, "at": "yesterday"}]}), "updates.0.at"),
    (orjson.dumps({"updates": [{**UNKNOWN, "log": 1}]}), "updates.0.log"),
    (b'{"updates": [{"seq": NaN}]}', "not valid JSON"),
    (b'{"updates": ' + b"[" * 200 + b"]" * 200 + b"}", ""),
]


@pytest.mark.parametrize(("body", "named"), HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_batches_get_400_that_names_the_update_and_the_field(
    world: World, body: bytes, named: str
) -> None:
    worker = await world.worker()
    reply = await worker.call("POST", "updates", data=body, headers=JSON)
    assert reply.status == 400, reply.body
    assert named in reply.json()["message"]


@pytest.mark.parametrize("status", ["queued", "paused", "canceled", "soft-failed", "nonsense"])
async def test_one_wrong_status_refuses_the_batch_and_nothing_of_it_is_applied(world: World, status: str) -> None:
    worker = await world.worker()
    await world.server.submit([a_task()])
    task = await worker.task()
    said = told(task, 1, taskStatus="completed", log="done\n", log_at=0)
    reply = await worker.batch(said, told(task, 2, taskStatus=status))
    assert (reply.status, "updates.1.taskStatus" in reply.json()["message"]) == (400, True)
    assert (await worker.may_i_run(task)).json()["mayKeepRunning"] is True
    assert (await worker.batch(said)).json()["results"][0]["result"] == "applied"


async def test_batches_need_credentials(world: World) -> None:
    reply = await world.call("POST", "/api/v3/worker/updates", data=b"{", headers=JSON)
    assert (reply.status, list(reply.json())) == (403, ["message"])


async def test_a_status_that_no_worker_may_set_leaves_no_log_either(world: World) -> None:
    worker = await world.worker()
    job = await world.server.submit([a_task()])
    task = await worker.task()
    assert (await worker.update(task, taskStatus="soft-failed", log="no\n", log_at=0, seq=1)).status == 400
    assert (await worker.update(task, taskStatus="completed", seq=2)).status == 204
    await world.server.until_job(job, "completed")
    await world.server.until(lambda: (task["uuid"], 1) in world.server.whole_logs)
    assert world.server.logs[task["uuid"], 1] == b""


async def test_of_two_attempts_that_saved_a_frame_the_later_one_counts(world: World) -> None:
    worker = await world.worker()
    job = await world.server.submit([a_frame_task("1")])
    first, second = await worker.task(), await worker.task()
    newer = a_frame(1, sha256="b" * 64)
    await worker.batch(told(second, 1, frames=[newer]))
    await worker.batch(told(first, 1, frames=[a_frame(1)]))
    await worker.batch(told(second, 2, taskStatus="completed"))
    await world.server.until_job(job, "completed")
    assert world.server.frames[job, 1]["sha256"] == newer["sha256"]


async def test_a_log_that_grows_while_it_is_uploaded_is_uploaded_again(world: World) -> None:
    worker = await world.worker()
    await world.server.submit([a_task()])
    task = await worker.task()
    world.server.logs_pass.clear()
    await worker.batch(told(task, 2, taskStatus="completed", log="one\n", log_at=0))
    await world.server.until(lambda: (task["uuid"], 1) in world.server.whole_logs)
    assert (await worker.batch(told(task, 1, log="two\n", log_at=4))).json()["results"][0]["result"] == "repeated"
    world.server.logs_pass.set()
    await world.server.until(lambda: world.server.logs[task["uuid"], 1] == b"one\ntwo\n")
