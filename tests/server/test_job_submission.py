"""Submitting jobs over HTTP: sending again is harmless, and nothing is kept of what is refused."""

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from server_world import BLEND, DEADLINE_S, Reply, World, a_job_type, a_submission, an_animation, server_world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def refusing(shared: World) -> AsyncIterator[World]:
    """The Server, to which nothing may be added."""
    before = await shared.admin.get("jobs?limit=200")
    yield shared
    assert await shared.admin.get("jobs?limit=200") == before


def named_fields(reply: Reply) -> set[str]:
    assert reply.status == 422, reply
    return set(reply.json()["errors"])


async def test_a_job_is_stored_and_then_compiled(world: World) -> None:
    reply = await world.admin.post("jobs", a_submission(name="Ünï 🎬", priority=70, metadata={"project": "P"}))
    job = reply.json()
    assert (reply.status, reply.headers["Location"]) == (201, f"/api/v1/jobs/{job['id']}")
    assert "Idempotency-Replayed" not in reply.headers
    assert (job["name"], job["priority"], job["owner"]) == ("Ünï 🎬", 70, "admin")
    assert (job["status"], job["metadata"], job["files"]) == ("under-construction", {"project": "P"}, [])
    assert job["created_at"] == "2026-01-31T12:00:00.000Z"
    assert job["settings"] == {"message": "Flamenco works.", "sleep_duration_seconds": 5.0, "sleep_repeats": 1}
    compiled = await world.until_job(job["id"], lambda job: job["task_count"])
    assert (compiled["task_count"], compiled["task_counts"]) == (2, {"queued": 2})
    assert compiled["activity"] == "Waiting for a Manager"


async def test_an_animation_shows_its_frames_before_it_is_compiled(world: World) -> None:
    reply = await world.admin.post("jobs", an_animation([await world.upload(BLEND)], frames="1-9:2, 20"))
    job = reply.json()
    assert (job["frames"], job["frame_count"], job["frames_done"]) == ("1-9:2, 20", 6, 0)
    assert job["output"] == "/out/######"
    assert job["files"] == [{"path": "scene.blend", **{key: job["files"][0][key] for key in ("sha256", "size_bytes")}}]
    assert (await world.until_job(job["id"], lambda job: job["task_count"]))["task_count"] == 7


class TestIdempotencyKey:
    async def test_the_same_submission_is_one_job_however_often_it_comes(self, tmp_path: Path) -> None:
        async def send(world: World) -> Reply:
            return await world.admin.post("jobs", a_submission(), headers={"Idempotency-Key": "k-1"})

        async with server_world(tmp_path) as world:
            replies = await asyncio.gather(*(send(world) for _ in range(10)))
            assert {reply.status for reply in replies} == {201}
            assert len({reply.json()["id"] for reply in replies}) == 1
            assert sum("Idempotency-Replayed" not in reply.headers for reply in replies) == 1
        async with server_world(tmp_path) as world:  # and after a restart
            again = await send(world)
            assert (again.status, again.headers["Idempotency-Replayed"]) == (201, "true")
            assert again.json()["id"] == replies[0].json()["id"]
            assert again.headers["Location"] == f"/api/v1/jobs/{again.json()['id']}"
            assert len((await world.admin.get("jobs"))["jobs"]) == 1

    async def test_a_key_with_another_submission_is_refused(self, world: World) -> None:
        key = {"Idempotency-Key": "k-1"}
        await world.admin.post("jobs", a_submission(), headers=key)
        reply = await world.admin.post("jobs", a_submission(name="another"), headers=key)
        assert reply.problem == (409, "idempotency-key-reused")
        assert [job["name"] for job in (await world.admin.get("jobs"))["jobs"]] == ["shot"]

    async def test_without_a_key_each_submission_is_a_job(self, world: World) -> None:
        assert await world.submit() != await world.submit()

    async def test_what_was_refused_does_not_use_up_its_key(self, world: World) -> None:
        key = {"Idempotency-Key": "k-1"}
        assert (await world.admin.post("jobs", a_submission(priority=101), headers=key)).status == 422
        assert (await world.admin.post("jobs", a_submission(), headers=key)).status == 201

    async def test_sending_again_works_although_the_job_type_has_changed_since(self, tmp_path: Path) -> None:
        (tmp_path / "types").mkdir()
        file = tmp_path / "types" / "own.py"
        file.write_text(a_job_type("yield task()"))
        async with server_world(tmp_path / "server", job_types=tmp_path / "types") as world:
            etag = (await world.admin.get("job-types/own"))["etag"]
            submission, key = a_submission(type="own", type_etag=etag), {"Idempotency-Key": "k-1"}
            first = await world.admin.post("jobs", submission, headers=key)
            file.write_text(a_job_type("yield task('changed')"))
            again = await world.admin.post("jobs", submission, headers=key)
            assert (again.status, again.json()["id"]) == (201, first.json()["id"])

    @pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "caf\u00e9\u200b"], ids=repr)
    async def test_a_key_is_a_short_line_of_text(self, refusing: World, key: str) -> None:
        reply = await refusing.admin.post("jobs", a_submission(), headers={"Idempotency-Key": key})
        assert reply.problem == (422, "bad-idempotency-key")


class TestJobTypeEtag:
    async def test_settings_that_were_chosen_for_an_older_job_type_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "types").mkdir()
        file = tmp_path / "types" / "own.py"
        file.write_text(a_job_type("yield task()"))
        async with server_world(tmp_path / "server", job_types=tmp_path / "types") as world:
            old = (await world.admin.get("job-types/own"))["etag"]
            assert (await world.admin.post("jobs", a_submission(type="own", type_etag=old))).status == 201
            file.write_text(a_job_type("yield task('changed')"))
            reply = await world.admin.post("jobs", a_submission(type="own", type_etag=old))
            assert reply.problem == (412, "job-type-changed")
            assert "refresh" in reply.json()["detail"]
            assert len((await world.admin.get("jobs"))["jobs"]) == 1
            new = (await world.admin.get("job-types/own"))["etag"]
            for etag in (new, None):
                assert (await world.admin.post("jobs", a_submission(type="own", type_etag=etag))).status == 201

    async def test_job_types_are_listed_with_their_etags_and_settings(self, shared: World) -> None:
        listed = (await shared.admin.get("job-types"))["job_types"]
        assert [job_type["name"] for job_type in listed] == ["echo-sleep-test", "simple-blender-render"]
        for job_type in listed:
            assert await shared.admin.get(f"job-types/{job_type['name']}") == job_type
        reply = await shared.admin.call("GET", "job-types/nonsense")
        assert reply.problem == (404, "not-found")
        assert "echo-sleep-test" in reply.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"unknown": 1}, "unknown"),
        ({"status": "completed"}, "status"),
        ({"owner": "grace"}, "owner"),
        ({"id": "9a7d6f3e-0000-4000-8000-000000000001"}, "id"),
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": 7}, "name"),
        ({"name": None}, "name"),
        ({"type": "no-such-type"}, "type"),
        ({"type": None}, "type"),
        ({"type_etag": 7}, "type_etag"),
        ({"priority": -1}, "priority"),
        ({"priority": 101}, "priority"),
        ({"priority": "50"}, "priority"),
        ({"priority": 50.5}, "priority"),
        ({"priority": True}, "priority"),
        ({"priority": 10**30}, "priority"),
        ({"settings": []}, "settings"),
        ({"settings": {"sleep_repeats": -1}}, "settings.sleep_repeats"),
        ({"settings": {"nonsense": -1}}, "settings.nonsense"),
        ({"metadata": {"a": 1}}, "metadata.a.value"),
        ({"metadata": "a"}, "metadata"),
        ({"files": {}}, "files"),
        ({"files": ["a"]}, "files.0"),
        ({"files": [{"path": "a"}]}, "files.0.sha256"),
        ({"files": [{"path": "a", "sha256": "A" * 64, "size_bytes": 1}]}, "files.0.sha256"),
        ({"files": [{"path": "a", "sha256": "a" * 64, "size_bytes": -1}]}, "files.0.size_bytes"),
        ({"files": [{"path": "a", "sha256": "a" * 64, "size_bytes": 1, "mode": 7}]}, "files.0.mode"),
    ],
)
async def test_a_bad_field_is_named(refusing: World, changes: dict[str, Any], field: str) -> None:
    assert field in named_fields(await refusing.admin.post("jobs", a_submission(**changes)))


@pytest.mark.parametrize("missing", ["name", "type"])
async def test_a_missing_field_is_named(refusing: World, missing: str) -> None:
    submission = a_submission()
    del submission[missing]
    assert named_fields(await refusing.admin.post("jobs", submission)) == {missing}


@pytest.mark.parametrize("body", ["[]", "null", "7", '"text"', "[[]]"])
async def test_a_body_that_is_no_object_is_refused(refusing: World, body: str) -> None:
    reply = await refusing.admin.call("POST", "jobs", data=body, headers={"Content-Type": "application/json"})
    assert reply.status == 422


@pytest.mark.parametrize(
    ("body", "content_type", "problem"),
    [
        (b"{", "application/json", (400, "bad-json")),
        (b'{"name": "\xff"}', "application/json", (400, "bad-json")),
        (b'{"priority": NaN}', "application/json", (400, "bad-json")),
        (b"[" * 101 + b"]" * 101, "application/json", (400, "bad-json")),
        (b"{}", "text/plain", (400, "bad-json")),
        (b"{}", "application/x-www-form-urlencoded", (400, "bad-json")),
    ],
    ids=["cut", "not UTF-8", "NaN", "deep", "text", "form"],
)
async def test_what_is_not_json_is_told_so(
    refusing: World, body: bytes, content_type: str, problem: tuple[int, str]
) -> None:
    reply = await refusing.admin.call("POST", "jobs", data=body, headers={"Content-Type": content_type})
    assert reply.problem == problem


@pytest.mark.parametrize("said", ["Content-Length: 1048577", "Transfer-Encoding: chunked"])
async def test_a_body_of_more_than_a_mebibyte_is_refused_whether_or_not_it_says_so(refusing: World, said: str) -> None:
    async with refusing.raw_connection() as (reader, writer):
        authorization = refusing.admin.headers["Authorization"]
        head = ["POST /api/v1/jobs HTTP/1.1", "Host: x", f"Authorization: {authorization}", said]
        writer.write("\r\n".join([*head, "Content-Type: application/json", "", ""]).encode())
        if "chunked" in said:
            for size in (1024 * 1024, 1):
                writer.write(b"%x\r\n%s\r\n" % (size, b" " * size))
        await writer.drain()
        assert b" 413 " in await reader.readline()
        async with asyncio.timeout(DEADLINE_S):
            assert b'"type":"too-large"' in await reader.readuntil(b"}")


PATHS = [
    *("..", "../x", "a/../../x", "a/..", "/etc/passwd", "//server/share", "C:/x", "C:x", "a//b", "a/", "./a", "a/./b"),
    *("a\\b", "..\\x", "\\\\server\\share", "a\0b", "a\nb", "a\x7fb", "a/\u202eb", "a\u2028b"),
    *("con", "a/NUL.txt", "com1.blend", "a.", "a ", "a/b. ", "x" * 256, "y/" * 512 + "y", "é" * 128),
]


@pytest.mark.parametrize("path", PATHS, ids=ascii)
async def test_a_path_that_could_leave_the_jobs_folder_or_mean_two_files_is_refused(refusing: World, path: str) -> None:
    files = [{"path": "fine.png", "sha256": "a" * 64, "size_bytes": 1}]
    files.append({"path": path, "sha256": "a" * 64, "size_bytes": 1})
    assert named_fields(await refusing.admin.post("jobs", a_submission(files=files))) == {"files.1.path"}


@pytest.mark.parametrize("path", ["-y.blend", ".hidden", "a/b/c.png", "ünï/🎬.png", "a b", "x" * 255, "..a", "a..b/c"])
async def test_any_other_path_is_fine(world: World, path: str) -> None:
    await world.submit(files=[await world.upload(BLEND, path)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("a.png", "a.png"), ("A.png", "a.png"), ("dir/a", "DIR/a"), ("stra\u00dfe", "STRASSE")),
        *(("\u00e9.png", "e\u0301.png"), ("a", "a/b"), ("a/b/c", "A/B"), ("x/y", "x")),
    ],
)
async def test_paths_that_clash_on_some_platform_are_refused(refusing: World, one: str, other: str) -> None:
    files = [{"path": path, "sha256": "a" * 64, "size_bytes": 1} for path in (one, other)]
    fields = named_fields(await refusing.admin.post("jobs", a_submission(files=files)))
    assert fields in ({"files.0.path"}, {"files.1.path"})


class TestFiles:
    async def test_files_that_were_not_sent_are_named_and_the_job_can_be_submitted_once_they_are(
        self, world: World
    ) -> None:
        contents = [f"file {number}".encode() for number in range(7)]
        files = [
            {"path": f"f{number}", "sha256": hashlib.sha256(body).hexdigest(), "size_bytes": len(body)}
            for number, body in enumerate(contents)
        ]
        await world.upload(contents[0])
        reply = await world.admin.post("jobs", a_submission(files=files))
        assert reply.problem == (409, "blobs-missing")
        assert "'f1', 'f2', 'f3', 'f4', 'f5' and 1 more" in reply.json()["detail"]
        assert "f0" not in reply.json()["detail"]
        assert (await world.admin.get("jobs"))["jobs"] == []
        for body in contents:
            await world.upload(body)
        await world.submit(files=files)

    async def test_a_file_has_the_size_that_it_is_said_to_have(self, refusing: World) -> None:
        entry = {**await refusing.upload(b"12345"), "size_bytes": 4}
        reply = await refusing.admin.post("jobs", a_submission(files=[entry]))
        assert named_fields(reply) == {"files.0.size_bytes"}
        assert "has 5 bytes, not 4" in reply.json()["detail"]

    @pytest.mark.parametrize(
        "contents",
        [BLEND, gzip.compress(BLEND), b"\x28\xb5\x2f\xfd" + bytes(20), b"BLENDER17-01v0500"],
        ids=["plain", "gzip", "zstandard", "from 5.0 on"],
    )
    async def test_a_blend_file_may_be_compressed(self, world: World, contents: bytes) -> None:
        reply = await world.admin.post("jobs", an_animation([await world.upload(contents)]))
        assert reply.status == 201, reply

    @pytest.mark.parametrize(
        "contents",
        [b"", b"not a blend file", b"\x1f\x8b", gzip.compress(b"not a blend file"), b"\x1f\x8bnonsense", b"blender"],
        ids=["empty", "text", "cut gzip", "gzip of text", "no gzip", "lower case"],
    )
    async def test_another_file_is_no_blend_file(self, refusing: World, contents: bytes) -> None:
        reply = await refusing.admin.post("jobs", an_animation([await refusing.upload(contents)]))
        assert reply.problem == (422, "not-a-blend-file")
        assert named_fields(reply) == {"settings.blendfile"}

    async def test_a_blend_file_may_lie_on_storage_that_the_workers_see(self, world: World) -> None:
        for path in ("/nas/scene.blend", r"P:\film\scene.blend", r"\\nas\film\scene.blend", "{film}/scene.blend"):
            assert (await world.admin.post("jobs", an_animation([], blendfile=path))).status == 201

    async def test_a_blend_file_that_is_nowhere_is_told_with_those_that_there_are(self, refusing: World) -> None:
        files = [await refusing.upload(BLEND, "a/shot.blend")]
        reply = await refusing.admin.post("jobs", an_animation(files, blendfile="shot.blend"))
        assert named_fields(reply) == {"settings.blendfile"}
        assert "'a/shot.blend'" in reply.json()["detail"]

    async def test_a_studios_job_type_may_do_without_its_blend_file(self, tmp_path: Path) -> None:
        (tmp_path / "types").mkdir()
        setting = "Setting(key='scene', type='string', label='Scene'),"
        source = a_job_type("yield task()", settings=setting, more=", blend_file='scene'")
        (tmp_path / "types" / "own.py").write_text(source)
        async with server_world(tmp_path / "server", job_types=tmp_path / "types") as world:
            await world.compiled(type="own")
            reply = await world.admin.post("jobs", a_submission(type="own", settings={"scene": "nowhere.blend"}))
            assert named_fields(reply) == {"settings.scene"}
