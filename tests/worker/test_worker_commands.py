"""The small commands, and how commands are found and read."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from flamenco_core.wire.worker_api import Program, SavedFrame
from flamenco_worker.command_run import CommandRun
from flamenco_worker.failures import BadParameters, CommandFailed, UnknownCommand
from flamenco_worker.programs import Programs
from flamenco_worker.registry import load_commands, run_command

KNOWN = load_commands()


@dataclass
class Notes:
    """A reporter, preview queue and permit that only remember."""

    lines: list[str] = field(default_factory=list)
    steps: int = 0
    frames: list[SavedFrame] = field(default_factory=list)

    def log(self, line: str) -> None:
        self.lines.append(line)

    def tell(self, activity: str) -> None:
        self.lines.append(activity)

    def count_steps(self, steps: int) -> None:
        self.steps += steps

    def add_frame(self, frame: SavedFrame) -> None:
        self.frames.append(frame)

    async def relieve(self) -> None:
        await asyncio.sleep(0)

    def offer(self, frame: SavedFrame) -> None:
        self.frames.append(frame)

    async def may_replace(self) -> bool:
        return True

    async def wait_until_known(self) -> None:
        return


async def run(name: str, given: Mapping[str, Any], *, steps: int = 0, programs: Programs | None = None) -> Notes:
    notes = Notes()
    found = programs or Programs(blender=None, ffmpeg=None)
    await run_command(KNOWN, name, given, CommandRun("task", "1", steps, (), found, notes, notes, notes))
    return notes


def test_every_command_of_the_protocol_is_found_by_its_folder() -> None:
    assert set(KNOWN) == {
        *("blender-render", "frames-to-video", "make-directory", "move-directory", "copy-file"),
        *("exec", "echo", "sleep"),
    }


async def test_an_unknown_command_is_named() -> None:
    with pytest.raises(UnknownCommand, match="'merge-tiles'"):
        await run("merge-tiles", {})


@pytest.mark.parametrize(
    ("name", "given", "complaint"),
    [
        ("echo", {}, "'message' is missing"),
        ("echo", {"message": 5}, "echo: message must be a text"),
        ("sleep", {}, "'duration_in_seconds' is missing"),
        ("sleep", {"duration_in_seconds": "1"}, "must be a number"),
        ("sleep", {"duration_in_seconds": True}, "must be a number"),
        ("sleep", {"duration_in_seconds": -1}, "must be 0 or more"),
        ("make-directory", {"path": "a\0b"}, "NUL"),
        ("exec", {"exe": "true", "args": "x"}, "exec: args must be a list"),
        ("blender-render", {"exe": "x", "blendfile": "", "args": {}}, "args must be a list"),
        ("frames-to-video", {"exe": "x", "inputGlob": "*", "outputFile": "o"}, "'fps' is missing"),
    ],
)
async def test_bad_parameters_are_refused_by_name(name: str, given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadParameters, match=complaint):
        await run(name, given)


async def test_echo_logs_each_line() -> None:
    assert (await run("echo", {"message": "one\ntwo", "for newer Workers": 1})).lines == ["one", "two"]


async def test_exec_passes_arguments_on_as_they_are() -> None:
    notes = await run("exec", {"exe": "printf", "args": ["%s|%s", "$HOME; true", 7]})
    assert notes.lines[-1] == "$HOME; true|7"


async def test_exec_fails_with_the_program() -> None:
    with pytest.raises(CommandFailed, match="false ended with status 1"):
        await run("exec", {"exe": "false"})
    with pytest.raises(CommandFailed, match="'no-such-program' is not on this Worker"):
        await run("exec", {"exe": "no-such-program"})


async def test_a_worker_without_blender_says_how_to_get_one() -> None:
    with pytest.raises(CommandFailed, match="set FLAMENCO_BLENDER"):
        await run("blender-render", {"exe": "blender", "blendfile": "/a.blend"})


async def test_a_folder_is_made_with_those_above_and_again(tmp_path: Path) -> None:
    for _ in range(2):
        await run("make-directory", {"path": str(tmp_path / "a" / "b")})
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandFailed, match="Cannot make the folder"):
        await run("make-directory", {"path": str(tmp_path / "file" / "b")})


async def test_moving_puts_aside_what_is_there(tmp_path: Path) -> None:
    for number in range(3):
        source = tmp_path / "new"
        source.mkdir()
        (source / "file").write_text(str(number))
        await run("move-directory", {"src": str(source), "dest": str(tmp_path / "final")})
    assert (tmp_path / "final" / "file").read_text() == "2"
    aside = {(path / "file").read_text() for path in tmp_path.glob("final-????-??-??_??????*")}
    assert aside == {"0", "1"}


async def test_moving_what_is_not_there_fails_and_leaves_the_rest(tmp_path: Path) -> None:
    (tmp_path / "final").mkdir()
    for source in ("new", "final"):
        with pytest.raises(CommandFailed):
            await run("move-directory", {"src": str(tmp_path / source), "dest": str(tmp_path / "final")})
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


async def test_a_copy_replaces_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "deep" / "b"
    source.write_text("one")
    await run("copy-file", {"src": str(source), "dest": str(target)})
    assert target.read_text() == "one"
    source.write_text("two")
    with pytest.raises(CommandFailed, match="exists already"):
        await run("copy-file", {"src": str(source), "dest": str(target)})
    assert target.read_text() == "one"
    assert [path.name for path in target.parent.iterdir()] == ["b"]


@pytest.mark.parametrize("given", [{"src": "a", "dest": "/b"}, {"src": "/a", "dest": "b"}])
async def test_a_copy_needs_absolute_paths(given: dict[str, str]) -> None:
    with pytest.raises(BadParameters, match="absolute"):
        await run("copy-file", given)


async def test_the_found_program_is_meant_by_its_name() -> None:
    programs = Programs(blender=Program("blender", "3.4.1", "/opt/blender"), ffmpeg=None)
    assert await programs.resolve("blender") == await programs.resolve("Blender.exe") == "/opt/blender"
    assert programs.task_types == ["blender", "file-management", "misc"]
