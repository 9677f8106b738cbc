import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from flamenco_runtime.children import end_child, foreign_environment, start_child

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) > 1:
    grandchild = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=sys.stdout)
    print(grandchild.pid, flush=True)
print("ready", flush=True)
time.sleep(1000)
"""
PARENT = """
import asyncio, sys
from flamenco_runtime.children import start_child

async def main():
    child = await start_child([sys.executable, "-c", sys.argv[1]], output=asyncio.subprocess.PIPE)
    await child.stdout.readline()
    print(child.pid, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def until_gone(pid: int) -> None:
    """Wait until a process has ended; the deadline only ends a test that fails."""
    async with asyncio.timeout(30):
        while is_running(pid):  # noqa: ASYNC110 (nobody tells us of somebody else's child)
            await asyncio.sleep(0.01)


async def lines_until_ready(child: asyncio.subprocess.Process) -> list[int]:
    assert child.stdout is not None
    pids = []
    async for line in child.stdout:
        if line.strip() == b"ready":
            break
        pids.append(int(line))
    return pids


async def test_a_child_runs_with_what_it_was_given(tmp_path: Path) -> None:
    tell = (
        "import os, sys; print(os.getcwd(), os.environ['NAME'], sys.stdin.read() == '', os.getpgid(0) == os.getpid())"
    )
    child = await start_child(
        [sys.executable, "-c", tell],
        environment={"NAME": "ä"},
        folder=tmp_path,
        output=asyncio.subprocess.PIPE,
    )
    output, _ = await child.communicate()
    assert output.decode().split() == [str(tmp_path), "ä", "True", "True"]
    assert child.returncode == 0


async def test_output_can_go_to_a_file(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        child = await start_child(["/bin/sh", "-c", "echo out; echo err >&2"], output=log, errors=subprocess.STDOUT)
        assert await child.wait() == 0
    assert (tmp_path / "log").read_text() == "out\nerr\n"


async def test_a_program_that_cannot_be_started_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await start_child([str(tmp_path / "none")])
    (tmp_path / "text").write_text("no program")
    with pytest.raises(PermissionError):
        await start_child([str(tmp_path / "text")])


async def test_a_child_that_obeys_ends_by_sigterm() -> None:
    child = await start_child(["/bin/sleep", "1000"])
    assert await end_child(child) == -signal.SIGTERM


async def test_a_child_that_has_ended_keeps_its_exit_status() -> None:
    child = await start_child(["/bin/sh", "-c", "exit 3"])
    await child.wait()
    assert await end_child(child) == 3


async def test_a_group_that_ignores_sigterm_is_killed() -> None:
    child = await start_child([sys.executable, "-c", STUBBORN, "0"], output=asyncio.subprocess.PIPE)
    await lines_until_ready(child)
    assert await end_child(child, grace_s=0.05) == -signal.SIGKILL


async def test_what_a_child_leaves_behind_in_its_group_is_killed_too() -> None:
    child = await start_child(
        ["/bin/sh", "-c", "sleep 1000 & echo $!; echo ready; wait"], output=asyncio.subprocess.PIPE
    )
    (left_behind,) = await lines_until_ready(child)
    assert is_running(left_behind)
    await end_child(child)
    await until_gone(left_behind)


async def test_grandchildren_that_ignore_sigterm_are_killed_with_their_group() -> None:
    child = await start_child([sys.executable, "-c", STUBBORN, STUBBORN], output=asyncio.subprocess.PIPE)
    (grandchild,) = await lines_until_ready(child)
    assert await end_child(child, grace_s=0.05) == -signal.SIGKILL
    await until_gone(grandchild)


async def test_ending_a_child_that_is_cut_short_still_kills_it() -> None:
    child = await start_child([sys.executable, "-c", STUBBORN], output=asyncio.subprocess.PIPE)
    await lines_until_ready(child)
    ending = asyncio.create_task(end_child(child, grace_s=1000))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert await child.wait() == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
async def test_a_parent_that_is_killed_leaves_no_child(number: signal.Signals) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, STUBBORN, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    assert is_running(child)
    os.kill(parent.pid, number)
    await parent.wait()
    await until_gone(child)


def test_programs_that_are_not_ours_do_not_find_our_python() -> None:
    ours = str(Path(sys.prefix) / "bin")
    environment = {"PATH": os.pathsep.join([ours, "/usr/bin", ours]), "VIRTUAL_ENV": sys.prefix, "HOME": "/home/me"}
    assert sys.prefix != sys.base_prefix, "the tests run in a virtual environment"
    assert foreign_environment(environment) == {"PATH": "/usr/bin", "HOME": "/home/me"}
    assert foreign_environment({}) == {}
