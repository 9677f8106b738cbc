"""Logs and thumbnails."""

import base64

from flamenco_cli.conformance.check import Needs
from flamenco_cli.conformance.guest_manager import REFUSED, GuestManager, must_be_problem
from flamenco_cli.conformance.manager_api import SERVER, an_unknown_id
from flamenco_cli.conformance.peer import Answer, Differs

LOG = "(part of) a log, with `Content-Range`: sent when a task ends, or when an order asks for it"
THUMBNAIL = "a thumbnail (JPEG or WebP, ≤ 256 KiB) of a finished frame"
A_DOT = base64.b64decode("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
"""A WebP image of one pixel."""
LARGEST_BYTES = 256 * 1024
TAKEN = (200, 201, 204)


async def _put_log(guest: GuestManager, task_id: str, span: str, data: bytes) -> Answer:
    what = f"PUT log, Content-Range: {span or 'missing'}"
    headers = {"Content-Range": span} if span else {}
    path = f"tasks/{task_id}/attempts/1/log"
    return await guest.call("PUT", path, data=data, content_type="text/plain", headers=headers, what=what)


async def _put_frame(guest: GuestManager, job_id: str, image: bytes, content_type: str = "image/webp") -> Answer:
    return await guest.call("PUT", f"jobs/{job_id}/frames/1", data=image, content_type=content_type)


@SERVER.declare(
    "media",
    says=LOG,
    asked="PUT the log, and a thumbnail, of a task and a job that there are not",
    expected="404 both times",
    mend="Take logs and thumbnails of the Manager's own jobs only.",
)
async def _logs_and_thumbnails_of_nothing_are_404(guest: GuestManager) -> None:
    await guest.linked()
    must_be_problem(await _put_log(guest, an_unknown_id(), "bytes 0-2/3", b"abc"), 404)
    must_be_problem(await _put_frame(guest, an_unknown_id(), A_DOT), 404)


@SERVER.declare(
    "media",
    says=LOG,
    asked="PUT log in two parts, the first of them twice; GET the log as people do",
    expected="204 each time, and the log as it was sent, once",
    mend="Write each part at its place; the last one tells the whole size.",
    needs=Needs.FARM,
)
async def _a_log_comes_in_parts(guest: GuestManager) -> None:
    await guest.with_job()
    assert guest.farm is not None
    task_id = guest.tasks[0]["id"]
    await guest.report(tasks=[guest.task_state(0, "active")])
    for span, part in (("bytes 0-5/*", b"first\n"), ("bytes 0-5/*", b"first\n"), ("bytes 6-12/13", b"second\n")):
        (await _put_log(guest, task_id, span, part)).must_be(*TAKEN)
    shown = await guest.farm.log(task_id, 1)
    if shown != b"first\nsecond\n":
        raise Differs(f"the log is shown as {shown[:100]!r}")


@SERVER.declare(
    "media",
    says=LOG,
    asked="PUT log with a part that begins behind the end, with a Content-Range that is none, with one that lies",
    expected="409 with the size that is there, then a 4xx problem twice",
    mend="Refuse a hole in a log with a problem document that has 'expected'.",
    needs=Needs.FARM,
)
async def _a_log_has_no_holes(guest: GuestManager) -> None:
    await guest.with_job()
    task_id = guest.tasks[1]["id"]
    await guest.report(tasks=[guest.task_state(1, "active")])
    (await _put_log(guest, task_id, "bytes 0-2/*", b"abc")).must_be(*TAKEN)
    must_be_problem(await _put_log(guest, task_id, "bytes 9-11/*", b"jkl"), 409, expected=3)
    for span in ("lines 3-5/6", "bytes 3-9/*"):
        must_be_problem(await _put_log(guest, task_id, span, b"def"), *REFUSED)


@SERVER.declare(
    "media",
    says=THUMBNAIL,
    asked="PUT a small WebP image; again; then something that is no image; then one of more than 256 KiB",
    expected="204 twice; a 4xx problem; 413",
    mend="Take JPEG and WebP of up to 256 KiB, by their first bytes, and nothing else.",
    needs=Needs.FARM,
)
async def _thumbnails_are_small_images(guest: GuestManager) -> None:
    job = await guest.with_job()
    for _ in range(2):
        (await _put_frame(guest, job.id, A_DOT)).must_be(*TAKEN)
    must_be_problem(await _put_frame(guest, job.id, b"<html></html>"), *REFUSED)
    must_be_problem(await _put_frame(guest, job.id, A_DOT + bytes(LARGEST_BYTES)), 413)
