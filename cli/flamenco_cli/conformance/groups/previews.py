"""Section 6.9: POST output-produced."""

import base64

from flamenco_cli.conformance.check import Needs, check
from flamenco_cli.conformance.visit import Visit, an_unknown_id

MIB = 1024 * 1024
LARGEST = 25 * MIB
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAAXNSR0IDN8dNUwAAAARnQU1BAACxjwv8YQUAAAAgY0hSTQAAeiYAAICEAAD6AAAA"
    "gOgAAHUwAADqYAAAOpgAABdwnLpRPAAAAA5lWElmTU0AKgAAAAgAAAAAAAAA0lOTAAAACW9GRnMAAAAAAAAAAADaKrbOAAAAFElEQVQImWM0bnjG"
    "gA0wYRUdtBIAQroBqTjZ6NIAAAAASUVORK5CYII="
)
"""Eight by eight pixels, sky blue."""
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/4QAWRXhpZgAASUkqAAgAAAAAAAAAAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtq"
    "eJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5moq6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSk"
    "pKSkpKSkpKSkpKSkpKT/wAARCAAIAAgDASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQA"
    "AAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlq"
    "c3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QA"
    "HwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAV"
    "YnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmq"
    "srO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwBlFFFekcR//9k="
)
"""The same."""


@check(
    "6.9",
    asked="POST output-produced of a task that there is not",
    expected="404 with a JSON text, not an object",
    mend="Answer 404 for unknown tasks. (The body is a bare text: a wart of Flamenco 3, which its Worker ignores.)",
)
async def _previews_of_an_unknown_task_are_404(visit: Visit) -> None:
    visitor = await visit.signed_on()
    answer = (await visitor.preview(an_unknown_id(), JPEG, "image/jpeg")).must_be(404)
    if not isinstance(answer.document(), str):
        raise answer.differs("which is no JSON text")


@check(
    "6.9",
    asked="POST output-produced without a body",
    expected="400 or 411",
    mend="Refuse previews that have no bytes.",
)
async def _empty_previews_are_refused(visit: Visit) -> None:
    visitor = await visit.signed_on()
    (await visitor.preview(an_unknown_id(), b"", "image/jpeg")).must_be(400, 411)


@check(
    "6.9",
    asked="POST output-produced of 25 MiB and one byte",
    expected="413",
    mend="Refuse previews larger than 26,214,400 bytes.",
)
async def _previews_above_25_mib_are_413(visit: Visit) -> None:
    visitor = await visit.signed_on()
    (await visitor.preview(an_unknown_id(), b"\xff" * (LARGEST + 1), "image/jpeg")).must_be(413)


@check(
    "6.9",
    asked="POST output-produced with Content-Type text/html",
    expected="400 or 415",
    mend="Take image/jpeg and image/png only.",
)
async def _what_is_no_image_is_refused(visit: Visit) -> None:
    visitor = await visit.signed_on()
    (await visitor.preview(an_unknown_id(), b"<html>", "text/html")).must_be(400, 415)


@check(
    "6.9",
    asked="POST output-produced of the task that the Worker runs, as JPEG and as PNG",
    expected="202 without a body",
    mend="Take previews at once, and work on them later.",
    needs=Needs.TASK,
)
async def _previews_are_taken(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    for image, content_type in ((JPEG, "image/jpeg"), (PNG, "image/png")):
        (await visitor.preview(task.id, image, content_type)).must_be(202).must_be_empty()
