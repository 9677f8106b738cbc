"""A disk that fails: the Manager stops with a message, syncs no second time, and a restart has all it acknowledged."""

import asyncio
import random
import resource
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from crash_points import Stage
from cuts import check_image, recorded_farm
from fake_server import FakeServer
from manager_process import manager_process
from manager_world import a_task
from recorded_disk import Rename, Replay, Step, Sync, Write
from recorded_worker import RecordedWorker
from store_checks import NAME

from flamenco_core.errors import Unavailable

WAL = f"{NAME}-wal"


def fails_to_sync(step: Step) -> bool:
    return isinstance(step, Sync) and step.node == WAL


def fails_to_write(step: Step) -> bool:
    return isinstance(step, Write) and step.node == WAL


def is_read_only(step: Step) -> bool:
    return isinstance(step, Write | Rename | Sync) and str(step.node).startswith(NAME)


@pytest.mark.parametrize(
    ("breaks", "error"),
    [(fails_to_sync, apsw.IOError), (fails_to_write, apsw.IOError), (is_read_only, apsw.ReadOnlyError)],
    ids=["sync", "write", "read-only"],
)
async def test_a_failed_write_or_sync_stops_the_manager_and_is_not_tried_again(
    breaks: Callable[[Step], bool], error: type[apsw.Error], tmp_path: Path
) -> None:
    failed: list[int] = []
    with pytest.raises(Unavailable, match="cannot be written"):  # noqa: PT012 (it comes when the farm ends)
        async with recorded_farm(tmp_path / "data") as (round_, where):
            disk = round_.disk

            def before(step: Step) -> None:
                if breaks(step) and (failed or round_.record.tally["completed, acknowledged"] >= 2):
                    failed.append(len(disk.steps))
                    raise error

            disk.before = before
            stage = Stage(round_, where)
            await stage.submit(9)
            await RecordedWorker("w", random.Random(5), round_.record, where).run(asyncio.Event())
    assert failed
    synced = [step for step in disk.steps[failed[0] :] if isinstance(step, Sync) and step.node == WAL]
    assert not synced, "what was not synced once must not be taken for synced by a second try"
    replay = Replay(disk.root)
    for step in disk.steps[: failed[0]]:
        replay.take(step)
    for image in (replay.killed(), replay.cut(random.Random(1))):
        await check_image(image, tmp_path / "image", round_, len(disk.steps))


async def test_a_manager_that_cannot_write_ends_with_a_message_and_starts_again_with_everything(
    server: FakeServer, tmp_path: Path
) -> None:
    async with manager_process(tmp_path / "manager", server.url) as manager:
        await manager.start()
        job = await server.submit([a_task()])
        await server.until_job(job, "queued")
        size = (tmp_path / "manager" / WAL).stat().st_size
        resource.prlimit(manager.pid, resource.RLIMIT_FSIZE, (size, size))
        await server.issue("job.priority", job=job, priority=70)
        status = await manager.ended()
        assert status not in (0, -9, -6)
        said = manager.log.read_text()
        assert "Error: The Manager's store cannot be written" in said
        assert "Traceback" not in said
        await manager.start()
        await server.until(lambda: server.mirror["jobs"][job].get("priority") == 70)
        assert await manager.stop() == 0
