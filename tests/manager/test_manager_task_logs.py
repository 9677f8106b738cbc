"""Logs on disk: any order of arrival, the cap, compression, reading, removal, and being killed."""

import asyncio
import gzip
import itertools
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from log_writer import LENGTH, LIMITS, text_at

from flamenco_manager.log_archive import PIECE_BYTES, Archive, BrokenArchive, compress
from flamenco_manager.log_extent import NOTE_BYTES, InFile, LogExtent, LogLimits
from flamenco_manager.log_file import LogFile, ReadOnlyLog, shown_bytes
from flamenco_manager.task_logs import LogSize, TaskLogs

SMALL = LogLimits(NOTE_BYTES + 1000, 200)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[TaskLogs]:
    opened = TaskLogs(tmp_path)
    yield opened
    opened.close()


async def whole(logs: TaskLogs, job: str = "job", task: str = "task", attempt: int = 1) -> bytes:
    size = await logs.size(job, task, attempt)
    return await logs.read(job, task, attempt, 0, size.shown_bytes)


async def test_pieces_in_any_order_with_repeats_and_overlaps_make_one_log(logs: TaskLogs) -> None:
    log = text_at(0, 5000).decode()
    chance = random.Random(4)
    cuts = sorted({0, 5000, *chance.sample(range(5000), 30)})
    pieces = [(a, log[a : min(b + chance.randrange(50), 5000)]) for a, b in itertools.pairwise(cuts)]
    came = [*pieces, *pieces[:10]]
    chance.shuffle(came)
    for at, text in came:
        await logs.place("job", "task", 1, text, at)
    assert await whole(logs) == log.encode()
    assert await logs.size("job", "task", 1) == LogSize(5000, 5000)


async def test_offsets_count_bytes_and_not_characters(logs: TaskLogs) -> None:
    await logs.place("job", "task", 1, "größe\n", 0)
    await logs.place("job", "task", 1, "next\n", len("größe\n".encode()))
    assert (await whole(logs)).decode() == "größe\nnext\n"


async def test_text_without_an_offset_is_added_as_lines_of_its_own(logs: TaskLogs) -> None:
    for text in ("one", "two\n", "three"):
        await logs.place("job", "task", 1, text, None)
    assert await whole(logs) == b"one\ntwo\nthree\n"


async def test_each_attempt_has_a_log_of_its_own(logs: TaskLogs) -> None:
    await logs.place("job", "task", 1, "first\n", 0)
    await logs.place("job", "task", 2, "second\n", 0)
    assert (await whole(logs), await whole(logs, attempt=2)) == (b"first\n", b"second\n")


async def test_what_is_here_stays_as_it_is(logs: TaskLogs) -> None:
    await logs.place("job", "task", 1, "right\n", 0)
    await logs.place("job", "task", 1, "WRONG\nmore\n", 0)
    assert await whole(logs) == b"right\nmore\n"


async def test_a_gap_is_not_followed_over_and_survives_a_restart(tmp_path: Path) -> None:
    logs = TaskLogs(tmp_path)
    await logs.place("job", "task", 1, "abc", 0)
    await logs.place("job", "task", 1, "ghi", 6)
    assert await logs.size("job", "task", 1) == LogSize(9, 3)
    logs.close()
    logs = TaskLogs(tmp_path)
    assert await logs.size("job", "task", 1) == LogSize(9, 3)
    assert await whole(logs) == b"abc???ghi"
    await logs.place("job", "task", 1, "def", 3)
    assert await whole(logs) == b"abcdefghi"
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["task.1.log"]
    logs.close()


async def test_a_log_that_was_never_written_is_empty(logs: TaskLogs) -> None:
    assert await logs.size("job", "task", 1) == LogSize()
    await logs.sync("job", "task", 1)


async def test_of_a_log_that_grows_too_long_the_beginning_and_the_end_are_kept(tmp_path: Path) -> None:
    logs = TaskLogs(tmp_path, SMALL)
    for at in range(0, 50_000, 700):
        await logs.place("job", "task", 1, text_at(at, at + 700).decode(), at)
    size = await logs.size("job", "task", 1)
    assert size == LogSize(SMALL.most_bytes, SMALL.most_bytes, cut_at=200)
    end = 50_400
    shown = await whole(logs)
    assert shown[:200] == text_at(0, 200)
    assert shown[200 + NOTE_BYTES :] == text_at(end - 800, end)
    assert shown[200 : 200 + NOTE_BYTES].split(b"\n")[1].startswith(b"[Flamenco: 49400 bytes are missing here")
    assert sum(path.stat().st_size for path in (tmp_path / "job").glob("*.log")) <= SMALL.most_bytes
    logs.close()
    again = TaskLogs(tmp_path)  # with other limits: a log keeps those that it was cut by
    assert await whole(again) == shown
    again.close()


async def test_a_flood_of_one_piece_without_newlines_takes_no_more_than_the_cap(tmp_path: Path) -> None:
    logs = TaskLogs(tmp_path, SMALL)
    await logs.place("job", "task", 1, "x" * 100_000, 0)
    await logs.place("job", "task", 1, "y" * 100_000, None)
    shown = await whole(logs)
    assert (len(shown), shown[:200], shown[-800:]) == (SMALL.most_bytes, b"x" * 200, b"y" * 799 + b"\n")
    logs.close()


async def test_more_logs_than_may_be_open_are_all_written(tmp_path: Path) -> None:
    logs = TaskLogs(tmp_path, most_open=4)
    before = open_files()
    for line in range(3):
        for task in range(20):
            await logs.place("job", f"task{task}", 1, f"{line}\n", 2 * line)
            assert open_files() - before <= 4
    assert {await whole(logs, task=f"task{task}") for task in range(20)} == {b"0\n1\n2\n"}
    logs.close()
    assert open_files() == before


def open_files() -> int:
    return sum(file.path.endswith(".log") for file in psutil.Process().open_files())


async def test_a_compressed_log_reads_as_before_from_any_place(logs: TaskLogs, tmp_path: Path) -> None:
    length = 2 * PIECE_BYTES + 12_345
    await logs.place("job", "task", 1, text_at(0, length).decode(), 0)
    await logs.compress("job")
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["task.1.log.gz"]
    assert gzip.decompress((tmp_path / "job" / "task.1.log.gz").read_bytes()) == text_at(0, length)
    assert await logs.size("job", "task", 1) == LogSize(length, length)
    for start in (0, 1, PIECE_BYTES - 5, PIECE_BYTES, 2 * PIECE_BYTES + 1, length - 3):
        assert await logs.read("job", "task", 1, start, 100) == text_at(start, length)[:100]
    assert await logs.read("job", "task", 1, length, 100) == b""
    assert await whole(logs) == text_at(0, length)


async def test_a_cut_log_is_compressed_with_its_note(tmp_path: Path) -> None:
    logs = TaskLogs(tmp_path, LogLimits(NOTE_BYTES + 20_000, 200))
    await logs.place("job", "task", 1, text_at(0, 90_000).decode(), 0)
    shown = await whole(logs)
    await logs.compress("job")
    assert (tmp_path / "job" / "task.1.log.gz").exists()
    assert await whole(logs) == shown
    logs.close()


async def test_what_comes_late_is_added_to_a_compressed_log(logs: TaskLogs, tmp_path: Path) -> None:
    await logs.place("job", "task", 1, text_at(0, 9000).decode(), 0)
    await logs.compress("job")
    await logs.place("job", "task", 1, text_at(8000, 9500).decode(), 8000)
    assert await whole(logs) == text_at(0, 9500)
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["task.1.log"]
    await logs.compress("job")
    assert await whole(logs) == text_at(0, 9500)
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["task.1.log.gz"]


async def test_a_log_that_is_added_to_while_it_is_compressed_loses_nothing(tmp_path: Path) -> None:
    logs = TaskLogs(tmp_path)
    length = 30 * PIECE_BYTES
    await logs.place("job", "task", 1, text_at(0, length).decode(), 0)
    compressing = asyncio.create_task(logs.compress("job"))
    at = length
    while not compressing.done():
        await logs.place("job", "task", 1, text_at(at, at + 160).decode(), at)
        at += 160
    await compressing
    logs.close()
    later = TaskLogs(tmp_path)  # what is on disk counts, and not what an open file still shows
    assert await later.read("job", "task", 1, length - 100, at) == text_at(length - 100, at)
    assert await later.read("job", "task", 1, 0, PIECE_BYTES) == text_at(0, PIECE_BYTES)
    later.close()


async def test_small_logs_are_left_as_they_are(logs: TaskLogs, tmp_path: Path) -> None:
    await logs.place("job", "task", 1, "short\n", 0)
    await logs.compress("job")
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["task.1.log"]


async def test_of_an_archive_and_a_plain_log_the_plain_one_counts(tmp_path: Path) -> None:
    """We died after the archive was put in its place, before the plain log was removed."""
    plain = tmp_path / "job" / "task.1.log"
    plain.parent.mkdir()
    plain.write_bytes(text_at(0, 5000))
    compress(plain, plain.with_suffix(".log.gz"))
    logs = TaskLogs(tmp_path)
    await logs.place("job", "task", 1, text_at(5000, 5100).decode(), 5000)
    assert await whole(logs) == text_at(0, 5100)
    assert [path.name for path in plain.parent.iterdir()] == ["task.1.log"]
    logs.close()


@pytest.mark.parametrize("keep", [0.5, 0.99, 0.01])
def test_a_cut_off_or_damaged_archive_is_told_as_that(tmp_path: Path, keep: float) -> None:
    plain, archive = tmp_path / "a.log", tmp_path / "a.log.gz"
    plain.write_bytes(os.urandom(100_000))
    compress(plain, archive)
    contents = archive.read_bytes()
    archive.write_bytes(contents[: int(len(contents) * keep)])
    with pytest.raises(BrokenArchive, match=r"a\.log\.gz"):
        Archive(archive).read(0, 10)


async def test_old_logs_are_removed_and_others_stay(logs: TaskLogs, tmp_path: Path) -> None:
    ages = {"old": 31, "young": 29, "old-but-in-use": 90}
    for job, days in ages.items():
        await logs.place(job, "task", 1, text_at(0, 9000).decode(), 0)
        await logs.sync_all()
        then = (NOON - timedelta(days=days)).timestamp()
        os.utime(tmp_path / job / "task.1.log", (then, then))
    await logs.sweep(NOON, timedelta(days=30), {"old-but-in-use"})
    kept = {path.parent.name: path.name for path in tmp_path.glob("*/*")}
    assert kept == {"young": "task.1.log.gz", "old-but-in-use": "task.1.log"}
    assert await logs.size("old", "task", 1) == LogSize()
    assert await whole(logs, "young") == text_at(0, 9000)


async def test_an_erased_job_has_no_logs_and_can_have_new_ones(logs: TaskLogs, tmp_path: Path) -> None:
    await logs.place("job", "task", 1, "one\n", 0)
    await logs.erase("job")
    assert list(tmp_path.iterdir()) == []
    await logs.erase("never")
    await logs.place("job", "task", 1, "two\n", 0)
    assert await whole(logs) == b"two\n"


def test_a_log_without_its_note_of_parts_keeps_what_is_certain(tmp_path: Path) -> None:
    """After a power cut the note may be empty: then only the beginning is sure to be in its order."""
    file = LogFile(tmp_path / "job" / "task.1.log", SMALL)
    file.place(text_at(0, 5000), 0)
    file.close()
    (tmp_path / "job" / "task.1.parts").write_bytes(b"")
    again = ReadOnlyLog(tmp_path / "job" / "task.1.log", SMALL)
    assert shown_bytes(again, 0, 10**6) == text_at(0, 200)


class Killed(BaseException):
    """We died here."""


class MortalLog(LogFile):
    """Dies before or after one of its steps: writing bytes, or noting which are there."""

    steps_left = 10**9

    def _write(self, data: bytes, spans: Iterable[InFile]) -> None:
        self._step()
        super()._write(data, spans)
        self._step()

    def _note(self, extent: LogExtent) -> None:
        self._step()
        super()._note(extent)
        self._step()

    def _step(self) -> None:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise Killed


@pytest.mark.parametrize("steps", range(10))
@pytest.mark.parametrize("start", [300, 900, 1700, 6000], ids=["gap", "cut-begins", "cut", "far-ahead"])
def test_whatever_step_we_die_at_no_byte_is_shown_in_a_wrong_place(tmp_path: Path, start: int, steps: int) -> None:
    path = tmp_path / "job" / "task.1.log"
    log = MortalLog(path, SMALL)
    taken = min(start, 1700) - (200 if start == 300 else 0)
    log.place(text_at(0, taken), 0)
    log.steps_left = steps
    try:
        log.place(text_at(start, start + 600), start)
        taken = start + 600 if start <= 1700 else taken
    except Killed:
        pass
    left = ReadOnlyLog(path, SMALL)
    for first, last in left.extent.parts:
        read = b"".join(left.read(span.at, span.length) for span in left.extent.file_spans(first, last))
        assert read == text_at(first, last)
    assert left.extent.parts[0][0] == 0
    assert left.extent.parts[0][1] >= min(taken, 100)


@pytest.mark.parametrize("seed", range(8))
def test_a_manager_that_is_killed_while_it_writes_loses_nothing_that_it_had_taken(tmp_path: Path, seed: int) -> None:
    command = [sys.executable, str(Path(__file__).with_name("log_writer.py")), str(tmp_path), str(seed)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    taken = 0
    for _ in range(random.Random(seed).randrange(5, 60)):
        taken = int(writer.stdout.readline() or taken)
    writer.kill()
    taken = max([taken, *map(int, writer.stdout.read().split())])
    writer.wait()
    writer.stdout.close()
    left = ReadOnlyLog(tmp_path / "job" / "task.1.log", LIMITS)
    assert left.extent.end in range(taken, taken + 9001)
    assert taken < LENGTH
    for first, last in left.extent.parts:
        read = b"".join(left.read(span.at, span.length) for span in left.extent.file_spans(first, last))
        assert read == text_at(first, last)
    kept_from = max(left.extent.end + 9000 - LIMITS.tail_bytes, LIMITS.head_bytes)
    here = {offset for first, last in left.extent.parts for offset in range(first, last)}
    assert here >= set(range(min(taken, LIMITS.head_bytes)))
    assert here >= set(range(kept_from, taken))
