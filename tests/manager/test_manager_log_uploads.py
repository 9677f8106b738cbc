"""Logs on their way from a Worker to the Server, and what becomes of them here when their job has ended."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_server import FakeServer
from log_writer import text_at
from manager_world import HttpWorker, World, a_task, manager_world
from structlog.testing import capture_logs

from flamenco_manager.log_extent import MIB, NOTE_BYTES
from flamenco_manager.media_keeping import MediaKeeper
from flamenco_manager.previews import Previews
from flamenco_manager.stores.media import MediaStore
from flamenco_manager.stores.outbox import LogUpload
from flamenco_manager.task_logs import LogSize, TaskLogs
from flamenco_manager.uploads import Uploads
from flamenco_runtime.clock import utc_now
from flamenco_runtime.journal import Journal

Begun = tuple[HttpWorker, str, dict[str, Any]]


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server, most_log_mib=2) as running:
        yield running


async def begun(world: World) -> Begun:
    """Have a Worker that runs a task; returns it, the job and the task."""
    worker = await world.worker()
    job = await world.server.submit([a_task()])
    task = await worker.task()
    assert (await worker.update(task, taskStatus="active", seq=1)).status == 204
    return worker, job, task


async def write(worker: HttpWorker, task: dict[str, Any], start: int, stop: int, **said: Any) -> None:
    reply = await worker.update(task, log=text_at(start, stop).decode(), log_at=start, **said)
    assert reply.status == 204


def log_of(world: World, task: dict[str, Any]) -> bytes:
    return bytes(world.server.logs.get((task["uuid"], 1), b""))


async def test_a_log_in_any_order_reaches_the_server_whole_and_is_compressed(world: World, tmp_path: Path) -> None:
    worker, job, task = await begun(world)
    for start in (20_000, 0, 10_000):
        await write(worker, task, start, start + 12_000, seq=2)
    assert (await worker.update(task, taskStatus="completed", seq=3)).status == 204
    await world.server.until(lambda: log_of(world, task) == text_at(0, 32_000))
    archive = tmp_path / "task-logs" / job / f"{task['uuid']}.1.log.gz"
    await until(archive.exists)
    await write(worker, task, 31_000, 40_000, seq=2)  # what comes late is added, and sent
    await world.server.until(lambda: log_of(world, task) == text_at(0, 40_000))


async def test_a_log_that_grew_too_long_reaches_the_server_with_the_cut_marked(world: World) -> None:
    worker, _, task = await begun(world)
    end = 5 * MIB
    for start in range(0, end, MIB // 2):
        await write(worker, task, start, start + MIB // 2, seq=2)
    assert (await worker.update(task, taskStatus="completed", seq=3)).status == 204
    await world.server.until(lambda: (task["uuid"], 1) in world.server.whole_logs)
    log = log_of(world, task)
    assert len(log) == 2 * MIB
    assert log[:MIB] == text_at(0, MIB)
    tail = log[MIB + NOTE_BYTES :]
    assert tail == text_at(end - len(tail), end)
    assert f"{end - 2 * MIB + NOTE_BYTES} bytes are missing here".encode() in log[MIB : MIB + NOTE_BYTES]


async def test_whoever_follows_gets_what_is_added_but_never_over_a_gap(world: World) -> None:
    worker, _, task = await begun(world)
    await write(worker, task, 0, 100, seq=2)
    await world.server.issue("task.log", task=task["uuid"], attempt=1, seconds=60)
    await world.server.until(lambda: log_of(world, task) == text_at(0, 100))
    await write(worker, task, 200, 300, seq=4)
    await write(worker, task, 100, 150, seq=3)
    await world.server.until(lambda: log_of(world, task) == text_at(0, 150))
    await write(worker, task, 150, 200, seq=3)
    await world.server.until(lambda: log_of(world, task) == text_at(0, 300))
    assert (task["uuid"], 1) not in world.server.whole_logs


async def test_a_second_order_to_follow_goes_on_where_the_first_one_is(world: World) -> None:
    worker, _, task = await begun(world)
    await write(worker, task, 0, 100, seq=2)
    await world.server.issue("task.log", task=task["uuid"], attempt=1, seconds=60)
    await world.server.until(lambda: log_of(world, task) == text_at(0, 100))
    world.server.logs[task["uuid"], 1][:50] = b"?" * 50  # sent again, it would be mended
    number = await world.server.issue("task.log", task=task["uuid"], attempt=1, seconds=60)
    await world.server.until(lambda: number in world.server.results)
    await write(worker, task, 100, 300, seq=3)
    await world.server.until(lambda: len(log_of(world, task)) == 300)
    assert log_of(world, task) == b"?" * 50 + text_at(50, 300)


async def test_whoever_follows_a_log_that_is_cut_sees_its_end_and_the_cut(world: World) -> None:
    worker, _, task = await begun(world)
    pieces = [(start, start + MIB // 2) for start in range(0, 4 * MIB, MIB // 2)]
    for start, stop in pieces[:3]:
        await write(worker, task, start, stop, seq=2)
    await world.server.issue("task.log", task=task["uuid"], attempt=1, seconds=60)
    await world.server.until(lambda: log_of(world, task) == text_at(0, 3 * MIB // 2))  # beyond where it will be cut
    for start, stop in pieces[3:]:
        await write(worker, task, start, stop, seq=3)
    await world.server.issue("task.log", task=task["uuid"], attempt=1, seconds=60)
    await world.server.until(lambda: log_of(world, task).endswith(text_at(4 * MIB - 1000, 4 * MIB)))
    await world.server.until(lambda: b"bytes are missing here" in log_of(world, task)[MIB : MIB + NOTE_BYTES])
    assert log_of(world, task)[:MIB] == text_at(0, MIB)
    assert len(log_of(world, task)) == 2 * MIB


@pytest.mark.parametrize("order", [{"task": "x"}, {"attempt": "1"}, {"seconds": "long"}, {"attempt": 7}, {}])
async def test_an_order_to_follow_that_makes_no_sense_does_no_harm(world: World, order: dict[str, Any]) -> None:
    worker, _, task = await begun(world)
    await write(worker, task, 0, 100, seq=2)
    await world.server.issue("task.log", **{"task": task["uuid"], "attempt": 1, "seconds": 0, **order})
    await world.server.issue("task.log", task=task["uuid"], attempt=1, seconds=0)
    await world.server.until(lambda: log_of(world, task) == text_at(0, 100))


async def test_a_log_for_which_there_is_no_room_is_refused_until_there_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, _, task = await begun(world)
    long = text_at(0, 20_000).decode()  # goes into its file at once
    with monkeypatch.context() as patch, capture_logs() as lines:
        patch.setattr(os, "pwrite", no_room)
        reply = await worker.update(task, log=long, log_at=0, seq=2)
    assert (reply.status, reply.headers["Retry-After"]) == (507, "2")
    assert b"is full: make room on it" in reply.body
    assert not [line for line in lines if line["event"] == "request failed"], "it is nobody's mistake"
    await write(worker, task, 0, 20_000, seq=2)
    assert (await worker.update(task, taskStatus="completed", seq=3)).status == 204
    await world.server.until(lambda: log_of(world, task) == text_at(0, 20_000))


def no_room(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_the_store_knows_of_which_jobs_the_server_lacks_something(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker, job, task = await begun(world)
        server.logs_pass.clear()
        await write(worker, task, 0, 5000, seq=2)
        assert (await worker.update(task, taskStatus="completed", seq=3)).status == 204
        await server.until_job(job, "completed")
    assert await jobs_not_sent(tmp_path) == {job}
    server.logs_pass.set()
    async with manager_world(tmp_path, server) as world:
        await server.until(lambda: (task["uuid"], 1) in server.whole_logs)
        again, _, more = await begun(world)
        assert (await again.update(more, taskStatus="completed", seq=3)).status == 204
        await server.until(lambda: (more["uuid"], 1) in server.whole_logs)  # so the first one is noted as sent
    assert job not in await jobs_not_sent(tmp_path)


async def jobs_not_sent(data: Path) -> set[str]:
    journal = await Journal.open(data / "manager.sqlite", lambda _: None, on_failure=lambda _: None)
    try:
        return await MediaStore(journal).jobs_not_sent()
    finally:
        await journal.close()


class Unsent:
    """A store in which some jobs have something that the Server lacks."""

    def __init__(self, *jobs: str) -> None:
        self._jobs = set(jobs)

    async def jobs_not_sent(self) -> set[str]:
        return self._jobs


async def test_what_is_needed_is_not_swept_away_however_old(tmp_path: Path) -> None:
    logs, previews = TaskLogs(tmp_path / "logs"), Previews(tmp_path / "previews")
    days = timedelta(days=1)
    keeper = MediaKeeper(logs, previews, Unsent("unsent"), lambda: {"live"}, keep_logs=days, keep_previews=2 * days)
    for job in ("live", "unsent", "ended"):
        await logs.place(job, "task", 1, "text\n", 0)
        await previews.keep(job, 1, b"image")
    await keeper.sweep(utc_now() + 0.9 * days)
    assert folders(tmp_path) == {"logs": {"live", "unsent", "ended"}, "previews": {"live", "unsent", "ended"}}
    await keeper.sweep(utc_now() + 1.1 * days)
    assert folders(tmp_path) == {"logs": {"live", "unsent"}, "previews": {"live", "unsent", "ended"}}
    await keeper.sweep(utc_now() + 1000 * days)
    assert folders(tmp_path) == {"logs": {"live", "unsent"}, "previews": {"live", "unsent"}}
    logs.close()


class CrowdedLogs(TaskLogs):
    """Logs on a disk that has room again once it was asked ``times`` times."""

    times = 3

    async def size(self, job: str, task: str, attempt: int) -> LogSize:
        self.times -= 1
        if self.times >= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return await super().size(job, task, attempt)


class Due:
    """One log that the Server is to get, and nothing else."""

    def __init__(self, upload: LogUpload) -> None:
        self._uploads = [upload]
        self.is_sent = asyncio.Event()

    async def log_uploads(self) -> Sequence[LogUpload]:
        return list(self._uploads)

    async def log_uploaded(self, upload: LogUpload) -> None:
        self._uploads.remove(upload)
        self.is_sent.set()

    async def preview_uploads(self) -> Sequence[tuple[str, int]]:
        return []


class Shelf:
    """Gets logs."""

    def __init__(self) -> None:
        self.logs: dict[tuple[str, int], bytes] = {}

    async def put_log(self, task: str, attempt: int, piece: bytes, start: int, total: int | None) -> None:
        assert (start, total) == (0, len(piece))
        self.logs[task, attempt] = piece

    async def put_frame(self, job: str, frame: int, image: bytes) -> None:
        raise AssertionError("there are no frames")


async def test_a_log_waits_for_room_on_the_disk_and_then_it_is_sent(tmp_path: Path) -> None:
    logs, shelf, due = CrowdedLogs(tmp_path / "logs"), Shelf(), Due(LogUpload(1, "task", "job", 1))
    await logs.place("job", "task", 1, "text\n", 0)
    uploads = Uploads(due, logs, Previews(tmp_path / "previews"))  # type: ignore[arg-type]
    sending = asyncio.create_task(uploads.run(shelf))
    async with asyncio.timeout(60):
        await due.is_sent.wait()
    sending.cancel()
    await asyncio.wait({sending})
    assert shelf.logs == {("task", 1): b"text\n"}
    logs.close()


def folders(data: Path) -> dict[str, set[str]]:
    return {kind.name: {job.name for job in kind.iterdir()} for kind in data.iterdir()}


async def until(condition: object, deadline_s: float = 20.0) -> None:
    """Wait for something that nobody tells us of."""
    assert callable(condition)
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
