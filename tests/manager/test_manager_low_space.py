"""Little disk space: new jobs and previews wait or are refused, updates still fit, and it goes on by itself."""

from pathlib import Path

import pytest
from fake_server import FakeServer
from images import an_image
from manager_world import World, a_frame_task, a_task, manager_world

from flamenco_runtime import free_space
from low_space import Disk

NEEDED = "1,024 needed"


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(free_space, "LOOK_EVERY_S", 0.02)
    return Disk()


async def until_short(world: World, job: str) -> None:
    await world.server.until(lambda: NEEDED in world.server.mirror["jobs"].get(job, {}).get("activity", ""))


async def test_a_job_waits_for_disk_space_and_says_so_and_goes_on_by_itself(
    server: FakeServer, tmp_path: Path, disk: Disk
) -> None:
    async with manager_world(tmp_path, server, measure=disk.measure) as world:
        worker = await world.worker()
        await server.submit([a_task(), a_task()])
        task = await worker.task()
        await disk.becomes(300)
        job = await server.submit([a_task()], files={"a.blend": b"BLENDER"})
        await until_short(world, job)
        said = server.mirror["jobs"][job]["activity"]
        assert said == f"Waits for disk space: 300 MiB free on {tmp_path}, {NEEDED}"
        # What is at work goes on, and other tasks are handed out.
        assert (await worker.update(task, taskStatus="active", log="a line\n", seq=1)).status == 204
        assert (await worker.update(task, taskStatus="completed", seq=2)).status == 204
        await worker.update(await worker.task(), taskStatus="completed", seq=1)
        assert not (tmp_path / "blobs").exists()
        disk.free_mib = 1024
        await server.until_job(job, "queued")
        assert (tmp_path / "jobs" / job / "a.blend").read_bytes() == b"BLENDER"


async def test_a_job_that_waits_for_disk_space_can_be_cancelled(server: FakeServer, tmp_path: Path, disk: Disk) -> None:
    disk.free_mib = 1
    async with manager_world(tmp_path, server, measure=disk.measure) as world:
        job = await server.submit([a_task()])
        await until_short(world, job)
        await server.issue("job.cancel", job=job)
        await server.until_job(job, "canceled")


@pytest.mark.parametrize("ours", [True, False])
async def test_previews_are_refused_while_updates_are_taken(
    server: FakeServer, tmp_path: Path, disk: Disk, ours: bool
) -> None:
    async with manager_world(tmp_path, server, measure=disk.measure) as world:
        worker = await world.worker(ours=ours)
        job = await server.submit([a_frame_task("7")])
        task = await worker.task()
        await worker.update(task, taskStatus="active", seq=1)
        await disk.becomes(300)
        path, image = f"task/{task['uuid']}/output-produced", an_image("jpeg", 64, 32)
        reply = await worker.call("POST", path, headers={"Content-Type": "image/jpeg"}, data=image)
        assert (reply.status, reply.json()["code"]) == (507, 507)
        assert f"300 MiB free on {tmp_path}, {NEEDED}" in reply.json()["message"]
        assert not (tmp_path / "previews").exists()
        assert (await worker.update(task, taskStatus="completed", seq=2)).status == 204
        await server.until_job(job, "completed")
