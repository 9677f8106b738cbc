"""Hostile input on every endpoint of the worker protocol (quality.md, section 5; holes H5 and H6 of 4.2).

Each piece of it is answered with a 4xx whose JSON names what is wrong, leaves one line in the log, and changes nothing.
"""

import asyncio
import base64
import io
import re
import resource
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import orjson
import pytest
import pytest_asyncio
from fake_server import fake_server
from hostile import Case, hostile_bodies, wrong_fields
from images import an_image
from manager_world import HttpWorker, Reply, World, a_frame_task, a_task, manager_world
from structlog.testing import capture_logs

from flamenco_core.identifiers import new_id
from flamenco_core.wire.worker_api import (
    MOST_BATCH_BYTES,
    BatchedUpdateSchema,
    TaskUpdateSchema,
    WorkerRegistrationSchema,
    WorkerSignOnSchema,
    WorkerStateChangedSchema,
)
from flamenco_manager.http.worker_api import UPDATE_LIMIT_BYTES, worker_routes
from flamenco_runtime.http_limits import HttpLimits

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("hostile")]

MIB = 1024 * 1024
PREFIX = "/api/v3/worker/"
_VARIABLE = re.compile(r"\{task_id[^}]*\}")
JSON = {"Content-Type": "application/json"}
GOOD: Mapping[str, dict[str, Any]] = {
    "register-worker": {"secret": "s", "platform": "linux", "supported_task_types": ["misc"], "name": "stranger"},
    "sign-on": {"name": "worker", "supported_task_types": ["misc"], "software_version": "4"},
    "state-changed": {"status": "awake"},
    "task/TASK": {"activity": "it goes on"},
}
ITEM = {"task": "6f1c2b1e-9a2d-4a53-8f5b-0d6c4d1b7a10", "attempt": 1, "seq": 1}
SCHEMAS = {
    "register-worker": WorkerRegistrationSchema(),
    "sign-on": WorkerSignOnSchema(),
    "state-changed": WorkerStateChangedSchema(),
    "task/TASK": TaskUpdateSchema(),
}
LIMITS = {"task/TASK": UPDATE_LIMIT_BYTES}
CASES = [
    *[(path, case) for path, good in GOOD.items() for case in hostile_bodies(good, LIMITS.get(path, MIB))],
    *[(path, case) for path, good in GOOD.items() for case in wrong_fields(SCHEMAS[path], good)],
    *[("updates", case) for case in hostile_bodies({"updates": []}, MOST_BATCH_BYTES)],
    *[
        ("updates", case)
        for case in wrong_fields(
            BatchedUpdateSchema(), ITEM, lambda item: {"updates": [ITEM, item]}, prefix="updates.1."
        )
    ],
    ("updates", Case("not-a-list", b'{"updates": {}}', "updates")),
    ("updates", Case("none", b"{}", "updates")),
    ("updates", Case("items", b'{"updates": [5]}', "updates.0")),
    ("updates", Case("too-many", orjson.dumps({"updates": [ITEM] * 1001}), "updates")),
]
WITHOUT_BODY = [("POST", "sign-off"), ("GET", "state"), ("POST", "task"), ("GET", "task/TASK/may-i-run")]
IMAGES = [("POST", "task/TASK/output-produced")]
RELEASE = ("POST", "task/TASK/release")


@dataclass
class Stage:
    """A Manager with a Worker that holds a task, and one that holds none."""

    world: World
    worker: HttpWorker
    other: HttpWorker
    task: dict[str, Any]

    def path(self, path: str) -> str:
        return PREFIX + path.replace("TASK", self.task["uuid"])

    async def send(self, method: str, path: str, worker: HttpWorker | None = None, **options: Any) -> Reply:
        headers = {**(worker or self.worker).headers, **options.pop("headers", {})}
        path = self.path(path)
        return await self.world.call(method, path, headers=headers, skip_auto_headers=["Content-Type"], **options)

    def state(self) -> Any:
        """Return all of the farm that input could change, but for when a Worker was last heard of."""
        farm = self.world.foreman.farm
        tasks = [
            (task.id, task.status, task.attempt, task.seq, task.activity, task.steps_completed, task.is_held)
            for task in farm.tasks.values()
        ]
        workers = [
            (worker.id, worker.name, worker.status, worker.status_requested, worker.task_types, worker.software)
            for worker in farm.workers.values()
        ]
        jobs = [(job.id, job.status, dict(job.counts)) for job in farm.jobs.values()]
        return tasks, workers, jobs


@asynccontextmanager
async def staged(folder: Any, **settings: Any) -> AsyncIterator[Stage]:
    async with fake_server() as server, manager_world(folder, server, **settings) as world:
        worker, other = await world.worker("worker"), await world.worker("other")
        await server.submit([a_frame_task("7")])
        task = await worker.task()
        assert (await worker.update(task, taskStatus="active", seq=1)).status == 204
        yield Stage(world, worker, other, task)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with staged(tmp_path_factory.mktemp("manager")) as there:
        yield there


@asynccontextmanager
async def unchanged_but_for_a_line(stage: Stage, *, lines: int = 1) -> AsyncIterator[list[Any]]:
    """Check that what happens meanwhile changes nothing, and is told in one line of the log."""
    before = stage.state()
    with capture_logs() as logged:
        yield logged
    assert stage.state() == before
    assert len(logged) == lines, logged
    for line in logged:
        assert line["address"] == "127.0.0.1"
        assert len(str(line)) < 2000
    assert (await stage.worker.may_i_run(stage.task)).json()["mayKeepRunning"] is True


def check(reply: Reply, status: int, named: str) -> None:
    assert reply.status == status, (reply.status, reply.body[:500])
    assert reply.headers["Content-Type"] == "application/json"
    answer = reply.json()
    assert named in answer["message"], answer["message"][:500]
    assert answer.get("code", 403) == status
    assert len(answer["message"]) < 2000


async def test_every_endpoint_is_here() -> None:
    routes = {(route.method, _VARIABLE.sub("TASK", route.path)) for route in worker_routes(cast("Any", None))}
    walked = {("POST", path) for path, _ in CASES} | {*WITHOUT_BODY, *IMAGES, RELEASE}
    assert routes == {(method, PREFIX + path) for method, path in walked}


@pytest.mark.parametrize(("path", "case"), CASES, ids=[f"{path}-{case.name}"[:60] for path, case in CASES])
async def test_a_hostile_body_is_refused_by_name(stage: Stage, path: str, case: Case) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(case.body), 65536):
            yield case.body[start : start + 65536]

    data: Any = chunks() if case.is_chunked else io.BytesIO(case.body) if len(case.body) > 65536 else case.body
    async with unchanged_but_for_a_line(stage) as logged:
        reply = await stage.send("POST", path, data=data, headers=dict(case.headers))
    check(reply, case.status, case.named)
    assert logged[0]["status"] == case.status
    assert logged[0]["error"].startswith(reply.json()["message"][:200])


@pytest.mark.parametrize("path", [*GOOD, "updates"])
async def test_a_body_without_a_type_is_refused(stage: Stage, path: str) -> None:
    async with unchanged_but_for_a_line(stage):
        reply = await stage.send("POST", path, data=orjson.dumps(GOOD.get(path, {"updates": []})))
    check(reply, 400, "Content-Type")


CREDENTIALS = {
    "none": None,
    "bearer": "Bearer x",
    "empty": "Basic",
    "no-base64": "Basic ÿ%",
    "no-colon": "Basic " + base64.b64encode(b"nonsense").decode(),
    "no-utf-8": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
    "unknown": "Basic " + base64.b64encode(f"{new_id()}:secret".encode()).decode(),
    "long": "Basic " + base64.b64encode(b"x" * 5000 + b":" + b"y" * 500).decode(),
    "nul": "Basic " + base64.b64encode(b"\x00:\x00").decode(),
}
ENDPOINTS = [
    *[("POST", path) for path in GOOD if path != "register-worker"],
    *WITHOUT_BODY,
    *IMAGES,
    RELEASE,
    ("POST", "updates"),
]


@pytest.mark.parametrize("credentials", CREDENTIALS.values(), ids=CREDENTIALS)
@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_wrong_credentials_come_before_everything_else(
    stage: Stage, method: str, path: str, credentials: str | None
) -> None:
    headers = {} if credentials is None else {"Authorization": credentials}
    async with unchanged_but_for_a_line(stage):
        reply = await stage.world.call(method, stage.path(path), data=b"{", headers=headers)
    assert (reply.status, list(reply.json())) == (403, ["message"])
    check(reply, 403, "")


TASK_IDS = [
    "not-a-uuid",
    "%00",
    "..%2f..%2fetc",
    "6F1C2B1E9A2D4A538F5B0D6C4D1B7A10",
    "%F0%9F%92%A9",
    "x" * 4000,
    "'; --",
]


@pytest.mark.parametrize("task_id", TASK_IDS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "task/{}"),
        ("GET", "task/{}/may-i-run"),
        ("POST", "task/{}/output-produced"),
        ("POST", "task/{}/release"),
    ],
)
async def test_an_id_that_is_none_is_refused(stage: Stage, method: str, path: str, task_id: str) -> None:
    async with unchanged_but_for_a_line(stage):
        reply = await stage.send(method, path.format(task_id), data=b"{}", headers=JSON)
    check(reply, 400, "task_id")


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "NaN", "9" * 10, "9" * 5000, "%00", "\u0661", "1%200", ""])
@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "task/TASK/may-i-run", "attempt"),
        ("POST", "task/TASK/output-produced", "frame"),
        ("POST", "task/TASK/release", "attempt"),
        ("POST", "task", "max"),
    ],
)
async def test_a_number_in_a_query_that_is_none_is_refused(
    stage: Stage, method: str, path: str, name: str, value: str
) -> None:
    async with unchanged_but_for_a_line(stage):
        reply = await stage.send(method, f"{path}?{name}={value}", data=b"x", headers={"Content-Type": "image/jpeg"})
    check(reply, 400, name)


@pytest.mark.parametrize("query", ["max=0", "max=17", "max=999999999"])
async def test_no_more_tasks_are_asked_for_than_may_be(stage: Stage, query: str) -> None:
    async with unchanged_but_for_a_line(stage):
        reply = await stage.send("POST", f"task?{query}")
    check(reply, 400, "max")


async def test_what_is_given_back_is_named_and_is_ones_own(stage: Stage) -> None:
    async with unchanged_but_for_a_line(stage):
        check(await stage.send("POST", "task/TASK/release"), 400, "attempt")
    async with unchanged_but_for_a_line(stage):
        check(await stage.send("POST", "task/TASK/release?attempt=1", stage.other), 409, "")
    async with unchanged_but_for_a_line(stage):
        check(await stage.send("POST", "task/TASK/release?attempt=99"), 409, "")


@pytest.mark.parametrize("prefer", ["wait", "wait=", "wait=x", "wait=-1", "respond-async", "=;,", "x" * 5000])
async def test_a_preference_that_makes_no_sense_is_no_preference(stage: Stage, prefer: str) -> None:
    async with unchanged_but_for_a_line(stage, lines=0):
        reply = await stage.send("GET", "state", headers={"Prefer": prefer})
    assert (reply.status, reply.headers.get("Preference-Applied")) == (204, None)


@pytest.mark.parametrize(("method", "path"), WITHOUT_BODY[1:])
@pytest.mark.parametrize("body", [b"{", b"\xff" * 1000, b"[" * 100_000])
async def test_a_body_that_nobody_asked_for_is_not_read(stage: Stage, method: str, path: str, body: bytes) -> None:
    async with unchanged_but_for_a_line(stage, lines=0):
        reply = await stage.send(method, path, stage.other if path == "task" else None, data=io.BytesIO(body))
    assert reply.status in (200, 204)


IMAGE_CASES = [
    ("text/html", b"<b>", "", 415, "text/html"),
    ("application/json", b"{}", "", 415, "application/json"),
    ("x" * 500, b"{}", "", 415, "octet-stream"),
    ("image/jpeg", b"", "", 400, "no bytes"),
    ("image/jpeg", b"x", "?frame=8", 400, "frame 8"),
]


@pytest.mark.parametrize(("kind", "body", "query", "status", "named"), IMAGE_CASES)
async def test_a_hostile_image_is_refused_by_name(
    stage: Stage, kind: str, body: bytes, query: str, status: int, named: str
) -> None:
    async with unchanged_but_for_a_line(stage):
        reply = await stage.send("POST", IMAGES[0][1] + query, data=body, headers={"Content-Type": kind})
    check(reply, status, named)


@pytest.mark.parametrize("is_said", [True, False])
async def test_an_image_that_is_too_large_is_refused(stage: Stage, is_said: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(26 * 16):
            yield b"x" * 65536

    data: Any = io.BytesIO(b"x" * (26 * MIB)) if is_said else chunks()
    async with unchanged_but_for_a_line(stage):
        reply = await stage.send("POST", IMAGES[0][1], data=data, headers={"Content-Type": "image/jpeg"})
    check(reply, 413, str(25 * MIB))


async def test_a_compressed_image_is_refused(stage: Stage) -> None:
    headers = {"Content-Type": "image/jpeg", "Content-Encoding": "gzip"}
    async with unchanged_but_for_a_line(stage):
        reply = await stage.send("POST", IMAGES[0][1], data=an_image("jpeg", 9, 9), headers=headers)
    check(reply, 415, "Content-Encoding")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nothing", 404),
        ("GET", "task/x/y/z", 404),
        ("DELETE", "task", 405),
        ("PUT", "sign-on", 405),
        ("GET", "x" * 5000, 404),
    ],
)
async def test_unknown_paths_and_methods_are_told_as_json(stage: Stage, method: str, path: str, status: int) -> None:
    async with unchanged_but_for_a_line(stage):
        reply = await stage.send(method, path)
    check(reply, status, "")


async def test_a_worker_cannot_touch_the_task_of_another(stage: Stage) -> None:
    for said in (
        {"taskStatus": "failed"},
        {"log": "mine now", "log_at": 0, "attempt": 1, "seq": 9},
        {"steps_completed": 1},
    ):
        async with unchanged_but_for_a_line(stage):
            reply = await stage.send("POST", "task/TASK", stage.other, json=said, headers=JSON)
        check(reply, 409, "not given to this Worker")
    async with unchanged_but_for_a_line(stage, lines=0):
        answer = (await stage.send("GET", "task/TASK/may-i-run", stage.other)).json()
    assert answer["mayKeepRunning"] is False
    async with unchanged_but_for_a_line(stage, lines=0):
        item = {"task": stage.task["uuid"], "attempt": 1, "seq": 99, "taskStatus": "completed"}
        reply = await stage.send("POST", "updates", stage.other, json={"updates": [item]}, headers=JSON)
    assert [one["result"] for one in reply.json()["results"]] == ["stale"]


FORGED = [
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-For": "192.0.2.9"},
    {"X-Forwarded-For": "127.0.0.1, 192.0.2.9"},
    {"X-Real-IP": "127.0.0.1"},
    {"Forwarded": "for=127.0.0.1"},
    {"X-Forwarded-For": "nonsense, '; --, " + "1.1.1.1, " * 500},
]


@pytest.mark.parametrize("headers", FORGED, ids=range(len(FORGED)))
async def test_a_forged_forwarding_header_gains_nothing(stage: Stage, headers: dict[str, str]) -> None:
    """Whoever says that he forwards is not taken to be this machine, and where he says that he is from is not noted."""
    body = {**GOOD["register-worker"], "supported_task_types": ["misc"]}
    reply = await stage.world.call("POST", PREFIX + "register-worker", json=body, headers=headers)
    assert (reply.status, reply.json()["address"]) == (200, "127.0.0.1")
    stranger = HttpWorker(stage.world, reply.json()["uuid"], "s", "stranger")
    assert (await stranger.sign_on()).json()["status_requested"] == "asleep"


async def test_a_listed_proxy_is_believed(tmp_path: Any) -> None:
    from flamenco_runtime.proxies import read_proxies

    proxies = read_proxies("127.0.0.1")
    async with fake_server() as server, manager_world(tmp_path, server, trusted_proxies=proxies) as world:
        headers = {"X-Forwarded-For": "127.0.0.1, 192.0.2.9"}
        reply = await world.call("POST", PREFIX + "register-worker", json=GOOD["register-worker"], headers=headers)
        assert reply.json()["address"] == "192.0.2.9"
        stranger = HttpWorker(world, reply.json()["uuid"], "s", "stranger")
        assert (await stranger.sign_on()).json()["status_requested"] == "asleep"


QUICK = HttpLimits(headers_s=0.3, body_s=0.3, unread_s=0.3)
SLOW = [*[("POST", path) for path in GOOD], ("POST", "updates"), *IMAGES]


@pytest.mark.parametrize(("method", "path"), SLOW)
async def test_a_body_that_does_not_come_is_let_go(tmp_path: Any, method: str, path: str) -> None:
    async with staged(tmp_path, limits=QUICK) as stage:
        kind = "image/jpeg" if (method, path) in IMAGES else "application/json"
        async with unchanged_but_for_a_line(stage):
            reply = await stage.send(method, path, data=stalling(), headers={"Content-Type": kind})
        check(reply, 408, "bytes came within")
        assert int(reply.headers["Retry-After"]) > 0


async def test_a_flamenco_3_worker_whose_body_does_not_come_keeps_its_update(tmp_path: Any) -> None:
    """It drops what is answered, and keeps what was cut off (worker-api.md 9.3)."""
    async with staged(tmp_path, limits=QUICK) as stage:
        old = await stage.world.worker("old", ours=False)
        await stage.world.server.submit([a_task()])
        task = await old.task()
        async with unchanged_but_for_a_line(stage):
            with pytest.raises(aiohttp.ClientConnectionError):
                await old.call("POST", f"task/{task['uuid']}", data=stalling(), headers=JSON)


async def stalling() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.get_running_loop().create_future()


REGISTERING = b"POST /api/v3/worker/register-worker HTTP/1.1\r\nHost: x\r\n"


async def test_h6_hundreds_who_stall_are_let_go_and_keep_nobody_waiting(tmp_path: Any) -> None:
    async with staged(tmp_path, limits=QUICK) as stage:
        host, _, port = stage.world.url.removeprefix("http://").partition(":")
        heads = [
            REGISTERING + b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
            b"POST /api/v3/worker/task HTTP/1.1\r\nHost: x\r\n",
            b"",
        ]
        stalling = [asyncio.create_task(stall(host, int(port), heads[number % 3])) for number in range(300)]
        assert (await stage.worker.may_i_run(stage.task)).status == 200
        async with asyncio.timeout(60):
            await asyncio.gather(*stalling)
        assert (await stage.worker.may_i_run(stage.task)).status == 200


async def stall(host: str, port: int, head: bytes) -> None:
    """Send the beginning of a request, and wait until the other side closes."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(head)
    try:
        await reader.read()
    except ConnectionResetError:
        pass
    finally:
        writer.close()


async def test_h5_memory_stays_flat_whatever_comes(stage: Stage) -> None:
    """Two hundred megabytes for each endpoint, and what costs most of that which is not too large."""
    expensive = b'{"frames":[' + b",".join([b"{}"] * 190_000) + b"]}"
    await flood(stage)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        await flood(stage)
        for path in ("task/TASK", "updates"):
            reply = await stage.send("POST", path, data=io.BytesIO(expensive), headers=JSON)
            assert reply.status == 400
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mib < 150


async def flood(stage: Stage) -> None:
    for method, path in ENDPOINTS:
        for headers in (JSON, {"Content-Type": "image/jpeg"}):
            sent = 0

            async def endless() -> AsyncIterator[bytes]:
                nonlocal sent
                while sent < 200 * MIB:
                    sent += 65536
                    yield b" " * 65536

            worker = stage.other if path in ("task", "sign-off") else stage.worker
            try:
                reply = await stage.send(method, path, worker, data=endless(), headers=headers)
            except aiohttp.ClientConnectionError:
                continue  # closed while we were still sending, which is as well
            assert reply.status in (200, 204, 400, 413, 415, 423), (path, reply.status)
            assert sent < 100 * MIB or path in ("sign-off", "state", "task", "task/TASK/may-i-run")


async def test_the_farm_goes_on_after_all_of_that(stage: Stage) -> None:
    assert (await stage.worker.update(stage.task, taskStatus="completed", seq=2)).status == 204
    await stage.world.server.until(
        lambda: stage.world.server.mirror["tasks"].get(stage.task["uuid"], {}).get("status") == "completed"
    )
    await stage.world.server.until(lambda: (stage.task["uuid"], 1) in stage.world.server.whole_logs)
    assert stage.world.server.logs[stage.task["uuid"], 1] == b""
