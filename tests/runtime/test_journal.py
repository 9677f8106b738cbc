import asyncio
import multiprocessing
import os
import resource
import signal
import stat
import threading
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flamenco_runtime.journal import Journal, JournalClosed, MemoryAhead, StoreFull, Work

MANY = 200


def prepare(connection: apsw.Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS note (text TEXT UNIQUE NOT NULL) STRICT")


def add(text: str) -> Work[int]:
    def work(connection: apsw.Connection) -> int:
        connection.execute("INSERT INTO note VALUES (?)", (text,))
        return connection.last_insert_rowid()

    return work


def notes(connection: apsw.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT text FROM note ORDER BY rowid")]


async def notes_on_disk(path: Path) -> list[str]:
    """Read the file anew, as another process would."""
    journal = await Journal.open(path, prepare)
    try:
        return await journal.read(notes)
    finally:
        await journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "notes.sqlite"


@pytest.fixture
async def journal(path: Path) -> AsyncIterator[Journal]:
    journal = await Journal.open(path, prepare)
    yield journal
    await journal.close()


async def test_a_write_returns_what_its_work_returned(journal: Journal) -> None:
    assert await journal.write(add("a")) == 1
    assert await journal.write(add("b")) == 2
    assert await journal.read(notes) == ["a", "b"]


async def test_what_is_written_is_there_after_closing_and_opening(journal: Journal, path: Path) -> None:
    await asyncio.gather(*(journal.write(add(f"{number:03}")) for number in range(MANY)))
    await journal.close()
    assert await notes_on_disk(path) == [f"{number:03}" for number in range(MANY)]


async def test_closing_commits_what_nobody_waited_for(journal: Journal, path: Path) -> None:
    waiting = [journal.write(add(str(number))) for number in range(MANY)]
    await journal.close()
    assert all(future.done() for future in waiting)
    assert len(await notes_on_disk(path)) == MANY


async def test_many_writes_share_few_transactions(journal: Journal) -> None:
    commits: list[None] = []

    def count_commits(connection: apsw.Connection) -> None:
        connection.set_commit_hook(lambda: commits.append(None) or False)  # type: ignore[func-returns-value]

    await journal.write(count_commits)
    blocked = threading.Event()
    first = journal.write(lambda _: blocked.wait(60))
    others = [journal.write(add(str(number))) for number in range(MANY)]
    blocked.set()
    await asyncio.gather(first, *others)
    assert len(commits) <= 4


async def test_no_write_is_told_done_before_it_is_committed(journal: Journal, path: Path) -> None:
    reader = await Journal.open(path, prepare)
    for number in range(20):
        await journal.write(add(str(number)))
        assert len(await reader.read(notes)) == number + 1
    await reader.close()


async def test_works_run_in_the_order_of_their_calls(journal: Journal) -> None:
    order: list[int] = []
    await asyncio.gather(*(journal.write(lambda _, number=number: order.append(number)) for number in range(MANY)))
    assert order == list(range(MANY))


async def test_durable_waits_for_everything_written_so_far(journal: Journal) -> None:
    waiting = [journal.write(add(str(number))) for number in range(10)]
    await journal.durable()
    assert all(future.done() for future in waiting)


async def test_a_work_that_raises_is_undone_alone(journal: Journal) -> None:
    def half(connection: apsw.Connection) -> None:
        connection.execute("INSERT INTO note VALUES ('half')")
        raise LookupError("no such thing")

    outcomes = await asyncio.gather(
        journal.write(add("a")), journal.write(half), journal.write(add("a")), journal.write(add("b")),
        return_exceptions=True,
    )  # fmt: skip
    assert [type(outcome) for outcome in outcomes] == [int, LookupError, apsw.ConstraintError, int]
    assert await journal.read(notes) == ["a", "b"]


async def test_a_work_that_memory_is_ahead_of_stops_the_store_when_it_fails(path: Path) -> None:
    def fail(_: apsw.Connection) -> None:
        raise MemoryAhead("twice the same number")

    failures: list[BaseException] = []
    journal = await Journal.open(path, prepare, on_failure=failures.append)
    outcomes = await asyncio.gather(journal.write(add("a")), journal.write(fail), return_exceptions=True)
    assert isinstance(outcomes[1], JournalClosed)
    assert [type(failure) for failure in failures] == [MemoryAhead]
    with pytest.raises(JournalClosed):
        journal.write(add("b"))
    await journal.close()
    told_done = [] if isinstance(outcomes[0], JournalClosed) else ["a"]  # they may have been two batches
    assert await notes_on_disk(path) == told_done


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
async def test_whatever_fails_the_rest_stands(tmp_path_factory: pytest.TempPathFactory, history: list) -> None:
    path = tmp_path_factory.mktemp("history") / "notes.sqlite"
    journal = await Journal.open(path, prepare)

    def work(text: str, fails: bool, connection: apsw.Connection) -> None:
        connection.execute("INSERT INTO note VALUES (?)", (text,))
        if fails:
            raise LookupError

    waiting = [journal.write(lambda c, text=text, fails=fails: work(text, fails, c)) for text, fails in history]
    await asyncio.gather(*waiting, return_exceptions=True)
    await journal.close()
    assert await notes_on_disk(path) == list(dict.fromkeys(text for text, fails in history if not fails))


async def test_a_waiter_that_went_away_undoes_nothing_and_disturbs_nobody(journal: Journal) -> None:
    held = threading.Event()
    blocking = journal.write(lambda _: held.wait(60))
    cancelled, kept = journal.write(add("cancelled")), journal.write(add("kept"))
    cancelled.cancel()
    held.set()
    await blocking
    await kept
    assert cancelled.cancelled()
    assert await journal.read(notes) == ["cancelled", "kept"]


async def test_a_cancelled_wait_for_durability_leaves_the_write_alone(journal: Journal) -> None:
    held = threading.Event()
    blocking = journal.write(lambda _: held.wait(60))
    waiting = asyncio.create_task(journal.durable())
    await asyncio.sleep(0)
    waiting.cancel()
    held.set()
    await blocking
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await journal.write(add("after")) == 1


async def test_a_full_disk_closes_the_journal_and_nobody_is_told_done(path: Path) -> None:
    failures: list[BaseException] = []
    journal = await Journal.open(path, prepare, failures.append)
    await journal.write(add("before"))
    await journal.write(lambda connection: connection.pragma("max_page_count", connection.pragma("page_count")))
    outcomes = await asyncio.gather(
        journal.write(add("small")), journal.write(add("x" * 100_000)), journal.write(add("late")),
        return_exceptions=True,
    )  # fmt: skip
    assert all(isinstance(outcome, StoreFull) for outcome in outcomes[1:])
    assert [type(failure) for failure in failures] == [StoreFull]
    with pytest.raises(StoreFull, match=f"The disk of {path} is full"):
        journal.write(add("after"))
    with pytest.raises(StoreFull):
        await journal.read(notes)
    with pytest.raises(StoreFull):
        await journal.durable()
    await journal.close()
    told = [text for text, outcome in zip(["small"], outcomes, strict=False) if isinstance(outcome, int)]
    assert await notes_on_disk(path) == ["before", *told]


async def test_where_memory_anticipates_nothing_a_full_disk_undoes_the_batch_and_the_journal_goes_on(
    path: Path,
) -> None:
    failures: list[BaseException] = []
    journal = await Journal.open(path, prepare, failures.append, is_anticipated=False)
    await journal.write(add("before"))
    most = await journal.write(lambda connection: connection.pragma("max_page_count"))
    await journal.write(lambda connection: connection.pragma("max_page_count", connection.pragma("page_count")))
    with pytest.raises(StoreFull, match=f"The disk of {path} is full"):
        await journal.write(add("x" * 100_000))
    assert await journal.read(notes) == ["before"]
    await journal.write(lambda connection: connection.pragma("max_page_count", most))  # there is room again
    await journal.write(add("after"))
    await journal.close()
    assert failures == []
    assert await notes_on_disk(path) == ["before", "after"]


async def test_a_batch_that_sqlite_rolled_back_is_nobodys_success(journal: Journal, path: Path) -> None:
    begun, held = threading.Event(), threading.Event()
    blocking = journal.write(lambda _: (begun.set(), held.wait(60)))
    await asyncio.to_thread(begun.wait, 60)  # so that what follows is one batch
    lost = journal.write(add("lost"))
    rolled_back = journal.write(lambda connection: connection.execute("ROLLBACK"))
    late = journal.write(add("late"))
    held.set()
    await blocking
    outcomes = await asyncio.gather(lost, rolled_back, late, return_exceptions=True)
    assert all(isinstance(outcome, JournalClosed) for outcome in outcomes)
    await journal.close()
    assert await notes_on_disk(path) == []


def _write_until_the_disk_is_full(path: Path, pipe: Connection) -> None:
    """In a process of its own: tell of every write that was told done, on a disk that fills up."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    async def run() -> None:
        journal = await Journal.open(path, prepare)
        await journal.write(add("first"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
        try:
            for number in range(1000):
                await journal.write(add(f"{number:03}" + "x" * 5_000))
                pipe.send(f"{number:03}")
        except JournalClosed:
            pipe.send("closed")
        await journal.close()

    asyncio.run(run())


def _write_for_ever(path: Path, pipe: Connection) -> None:
    async def run() -> None:
        journal = await Journal.open(path, prepare)
        for number in range(1_000_000):
            await journal.write(add(f"{number:06}"))
            pipe.send(f"{number:06}")

    asyncio.run(run())


async def test_what_was_told_done_survives_a_disk_that_is_really_full(path: Path) -> None:
    processes = multiprocessing.get_context("spawn")
    ours, theirs = processes.Pipe()
    child = processes.Process(target=_write_until_the_disk_is_full, args=(path, theirs))
    child.start()
    told = []
    while (said := await asyncio.to_thread(ours.recv)) != "closed":
        told.append(said)
    await asyncio.to_thread(child.join, 60)
    assert child.exitcode == 0
    assert 0 < len(told) < 1000
    assert [text[:3] for text in await notes_on_disk(path)] == ["fir", *told]


async def test_what_was_told_done_survives_kill_9(path: Path) -> None:
    processes = multiprocessing.get_context("spawn")
    ours, theirs = processes.Pipe()
    child = processes.Process(target=_write_for_ever, args=(path, theirs))
    child.start()
    told = [await asyncio.to_thread(ours.recv) for _ in range(50)]
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    await asyncio.to_thread(child.join, 60)
    while ours.poll():
        told.append(ours.recv())
    found = await notes_on_disk(path)
    assert found[: len(told)] == told
    assert len(found) <= len(told) + 1


async def test_a_closed_journal_says_so_and_may_be_closed_again(journal: Journal) -> None:
    await journal.close()
    await journal.close()
    with pytest.raises(JournalClosed):
        journal.write(add("late"))
    with pytest.raises(JournalClosed):
        await journal.read(notes)


async def test_a_reader_cannot_write(journal: Journal) -> None:
    with pytest.raises(apsw.ReadOnlyError):
        await journal.read(lambda connection: connection.execute("INSERT INTO note VALUES ('x')"))


async def test_the_file_is_its_owners_alone(journal: Journal, path: Path) -> None:
    await journal.write(add("secret"))
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_store_that_cannot_be_prepared_is_not_opened_and_not_held(path: Path) -> None:
    def refuse(connection: apsw.Connection) -> None:
        with connection:
            connection.execute("CREATE TABLE half (x)")
            raise LookupError("newer")

    with pytest.raises(LookupError):
        await Journal.open(path, refuse)
    journal = await Journal.open(path, prepare)
    tables = await journal.read(lambda connection: connection.execute("SELECT name FROM sqlite_schema").fetchall())
    assert ("half",) not in tables
    await journal.close()


async def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    path.write_bytes(b"not a database, but a file of some length" * 100)
    with pytest.raises(apsw.NotADBError):
        await Journal.open(path, prepare)


async def test_a_store_that_finds_no_room_when_it_is_opened_says_so(path: Path) -> None:
    def prepare_without_room(connection: apsw.Connection) -> None:
        connection.pragma("max_page_count", 1)
        prepare(connection)

    with pytest.raises(StoreFull, match=f"The disk of {path} is full"):
        await Journal.open(path, prepare_without_room)


async def test_a_short_read_does_not_wait_for_a_long_one(journal: Journal) -> None:
    begun, held = threading.Event(), threading.Event()
    long = asyncio.create_task(journal.read(lambda _: (begun.set(), held.wait(60)), is_long=True))
    await asyncio.to_thread(begun.wait, 60)
    assert await journal.read(notes) == []
    held.set()
    await long
