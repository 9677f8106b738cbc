"""Little disk space at the Server: new jobs and files are refused, and everything else goes on."""

import hashlib
from pathlib import Path

import pytest
from server_world import BLEND, a_submission, server_world

from flamenco_runtime import free_space
from low_space import Disk


async def test_new_jobs_and_files_are_refused_until_there_is_room_and_what_is_here_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_space, "LOOK_EVERY_S", 0.02)
    disk, key = Disk(), {"Idempotency-Key": "k"}
    async with server_world(tmp_path, measure=disk.measure) as world:
        job = (await world.admin.post("jobs", a_submission(), headers=key)).json()
        await world.upload(BLEND)
        await disk.becomes(300)
        refused = await world.admin.post("jobs", a_submission())
        assert refused.problem == (507, "no-space")
        what = f"Too little disk space: 300 MiB free on {tmp_path}, 1,024 needed."
        assert refused.json()["detail"] == f"{what} Make room there, or lower least_free_mib."
        new = b"BLENDER of another kind"
        path = f"blobs/{hashlib.sha256(new).hexdigest()}"
        assert (await world.admin.call("PUT", path, data=new)).problem == (507, "no-space")
        assert [file for file in (tmp_path / "blobs").rglob("*") if file.is_file() and file.read_bytes() == new] == []
        # What was taken before is answered for, and people may still ask for something.
        again = await world.admin.post("jobs", a_submission(), headers=key)
        assert (again.status, again.json()["id"]) == (201, job["id"])
        await world.upload(BLEND)
        assert (await world.admin.post(f"jobs/{job['id']}/cancel", {})).status < 300
        await disk.becomes(2000)
        assert (await world.admin.post("jobs", a_submission())).status == 201
        assert (await world.admin.call("PUT", path, data=new)).status == 201
