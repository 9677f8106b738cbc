"""The data folder of a service, kept to one process."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from flamenco_runtime.data_folder import DataInUse, held_folder

HOLDER = """
import asyncio, sys
from pathlib import Path
from flamenco_runtime.data_folder import held_folder

async def hold():
    async with held_folder(Path(sys.argv[1]), "Server"):
        print("held", flush=True)
        await asyncio.sleep(600)

asyncio.run(hold())
"""


async def test_a_second_holder_is_refused_and_told_which_folder(tmp_path: Path) -> None:
    async with held_folder(tmp_path / "data", "Server"):
        with pytest.raises(DataInUse, match=f"Another Server uses {tmp_path}/data"):
            async with held_folder(tmp_path / "data", "Server"):
                pass


async def test_two_folders_are_two_services(tmp_path: Path) -> None:
    async with held_folder(tmp_path / "a", "Manager"), held_folder(tmp_path / "b", "Manager"):
        pass


async def test_it_is_free_again_when_its_holder_leaves(tmp_path: Path) -> None:
    for _ in range(2):
        async with held_folder(tmp_path, "Server"):
            pass


async def test_it_is_free_again_when_its_holder_is_killed(tmp_path: Path) -> None:
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, tmp_path, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    with pytest.raises(DataInUse):
        async with held_folder(tmp_path, "Server"):
            pass
    holder.kill()
    await holder.wait()
    async with held_folder(tmp_path, "Server"):
        pass


async def test_a_folder_that_is_made_has_the_mode_that_is_asked_for(tmp_path: Path) -> None:
    async with held_folder(tmp_path / "secret", "Worker", mode=0o700):
        assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o700
