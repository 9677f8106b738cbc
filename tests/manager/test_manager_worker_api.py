"""Every endpoint of the worker protocol: codes, bodies, order of checks (worker-api.md 6, 13, 14, 15)."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fake_server import FakeServer
from images import an_image
from manager_world import TASK_TYPES, World, a_frame, a_frame_task, a_task, manager_world

from flamenco_core.identifiers import new_id

JPEG = an_image("jpeg", 32, 18)


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server, registration_token="let-me-in") as running:
        yield running


async def test_health_and_version_need_no_credentials(world: World) -> None:
    assert (await world.call("GET", "/healthz")).json() == {"status": "ok"}
    version = (await world.call("GET", "/api/v3/version")).json()
    assert version["name"] == "site"
    assert set(version) == {"version", "shortversion", "name", "git"}


async def test_registration_ignores_credentials_and_answers_with_the_record(world: World) -> None:
    body = {"secret": "s", "platform": "linux", "supported_task_types": ["misc"], "name": "old"}
    reply = await world.call(
        "POST", "/api/v3/worker/register-worker", json=body, headers={"Authorization": "Basic Og=="}
    )
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    record = reply.json()
    assert {key: record[key] for key in ("name", "platform", "status", "software", "supported_task_types")} == {
        "name": "old",
        "platform": "linux",
        "status": "",
        "software": "",
        "supported_task_types": ["misc"],
    }
    assert record["address"] == "127.0.0.1"
    again = await world.call("POST", "/api/v3/worker/register-worker", json=body)
    assert again.json()["uuid"] != record["uuid"]


async def test_our_worker_gets_its_record_back_with_the_same_node_slot_and_secret(world: World) -> None:
    place = {"node": new_id(), "slot": 1}
    first = await world.registered("a", **place)
    assert (await world.registered("a", **place)).id == first.id
    assert (await world.registered("a", **{**place, "slot": 2})).id != first.id
    other_secret = await world.registered("b", **place)
    assert other_secret.id != first.id


async def test_a_secret_of_more_than_72_bytes_is_refused(world: World) -> None:
    body = {"secret": "s" * 73, "platform": "linux", "supported_task_types": [], "name": "w"}
    reply = await world.call("POST", "/api/v3/worker/register-worker", json=body)
    assert reply.status == 400
    assert "secret" in reply.json()["message"]


ENDPOINTS = [
    ("POST", "sign-on"),
    ("POST", "sign-off"),
    ("GET", "state"),
    ("POST", "state-changed"),
    ("POST", "task"),
    ("POST", "task/not-a-uuid"),
    ("GET", "task/not-a-uuid/may-i-run"),
    ("POST", "task/not-a-uuid/output-produced"),
]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_wrong_credentials_get_403_before_anything_else(world: World, method: str, path: str) -> None:
    known = await world.registered()
    basic = [f"{known.id}:wrong", f"{new_id()}:{known.secret}", ":", "nonsense", f"{known.id}:"]
    headers = [{"Authorization": "Basic " + base64.b64encode(text.encode()).decode()} for text in basic]
    for sent in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic ÿ%"}, *headers):
        reply = await world.call(method, "/api/v3/worker/" + path, headers=sent, data=b"{")
        assert reply.status == 403
        assert list(reply.json()) == ["message"]
        assert "WWW-Authenticate" not in reply.headers


async def test_unknown_paths_and_methods_answer_as_json(world: World) -> None:
    reply = await world.call("GET", "/api/v3/worker/nothing")
    assert (reply.status, reply.json()["code"]) == (404, 404)
    reply = await world.call("DELETE", "/api/v3/worker/task")
    assert (reply.status, reply.json()["code"]) == (405, 405)


async def test_a_worker_that_is_not_from_here_waits_for_approval(world: World) -> None:
    away = {"X-Forwarded-For": "192.0.2.1"}
    body = {"secret": "s" * 40, "platform": "linux", "supported_task_types": TASK_TYPES, "name": "stranger"}
    reply = await world.call("POST", "/api/v3/worker/register-worker", json=body, headers=away)
    worker = await world.registered("helper")
    worker.id, worker.secret = reply.json()["uuid"], "s" * 40
    assert (await worker.sign_on()).json()["status_requested"] == "asleep"
    await worker.say_status("awake")  # says so itself
    refused = await worker.ask()
    assert (refused.status, refused.json()) == (423, {"status_requested": "asleep"})
    await worker.say_status("asleep")
    waiting = asyncio.create_task(worker.call("GET", "state", headers={"Prefer": "wait=30"}))
    await world.server.issue("worker.approve", worker=worker.id)
    approved = await waiting
    assert (approved.status, approved.json()) == (200, {"status_requested": "awake"})
    assert approved.headers["Preference-Applied"] == "wait"
    assert (await worker.say_status("awake")).status == 204
    assert (await worker.ask()).status == 204


@pytest.mark.parametrize("where", ["header", "body"])
async def test_the_registration_token_spares_the_approval(world: World, where: str) -> None:
    body = {"secret": "s", "platform": "linux", "supported_task_types": TASK_TYPES, "name": "stranger"}
    headers = {"X-Forwarded-For": "192.0.2.1"}
    if where == "header":
        headers["Authorization"] = "Bearer let-me-in"
    else:
        body["token"] = "let-me-in"
    reply = await world.call("POST", "/api/v3/worker/register-worker", json=body, headers=headers)
    worker = await world.registered("helper")
    worker.id, worker.secret = reply.json()["uuid"], "s"
    assert (await worker.sign_on()).json()["status_requested"] == "awake"


async def test_sign_on_tells_ours_what_the_manager_can_do_and_others_nothing_more(world: World) -> None:
    ours, old = await world.registered("a"), await world.registered("b", ours=False)
    answer = (await ours.sign_on()).json()
    assert answer["features"] == ["attempt", "wait", "frames", "batch"]
    assert answer["time"].endswith("Z")
    assert (await old.sign_on()).json() == {"status_requested": "awake"}


async def test_sign_off_remembers_that_the_worker_was_asleep(world: World) -> None:
    worker = await world.worker()
    assert (await worker.say_status("asleep")).status == 204
    off = await worker.sign_off()
    assert (off.status, off.body, off.headers.get("Content-Type")) == (204, b"", None)
    assert (await worker.sign_on()).json()["status_requested"] == "asleep"
    assert (await worker.call("GET", "state")).json() == {"status_requested": "asleep"}
    assert (await worker.ask()).status == 423
    await worker.say_status("asleep")
    assert (await worker.call("GET", "state")).status == 204
    assert (await worker.ask()).status == 409


async def test_asking_423_before_409_before_204(world: World) -> None:
    worker = await world.registered()
    reply = await worker.ask()
    assert (reply.status, reply.json()["code"]) == (409, 409)
    await worker.sign_on()
    assert (await worker.ask()).status == 409
    await worker.say_status("awake")
    empty = await worker.ask()
    assert (empty.status, empty.body, empty.headers.get("Content-Type")) == (204, b"", None)


async def test_an_assignment_has_every_field_with_integers_as_integers(world: World) -> None:
    worker = await world.worker(ours=False)
    job = await world.server.submit([a_frame_task("7", priority=60)], priority=70)
    await world.server.until_job(job, "queued")
    task = (await worker.ask()).json()
    command = task.pop("commands")[0]
    assert task == {
        "uuid": world.server.tasks[job][0]["id"],
        "job": job,
        "name": "render-7",
        "status": "active",
        "priority": 60,
        "job_priority": 70,
        "job_type": "simple-blender-render",
        "task_type": "blender",
        "steps_completed": 0,
        "steps_total": 1,
        "attempt": 1,
        "deadline_seconds": 60.0,
    }
    assert (command["name"], command["total_step_count"]) == ("blender-render", 1)
    assert command["parameters"]["args"] == ["--render-frame", "7", "{unknown}", 7]
    assert command["parameters"]["blendfile"].endswith("/jobs/ID/scene.blend")
    assert isinstance(task["priority"], int)


async def test_an_ask_that_waits_gets_new_work_at_once(world: World) -> None:
    workers = [await world.worker(f"w{number}") for number in range(3)]
    asks = [asyncio.create_task(worker.ask(wait_s=30)) for worker in workers]
    job = await world.server.submit([a_task(), a_task()])
    await world.server.until_job(job, "active")
    done, waiting = set[asyncio.Task[object]](), set(asks)
    while len(done) < 2:
        newly, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[assignment]
        done |= newly  # type: ignore[arg-type]
    assert all(one.result().status == 200 for one in done)  # type: ignore[attr-defined]
    assert len(waiting) == 1
    for one in waiting:
        one.cancel()


async def test_a_newer_ask_ends_the_older_one(world: World) -> None:
    worker = await world.worker()
    older = asyncio.create_task(worker.ask(wait_s=60))
    newer = asyncio.create_task(worker.ask(wait_s=60))
    done, _ = await asyncio.wait({older, newer}, return_when=asyncio.FIRST_COMPLETED)
    assert [one.result().status for one in done] == [204]
    await world.server.submit([a_task()])
    left = newer if older in done else older
    assert (await left).status == 200


async def test_trace_24_a_task_does_not_wait_for_a_parked_ask_whose_connection_died(world: World) -> None:
    dead, alive = await world.worker("dead"), await world.worker("alive")
    ask = asyncio.create_task(dead.ask(wait_s=60))
    await asyncio.sleep(0.05)  # it need not be parked yet: any order must end alike
    ask.cancel()
    await world.server.submit([a_task()])
    assert (await alive.task())["name"] == "echo"


async def test_updates_404_409_400_in_this_order(world: World) -> None:
    worker, other = await world.worker("a"), await world.worker("b")
    await world.server.submit([a_task()])
    task = await worker.task()
    unknown = await worker.update({**task, "uuid": new_id()}, taskStatus="active")
    assert (unknown.status, unknown.json()["code"]) == (404, 404)
    assert (await other.update(task, taskStatus="soft-failed")).status == 409
    for status in ("soft-failed", "queued", "paused", "canceled"):
        assert (await worker.update(task, taskStatus=status)).status == 400
    assert (await worker.update(task, taskStatus="nonsense")).status == 400
    for no_uuid in ("123", task["uuid"].replace("-", ""), f"%7B{task['uuid']}%7D"):
        assert (await worker.call("POST", f"task/{no_uuid}", json={})).status == 400
    accepted = await worker.update(task, taskStatus="active")
    assert (accepted.status, accepted.body, accepted.headers.get("Content-Type")) == (204, b"", None)


async def test_an_update_of_an_earlier_attempt_gets_409_and_its_log_is_kept(world: World) -> None:
    worker = await world.worker()
    await world.server.submit([a_task()])
    first = await worker.task()
    await worker.update(first, log="one\n", log_at=0, seq=1)
    second = await worker.task()
    assert second["attempt"] == 2
    assert (await worker.update(first, log="two\n", log_at=4, seq=2)).status == 409
    assert (await worker.update(first, log="one\n", log_at=0, seq=1)).status == 204  # said before: no harm
    assert (await worker.update(first, taskStatus="completed", seq=3)).status == 409
    await world.server.until(lambda: world.server.logs.get((first["uuid"], 1)) == b"one\ntwo\n")


async def test_the_last_update_may_be_repeated_after_the_job_has_ended(world: World) -> None:
    worker = await world.worker()
    job = await world.server.submit([a_task()])
    task = await worker.task()
    assert (await worker.update(task, taskStatus="completed", seq=3)).status == 204
    await world.server.until_job(job, "completed")
    assert (await worker.update(task, taskStatus="completed", seq=3)).status == 204
    assert (await worker.update(task, log="late\n", log_at=0, seq=2, frames=[a_frame(4)])).status == 204
    assert (await worker.update(task, taskStatus="failed", seq=4)).status == 409
    await world.server.until(lambda: world.server.logs.get((task["uuid"], 1)) == b"late\n")
    await world.server.until(lambda: (job, 4) in world.server.frames)
    assert (await worker.may_i_run(task)).json()["mayKeepRunning"] is False


async def test_a_flamenco_3_worker_may_repeat_its_result(world: World) -> None:
    worker = await world.worker(ours=False)
    job = await world.server.submit([a_task()])
    task = await worker.task()
    for said in ({"taskStatus": "active"}, {"log": "a line"}, {"taskStatus": "completed"}):
        assert (await worker.update(task, **said)).status == 204
    await world.server.until_job(job, "completed")
    assert (await worker.update(task, taskStatus="completed")).status == 204
    assert (await worker.update(task, taskStatus="failed")).status == 409
    assert bytes(world.server.logs[task["uuid"], 1]) == b"a line\n"


async def test_may_i_run_says_why_not(world: World) -> None:
    worker, other = await world.worker("a"), await world.worker("b")
    await world.server.submit([a_task()])
    task = await worker.task()
    yes = (await worker.may_i_run(task)).json()
    assert yes == {"mayKeepRunning": True, "reason": "", "statusChangeRequested": False}
    for asked in (await other.may_i_run(task), await worker.may_i_run(task, attempt=9)):
        answer = asked.json()
        assert (asked.status, answer["mayKeepRunning"], answer["statusChangeRequested"]) == (200, False, False)
        assert answer["reason"]
    unknown = (await worker.may_i_run({"uuid": new_id()})).json()
    assert unknown["mayKeepRunning"] is False
    assert (await worker.call("GET", "task/12/may-i-run")).status == 400
    assert (await worker.call("GET", f"task/{task['uuid']}/may-i-run?attempt=x")).status == 400


async def test_a_cancel_reaches_a_worker_that_waits_for_it(world: World) -> None:
    worker = await world.worker()
    job = await world.server.submit([a_task()])
    task = await worker.task()
    waiting = asyncio.create_task(worker.may_i_run(task, wait_s=60))
    await world.server.issue("job.cancel", job=job)
    answer = await waiting
    assert answer.json()["mayKeepRunning"] is False
    assert answer.headers["Preference-Applied"] == "wait"
    assert (await worker.update(task, taskStatus="completed")).status == 409
    assert (await world.server.until_job(job, "canceled"))["counts"] == {"canceled": 1}


async def test_a_preview_becomes_the_thumbnail_of_its_frame(world: World) -> None:
    worker = await world.worker()
    job = await world.server.submit([a_frame_task("7")])
    task = await worker.task()
    path = f"task/{task['uuid']}/output-produced"
    image = {"headers": {"Content-Type": "image/jpeg"}, "data": JPEG}
    reply = await worker.call("POST", f"{path}?frame=7&layer=", **image)
    assert (reply.status, reply.body) == (202, b"")
    await world.server.until(lambda: world.server.thumbnails.get((job, 7)) == JPEG)
    assert (await worker.call("POST", path, **image)).status == 202


async def test_previews_that_are_refused(world: World) -> None:
    worker = await world.worker()
    await world.server.submit([a_frame_task("7")])
    path = f"task/{(await worker.task())['uuid']}/output-produced"
    jpeg = {"Content-Type": "image/jpeg"}
    assert (await worker.call("POST", path, headers=jpeg, data=b"")).status == 400
    assert (await worker.call("POST", path, headers={"Content-Type": "text/html"}, data=b"x")).status == 415
    assert (await worker.call("POST", path + "?frame=-1", headers=jpeg, data=JPEG)).status == 400
    large = await worker.call("POST", path, headers=jpeg, data=io.BytesIO(b"x" * (25 * 1024 * 1024 + 1)))
    assert (large.status, large.json()["code"]) == (413, 413)
    unknown = await worker.call("POST", f"task/{new_id()}/output-produced", headers=jpeg, data=JPEG)
    assert (unknown.status, isinstance(unknown.json(), str)) == (404, True)


async def test_a_signed_off_worker_leaves_its_task_to_others(world: World) -> None:
    worker, other = await world.worker("a"), await world.worker("b")
    await world.server.submit([a_task()])
    task = await worker.task()
    waiting = asyncio.create_task(other.task())
    assert (await worker.sign_off()).status == 204
    assert (await waiting)["attempt"] == task["attempt"] + 1


HOSTILE_UPDATES = [
    (b"", "not valid JSON"),
    (b"{", "not valid JSON"),
    (b'{"log": NaN}', "not valid JSON"),
    (b'{"log": "\xff"}', "not valid JSON"),
    (b"[" * 5000 + b"]" * 5000, ""),
    (b"[]", ""),
    (b"null", ""),
    (b'"text"', ""),
    (b'{"steps_completed": 1.5}', "steps_completed"),
    (b'{"steps_completed": "1"}', "steps_completed"),
    (b'{"steps_completed": true}', "steps_completed"),
    (b'{"steps_completed": 123456789012345678901234567890}', "steps_completed"),
    (b'{"steps_completed": 9223372036854775808}', "steps_completed"),
    (b'{"log": {"a": 1}}', "log"),
    (b'{"activity": ["a"]}', "activity"),
    (b'{"attempt": 0}', "attempt"),
    (b'{"seq": -1}', "seq"),
    (b'{"log_at": -1, "log": "x"}', "log_at"),
    (b'{"taskStatus": "Active"}', "taskStatus"),
    (b'{"frames": [{"frame": 1}]}', "frames"),
    (b'{"frames": {"frame": 1}}', "frames"),
    (b'{"result": ' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}", ""),
    (b'{"result": [1]}', "result"),
]


@pytest.mark.parametrize(("body", "named"), HOSTILE_UPDATES, ids=range(len(HOSTILE_UPDATES)))
async def test_hostile_updates_get_400_that_names_the_field(world: World, body: bytes, named: str) -> None:
    worker = await world.worker()
    await world.server.submit([a_task()])
    task = await worker.task()
    headers = {"Content-Type": "application/json"}
    reply = await worker.call("POST", f"task/{task['uuid']}", data=body, headers=headers)
    assert reply.status == 400, reply.body
    assert named in reply.json()["message"]
    assert (await worker.may_i_run(task)).json()["mayKeepRunning"] is True


async def test_extreme_but_lawful_updates_are_accepted(world: World) -> None:
    worker = await world.worker()
    await world.server.submit([a_task()])
    task = await worker.task()
    for said in (
        {"steps_completed": 2**63 - 1},
        {"steps_completed": -5},
        {"log": "", "unknown": {"key": 1}},
        {"log": "\x00\x1b[31m\u202e\n"},
        {"log": "far", "log_at": 2**62},
        {"activity": "x" * 100_000},
    ):
        assert (await worker.update(task, **said)).status == 204, said


async def test_a_body_without_the_json_content_type_is_refused(world: World) -> None:
    worker = await world.worker()
    reply = await worker.call("POST", "state-changed", data=b'{"status": "awake"}', headers={"Content-Type": "text/x"})
    assert reply.status == 400
    for body in (b'{"status": "nonsense"}', b"{}"):
        reply = await worker.call("POST", "state-changed", data=body, headers={"Content-Type": "application/json"})
        assert reply.status == 400
        assert "status" in reply.json()["message"]


@pytest.mark.parametrize(("path", "limit"), [("sign-on", 2**20), ("state-changed", 2**20), ("task/ID", 8 * 2**20)])
async def test_bodies_above_the_limit_get_413(world: World, path: str, limit: int) -> None:
    worker = await world.worker()
    body = b'{"log": "' + b"x" * limit + b'"}'
    headers = {"Content-Type": "application/json"}
    reply = await worker.call("POST", path.replace("ID", new_id()), data=io.BytesIO(body), headers=headers)
    assert (reply.status, reply.json()["code"]) == (413, 413)
