"""Thumbnails: small images of frames, from the job's own Manager, shown to those who look."""

import asyncio
from pathlib import Path

import pytest
from server_world import BLEND, DEADLINE_S, UNFOUND, Reply, World, an_animation, server_world
from site_manager import SiteManager, linked

pytestmark = pytest.mark.asyncio(loop_scope="module")

JPEG = b"\xff\xd8\xff\xe0" + bytes(200)
WEBP = b"RIFF\xc8\0\0\0WEBPVP8 " + bytes(184)
LARGEST = 256 * 1024


async def a_job(world: World, name: str = "site") -> tuple[SiteManager, str]:
    """Have a Manager with an animation of three frames."""
    manager = await linked(world, name)
    job = (await world.admin.post("jobs", an_animation([await world.upload(BLEND)], frames="1-3"))).json()
    await manager.next_orders()
    return manager, job["id"]


async def send(manager: SiteManager, job_id: str, frame: int | str, image: bytes = JPEG) -> Reply:
    headers = {"Content-Type": "image/jpeg"}
    return await manager.call("PUT", f"jobs/{job_id}/frames/{frame}", data=image, headers=headers)


async def shown(world: World, job_id: str, frame: int) -> Reply:
    return await world.admin.call("GET", f"jobs/{job_id}/frames/{frame}/thumbnail")


async def test_a_thumbnail_is_shown_where_its_frame_says(world: World) -> None:
    manager, job_id = await a_job(world)
    assert (await shown(world, job_id, 2)).problem == (404, "no-thumbnail")
    assert (await send(manager, job_id, 2)).status == 204
    frames = (await world.admin.get(f"jobs/{job_id}/frames"))["frames"]
    path = f"/api/v1/jobs/{job_id}/frames/2/thumbnail"
    assert [frame["thumbnail"] for frame in frames] == [None, path, None]
    reply = await world.admin.call("GET", path)
    assert (reply.status, reply.body, reply.headers["Content-Type"]) == (200, JPEG, "image/jpeg")
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert (await world.nobody.call("GET", path)).problem == (401, "not-signed-in")


async def test_the_job_shows_the_one_that_came_last(world: World) -> None:
    manager, job_id = await a_job(world)
    assert (await world.admin.get(f"jobs/{job_id}"))["newest_frame"] is None
    for frame in (3, 1):
        await send(manager, job_id, frame)
        newest = (await world.admin.get(f"jobs/{job_id}"))["newest_frame"]
        assert newest == {"frame": frame, "thumbnail": f"/api/v1/jobs/{job_id}/frames/{frame}/thumbnail"}


async def test_a_frame_that_is_rendered_again_gets_another(world: World) -> None:
    manager, job_id = await a_job(world)
    jpeg, webp = "image/jpeg", "image/webp"
    for image, media_type in ((JPEG, jpeg), (JPEG + b"again", jpeg), (WEBP, webp), (JPEG, jpeg)):
        await send(manager, job_id, 1, image)
        reply = await shown(world, job_id, 1)
        assert (reply.body, reply.headers["Content-Type"]) == (image, media_type)
        assert len(list((world.data / "thumbnails" / job_id).iterdir())) == 1


async def test_those_who_look_are_told(world: World) -> None:
    manager, job_id = await a_job(world)
    async with world.watching(f"?job={job_id}") as stream:
        await send(manager, job_id, 2)
        event = await stream.until("frame", frame=2)
        assert event.document["thumbnail"] == f"/api/v1/jobs/{job_id}/frames/2/thumbnail"


async def test_it_has_256_kibibytes_at_most(world: World) -> None:
    manager, job_id = await a_job(world)
    largest = JPEG + bytes(LARGEST - len(JPEG))
    assert (await send(manager, job_id, 1, largest)).status == 204
    async with world.raw_connection() as (reader, writer):
        head = [f"PUT /api/v1/manager/jobs/{job_id}/frames/2 HTTP/1.1", f"Content-Length: {LARGEST + 1}", "Host: x"]
        head += [f"{name}: {value}" for name, value in manager.caller.headers.items()]
        writer.write("\r\n".join([*head, "", ""]).encode())
        async with asyncio.timeout(DEADLINE_S):
            assert b" 413 " in await reader.readline()
    assert (await shown(world, job_id, 2)).problem == (404, "no-thumbnail")


@pytest.mark.parametrize(
    "image", [b"", b"\xff\xd8", b"RIFF\0\0\0\0AVI ", b"<svg onload='alert(1)'/>", b"\x89PNG\r\n\x1a\n", b"GIF89a"]
)
async def test_what_no_browser_should_be_shown_is_refused(world: World, image: bytes) -> None:
    manager, job_id = await a_job(world)
    assert (await send(manager, job_id, 1, image)).problem == (422, "not-a-thumbnail")
    assert (await shown(world, job_id, 1)).problem == (404, "no-thumbnail")
    assert (await world.admin.get(f"jobs/{job_id}"))["newest_frame"] is None


async def test_it_is_of_a_job_of_the_managers_own(world: World) -> None:
    manager, job_id = await a_job(world, "mine")
    stranger = await linked(world, "stranger")
    for who, which in ((stranger, job_id), (manager, UNFOUND)):
        assert (await send(who, which, 1)).problem == (404, "no-such-job")
    assert (await shown(world, job_id, 1)).problem == (404, "no-thumbnail")
    assert list((world.data / "thumbnails").rglob("*.jpg")) == []


@pytest.mark.parametrize("frame", ["x", "-1", "1.5", "..%2f1", "1234567890", "%d9%a1"])
async def test_a_frame_is_a_number(world: World, frame: str) -> None:
    manager, job_id = await a_job(world)
    assert (await send(manager, job_id, frame)).problem == (404, "not-found")


async def test_thumbnails_survive_a_restart(tmp_path: Path) -> None:
    async with server_world(tmp_path) as world:
        manager, job_id = await a_job(world)
        await send(manager, job_id, 2)
    async with server_world(tmp_path) as world:
        assert (await shown(world, job_id, 2)).body == JPEG
        assert (await world.admin.get(f"jobs/{job_id}"))["newest_frame"]["frame"] == 2
