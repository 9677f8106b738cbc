"""File contents over HTTP: kept only if they are what they are said to be, fetched whole or in part."""

import asyncio
import hashlib
from pathlib import Path

import pytest
from server_world import DEADLINE_S, Caller, World, server_world
from site_manager import linked

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTENTS = bytes(range(256)) * 5000  # more than one piece of an upload
DIGEST = hashlib.sha256(CONTENTS).hexdigest()
ABSENT = "0" * 64


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def test_a_file_is_sent_once_and_is_new_once(world: World) -> None:
    for status in (201, 200, 200):
        reply = await world.admin.call("PUT", f"blobs/{DIGEST}", data=CONTENTS)
        assert (reply.status, reply.json()) == (status, {"sha256": DIGEST})
    assert (await world.admin.call("GET", f"blobs/{DIGEST}")).body == CONTENTS
    assert files_below(world.data / "blobs") == [DIGEST]


async def test_other_contents_than_announced_are_refused_and_nothing_is_kept(world: World) -> None:
    reply = await world.admin.call("PUT", f"blobs/{DIGEST}", data=CONTENTS[:-1])
    assert reply.problem == (422, "wrong-contents")
    assert hashlib.sha256(CONTENTS[:-1]).hexdigest() in reply.json()["detail"]
    assert (await world.admin.call("GET", f"blobs/{DIGEST}")).problem == (404, "no-such-blob")
    assert files_below(world.data / "blobs") == []
    assert (await world.admin.call("PUT", f"blobs/{DIGEST}", data=CONTENTS)).status == 201


NAMES = [
    *("abc", DIGEST.upper(), DIGEST + "0", DIGEST[:-1], "%2e%2e", "..%2f..%2fserver.sqlite", "%2fetc%2fpasswd"),
    *(f"..%2f{DIGEST}", f"{DIGEST}%00", f"{DIGEST}%0a", "incoming", f"{DIGEST}%2f..%2f{DIGEST}"),
]


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("name", NAMES)
async def test_a_name_that_is_no_digest_reaches_no_file(shared: World, method: str, name: str) -> None:
    data = CONTENTS if method == "PUT" else None
    reply = await shared.admin.call(method, f"blobs/{name}", data=data)
    assert reply.problem == (422, "bad-digest")
    assert files_below(shared.data / "blobs") == []


@pytest.mark.parametrize("path", ["blobs/..", "blobs/../../etc/passwd", f"blobs/{DIGEST}/../../connection.json"])
async def test_a_path_that_climbs_reaches_no_file(shared: World, path: str) -> None:
    assert (await shared.admin.call("GET", path)).problem in [(404, "not-found"), (422, "bad-digest")]


async def test_those_that_are_missing_are_told_once_each_and_in_order(world: World) -> None:
    here = await world.upload(CONTENTS)
    asked = [{"sha256": digest} for digest in ("1" * 64, here["sha256"], ABSENT, "1" * 64)]
    reply = await world.admin.post("blobs/missing", {"blobs": asked})
    assert (reply.status, reply.json()) == (200, {"missing": ["1" * 64, ABSENT]})
    assert (await world.admin.post("blobs/missing", {"blobs": []})).json() == {"missing": []}


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ({}, "blobs"),
        ({"blobs": [{"sha256": "abc"}]}, "blobs.0.sha256"),
        ({"blobs": [{"sha256": DIGEST.upper()}]}, "blobs.0.sha256"),
        ({"blobs": [{"sha256": DIGEST, "size_bytes": -1}]}, "blobs.0.size_bytes"),
        ({"blobs": [{"sha256": DIGEST, "path": "x"}]}, "blobs.0.path"),
        ({"blobs": [], "all": True}, "all"),
        ({"blobs": [{"sha256": DIGEST}] * 10_001}, "blobs"),
    ],
)
async def test_a_bad_question_is_refused(shared: World, question: object, field: str) -> None:
    reply = await shared.admin.post("blobs/missing", question)
    assert reply.problem == (422, "bad-input")
    assert list(reply.json()["errors"]) == [field]


async def test_as_many_as_ten_thousand_can_be_asked_for(shared: World) -> None:
    asked = [{"sha256": f"{number:064x}", "size_bytes": 10**9} for number in range(10_000)]
    reply = await shared.admin.call("POST", "blobs/missing", json={"blobs": asked})
    assert (reply.status, len(reply.json()["missing"])) == (200, 10_000)


async def test_a_part_can_be_fetched_so_that_a_cut_download_goes_on(world: World) -> None:
    await world.upload(CONTENTS)
    manager = await linked(world)
    for caller, path in ((world.admin, "blobs"), (manager.caller, "manager/blobs")):
        whole = await caller.call("GET", f"{path}/{DIGEST}")
        assert (whole.status, whole.headers["Accept-Ranges"]) == (200, "bytes")
        for asked, part in (("bytes=5-9", CONTENTS[5:10]), ("bytes=1000000-", CONTENTS[1000000:])):
            reply = await caller.call("GET", f"{path}/{DIGEST}", headers={"Range": asked})
            assert (reply.status, reply.body) == (206, part)
            assert reply.headers["Content-Range"].endswith(f"/{len(CONTENTS)}")
        beyond = await caller.call("GET", f"{path}/{DIGEST}", headers={"Range": f"bytes={len(CONTENTS)}-"})
        assert beyond.status == 416
        head = await caller.call("HEAD", f"{path}/{DIGEST}")
        assert (head.status, head.headers["Content-Length"]) == (200, str(len(CONTENTS)))


async def test_what_is_not_here_is_told_so_to_everybody(world: World) -> None:
    manager = await linked(world)
    for caller, path in ((world.admin, "blobs"), (manager.caller, "manager/blobs")):
        assert (await caller.call("GET", f"{path}/{ABSENT}")).problem == (404, "no-such-blob")
        assert (await caller.call("HEAD", f"{path}/{ABSENT}")).status == 404


async def test_a_browser_never_shows_somebodys_file_as_a_page_of_ours(world: World) -> None:
    page = b"<script>alert(1)</script>"
    await world.upload(page)
    reply = await world.admin.call("GET", f"blobs/{hashlib.sha256(page).hexdigest()}")
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert reply.headers["Content-Disposition"] == "attachment"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_many_may_send_the_same_file_at_once(world: World) -> None:
    async def send() -> int:
        return (await world.admin.call("PUT", f"blobs/{DIGEST}", data=CONTENTS)).status

    statuses = await asyncio.gather(*(send() for _ in range(10)))
    assert set(statuses) <= {200, 201}
    assert 201 in statuses
    assert files_below(world.data / "blobs") == [DIGEST]
    assert (await world.admin.call("GET", f"blobs/{DIGEST}")).body == CONTENTS


async def begin_upload(world: World, writer: asyncio.StreamWriter) -> None:
    """Send half of a file, and wait until the Server has begun to keep it."""
    head = [f"PUT /api/v1/blobs/{DIGEST} HTTP/1.1", "Host: x", f"Content-Length: {len(CONTENTS)}"]
    head.append(f"Authorization: {world.admin.headers['Authorization']}")
    writer.write("\r\n".join([*head, "", ""]).encode() + CONTENTS[: len(CONTENTS) // 2])
    await writer.drain()
    await until(lambda: len(files_below(world.data / "blobs" / "incoming")) == 1)


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 (of a folder nobody tells)
            await asyncio.sleep(0.01)


async def test_an_upload_that_breaks_off_leaves_nothing_and_can_be_sent_again(world: World) -> None:
    async with world.raw_connection() as (_, writer):
        await begin_upload(world, writer)
    await until(lambda: files_below(world.data / "blobs") == [])
    reply = await world.admin.post("blobs/missing", {"blobs": [{"sha256": DIGEST}]})
    assert reply.json() == {"missing": [DIGEST]}
    assert (await world.admin.call("PUT", f"blobs/{DIGEST}", data=CONTENTS)).status == 201


async def test_an_upload_that_stalls_holds_up_no_other_of_the_same_file(world: World) -> None:
    async with world.raw_connection() as (reader, writer):
        await begin_upload(world, writer)
        assert (await world.admin.call("PUT", f"blobs/{DIGEST}", data=CONTENTS)).status == 201
        writer.write(CONTENTS[len(CONTENTS) // 2 :])
        async with asyncio.timeout(DEADLINE_S):
            assert (await reader.readline()).split()[1] in (b"200", b"201")
    assert files_below(world.data / "blobs") == [DIGEST]


async def test_what_a_killed_server_left_half_way_is_removed_at_its_next_start(tmp_path: Path) -> None:
    async with server_world(tmp_path) as world:
        await world.upload(CONTENTS)
    (tmp_path / "blobs" / "incoming" / "half").write_bytes(b"half")
    async with server_world(tmp_path) as world:
        assert files_below(tmp_path / "blobs") == [DIGEST]
        assert (await world.admin.call("GET", f"blobs/{DIGEST}")).body == CONTENTS


async def test_only_the_servers_user_can_read_what_is_kept(world: World) -> None:
    await world.upload(CONTENTS)
    file = world.data / "blobs" / DIGEST[:2] / DIGEST
    assert file.stat().st_mode & 0o377 == 0


async def test_people_need_a_credential_for_files(world: World) -> None:
    await world.upload(CONTENTS)
    nobody: Caller = world.nobody
    for method, path in (("GET", f"blobs/{DIGEST}"), ("PUT", f"blobs/{ABSENT}"), ("POST", "blobs/missing")):
        assert (await nobody.call(method, path)).problem == (401, "not-signed-in")
