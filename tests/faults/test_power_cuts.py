"""The power fails while a farm is at work, small; ``make chaos ONLY=cuts`` tries more."""

import secrets
import tempfile
from pathlib import Path
from typing import Any

import apsw
import pytest
from crash_points import Stage, submit_and_arrival
from cuts import IN_MEMORY, recorded_farm, survive_cuts
from recorded_disk import Replay, Step, Sync, Write
from store_checks import NAME

WAL = f"{NAME}-wal"


@pytest.mark.timeout(240)
async def test_20_power_cuts_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    steps = await survive_cuts(tmp_path, cuts=20, tasks=60, workers=4, seed=secrets.randbelow(10**6))
    assert steps > 1000, "the farm worked"


async def test_the_last_frame_of_the_write_ahead_log_may_be_torn_at_each_byte(tmp_path: Path) -> None:
    async with recorded_farm(tmp_path / "data") as (round_, where):
        await submit_and_arrival(Stage(round_, where))
        steps = list(round_.disk.steps)
    frame = _last_frame(steps)
    replay = Replay(round_.disk.root)
    for step in steps[:frame]:
        replay.take(step)
    image = replay.killed()
    written = [step for step in steps[frame : frame + 2] if isinstance(step, Write)]
    torn, at = b"".join(step.data for step in written), written[0].at
    assert len(torn) == sum(len(step.data) for step in written) > 4096
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as name:
        before = _state(Path(name), image)
        for length in range(len(torn)):
            wal = image[WAL][:at] + torn[:length] + image[WAL][at + length :]
            assert _state(Path(name), {**image, WAL: wal}) == before, f"{length} bytes of the last frame"
        whole = {**image, WAL: image[WAL][:at] + torn + image[WAL][at + len(torn) :]}
        assert _state(Path(name), whole) != before, "it was the last one of a transaction"


def _last_frame(steps: list[Step]) -> int:
    """Return where the head of the last frame is written that a sync follows: it ends a transaction."""
    for at in range(len(steps) - 1, 1, -1):
        head, page, sync = steps[at - 2 : at + 1]
        if isinstance(sync, Sync) and isinstance(page, Write) and isinstance(head, Write) and sync.node == WAL:
            return at - 2
    raise AssertionError("no transaction")


def _state(folder: Path, image: dict[str, bytes]) -> list[Any]:
    for file in (NAME, WAL):
        (folder / file).write_bytes(image[file])
    connection = apsw.Connection(str(folder / NAME))
    try:
        found = connection.execute("SELECT * FROM link").fetchall()
        for table in ("jobs", "tasks", "orders", "reports", "workers"):
            found += connection.execute(f"SELECT * FROM {table}").fetchall()
    finally:
        connection.close()
        for file in folder.iterdir():
            file.unlink()
    return found
