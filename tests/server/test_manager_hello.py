"""Linking Managers over HTTP: their hello, and calls made with another store in mind."""

from pathlib import Path
from typing import Any

import pytest
from server_world import UNFOUND, TestTime, World, server_world
from site_manager import SiteManager, added, linked

from flamenco_core.identifiers import new_id
from flamenco_core.wire.manager_api import MANAGER_FEED, NO_DIGEST, SERVER_FEED

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_manager_is_added_with_a_token_that_is_shown_once(world: World) -> None:
    manager = await added(world, "site")
    (listed,) = (await world.admin.get("managers"))["managers"]
    assert (listed["id"], listed["name"], listed["last_seen"], listed["away"]) == (manager.id, "site", None, True)
    assert manager.token not in str(listed)
    again = await world.admin.post("managers", {"name": "site"})
    assert again.problem == (409, "manager-name-taken")
    assert len((await world.admin.get("managers"))["managers"]) == 1


@pytest.mark.parametrize("document", [{}, {"name": ""}, {"name": "a\nb"}, {"name": "x" * 201}, {"name": 1}])
async def test_a_managers_name_is_a_line_of_text(shared: World, document: dict[str, Any]) -> None:
    reply = await shared.admin.post("managers", document)
    assert list(reply.json()["errors"]) == ["name"]
    assert (await shared.admin.post("managers", {"name": "x", "token": "mine"})).status == 422
    assert (await shared.admin.get("managers"))["managers"] == []


async def test_a_first_hello_tells_where_both_begin(world: World) -> None:
    manager = await added(world, "site")
    answer = await manager.hello()
    assert answer["manager"] == manager.id
    assert (answer["next_order"], answer["next_report"], answer["resync"]) == (1, 1, False)
    (listed,) = (await world.admin.get("managers"))["managers"]
    assert (listed["software"], listed["platform"], listed["away"]) == ("test 1.0", "linux", False)
    assert listed["last_seen"] == "2026-01-31T12:00:00.000Z"


async def test_a_manager_is_away_once_it_was_not_seen_for_a_minute(world: World) -> None:
    manager = await linked(world)

    async def is_away() -> bool:
        away: bool = (await world.admin.get("managers"))["managers"][0]["away"]
        return away

    world.time.passed_s = 61
    assert await is_away()
    await manager.orders()
    assert not await is_away()
    world.time.passed_s = 122
    assert await is_away()
    await manager.report()
    assert not await is_away()


async def test_both_go_on_where_they_were_after_a_restart_of_the_server(tmp_path: Path) -> None:
    async with server_world(tmp_path) as world:
        manager = await linked(world)
        await world.compiled()
        assert [order["order"] for order in await manager.next_orders()] == [1]
        await manager.report()
        feed = manager.server_feed
    async with server_world(tmp_path) as world:
        manager.world = world
        await manager.orders()  # the Server knows it, and it the Server: no hello is needed
        answer = await manager.hello()
        assert (answer["feed"], answer["next_order"], answer["next_report"]) == (feed, 2, 2)


CALLS = [
    ("GET", "orders"),
    ("POST", "reports"),
    ("GET", f"jobs/{UNFOUND}"),
    ("GET", f"jobs/{UNFOUND}/tasks"),
    ("PUT", f"tasks/{UNFOUND}/attempts/1/log"),
    ("PUT", f"jobs/{UNFOUND}/frames/1"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_trace_31_a_call_made_with_another_store_in_mind_is_refused(
    shared: World, method: str, path: str
) -> None:
    manager = await linked(shared, f"site {new_id()}")
    for wrong in ({MANAGER_FEED: new_id()}, {SERVER_FEED: new_id()}, {MANAGER_FEED: ""}, {SERVER_FEED: "nonsense"}):
        assert (await manager.call(method, path, headers=wrong)).problem == (409, "other-feed")
    bare = shared.with_headers(Authorization=f"Bearer {manager.token}")
    assert (await bare.call(method, f"manager/{path}")).problem == (409, "other-feed")


async def test_a_manager_that_never_said_hello_is_told_to(world: World) -> None:
    manager = await added(world)
    other = await linked(world, "other")
    manager.server_feed = other.server_feed
    assert (await manager.call("GET", "orders")).problem == (409, "other-feed")


async def test_a_misfit_asks_for_a_resync_and_changes_nothing(world: World) -> None:
    manager = await linked(world)
    await world.compiled()
    await manager.next_orders()
    await manager.orders()
    await manager.report()
    for said in ({"feed": new_id()}, {"last_order": 0, "last_order_digest": NO_DIGEST}, {"first_report": 9}):
        reply = await manager.say_hello(software="restored", **said)
        assert reply.json()["resync"] is True
        assert (await world.admin.get("managers"))["managers"][0]["software"] == "test 1.0"
    await manager.orders()  # the store that fits goes on
    assert (await manager.hello())["next_report"] == 2


async def test_a_new_store_of_a_manager_that_had_nothing_to_lose_takes_over(world: World) -> None:
    old = await linked(world)
    new = SiteManager(world, old.id, old.name, old.token)
    await new.hello()
    assert (await old.call("GET", "orders")).problem == (409, "other-feed")
    await world.compiled()
    assert len(await new.next_orders()) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"feed": "nonsense"}, "feed"),
        ({"feed": None}, "feed"),
        ({"last_order": -1}, "last_order"),
        ({"last_order": "1"}, "last_order"),
        ({"last_order_digest": "F" * 64}, "last_order_digest"),
        ({"first_report": 0}, "first_report"),
        ({"software": "x" * 201}, "software"),
    ],
)
async def test_a_bad_hello_is_refused(shared: World, changes: dict[str, Any], field: str) -> None:
    manager = await added(shared, f"site {new_id()}")
    reply = await manager.say_hello(**changes)
    assert reply.problem == (422, "bad-input")
    assert list(reply.json()["errors"]) == [field]


async def test_what_a_newer_manager_says_besides_is_ignored(world: World) -> None:
    manager = await added(world)
    await manager.hello(moon="full", capabilities=["flying"])


async def test_time_is_told_in_utc_with_milliseconds(tmp_path: Path) -> None:
    time = TestTime()
    time.passed_s = 0.25
    async with server_world(tmp_path, time) as world:
        await linked(world)
        assert (await world.admin.get("managers"))["managers"][0]["last_seen"] == "2026-01-31T12:00:00.250Z"
