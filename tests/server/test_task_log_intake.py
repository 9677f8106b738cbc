"""Logs of tasks: pieces come from Managers, in any number and twice; people read them whole or in part."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from server_world import DEADLINE_S, UNFOUND, Reply, World, server_world
from site_manager import SiteManager, linked

from flamenco_core.identifiers import new_id, task_id
from flamenco_server.task_logs import LARGEST_LOG_BYTES, LARGEST_PIECE_BYTES, BadRange, LogFolder, parse_piece
from flamenco_server.task_logs import Attempt as LogAttempt

TEXT = "".join(f"line {number} äöü\n" for number in range(1000)).encode()
MODULE = pytest.mark.asyncio(loop_scope="module")


async def a_task(world: World, name: str = "site") -> tuple[SiteManager, str]:
    """Have a Manager with a task."""
    manager = await linked(world, name)
    job_id = await world.compiled()
    await manager.next_orders()
    return manager, task_id(job_id, 0)


async def send(manager: SiteManager, task: str, body: bytes, said: str | None = None, attempt: int = 1) -> Reply:
    headers = {} if said is None else {"Content-Range": said}
    return await manager.call("PUT", f"tasks/{task}/attempts/{attempt}/log", data=body, headers=headers)


async def read(world: World, task: str, query: str = "", **headers: str) -> tuple[bytes, bool]:
    """Read a log; returns it, and whether it is complete."""
    reply = await world.admin.call("GET", f"tasks/{task}/log{query}", headers=headers)
    assert reply.status in (200, 206), reply
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Cache-Control"] == "no-store"
    return reply.body, {"true": True, "false": False}[reply.headers["Flamenco-Log-Complete"]]


@MODULE
class TestPieces:
    async def test_a_log_that_comes_whole_is_complete(self, world: World) -> None:
        manager, task = await a_task(world)
        assert await read(world, task) == (b"", False)
        assert (await send(manager, task, TEXT)).status == 204
        assert await read(world, task) == (TEXT, True)

    async def test_a_log_grows_piece_by_piece_until_its_end_is_known(self, world: World) -> None:
        manager, task = await a_task(world)
        size = len(TEXT)
        for first, last, total in ((0, 99, "*"), (100, 5000, "*"), (5001, size - 1, str(size))):
            assert await read(world, task) == (TEXT[:first], False)
            reply = await send(manager, task, TEXT[first : last + 1], f"bytes {first}-{last}/{total}")
            assert reply.status == 204
        assert await read(world, task) == (TEXT, True)

    async def test_the_end_may_be_told_with_nothing_more(self, world: World) -> None:
        manager, task = await a_task(world)
        await send(manager, task, TEXT, f"bytes 0-{len(TEXT) - 1}/*")
        assert await read(world, task) == (TEXT, False)
        assert (await send(manager, task, b"", f"bytes */{len(TEXT)}")).status == 204
        assert await read(world, task) == (TEXT, True)

    async def test_an_empty_log_can_be_complete(self, world: World) -> None:
        manager, task = await a_task(world)
        assert (await send(manager, task, b"", "bytes */0")).status == 204
        assert await read(world, task) == (b"", True)

    async def test_pieces_that_come_twice_or_overlap_do_no_harm(self, world: World) -> None:
        manager, task = await a_task(world)
        for first, last in ((0, 99), (0, 99), (50, 199), (0, 9), (200, 299), (0, 299)):
            reply = await send(manager, task, TEXT[first : last + 1], f"bytes {first}-{last}/*")
            assert reply.status == 204
        assert await read(world, task) == (TEXT[:300], False)

    async def test_a_gap_is_refused_with_what_is_expected(self, world: World) -> None:
        manager, task = await a_task(world)
        await send(manager, task, TEXT[:100], "bytes 0-99/*")
        reply = await send(manager, task, TEXT[101:200], "bytes 101-199/*")
        assert (*reply.problem, reply.json()["expected"]) == (409, "log-gap", 100)
        assert await read(world, task) == (TEXT[:100], False)

    async def test_every_attempt_has_its_own_and_the_newest_is_shown(self, world: World) -> None:
        manager, task = await a_task(world)
        for attempt in (1, 3, 2):
            await send(manager, task, b"attempt %d" % attempt, attempt=attempt)
        assert await read(world, task) == (b"attempt 3", True)
        assert await read(world, task, "?attempt=1") == (b"attempt 1", True)
        assert await read(world, task, "?attempt=4") == (b"", False)

    async def test_a_part_of_a_log_can_be_read(self, world: World) -> None:
        manager, task = await a_task(world)
        await send(manager, task, TEXT)
        assert (await read(world, task, Range="bytes=100-"))[0] == TEXT[100:]
        assert (await read(world, task, Range="bytes=-20"))[0] == TEXT[-20:]
        beyond = await world.admin.call("GET", f"tasks/{task}/log", headers={"Range": f"bytes={len(TEXT)}-"})
        assert beyond.status == 416

    async def test_logs_survive_a_restart(self, tmp_path: Path) -> None:
        async with server_world(tmp_path) as world:
            manager, task = await a_task(world)
            await send(manager, task, TEXT[:100], "bytes 0-99/*")
        async with server_world(tmp_path) as world:
            manager.world = world
            assert await read(world, task) == (TEXT[:100], False)
            assert (await send(manager, task, TEXT[100:], f"bytes 100-{len(TEXT) - 1}/{len(TEXT)}")).status == 204
            assert await read(world, task) == (TEXT, True)


@MODULE
class TestRefused:
    async def test_a_log_is_of_a_task_of_the_managers_own(self, world: World) -> None:
        manager, task = await a_task(world, "mine")
        stranger = await linked(world, "stranger")
        for who, which in ((stranger, task), (manager, UNFOUND)):
            assert (await send(who, which, TEXT)).problem == (404, "no-such-task")
        assert await read(world, task) == (b"", False)
        assert list((world.data / "logs").rglob("*.log")) == []

    @pytest.mark.parametrize("path", ["tasks/..%2f..%2fx/attempts/1/log", f"tasks/{UNFOUND}/attempts/..%2f1/log"])
    async def test_a_path_that_climbs_reaches_no_file(self, shared: World, path: str) -> None:
        manager = await linked(shared, f"site {new_id()}")
        assert (await manager.call("PUT", path, data=TEXT)).problem == (404, "not-found")

    @pytest.mark.parametrize("query", ["?attempt=0", "?attempt=x", "?attempt=-1", "?attempt=1000000001", "?try=1"])
    async def test_a_bad_question_is_refused(self, shared: World, query: str) -> None:
        assert (await shared.admin.call("GET", f"tasks/{UNFOUND}/log{query}")).problem == (422, "bad-input")

    async def test_a_piece_has_eight_mebibytes_at_most(self, world: World) -> None:
        manager, task = await a_task(world)
        async with world.raw_connection() as (reader, writer):
            head = [f"PUT /api/v1/manager/tasks/{task}/attempts/1/log HTTP/1.1", "Host: x"]
            head += [f"{name}: {value}" for name, value in manager.caller.headers.items()]
            writer.write("\r\n".join([*head, f"Content-Length: {LARGEST_PIECE_BYTES + 1}", "", ""]).encode())
            async with asyncio.timeout(DEADLINE_S):
                assert b" 413 " in await reader.readline()
        assert (await send(manager, task, b"x" * LARGEST_PIECE_BYTES)).status == 204

    async def test_a_log_has_sixty_four_mebibytes_at_most(self, world: World) -> None:
        manager, task = await a_task(world)
        assert (await send(manager, task, b"x", f"bytes 0-0/{LARGEST_LOG_BYTES + 1}")).problem == (413, "too-large")
        assert (await send(manager, task, b"x", f"bytes 0-0/{LARGEST_LOG_BYTES}")).status == 204
        end = LARGEST_LOG_BYTES
        assert (await send(manager, task, b"x", f"bytes {end}-{end}/*")).problem == (413, "too-large")


@MODULE
class TestWatching:
    async def test_the_manager_is_asked_for_the_log_of_what_runs_but_not_again_and_again(self, world: World) -> None:
        manager, task = await a_task(world)
        job_id = (await world.admin.get(f"tasks/{task}"))["job"]
        await manager.report(tasks=[manager.task(job_id, 0, "active", attempt=2)])
        for passed_s, expected in ((0, 1), (1, 1), (20, 1), (20.5, 2), (30, 2), (41, 3)):
            world.time.passed_s = passed_s
            await read(world, task)
            orders = (await manager.orders(after=1)) if expected else []
            assert len(orders) == expected, passed_s
        assert {order["kind"] for order in orders} == {"task.log"}
        assert orders[0]["details"] == {"task": task, "attempt": 2, "seconds": 30}
        assert (orders[0]["asked_by"], orders[0]["asked_at"], orders[0]["expires"]) == (
            *("admin", "2026-01-31T12:00:00.000Z"),
            "2026-01-31T12:00:30.000Z",
        )

    async def test_looking_at_a_log_wakes_a_manager_that_waits(self, world: World) -> None:
        manager, task = await a_task(world)
        job_id = (await world.admin.get(f"tasks/{task}"))["job"]
        await manager.report(tasks=[manager.task(job_id, 0, "active")])
        waiting = asyncio.create_task(manager.next_orders(wait=60))
        await manager.call("GET", "orders?after=1")
        await read(world, task)
        async with asyncio.timeout(DEADLINE_S):
            assert [order["kind"] for order in await waiting] == ["task.log"]

    @pytest.mark.parametrize(
        ("status", "query"), [("queued", ""), ("completed", ""), ("failed", "?attempt=2"), ("active", "?attempt=1")]
    )
    async def test_a_log_that_gets_no_longer_is_not_asked_for(self, world: World, status: str, query: str) -> None:
        manager, task = await a_task(world)
        job_id = (await world.admin.get(f"tasks/{task}"))["job"]
        await manager.report(tasks=[manager.task(job_id, 0, status, attempt=2)])
        await read(world, task, query)
        assert await manager.orders() == []


@pytest.mark.parametrize(
    "said",
    [
        *("", "bytes", "bytes 0-2", "bytes 0-2/", "bytes -2/3", "bytes 0-/3", "lines 0-2/3", "bytes=0-2/3"),
        *("bytes 0-1/3", "bytes 0-3/4", "bytes 1-3/3", "bytes 0-2/2", "bytes 2-0/3", "bytes */3", "bytes */*"),
        *("bytes 0-2/3 ", "bytes a-b/c", "bytes 9999999999999999999-9/9", "bytes 0-2/-3"),
    ],
)
def test_a_range_that_does_not_fit_what_came_is_refused(said: str) -> None:
    with pytest.raises(BadRange):
        parse_piece(said, b"abc")


@pytest.mark.parametrize(
    ("said", "body", "first", "total"),
    [
        (None, b"abc", 0, 3),
        ("bytes 0-2/3", b"abc", 0, 3),
        ("bytes 7-9/*", b"abc", 7, None),
        ("bytes 7-9/20", b"abc", 7, 20),
        ("bytes */20", b"", 0, 20),
    ],
)
def test_a_piece_is_read(said: str | None, body: bytes, first: int, total: int | None) -> None:
    piece = parse_piece(said, body)
    assert (piece.first, piece.data, piece.total) == (first, body, total)


SPANS: Any = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 60)), max_size=12)


@settings(max_examples=50, deadline=None)
@given(spans=SPANS)
def test_pieces_in_whatever_order_put_together_the_same_log(spans: list[tuple[int, int]]) -> None:
    async def put_together(folder: Path) -> bytes:
        logs, attempt = LogFolder(folder), LogAttempt(new_id(), 1)
        for first, length in [*spans, (0, 120)]:
            data = TEXT[first : first + length]
            await logs.write(attempt, parse_piece(f"bytes {first}-{first + len(data) - 1}/*", data))
        return logs.file(attempt).read_bytes()

    with tempfile.TemporaryDirectory() as folder:
        assert asyncio.run(put_together(Path(folder))) == TEXT[:120]
