"""Publishing by rename: what is under a final name is whole, and nobody else's work is replaced."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flamenco_worker.failures import CommandFailed
from flamenco_worker.frame_folder import attempt_folder, publish

TASK = "11111111-1111-1111-1111-111111111111"


@dataclass
class Permit:
    """A lease that has run out or not, and a Manager that answers once ``answered`` is set."""

    holds: bool
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def may_replace(self) -> bool:
        return self.holds

    async def wait_until_known(self) -> None:
        await self.answered.wait()


def a_file(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


async def test_a_published_file_replaces_an_older_one(tmp_path: Path) -> None:
    old = a_file(tmp_path / "000001.png", "old")
    await publish(a_file(tmp_path / "hidden" / "000001.png", "new"), old, Permit(holds=True))
    assert old.read_text() == "new"


async def test_without_a_lease_a_free_name_is_taken(tmp_path: Path) -> None:
    source = a_file(tmp_path / "hidden" / "000001.png", "new")
    await publish(source, tmp_path / "000001.png", Permit(holds=False))
    assert (tmp_path / "000001.png").read_text() == "new"
    assert not source.exists()


async def test_without_a_lease_anothers_file_stays_until_the_manager_answers(tmp_path: Path) -> None:
    theirs = a_file(tmp_path / "000001.png", "theirs")
    source = a_file(tmp_path / "hidden" / "000001.png", "ours")
    permit = Permit(holds=False)
    publishing = asyncio.create_task(publish(source, theirs, permit))
    done, _ = await asyncio.wait({publishing}, timeout=0.2)
    assert not done
    assert theirs.read_text() == "theirs"
    permit.answered.set()
    await publishing
    assert theirs.read_text() == "ours"


async def test_the_attempts_folder_goes_with_what_was_not_published(tmp_path: Path) -> None:
    async with attempt_folder(tmp_path / "out", TASK, "2") as folder:
        assert folder == tmp_path / "out" / ".flamenco" / f"{TASK}-2"
        a_file(folder / "000001.png", "half")
    assert list((tmp_path / "out").iterdir()) == []


async def test_what_a_killed_attempt_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    left = a_file(tmp_path / ".flamenco" / f"{TASK}-1" / "000001.png", "half")
    others = a_file(tmp_path / ".flamenco" / "another-1" / "000001.png", "half")
    async with attempt_folder(tmp_path, TASK, "2"):
        assert not left.exists()
    assert others.exists()


async def test_an_output_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    a_file(tmp_path / "out", "a file")
    with pytest.raises(CommandFailed, match=r"Cannot write to the output folder .*out: "):
        async with attempt_folder(tmp_path / "out", TASK, "1"):
            pass
