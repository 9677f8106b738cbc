"""Small pieces of logs: held by the journal, put into their files together, and lost at no moment in between."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import apsw
import pytest
from fake_server import FakeServer
from hypothesis import given
from hypothesis import strategies as st
from manager_world import World, a_task, manager_world
from trace_steps import begun, submitted, until_job

from flamenco_core.errors import Unavailable
from flamenco_manager import log_file, task_logs
from flamenco_manager.held_pieces import MOST_HELD_BYTES, MOST_PIECE_BYTES, HeldPiece, HeldPieces, LogKey
from flamenco_manager.stores.erasing import ErasingStore
from flamenco_manager.task_logs import TaskLogs

LOG = LogKey("job", "task", 1)


class JournalInMemory:
    """A journal that keeps what is given to it; ``fails``: what it raises instead of forgetting."""

    def __init__(self) -> None:
        self.pieces: dict[int, HeldPiece] = {}
        self.fails: Exception | None = None
        self.has_failed, self.has_forgotten = asyncio.Event(), asyncio.Event()

    async def held(self) -> Sequence[HeldPiece]:
        return sorted(self.pieces.values(), key=lambda piece: piece.number)

    async def drop(self, numbers: Sequence[int]) -> None:
        await asyncio.sleep(0)
        if self.fails is not None:
            self.has_failed.set()
            raise self.fails
        for number in numbers:
            self.pieces.pop(number, None)
        self.has_forgotten.set()


@pytest.fixture
def journal() -> JournalInMemory:
    return JournalInMemory()


@pytest.fixture
async def logs(tmp_path: Path, journal: JournalInMemory, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TaskLogs]:
    monkeypatch.setattr(task_logs, "RESTS", 0.0)
    opened = TaskLogs(tmp_path, journal=journal)
    yield opened
    await asyncio.to_thread(opened.close)


def say(logs: TaskLogs, journal: JournalInMemory, text: str, at: int, log: LogKey = LOG) -> None:
    """Let a piece be held, as the step of the farm does that puts it into the journal."""
    assert logs.holds(text, at)
    piece = logs.hold(log.job, log.task, log.attempt, text, at)
    journal.pieces[piece.number] = piece


async def text_of(logs: TaskLogs, log: LogKey = LOG) -> bytes:
    size = await logs.size(log.job, log.task, log.attempt)
    return await logs.read(log.job, log.task, log.attempt, 0, size.shown_bytes)


async def test_what_is_held_is_seen_at_once_by_whoever_reads(logs: TaskLogs, journal: JournalInMemory) -> None:
    say(logs, journal, "one\n", 0)
    say(logs, journal, "größe\n", 4)
    assert await text_of(logs) == "one\ngröße\n".encode()


async def test_what_is_held_comes_into_its_file_and_is_forgotten(
    logs: TaskLogs, journal: JournalInMemory, tmp_path: Path
) -> None:
    others = [LogKey("job", f"task-{number}", 1) for number in range(300)]
    for log in (LOG, *others):
        say(logs, journal, f"{log.task}\n", 0, log)
    await logs.put_away()
    assert journal.pieces == {}
    files = {file.name: file.read_text() for file in (tmp_path / "job").iterdir()}
    assert files == {f"{log.task}.1.log": f"{log.task}\n" for log in (LOG, *others)}


async def test_a_piece_without_a_place_comes_behind_what_is_held(logs: TaskLogs, journal: JournalInMemory) -> None:
    say(logs, journal, "held\n", 0)
    assert not logs.holds("placed\n", None)
    await logs.place("job", "task", 1, "placed", None)
    assert await text_of(logs) == b"held\nplaced\n"


async def test_a_long_piece_is_not_held_and_nothing_is_once_enough_is(logs: TaskLogs, journal: JournalInMemory) -> None:
    assert logs.holds("x" * MOST_PIECE_BYTES, 0)
    assert not logs.holds("x" * (MOST_PIECE_BYTES + 1), 0)
    for number in range(MOST_HELD_BYTES // MOST_PIECE_BYTES):
        if logs.holds("x" * MOST_PIECE_BYTES, number):
            say(logs, journal, "x" * MOST_PIECE_BYTES, number * MOST_PIECE_BYTES)
    assert not logs.holds("x", 0)
    await logs.put_away()
    assert logs.holds("x", 0)


async def test_nothing_is_held_without_a_journal(tmp_path: Path) -> None:
    alone = TaskLogs(tmp_path)
    assert not alone.holds("x", 0)
    await asyncio.to_thread(alone.close)


async def test_a_log_that_cannot_be_written_stays_held_and_keeps_no_other_from_its_file(
    logs: TaskLogs, journal: JournalInMemory, tmp_path: Path
) -> None:
    bad, good = LogKey("bad", "task", 1), [LogKey("good", f"task-{number}", 1) for number in range(200)]
    (tmp_path / "bad").write_bytes(b"")  # so no folder can be made here
    for log in (bad, *good):
        say(logs, journal, "x\n", 0, log)
    with pytest.raises(OSError, match="bad"):
        await logs.put_away()
    assert [piece.log for piece in journal.pieces.values()] == [bad]
    with pytest.raises(OSError, match="bad"):
        await logs.size("bad", "task", 1)
    (tmp_path / "bad").unlink()
    await logs.put_away()
    assert journal.pieces == {}
    assert await text_of(logs, bad) == b"x\n"


async def test_a_journal_that_cannot_forget_is_asked_again(logs: TaskLogs, journal: JournalInMemory) -> None:
    say(logs, journal, "x\n", 0)
    journal.fails = OSError("no room")
    with pytest.raises(OSError, match="no room"):
        await logs.put_away()
    journal.fails = None
    await logs.put_away()
    assert journal.pieces == {}


@pytest.mark.parametrize("error", [OSError("no room"), Unavailable("The store is closed.")], ids=["disk", "store"])
async def test_putting_away_goes_on_after_what_went_wrong(
    logs: TaskLogs, journal: JournalInMemory, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(task_logs, "SYNC_EVERY_S", 0.0)
    journal.fails = error
    say(logs, journal, "x\n", 0)
    for_ever = asyncio.create_task(logs.put_away_for_ever())
    async with asyncio.timeout(10):
        await journal.has_failed.wait()
        journal.fails = None
        await journal.has_forgotten.wait()
    assert journal.pieces == {}
    for_ever.cancel()
    await asyncio.wait({for_ever})


async def test_what_is_held_of_a_job_is_gone_with_it(logs: TaskLogs, journal: JournalInMemory, tmp_path: Path) -> None:
    say(logs, journal, "gone\n", 0)
    say(logs, journal, "kept\n", 0, LogKey("other", "task", 1))
    await logs.erase("job")
    await logs.put_away()
    assert not (tmp_path / "job").exists()
    assert journal.pieces == {}
    assert await text_of(logs, LogKey("other", "task", 1)) == b"kept\n"


async def test_what_is_held_of_a_job_is_compressed_with_the_rest(
    logs: TaskLogs, journal: JournalInMemory, tmp_path: Path
) -> None:
    await logs.place("job", "task", 1, "placed\n" * 2000, 0)
    say(logs, journal, "held\n", 7 * 2000)
    await logs.compress("job")
    assert [file.name for file in (tmp_path / "job").iterdir()] == ["task.1.log.gz"]
    assert await text_of(logs) == b"placed\n" * 2000 + b"held\n"


async def test_logs_are_whole_after_dying_before_the_journal_forgot(
    logs: TaskLogs, journal: JournalInMemory, tmp_path: Path
) -> None:
    say(logs, journal, "one\n", 0)
    stopped = dict(journal.pieces)
    await logs.put_away()  # it is in its file, and we die before that is noted
    say(logs, journal, "two\n", 4)
    journal.pieces |= stopped
    again = TaskLogs(tmp_path, journal=journal)
    await again.restore()
    assert journal.pieces == {}
    assert (tmp_path / "job" / "task.1.log").read_bytes() == b"one\ntwo\n"
    say(again, journal, "three\n", 8)
    assert await text_of(again) == b"one\ntwo\nthree\n"
    await asyncio.to_thread(again.close)


async def test_only_a_log_that_was_placed_directly_needs_a_trip_to_the_disk(
    logs: TaskLogs, journal: JournalInMemory
) -> None:
    say(logs, journal, "held\n", 0)
    assert logs.is_on_disk("job", "task", 1)
    await logs.place("job", "task", 1, "placed\n", 5)
    assert not logs.is_on_disk("job", "task", 1)
    await logs.sync_all()
    assert logs.is_on_disk("job", "task", 1)


async def test_a_log_that_did_not_reach_the_disk_is_brought_there_again_before_that_is_believed(
    logs: TaskLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(_: int) -> None:
        raise OSError("no room")

    await logs.place("job", "task", 1, "placed\n", 0)
    with monkeypatch.context() as disk:
        disk.setattr(log_file, "_sync_data", no_room)
        for _ in range(2):
            with pytest.raises(OSError, match="no room"):
                await logs.sync_all()
            assert not logs.is_on_disk("job", "task", 1)
    await logs.sync_all()
    assert logs.is_on_disk("job", "task", 1)


PIECES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.binary(min_size=1, max_size=9)), max_size=30)


@given(PIECES, st.sets(st.integers(0, 30)))
def test_what_was_held_and_not_released_is_held(said: list[tuple[int, int, bytes]], released: set[int]) -> None:
    """The account of bytes is right too: once all is released there is room for all."""
    held, kept = HeldPieces(), []
    for index, (task, at, data) in enumerate(said):
        piece = held.hold(LogKey("job", str(task), 1), at, data)
        if index in released:
            held.release([piece, piece])
        else:
            kept.append(piece)
    waiting = held.waiting()
    assert held.of(waiting) == sorted(kept, key=lambda piece: (waiting.index(piece.log), piece.number))
    assert sorted(held.of_job("job"), key=lambda piece: piece.number) == kept
    held.release(kept)
    assert held.waiting() == []
    assert held._bytes == 0


@pytest.fixture
async def world(tmp_path: Path, server: FakeServer) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server) as opened:
        yield opened


async def test_what_was_acknowledged_is_in_the_log_after_dying_at_once(tmp_path: Path, server: FakeServer) -> None:
    data, after = tmp_path / "data", tmp_path / "after"
    async with manager_world(data, server) as world:
        job = await submitted(world, a_task(), a_task())
        worker = await world.worker("ours")
        task = await begun(worker)
        assert (await worker.update(task, log="one\n", log_at=0, seq=2)).status == 204
        assert (await worker.update(task, log="two\n", log_at=4, seq=3, taskStatus="completed")).status == 204
        after.mkdir()
        for file in data.glob("manager.sqlite*"):  # as the disk is now
            (after / file.name).write_bytes(file.read_bytes())
        if (data / "task-logs").exists():  # later than the journal: what that forgets is in its file before
            shutil.copytree(data / "task-logs", after / "task-logs")
        shutil.copy(data / "link.json", after)
    async with manager_world(after, server):
        assert (after / "task-logs" / job / f"{task['uuid']}.1.log").read_bytes() == b"one\ntwo\n"


async def test_pieces_of_a_job_that_is_being_erased_are_in_nobodys_way_after_dying(
    tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_logs, "SYNC_EVERY_S", 3600.0)  # so it stays held
    async with manager_world(tmp_path, server) as world:
        job = await submitted(world, a_task())
        worker = await world.worker("ours")
        task = await begun(worker)
        assert (await worker.update(task, log="x\n", log_at=0, seq=2, taskStatus="completed")).status == 204
        await until_job(world, job, "completed")
    database = apsw.Connection(str(tmp_path / "manager.sqlite"))
    with database:  # we die when the job is gone, and its tasks are not
        ErasingStore.erasure(database.execute("SELECT key FROM jobs").get, job)(database)
    database.close()
    async with manager_world(tmp_path, server) as world:
        other = await submitted(world, a_task())
        again = await world.worker("another")
        task = await begun(again)
        assert (await again.update(task, log="y\n", log_at=0, seq=2, taskStatus="completed")).status == 204
        assert await text_of(world.logs, LogKey(other, task["uuid"], 1)) == b"y\n"


async def test_pieces_of_an_erased_job_are_forgotten(world: World, tmp_path: Path) -> None:
    job = await submitted(world, a_task())
    worker = await world.worker("ours")
    task = await begun(worker)
    assert (await worker.update(task, log="x\n", log_at=0, seq=2, taskStatus="completed")).status == 204
    await until_job(world, job, "completed")
    assert (await world.server.asked("job.delete", job=job))["result"] == "done"
    assert (await world.server.asked("job.erase", job=job))["result"] == "done"
    async with asyncio.timeout(20):
        while (tmp_path / "task-logs" / job).exists():
            await world.call("GET", "/healthz")
    await world.logs.put_away()
    reader = apsw.Connection(str(tmp_path / "manager.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
    left = reader.execute("SELECT count(*) FROM log_pieces").get
    reader.close()
    assert left == 0
    assert not (tmp_path / "task-logs" / job).exists()
    await world.logs.sweep(world.foreman.now().wall, timedelta(days=1), set())
