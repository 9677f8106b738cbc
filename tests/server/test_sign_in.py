"""Signing in: one-time links, sessions, tokens; and that nothing on disk gives a secret away."""

import asyncio
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from server_world import Caller, Reply, TestTime, World, server_world
from site_manager import added
from yarl import URL

from flamenco_server.connection_file import read_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def a_link(world: World) -> str:
    """Make a sign-in link; returns its path."""
    reply = await world.admin.post("sign-in-links")
    assert reply.status == 201
    url = URL(reply.json()["url"])
    assert str(url.origin()) == world.url
    return url.path


def browser(world: World, session: str) -> Caller:
    return world.with_headers(Cookie=f"flamenco_session={session}", Origin=world.url)


async def is_signed_in(world: World, session: str) -> bool:
    return (await browser(world, session).call("GET", "me")).status == 200


class TestLink:
    async def test_a_link_signs_in_once(self, world: World) -> None:
        link = await a_link(world)
        first, second = [await world.nobody.call("GET", link) for _ in range(2)]
        assert (first.status, first.headers["Location"]) == (303, "/")
        assert second.problem == (401, "unknown-sign-in-link")
        assert "flamenco open" in second.json()["detail"]
        assert "Set-Cookie" not in second.headers

    async def test_a_person_whose_link_was_used_sees_a_page_that_says_so(self, world: World) -> None:
        link, person = await a_link(world), world.with_headers(Accept="text/html,*/*")
        assert (await person.call("GET", link)).status == 303
        again = await person.call("GET", link)
        assert (again.status, again.headers["Location"], "Set-Cookie" in again.headers) == (303, "/?link=used", False)
        page = await person.call("GET", "/?link=used")
        assert (page.status, "was used already" in page.body.decode()) == (401, True)
        assert "was used already" not in (await person.call("GET", "/")).body.decode()

    async def test_of_many_that_open_a_link_at_once_one_is_signed_in(self, world: World) -> None:
        link = await a_link(world)
        replies = await asyncio.gather(*(world.nobody.call("GET", link) for _ in range(8)))
        assert sorted(reply.status for reply in replies) == [303] + [401] * 7

    async def test_a_link_lives_ten_minutes(self, world: World) -> None:
        in_time, late = await a_link(world), await a_link(world)
        reply = await world.admin.post("sign-in-links")
        assert reply.json()["expires_at"] == "2026-01-31T12:10:00.000Z"
        world.time.passed_s = 599
        assert (await world.nobody.call("GET", in_time)).status == 303
        world.time.passed_s = 600
        assert (await world.nobody.call("GET", late)).problem == (401, "unknown-sign-in-link")

    async def test_looking_whether_a_link_is_there_does_not_use_it_up(self, world: World) -> None:
        link = await a_link(world)
        assert (await world.nobody.call("HEAD", link)).status in (401, 405)
        assert (await world.nobody.call("GET", link)).status == 303

    @pytest.mark.parametrize("code", ["nonsense", "%00", "a" * 5000, "%2e%2e"])
    async def test_an_invented_link_signs_nobody_in(self, shared: World, code: str) -> None:
        reply = await shared.nobody.call("GET", f"/sign-in/{code}")
        assert reply.problem == (401, "unknown-sign-in-link")

    async def test_no_other_secret_is_a_link(self, world: World) -> None:
        for secret in (world.token, await world.signed_in(), (await added(world)).token):
            assert (await world.nobody.call("GET", f"/sign-in/{secret}")).status == 401

    async def test_no_two_links_are_the_same(self, world: World) -> None:
        assert len({await a_link(world) for _ in range(10)}) == 10


class TestSession:
    async def test_the_cookie_is_kept_from_scripts_and_from_other_sites(self, world: World) -> None:
        reply = await world.nobody.call("GET", await a_link(world))
        (cookie,) = SimpleCookie(reply.headers["Set-Cookie"]).values()
        assert cookie.key == "flamenco_session"
        assert cookie["httponly"] is True
        assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Lax", "/", "")
        assert cookie["max-age"] == str(30 * 24 * 3600)
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert cookie.value not in reply.headers["Location"]
        assert world.token not in str(reply.headers)

    async def test_a_session_opens_pages_and_calls(self, world: World) -> None:
        visitor = browser(world, await world.signed_in())
        assert await visitor.get("me") == {"name": "admin", "role": "admin"}
        page = await visitor.call("GET", "/jobs")
        assert (page.status, b"No jobs yet" in page.body) == (200, True)

    async def test_a_session_lives_thirty_days(self, world: World) -> None:
        session = await world.signed_in()
        world.time.passed_s = 30 * 24 * 3600 - 1
        assert await is_signed_in(world, session)
        world.time.passed_s += 1
        assert not await is_signed_in(world, session)

    async def test_signing_out_ends_this_session_at_once_and_no_other(self, world: World) -> None:
        session, other = await world.signed_in(), await world.signed_in()
        reply = await browser(world, session).post("sign-out")
        assert reply.status == 204
        (cookie,) = SimpleCookie(reply.headers["Set-Cookie"]).values()
        assert (cookie.value, cookie["max-age"]) == ("", "0")
        assert not await is_signed_in(world, session)
        assert await is_signed_in(world, other)

    async def test_a_session_survives_a_restart(self, tmp_path: Path) -> None:
        async with server_world(tmp_path) as world:
            session = await world.signed_in()
        async with server_world(tmp_path) as world:
            assert await is_signed_in(world, session)


class TestToken:
    async def test_the_first_start_makes_one_that_only_the_servers_user_can_read(self, world: World) -> None:
        file = world.data / "connection.json"
        assert file.stat().st_mode & 0o777 == 0o600
        assert [path.name for path in world.data.iterdir() if path.name.startswith(".connection")] == []
        assert await world.admin.get("me") == {"name": "admin", "role": "admin"}

    async def test_it_stays_the_same_from_one_start_to_the_next(self, tmp_path: Path) -> None:
        tokens = []
        for _ in range(2):
            async with server_world(tmp_path) as world:
                tokens.append(world.token)
        assert tokens[0] == tokens[1]

    @pytest.mark.parametrize("damage", ["gone", "not JSON", "[]", '{"url": "http://127.0.0.1:1", "token": "forged"}'])
    async def test_a_token_that_was_lost_is_replaced_and_opens_nothing_any_more(
        self, tmp_path: Path, damage: str
    ) -> None:
        async with server_world(tmp_path) as world:
            lost = world.token
            session = await world.signed_in()
        if damage == "gone":
            (tmp_path / "connection.json").unlink()
        else:
            (tmp_path / "connection.json").write_text(damage)
        async with server_world(tmp_path) as world:
            assert world.token not in (lost, "forged")
            assert await world.admin.get("me") == {"name": "admin", "role": "admin"}
            for opens_nothing in (lost, "forged"):
                caller = world.with_headers(Authorization=f"Bearer {opens_nothing}")
                assert (await caller.call("GET", "me")).problem == (401, "not-signed-in")
            assert await is_signed_in(world, session)

    async def test_the_scheme_is_written_as_one_likes(self, shared: World) -> None:
        for scheme in ("bearer", "BEARER"):
            assert await shared.with_headers(Authorization=f"{scheme} {shared.token}").get("me")


async def test_what_is_stored_gives_no_secret_away(tmp_path: Path) -> None:
    time = TestTime()
    async with server_world(tmp_path, time) as world:
        link = await a_link(world)
        secrets = [await world.signed_in(), link.rpartition("/")[2], (await added(world)).token, world.token]
        unused: list[Reply] = [await world.nobody.call("GET", f"/sign-in/{secret}x") for secret in secrets]
        assert {reply.status for reply in unused} == {401}
    connection = tmp_path / "connection.json"
    found = read_connection(tmp_path)
    assert found is not None
    for file in tmp_path.rglob("*"):
        if file.is_file() and file != connection:
            contents = await asyncio.to_thread(file.read_bytes)
            assert not [secret for secret in secrets if secret.encode() in contents], file
    assert (tmp_path / "server.sqlite").stat().st_mode & 0o077 == 0
