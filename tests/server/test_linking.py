"""Linking a Manager by a code that an admin confirms: over HTTP, against a real Server."""

import asyncio
import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from server_world import UNFOUND, Caller, Reply, TestTime, World, server_world
from site_manager import SiteManager, linked

from flamenco_core.identifiers import new_id
from flamenco_core.wire.linking import CODE_LETTERS, fingerprint
from flamenco_runtime.sealing import KeyPair, NotForUs, link_purpose
from flamenco_server.accounts import Caller as Person
from flamenco_server.accounts import CallerKind, Credential, CredentialKind, digest_of
from flamenco_server.linking import MOST_GUESSES, MOST_PER_ORIGIN
from flamenco_server.stores.sqlite.store import open_store

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRONG = "BBBB-BBBB"


@dataclass
class Asking:
    """A Manager that asks to be linked."""

    world: World
    name: str = "north"
    key: KeyPair = field(default_factory=KeyPair)
    offer: dict[str, Any] = field(default_factory=dict)

    async def ask(self, **changes: Any) -> Reply:
        said = {"name": self.name, "public_key": self.key.public_key, "software": "Flamenco 4", "platform": "linux"}
        return await self.world.nobody.post("manager/link", {**said, **changes})

    async def asked(self) -> "Asking":
        reply = await self.ask()
        assert reply.status == 201, reply
        self.offer = reply.json()
        return self

    @property
    def code(self) -> str:
        code: str = self.offer["code"]
        return code

    async def poll(self, wait: float = 0) -> dict[str, Any]:
        answer: dict[str, Any] = await self.world.nobody.get(f"{self.offer['poll']}?wait={wait}")
        return answer

    async def token(self) -> str:
        """Fetch the token, which must be there."""
        answer = await self.poll()
        assert answer["status"] == "confirmed", answer
        return self.key.opened(answer["sealed_token"], link_purpose(self.offer["id"]))

    async def confirm(self, caller: Caller | None = None, **decided: Any) -> Reply:
        path = f"link-requests/{self.offer['id']}/confirm"
        return await (caller or self.world.admin).post(path, {"code": self.code, **decided})

    async def refuse(self) -> Reply:
        return await self.world.admin.call("POST", f"link-requests/{self.offer['id']}/refuse")


async def look_up(world: World, code: str) -> Reply:
    return await world.admin.post("link-requests/look-up", {"code": code})


async def test_a_manager_is_linked_by_a_code_and_goes_on_with_its_token(world: World) -> None:
    asking = await Asking(world).asked()
    assert re.fullmatch(f"[{CODE_LETTERS}]{{4}}-[{CODE_LETTERS}]{{4}}", asking.code)
    assert (asking.offer["confirm_at"], asking.offer["expires_in_s"]) == ("/link", 600)
    assert await asking.poll() == {"status": "waiting", "why": ""}
    typed = asking.code.lower().replace("-", " ")
    found = (await look_up(world, typed)).json()
    assert found == {
        "id": asking.offer["id"],
        "name": "north",
        "address": "127.0.0.1",
        "software": "Flamenco 4",
        "platform": "linux",
        "key_fingerprint": fingerprint(asking.key.public_key),
        "asked_at": "2026-01-31T12:00:00.000Z",
        "expires_at": "2026-01-31T12:10:00.000Z",
        "taken_by": None,
    }
    reply = await asking.confirm()
    assert reply.status == 200
    manager = SiteManager(world, reply.json()["id"], "north", await asking.token())
    assert (await manager.hello())["manager"] == reply.json()["id"]
    (listed,) = (await world.admin.get("managers"))["managers"]
    assert (listed["name"], listed["away"]) == ("north", False)


async def test_a_poll_that_waits_is_answered_as_soon_as_somebody_decides(world: World) -> None:
    confirmed, refused = await Asking(world, "one").asked(), await Asking(world, "two").asked()
    waiting = [asyncio.create_task(asking.poll(wait=60)) for asking in (confirmed, refused)]
    async with asyncio.timeout(20):
        assert len((await world.admin.get("link-requests"))["link_requests"]) == 2  # the polls came before this
        await confirmed.confirm()
        assert (await refused.refuse()).status == 204
        assert (await waiting[0])["status"] == "confirmed"
        answer = await waiting[1]
    assert (answer["status"], answer["why"]) == ("refused", "A person refused to link this Manager.")
    assert (await refused.confirm()).problem == (404, "wrong-code")


async def test_the_answer_may_be_lost_and_the_server_restarted_until_the_token_is_used(tmp_path: Path) -> None:
    time = TestTime()
    async with server_world(tmp_path, time) as world:
        asking = await Asking(world).asked()
    async with server_world(tmp_path, time) as world:
        asking.world = world
        manager_id = (await asking.confirm()).json()["id"]
        lost = await asking.token()
    async with server_world(tmp_path, time) as world:
        asking.world = world
        assert await asking.token() == lost
        await SiteManager(world, manager_id, "north", lost).hello()
        reply = await world.nobody.call("GET", asking.offer["poll"])
        assert reply.problem == (404, "no-such-link-request")


async def test_only_who_asked_can_open_the_token_and_nothing_stored_tells_it(tmp_path: Path) -> None:
    async with server_world(tmp_path) as world:
        asking = await Asking(world).asked()
        other = await Asking(world, "other").asked()
        await asking.confirm()
        answer = await asking.poll()
        for key, request in ((other.key, asking.offer["id"]), (asking.key, other.offer["id"])):
            with pytest.raises(NotForUs):
                key.opened(answer["sealed_token"], link_purpose(request))
        secrets = [await asking.token(), asking.code, asking.code.replace("-", "")]
    for file in tmp_path.rglob("*"):
        contents = await asyncio.to_thread(file.read_bytes) if file.is_file() else b""
        assert not [secret for secret in secrets if secret.encode() in contents], file


async def test_a_code_lives_ten_minutes(world: World) -> None:
    asking = await Asking(world).asked()
    world.time.passed_s = 599
    assert (await look_up(world, asking.code)).status == 200
    world.time.passed_s = 600
    assert (await look_up(world, asking.code)).problem == (404, "wrong-code")
    assert (await asking.confirm()).problem == (404, "wrong-code")
    answer = await asking.poll()
    assert answer["status"] == "ended"
    assert "older than 10 minutes" in answer["why"]
    assert (await world.admin.get("managers")) == {"managers": []}


async def test_five_wrong_guesses_end_the_codes_that_are_open_and_no_later_one(world: World) -> None:
    asking = await Asking(world).asked()
    other = await Asking(world, "other").asked()
    waiting = asyncio.create_task(other.poll(wait=60))
    told = [(await look_up(world, WRONG)).json()["detail"] for _ in range(MOST_GUESSES - 1)]
    assert "After 4 more wrong codes, all open ones end" in told[0]
    assert "After 1 more wrong code" in told[-1]
    assert (await look_up(world, asking.code)).status == 200
    reply = await world.admin.post(f"link-requests/{asking.offer['id']}/confirm", {"code": WRONG})
    assert reply.problem == (404, "wrong-code")
    assert "all open codes ended" in reply.json()["detail"]
    async with asyncio.timeout(20):
        assert (await waiting)["status"] == "ended"
    assert (await asking.confirm()).problem == (404, "wrong-code")
    assert (await world.admin.get("managers")) == {"managers": []}
    later = await Asking(world).asked()
    assert (await later.confirm()).status == 200


@pytest.mark.parametrize("typed", ["", "BCDF", "AAAA-AAAA", "BCDF-GHJ1", "BCDFGHJKL", "ＢCDF-GHJK", "x" * 100])
async def test_what_cannot_be_a_code_is_refused_and_is_no_guess(world: World, typed: str) -> None:
    asking = await Asking(world).asked()
    for _ in range(MOST_GUESSES + 1):
        reply = await look_up(world, typed)
        assert reply.status == 422
        assert "code" in reply.json()["errors"]
    assert (await asking.confirm()).status == 200


async def test_a_confirmation_is_for_the_request_that_was_seen(world: World) -> None:
    seen, other = await Asking(world, "seen").asked(), await Asking(world, "other").asked()
    for path in (f"link-requests/{seen.offer['id']}/confirm", f"link-requests/{UNFOUND}/confirm"):
        assert (await world.admin.post(path, {"code": other.code})).problem == (404, "no-such-link-request")
    assert (await world.admin.get("managers")) == {"managers": []}


async def test_a_name_that_is_taken_is_told_before_and_another_may_be_chosen(world: World) -> None:
    manager = await linked(world, "north")
    asking = await Asking(world).asked()
    taken_by = (await look_up(world, asking.code)).json()["taken_by"]
    assert (taken_by["id"], taken_by["away"]) == (manager.id, False)
    assert (await asking.confirm()).problem == (409, "manager-name-taken")
    assert (await asking.confirm(name="south")).json()["name"] == "south"
    answer = await asking.poll()
    assert answer["name"] == "south"
    assert (await manager.hello())["manager"] == manager.id


async def test_a_manager_whose_token_was_lost_is_linked_again_once_it_is_away(world: World) -> None:
    manager = await linked(world, "north")
    asking = await Asking(world).asked()
    assert (await asking.confirm(relink=manager.id)).problem == (409, "manager-runs")
    assert (await asking.poll())["status"] == "waiting"
    world.time.passed_s = 61
    assert (await asking.confirm(relink=manager.id)).json() == {"id": manager.id, "name": "north"}
    assert (await manager.say_hello()).problem == (401, "not-signed-in")
    manager.token = await asking.token()
    assert (await manager.hello())["manager"] == manager.id
    assert (await asking.confirm(relink=UNFOUND)).status == 404


async def test_only_admins_decide(world: World) -> None:
    asking = await Asking(world).asked()
    async with open_store(world.data, lambda _: None) as store:
        now = world.time.wall()
        person = await store.accounts.ensure_account(Person(CallerKind.PERSON, new_id(), "ada", "artist"), now)
        await store.accounts.add_credential(Credential(digest_of("hers"), CredentialKind.TOKEN, person.id), now)
    ada = world.with_headers(Authorization="Bearer hers")
    for method, path in (
        ("GET", "link-requests"),
        ("POST", "link-requests/look-up"),
        ("POST", f"link-requests/{asking.offer['id']}/confirm"),
        ("POST", f"link-requests/{asking.offer['id']}/refuse"),
        ("POST", "managers"),
    ):
        reply = await ada.call(method, path, json={"code": asking.code})
        assert reply.problem == (403, "admins-only"), path
        assert "ada is none" in reply.json()["detail"]
    assert (await asking.poll())["status"] == "waiting"


async def test_who_waits_is_listed_without_codes(world: World) -> None:
    first = await Asking(world, "first").asked()
    world.time.passed_s = 1
    second = await Asking(world, "second").asked()
    reply = await world.admin.call("GET", "link-requests")
    assert [one["name"] for one in reply.json()["link_requests"]] == ["first", "second"]
    for secret in (first.code, second.code, digest_of(first.code.replace("-", ""))):
        assert secret.encode() not in reply.body
    await first.confirm()
    await second.refuse()
    assert (await world.admin.get("link-requests")) == {"link_requests": []}


@pytest.mark.parametrize(
    ("said", "field_name"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": 7}, "name"),
        ({"public_key": ""}, "public_key"),
        ({"public_key": "not base64!"}, "public_key"),
        ({"public_key": base64.b64encode(bytes(31)).decode()}, "public_key"),
        ({"public_key": base64.b64encode(bytes(32)).decode()}, "public_key"),
        ({"public_key": base64.b64encode(b"\x01" + bytes(31)).decode()}, "public_key"),
        ({"software": "a\x1bb"}, "software"),
        ({"platform": ["linux"]}, "platform"),
    ],
)
async def test_a_wish_that_cannot_be_meant_names_the_field_and_is_not_kept(
    world: World, said: dict[str, Any], field_name: str
) -> None:
    reply = await Asking(world).ask(**said)
    assert reply.status == 422
    assert list(reply.json()["errors"]) == [field_name]
    assert (await world.admin.get("link-requests")) == {"link_requests": []}


async def test_a_large_wish_is_refused(world: World) -> None:
    assert (await Asking(world).ask(extra="x" * 5000)).problem == (413, "too-large")


async def test_one_address_asks_so_often_and_is_told_when_to_come_again(world: World) -> None:
    for _ in range(MOST_PER_ORIGIN):
        await Asking(world).asked()
    world.time.passed_s = 100
    reply = await Asking(world).ask()
    assert reply.problem == (429, "too-many-link-requests")
    assert reply.headers["Retry-After"] == "500"
    world.time.passed_s = 600
    await Asking(world).asked()


@pytest.mark.parametrize("path", [f"manager/link/{UNFOUND}", "manager/link/nonsense", "manager/link/%00"])
async def test_a_request_that_never_was_is_404_for_anybody(world: World, path: str) -> None:
    reply = await world.nobody.call("GET", f"{path}?wait=60")
    assert reply.status == 404
    assert reply.json()["type"] in ("no-such-link-request", "not-found")


async def test_a_poll_is_not_cached_and_its_wait_is_limited(world: World) -> None:
    asking = await Asking(world).asked()
    reply = await world.nobody.call("GET", asking.offer["poll"])
    assert reply.headers["Cache-Control"] == "no-store"
    for wait in ("61", "-1", "nan", "x"):
        assert (await world.nobody.call("GET", f"{asking.offer['poll']}?wait={wait}")).status == 422
