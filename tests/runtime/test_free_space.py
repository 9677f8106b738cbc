import asyncio
import os
from pathlib import Path

import pytest

from flamenco_core.errors import NoSpace
from flamenco_runtime import free_space
from flamenco_runtime.free_space import MIB, FreeSpace, free_bytes


class Disk:
    """A disk with so many MiB free."""

    def __init__(self, free_mib: int) -> None:
        self.free_mib = free_mib
        self.is_broken = False

    def measure(self, _: Path) -> int:
        if self.is_broken:
            raise OSError(5, "Input/output error")
        return self.free_mib * MIB


async def test_below_the_floor_whoever_comes_with_something_new_is_told_what_is_missing_and_what_to_do() -> None:
    disk = Disk(2000)
    space = FreeSpace(Path("/data"), 1024, disk.measure)
    await space.look()
    space.check()
    disk.free_mib = 300
    space.check()  # nobody has looked since
    await space.look()
    assert space.missing == "300 MiB free on /data, 1,024 needed"
    with pytest.raises(NoSpace, match=r"300 MiB free on /data, 1,024 needed\. Make room there, or lower"):
        space.check()
    disk.free_mib = 1024
    await space.look()
    assert space.missing is None
    space.check()


async def test_a_disk_that_cannot_be_asked_refuses_nobody() -> None:
    disk = Disk(0)
    disk.is_broken = True
    space = FreeSpace(Path("/data"), 1024, disk.measure)
    await space.look()
    space.check()


async def test_it_is_looked_at_again_and_again_and_whoever_waits_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_space, "LOOK_EVERY_S", 0.01)
    disk = Disk(1)
    space = FreeSpace(Path("/data"), 2, disk.measure)
    looking = asyncio.create_task(space.look_for_ever())
    async with asyncio.timeout(20):
        await space.looked()
        assert space.missing is not None
        disk.free_mib = 2
        while space.missing:
            await space.looked()
    looking.cancel()


async def test_the_real_disk_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_space, "LOOK_EVERY_S", 0.05)
    space = FreeSpace(tmp_path, free_bytes(tmp_path) // MIB - 512)
    await space.look()
    assert space.missing is None
    with (tmp_path / "big").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 1024 * MIB)  # takes the space, and no time
    await space.look()
    assert space.missing is not None
    assert f"MiB free on {tmp_path}, " in space.missing
    (tmp_path / "big").unlink()
    looking = asyncio.create_task(space.look_for_ever())
    async with asyncio.timeout(20):
        while space.missing:
            await space.looked()
    looking.cancel()


async def test_without_a_floor_nobody_looks() -> None:
    async with asyncio.timeout(20):
        await FreeSpace(Path("/data"), 0, Disk(0).measure).look_for_ever()
