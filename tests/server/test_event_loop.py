"""Nobody waits for somebody else's disk: no request blocks the event loop."""

import asyncio

import pytest
from blockbuster import blockbuster_ctx
from server_world import BLEND, UNFOUND, World, an_animation
from site_manager import linked

from flamenco_core.identifiers import new_id, task_id

pytestmark = pytest.mark.asyncio(loop_scope="module")

JPEG = b"\xff\xd8\xff\xe0" + bytes(200)


async def test_a_day_of_a_farm_blocks_nothing(world: World) -> None:
    with blockbuster_ctx("flamenco_server"):
        await a_day(world)


async def a_day(world: World) -> None:
    """Do whatever people and Managers do; each answer must be a success."""
    async with world.watching() as stream:
        manager = await linked(world)
        files = [await world.upload(BLEND), await world.upload(bytes(3_000_000), "big")]
        job = (await world.admin.post("jobs", an_animation(files), headers={"Idempotency-Key": "k"})).json()
        job_id, task = job["id"], task_id(job["id"], 0)
        await manager.next_orders()
        for path in (f"jobs/{job_id}", f"jobs/{job_id}/tasks", f"blobs/{files[1]['sha256']}"):
            assert (await manager.call("GET", path)).status == 200
        await manager.report(
            jobs=[manager.job(job_id)],
            tasks=[manager.task(job_id, 0)],
            frames=[manager.frame(job_id, 1)],
            workers=[manager.worker(new_id(), current_task=task)],
        )
        for path, body in ((f"tasks/{task}/attempts/1/log", b"a line\n"), (f"jobs/{job_id}/frames/1", JPEG)):
            assert (await manager.call("PUT", path, data=body)).status == 204
        await stream.until("job", id=job_id, status="active")
    await look_around(world, job_id)
    assert (await world.admin.post(f"jobs/{job_id}/cancel")).status == 202
    assert [order["kind"] for order in await manager.orders()][-1] == "job.cancel"
    await asyncio.gather(*(world.submit(name=str(number)) for number in range(10)))


async def look_around(world: World, job_id: str) -> None:
    session = await world.signed_in()
    browser = world.with_headers(Cookie=f"flamenco_session={session}")
    task = task_id(job_id, 0)
    api = ["jobs", f"jobs/{job_id}", f"jobs/{job_id}/tasks", f"jobs/{job_id}/frames", f"tasks/{task}", "workers"]
    api += [f"tasks/{task}/log", f"jobs/{job_id}/frames/1/thumbnail", "managers", "job-types", "me"]
    pages = ["/", "/jobs", f"/jobs/{job_id}", f"/jobs/{job_id}/tasks", f"/jobs/{job_id}/log", "/workers", "/healthz"]
    for path in [*api, *pages, "/static/flamenco.css"]:
        assert (await browser.call("GET", path)).status == 200, path
    for path in (f"jobs/{UNFOUND}", f"blobs/{'0' * 64}", f"jobs/{job_id}/frames/2/thumbnail"):
        assert (await browser.call("GET", path)).status == 404, path
