"""Programs that are kept running: small ones of Python, killed and let die."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from end_to_end.farm import is_alive
from flamenco_cli.supervisor import Service, ServiceFailed, Supervised, log_tail, supervised

DEADLINE_S = 20.0

SERVICE = """
import os, signal, sys, time
print("started as", os.getpid(), os.environ.get("COLOUR"), flush=True)
{then}
"""
FOR_EVER = "time.sleep(600)"


class World:
    """A service, and what was told of it."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "logs" / "service.log"
        self.told: list[str] = []

    @property
    def pids(self) -> list[int]:
        """The processes that were started, in their order."""
        text = self.log.read_text() if self.log.exists() else ""
        return [int(line.split()[2]) for line in text.splitlines() if line.startswith("started as")]

    async def has_started(self, times: int = 1) -> bool:
        return len(self.pids) >= times

    @asynccontextmanager
    async def runs(
        self, then: str, environment: Callable[[], Mapping[str, str]] = lambda: os.environ
    ) -> AsyncIterator[Supervised]:
        arguments = (sys.executable, "-c", SERVICE.format(then=then))
        async with supervised(Service("Thing", arguments, environment, self.log), self.told.append) as running:
            yield running


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def eventually(question: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not question():  # noqa: ASYNC110 (what is asked for happens in other processes)
            await asyncio.sleep(0.01)


async def test_what_is_killed_is_started_again_and_told_with_the_signal(world: World) -> None:
    async with world.runs(FOR_EVER) as running:
        await running.until(world.has_started, "a start", deadline_s=DEADLINE_S)
        os.kill(world.pids[0], signal.SIGKILL)
        await eventually(lambda: len(world.pids) == 2)
        assert world.told == [f"Thing ended (signal 9); starting it again in 0.5 s. Its log: {world.log}"]
        assert is_alive(world.pids[1])
    assert not is_alive(world.pids[1])


async def test_what_ends_by_itself_is_told_with_its_status(world: World) -> None:
    async with world.runs("sys.exit(7)"):
        await eventually(lambda: len(world.pids) == 2)
    assert world.told[0].startswith("Thing ended (exit status 7); starting it again")


async def test_what_never_answers_is_given_up_after_three_starts_with_the_tail_of_its_log(world: World) -> None:
    async def no() -> bool:
        return False

    async with world.runs("print('no colour', file=sys.stderr); sys.exit(3)") as running:
        with pytest.raises(ServiceFailed, match="Thing ended 3 times while it started") as caught:
            await running.until(no, "an answer", deadline_s=DEADLINE_S)
    assert len(world.pids) == 3
    assert str(world.log) in str(caught.value)
    assert str(caught.value).endswith("\n  no colour")


async def test_what_lives_but_does_not_answer_takes_too_long(world: World) -> None:
    async def no() -> bool:
        return False

    async with world.runs(FOR_EVER) as running:
        await running.until(world.has_started, "a start", deadline_s=DEADLINE_S)
        with pytest.raises(ServiceFailed, match="Thing takes too long: an answer not within 0 s"):
            await running.until(no, "an answer", deadline_s=0)
    assert not is_alive(world.pids[0])


async def test_a_slow_start_is_told_once(world: World) -> None:
    asked = iter([False, False, False])

    async def at_the_fourth_time() -> bool:
        return next(asked, True)

    async with world.runs(FOR_EVER) as running:
        await running.until(world.has_started, "a start", deadline_s=DEADLINE_S)
        await running.until(at_the_fourth_time, "an answer", deadline_s=DEADLINE_S, slow_after_s=0)
    assert world.told == [f"Thing takes its time: an answer not yet. Its log: {world.log}"]


async def test_nobody_else_s_answer_counts_while_it_does_not_run(world: World) -> None:
    asked: list[int] = []

    async def yes() -> bool:
        asked.append(1)
        return True

    arguments = (sys.executable, "-c", "import sys; sys.exit(1)")
    service = Service("Thing", arguments, lambda: os.environ, world.log)
    async with supervised(service, world.told.append) as running:
        await asyncio.wait([running.task])
        with pytest.raises(ServiceFailed):
            await running.until(yes, "an answer", deadline_s=DEADLINE_S)
    assert asked == []


async def test_its_environment_is_asked_for_at_each_start(world: World) -> None:
    colours = iter(["red", "green", "blue"])
    async with world.runs("sys.exit(0)", lambda: {"COLOUR": next(colours)}):
        await eventually(lambda: len(world.pids) == 2)
    assert [line.split()[3] for line in world.log.read_text().splitlines()[:2]] == ["red", "green"]


async def test_leaving_ends_it_with_sigterm_and_nothing_is_told_nor_started(world: World) -> None:
    then = "signal.signal(signal.SIGTERM, lambda *_: (print('goodbye', flush=True), sys.exit(0)))\n" + FOR_EVER
    async with world.runs(f"{then}") as running:
        await running.until(world.has_started, "a start", deadline_s=DEADLINE_S)
    assert world.log.read_text().splitlines()[1:] == ["goodbye"]
    assert world.told == []


async def test_leaving_while_it_waits_to_start_it_again_starts_nothing(world: World) -> None:
    async with world.runs("sys.exit(1)"):
        await eventually(lambda: len(world.told) == 1)
    assert len(world.pids) == 1


async def test_what_it_started_itself_ends_with_it(world: World) -> None:
    then = "import subprocess; child = subprocess.Popen(['sleep', '600']); print('child', child.pid, flush=True); "
    async with world.runs(then + FOR_EVER) as running:
        await running.until(world.has_started, "a start", deadline_s=DEADLINE_S)
        await eventually(lambda: "child" in world.log.read_text())
    child = int(world.log.read_text().split()[-1])
    await eventually(lambda: not is_alive(child))


async def test_a_program_that_is_not_there_is_an_error_and_no_loop(world: World) -> None:
    service = Service("Thing", ("/no/such/program",), lambda: os.environ, world.log)
    async with supervised(service, world.told.append) as running:
        with pytest.raises(FileNotFoundError):
            await running.until(world.has_started, "a start", deadline_s=DEADLINE_S)


def test_the_tail_of_a_log_is_of_this_life_and_indented(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert log_tail(log) == "  (there is no log yet)"
    log.write_bytes(b"an earlier life\n")
    begins = log.stat().st_size
    assert log_tail(log, begins=begins) == "  (empty)"
    log.write_bytes(b"an earlier life\n" + b"".join(b"line %d\xff\n" % number for number in range(20)))
    assert log_tail(log, begins=begins, lines=2) == "  line 18\ufffd\n  line 19\ufffd"
    assert "earlier" not in log_tail(log, begins=begins, lines=100)
