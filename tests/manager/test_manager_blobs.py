"""What a Manager keeps of jobs' files beside the copies that the jobs have."""

import hashlib
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from flamenco_manager.blobs import KEEP, Blobs
from flamenco_runtime.clock import utc_now

MOMENT = timedelta(minutes=1)


async def contents(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def kept(blobs: Blobs, data: bytes) -> str:
    """Have a blob that was used an hour less than ``KEEP`` ago."""
    sha256 = hashlib.sha256(data).hexdigest()
    await blobs.keep(sha256, contents(data))
    used_s = (utc_now() - KEEP + timedelta(hours=1)).timestamp()
    os.utime(blobs.file(sha256), (used_s, used_s))
    return sha256


async def test_a_blob_goes_when_no_job_has_needed_it_for_long(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    used, unused = await kept(blobs, b"used"), await kept(blobs, b"unused")
    await blobs.tidy(utc_now())
    assert await blobs.has(used)
    assert blobs.file(unused).exists()
    await blobs.tidy(utc_now() + timedelta(hours=2))
    assert not await blobs.has(unused)
    assert blobs.file(used).read_bytes() == b"used"


async def test_what_a_killed_process_had_fetched_half_goes_too(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    half = blobs.file(await kept(blobs, b"whole")).with_name("half.new")
    half.write_bytes(b"ha")
    await blobs.tidy(utc_now() + KEEP - MOMENT)
    assert half.exists()
    await blobs.tidy(utc_now() + KEEP + MOMENT)
    assert list(tmp_path.glob("*/*")) == []
