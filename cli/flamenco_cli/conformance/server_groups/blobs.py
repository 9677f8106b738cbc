"""HEAD and GET blobs/SHA256."""

import hashlib

from flamenco_cli.conformance.check import Needs
from flamenco_cli.conformance.guest_manager import GuestManager, must_be_problem
from flamenco_cli.conformance.manager_api import SERVER

BLOBS = "file contents by hash, with ranges"


@SERVER.declare(
    "blobs",
    says=BLOBS,
    asked="GET and HEAD of a blob that there is not",
    expected="404 both times",
    mend="Answer 404 for blobs that are not there.",
)
async def _a_blob_that_is_not_there_is_404(guest: GuestManager) -> None:
    await guest.linked()
    must_be_problem(await guest.call("GET", f"blobs/{'0' * 64}"), 404)
    (await guest.call("HEAD", f"blobs/{'0' * 64}")).must_be(404)


@SERVER.declare(
    "blobs",
    says=BLOBS,
    asked="HEAD, then GET of a file of the job",
    expected="200 with its size; 200 with contents that have this hash",
    mend="Answer with the bytes of the file, and nothing else.",
    needs=Needs.FARM,
)
async def _a_blob_is_what_its_name_says(guest: GuestManager) -> None:
    job = await guest.with_job()
    head = (await guest.call("HEAD", f"blobs/{job.blob}")).must_be(200)
    if head.headers.get("Content-Length") != str(len(job.contents)):
        raise head.differs(f"without Content-Length: {len(job.contents)}")
    answer = (await guest.call("GET", f"blobs/{job.blob}")).must_be(200)
    if hashlib.sha256(answer.body).hexdigest() != job.blob:
        raise answer.differs("with other contents")


@SERVER.declare(
    "blobs",
    says=BLOBS,
    asked="GET with Range: bytes=2-5, bytes=10-, and one that begins behind the end",
    expected="206 with these bytes and Content-Range, twice; 416",
    mend="Serve ranges, so that what was cut off goes on where it stopped.",
    needs=Needs.FARM,
)
async def _a_part_of_a_blob_can_be_had(guest: GuestManager) -> None:
    job = await guest.with_job()
    size = len(job.contents)
    for asked, first, last in (("2-5", 2, 5), ("10-", 10, size - 1)):
        answer = await guest.call("GET", f"blobs/{job.blob}", headers={"Range": f"bytes={asked}"})
        answer.must_be(206)
        if answer.body != job.contents[first : last + 1]:
            raise answer.differs(f"with other bytes than {first} to {last}")
        if answer.headers.get("Content-Range") != f"bytes {first}-{last}/{size}":
            raise answer.differs(f"without Content-Range: bytes {first}-{last}/{size}")
    (await guest.call("GET", f"blobs/{job.blob}", headers={"Range": f"bytes={size}-"})).must_be(416)
