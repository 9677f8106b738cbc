"""Previews: as our Workers make them, and of full size, as Flamenco 3 Workers send them."""

import asyncio
import io
import logging
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fake_server import FakeServer
from images import COLOURS, a_png_that_claims, an_image, read_image
from manager_world import HttpWorker, Reply, World, a_frame_task, a_task, manager_world
from structlog.testing import capture_logs

from flamenco_core.identifiers import new_id
from flamenco_manager.preview_intake import MOST_BYTES
from flamenco_manager.preview_scaler import MOST_WAITING, PreviewScaler, Source, TooManyPreviews, Unshowable
from flamenco_manager.previews import MOST_SIDE, Previews, is_small_jpeg, jpeg_size

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server) as running:
        yield running


async def rendering(world: World, frames: str = "7") -> tuple[HttpWorker, str, str]:
    """Have a Flamenco 3 Worker with a task of these frames; returns it, the job and the task."""
    worker = await world.worker(ours=False)
    job = await world.server.submit([a_frame_task(frames)])
    return worker, job, (await worker.task())["uuid"]


async def send(worker: HttpWorker, task: str, image: object, kind: str = "image/jpeg", query: str = "") -> Reply:
    path = f"task/{task}/output-produced{query}"
    data = io.BytesIO(image) if isinstance(image, bytes) else image
    return await worker.call("POST", path, headers={"Content-Type": kind}, data=data)


@pytest.mark.parametrize(
    ("kind", "image"),
    [
        ("image/png", an_image("png", 3000, 1500, channels=4)),
        ("image/png", an_image("png", 3000, 1500, depth="uint16")),
        ("image/jpeg", an_image("jpeg", 3000, 1500)),
        ("image/webp", an_image("webp", 3000, 1500)),
    ],
    ids=["png-alpha", "png-16-bit", "jpeg", "webp"],
)
async def test_an_image_of_full_size_is_made_small_and_is_of_its_tasks_only_frame(
    world: World, tmp_path: Path, kind: str, image: bytes
) -> None:
    worker, job, task = await rendering(world)
    reply = await send(worker, task, image, kind)
    assert (reply.status, reply.body, reply.headers.get("Content-Type")) == (202, b"", None)
    await world.server.until(lambda: (job, 7) in world.server.thumbnails)
    thumbnail = world.server.thumbnails[job, 7]
    assert is_small_jpeg(thumbnail)
    width, height, colour = read_image(thumbnail, tmp_path)
    assert (width, height) == (MOST_SIDE, MOST_SIDE // 2)
    assert colour == pytest.approx(COLOURS[:3], abs=0.03)
    assert (tmp_path / "previews" / job / "newest").read_bytes() == thumbnail
    assert list((tmp_path / "incoming-previews").iterdir()) == []


async def test_an_image_whose_frame_nobody_knows_is_the_newest_of_its_job(world: World, tmp_path: Path) -> None:
    worker, job, task = await rendering(world, "1-10")
    assert (await send(worker, task, an_image("png", 2000, 10), "image/png")).status == 202
    newest = tmp_path / "previews" / job / "newest"
    await until(newest.exists)
    assert jpeg_size(newest.read_bytes()) == (1024, 5)
    assert [path.name for path in newest.parent.iterdir()] == ["newest"]


async def test_a_small_jpeg_is_kept_as_it_is(world: World, tmp_path: Path) -> None:
    worker, job, task = await rendering(world, "1-10")
    images = {frame: an_image("jpeg", 100 + frame, 50) for frame in (3, 4)}
    for frame, image in images.items():
        assert (await send(worker, task, image, query=f"?frame={frame}&layer=")).status == 202
    folder = tmp_path / "previews" / job
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "3": images[3],
        "4": images[4],
        "newest": images[4],
    }
    await world.server.until(lambda: {(job, 3): images[3], (job, 4): images[4]} == world.server.thumbnails)


async def test_a_thumbnail_that_is_replaced_while_it_is_uploaded_is_uploaded_again(world: World) -> None:
    worker, job, task = await rendering(world)
    first, second = an_image("jpeg", 64, 36), an_image("jpeg", 32, 18)
    world.server.thumbnails_pass.clear()
    assert (await send(worker, task, first)).status == 202
    await world.server.until(lambda: world.server.thumbnails.get((job, 7)) == first)
    assert (await send(worker, task, second)).status == 202  # another attempt has rendered it, too
    world.server.thumbnails_pass.set()
    await world.server.until(lambda: world.server.thumbnails.get((job, 7)) == second)


async def test_a_small_file_that_claims_to_be_huge_is_not_kept_as_it_is(world: World, tmp_path: Path) -> None:
    worker, job, task = await rendering(world)
    small = an_image("jpeg", 10, 10)
    at = small.index(b"\xff\xc0") + 5
    huge = small[:at] + b"\x80\x00\x80\x00" + small[at + 4 :]
    assert jpeg_size(huge) == (32768, 32768)
    await world_says(world, worker, task, huge, "image/jpeg", "malicious header")
    assert not (tmp_path / "previews" / job).exists()


@pytest.mark.parametrize(
    ("image", "kind", "why"),
    [
        (a_png_that_claims(20_000, 20_000), "image/png", "malicious header"),
        (a_png_that_claims(10_001, 10_000, padding=3_000_000), "image/png", "10001 x 10000 pixels"),
        (a_png_that_claims(5_000, 5_000), "image/png", ""),
        (an_image("png", 600, 600)[:500], "image/png", ""),
        (b"<svg/>", "image/png", "neither JPEG nor PNG nor WebP"),
        (b"\xff\xd8\xff" + b"rubbish" * 99, "image/jpeg", ""),
        (an_image("openexr", 20, 20, depth="half"), "image/jpeg", "neither JPEG nor PNG nor WebP"),
    ],
    ids=["bomb", "large-bomb", "too-few-rows", "cut-off", "svg", "rubbish", "exr"],
)
async def test_what_cannot_be_shown_is_answered_202_and_logged(
    world: World, tmp_path: Path, image: bytes, kind: str, why: str
) -> None:
    worker, job, task = await rendering(world)
    await world_says(world, worker, task, image, kind, why)
    assert not (tmp_path / "previews" / job).exists()
    assert (await send(worker, task, an_image("jpeg", 20, 20))).status == 202  # the next one is fine
    await world.server.until(lambda: (job, 7) in world.server.thumbnails)


async def world_says(world: World, worker: HttpWorker, task: str, image: bytes, kind: str, why: str) -> None:
    """Send an image; wait for the line in the log that says why it cannot be shown."""
    with capture_logs() as lines:
        assert (await send(worker, task, image, kind)).status == 202
        await until(lambda: any("cannot be shown" in line["event"] for line in lines))
    [line] = [line for line in lines if "cannot be shown" in line["event"]]
    assert why in line["why"]
    assert line["why"]
    assert line["log_level"] == "warning"


async def test_a_full_queue_is_told_with_when_to_try_again(world: World, tmp_path: Path) -> None:
    worker, _, task = await rendering(world)
    stalled = asyncio.Event()

    async def half_an_image() -> AsyncIterator[bytes]:
        yield an_image("png", 20, 20)[:40] * 30_000  # more than a piece, so that it has its place in the queue
        await stalled.wait()

    uploads = [asyncio.create_task(send(worker, task, half_an_image(), "image/png")) for _ in range(MOST_WAITING)]
    await until(lambda: len(list((tmp_path / "incoming-previews").glob("*"))) == MOST_WAITING)
    refused = await send(worker, task, an_image("png", 20, 20), "image/png")
    assert (refused.status, refused.json()["code"]) == (429, 429)
    assert int(refused.headers["Retry-After"]) > 0
    stalled.set()
    assert [reply.status for reply in await asyncio.gather(*uploads)] == [202] * MOST_WAITING
    await until(lambda: not list((tmp_path / "incoming-previews").glob("*")), deadline_s=60)  # one by one
    assert (await send(worker, task, an_image("png", 20, 20), "image/png")).status == 202


async def test_a_body_without_a_length_is_refused_once_it_is_too_large(world: World, tmp_path: Path) -> None:
    worker, _, task = await rendering(world)

    async def endless() -> AsyncIterator[bytes]:
        yield b"\x89PNG\r\n\x1a\n"
        for _ in range(MOST_BYTES // 65536 + 1):
            yield b"x" * 65536

    reply = await send(worker, task, endless(), "image/png")
    assert (reply.status, reply.json()["code"]) == (413, 413)
    assert list((tmp_path / "incoming-previews").iterdir()) == []


async def test_an_upload_that_breaks_off_leaves_nothing_behind(world: World, tmp_path: Path) -> None:
    worker, _, task = await rendering(world)

    async def breaking() -> AsyncIterator[bytes]:
        yield b"\x89PNG\r\n\x1a\n" + b"x" * 2_000_000
        await until(lambda: list((tmp_path / "incoming-previews").glob("*")))
        raise OSError("the cable was pulled")

    with pytest.raises(OSError, match="request body"):
        await send(worker, task, breaking(), "image/png")
    await until(lambda: not list((tmp_path / "incoming-previews").iterdir()))


@pytest.mark.parametrize(
    ("kind", "image", "query", "status", "named"),
    [
        ("text/html", b"x", "", 415, "text/html"),
        ("image/svg+xml", b"<svg/>", "", 415, "svg"),
        ("image/jpeg", b"", "", 400, "no bytes"),
        ("image/jpeg", b"x", "?frame=8", 400, "frame 8"),
        ("image/jpeg", b"x", "?frame=999999999", 400, "frame"),
        ("image/jpeg", b"x", "?frame=-1", 400, "frame"),
        ("image/jpeg", b"x", "?frame=seven", 400, "frame"),
        ("image/jpeg", b"x", "?frame=٧", 400, "frame"),
    ],
)
async def test_what_is_refused_names_what_is_wrong(
    world: World, kind: str, image: bytes, query: str, status: int, named: str
) -> None:
    worker, _, task = await rendering(world)
    reply = await send(worker, task, image, kind, query)
    assert (reply.status, reply.json()["code"]) == (status, status)
    assert named in reply.json()["message"]


async def test_an_unknown_task_is_told_as_a_bare_text(world: World) -> None:
    worker, _, _ = await rendering(world)
    reply = await send(worker, new_id(), an_image("jpeg", 20, 20))
    assert reply.status == 404
    assert isinstance(reply.json(), str)


async def test_a_preview_of_a_job_that_has_ended_is_still_kept(world: World) -> None:
    worker = await world.worker()
    job = await world.server.submit([a_frame_task("7")])
    task = await worker.task()
    await worker.update(task, taskStatus="completed", seq=1)
    await world.server.until_job(job, "completed")
    assert (await send(worker, task["uuid"], an_image("jpeg", 20, 20), query="?frame=7")).status == 202
    await world.server.until(lambda: (job, 7) in world.server.thumbnails)


async def test_any_frame_is_taken_of_a_task_that_names_none(world: World) -> None:
    worker = await world.worker()
    job = await world.server.submit([a_task()])
    task = await worker.task()
    assert (await send(worker, task["uuid"], an_image("jpeg", 20, 20), query="?frame=1048574")).status == 202
    await world.server.until(lambda: (job, 1048574) in world.server.thumbnails)
    assert (await send(worker, task["uuid"], an_image("jpeg", 20, 20), query="?frame=1048575")).status == 400


async def test_an_image_that_takes_too_long_is_given_up_with_its_process(tmp_path: Path) -> None:
    scaler = PreviewScaler(tmp_path / "spool", keep=never, patience_s=0.001)
    async with scaler.room() as file:
        file.write_bytes(an_image("png", 4000, 4000))
        scaler.add(Source(file, "job", 1))
    with capture_logs() as lines:
        running = asyncio.create_task(scaler.run())
        await until(lambda: lines)
        running.cancel()
    assert "took more than 0.001 seconds" in lines[0]["why"]
    assert list((tmp_path / "spool").iterdir()) == []


async def never(job: str, frame: int | None, image: bytes) -> None:
    pytest.fail("it was kept")


async def test_a_place_in_the_queue_is_given_back_when_the_upload_fails(tmp_path: Path) -> None:
    scaler = PreviewScaler(tmp_path, keep=never)
    for _ in range(2 * MOST_WAITING):
        with pytest.raises(Unshowable):
            async with scaler.room():
                raise Unshowable
    async with asyncio.TaskGroup() as group:
        for _ in range(MOST_WAITING):
            group.create_task(_take_a_place(scaler))
    with pytest.raises(TooManyPreviews):
        await _take_a_place(scaler)


async def _take_a_place(scaler: PreviewScaler) -> None:
    async with scaler.room() as file:
        scaler.add(Source(file, "job", None))


async def test_old_previews_are_removed_and_others_stay(tmp_path: Path) -> None:
    previews = Previews(tmp_path)
    for job, days in {"old": 31, "young": 29, "old-but-in-use": 90}.items():
        await previews.keep(job, 1, b"image")
        for path in (tmp_path / job).iterdir():
            then = (NOON - timedelta(days=days)).timestamp()
            os.utime(path, (then, then))
    await previews.sweep(NOON, timedelta(days=30), {"old-but-in-use"})
    assert {path.name for path in tmp_path.iterdir()} == {"young", "old-but-in-use"}
    assert (await previews.of_frame("old", 1), await previews.newest("young")) == (None, b"image")


@pytest.mark.parametrize("size", [(1, 1), (1024, 7), (65500, 3)])
def test_the_size_of_a_jpeg_is_read_from_its_header(size: tuple[int, int]) -> None:
    image = an_image("jpeg", *size)
    assert jpeg_size(image) == size
    assert jpeg_size(image[:2] + b"\xff" + image[2:]) == size  # a filling byte
    for length in range(0, len(image), 7):
        jpeg_size(image[:length])  # cut off anywhere: no more than None
    assert jpeg_size(an_image("png", 2, 2)) is None


async def until(condition: object, deadline_s: float = 20.0) -> None:
    """Wait for something that nobody tells us of."""
    assert callable(condition)
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("asyncio").setLevel(logging.ERROR)
