"""Reading the output of programs that behave badly."""

import asyncio
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worker_world import until_gone

from flamenco_worker.failures import CommandFailed
from flamenco_worker.output_lines import LONGEST_LINE_CHARS, run_program, split_lines


async def output_of(script: str) -> tuple[int, list[str]]:
    lines: list[str] = []

    async def take(more: list[str]) -> None:
        lines.extend(more)

    status = await run_program([sys.executable, "-c", script], take)
    return status, lines[1:]


async def test_lines_of_both_streams_arrive_whole_with_the_status() -> None:
    status, lines = await output_of("import sys; print('a'); sys.stdout.flush(); print('b', file=sys.stderr); exit(3)")
    assert (status, lines) == (3, ["a", "b"])


async def test_a_very_long_line_is_split_and_nothing_of_it_is_lost() -> None:
    _, lines = await output_of("print('x' * 1_000_000)")
    assert sum(map(len, lines)) == 1_000_000
    assert max(map(len, lines)) == LONGEST_LINE_CHARS


async def test_output_that_is_no_utf8_is_shown_as_far_as_it_is() -> None:
    _, lines = await output_of(r"import sys; sys.stdout.buffer.write(b'caf\xe9\nend')")
    assert lines == ["caf\N{REPLACEMENT CHARACTER}", "end"]


async def test_a_program_that_is_not_there_is_a_failure_that_names_it() -> None:
    with pytest.raises(CommandFailed, match="/nowhere/blender"):
        await run_program(["/nowhere/blender"], lambda lines: asyncio.sleep(0))


async def test_cancelling_kills_a_program_that_ignores_term_and_what_it_started() -> None:
    pids: asyncio.Queue[str] = asyncio.Queue()

    async def take(more: list[str]) -> None:
        for line in more:
            pids.put_nowait(line)

    script = (
        "import os, signal, subprocess, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "print(os.getpid(), child.pid, flush=True)\n"
        "time.sleep(600)"
    )
    running = asyncio.create_task(run_program([sys.executable, "-c", script], take))
    while not (line := await pids.get())[0].isdigit():
        continue
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    for pid in map(int, line.split()):
        await until_gone(pid)


async def test_a_grandchild_that_keeps_the_output_open_does_not_hold_the_task() -> None:
    status, lines = await output_of("import subprocess; print('done', flush=True); subprocess.Popen(['sleep', '600'])")
    assert (status, lines) == (0, ["done"])


@given(st.lists(st.text(alphabet="ab\n\r", max_size=20), max_size=10))
def test_lines_do_not_depend_on_where_the_chunks_were_cut(chunks: list[str]) -> None:
    lines: list[str] = []
    rest = ""
    for chunk in chunks:
        more, rest = split_lines(rest + chunk.replace("\r", ""))
        lines += more
    assert "\n".join([*lines, rest]) == "".join(chunks).replace("\r", "")
