"""Who may call what: no route answers without a credential, except those that are listed here on purpose."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from server_world import UNFOUND, Caller, World
from site_manager import SiteManager, linked

from flamenco_server.http.access import MANAGER_ROUTES, OPEN_ROUTES

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKING_FOR_A_LINK = {("POST", "/api/v1/manager/link"), ("GET", "/api/v1/manager/link/{request_id}")}
OPEN_ON_PURPOSE = {("GET", "/healthz"), ("GET", "/sign-in/{code}"), ("GET", "/static/{name}"), *ASKING_FOR_A_LINK}
"""They show nothing of the farm."""
PAGES = {("GET", path) for path in ("/", "/jobs", "/jobs/{job_id}", "/jobs/{job_id}/{tab}", "/link", "/workers")}
"""They tell a visitor without a session how to sign in, and nothing else."""


def routes(world: World) -> Iterator[tuple[str, str]]:
    """Yield the method and the path of every route that there is."""
    for route in world.app.router.routes():
        assert route.resource is not None
        if route.method != "HEAD":  # comes with each GET
            yield route.method, route.resource.canonical


def concrete(path: str) -> str:
    """Fill in what stands in braces."""
    numbers = {"{frame}": "1", "{attempt}": "1", "{sha256}": "0" * 64, "{name}": "none", "{tab}": "tasks"}
    return re.sub(r"\{\w+\}", lambda found: numbers.get(found[0], UNFOUND), path)


async def answers(caller: Caller, method: str, path: str) -> int:
    return (await caller.call(method, concrete(path))).status


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def manager(shared: World) -> SiteManager:
    return await linked(shared)


@pytest.fixture
def everything(shared: World) -> set[tuple[str, str]]:
    found = set(routes(shared))
    assert len(found) > 30
    return found


async def test_the_list_of_open_routes_has_not_grown(everything: set[tuple[str, str]]) -> None:
    assert {path for _, path in OPEN_ON_PURPOSE} == OPEN_ROUTES
    assert everything >= OPEN_ON_PURPOSE | PAGES
    assert all(path.startswith("/api/v1/") for _, path in everything - OPEN_ON_PURPOSE - PAGES)


async def test_nothing_answers_without_a_credential(shared: World, everything: set[tuple[str, str]]) -> None:
    for method, path in everything - OPEN_ON_PURPOSE - PAGES:
        reply = await shared.nobody.call(method, concrete(path))
        assert reply.problem == (401, "not-signed-in"), (method, path)
        assert "flamenco open" in reply.json()["detail"]
        if method == "GET":
            assert await answers(shared.nobody, "HEAD", path) in (401, 405)


@pytest.mark.parametrize(
    "authorization",
    ["Bearer wrong", "Bearer ", "Bearer", "", "Basic Og==", "nonsense", "Bearer \u00e4", "Token {token}", "{token}"],
)
async def test_nothing_answers_to_an_unknown_credential(
    shared: World, everything: set[tuple[str, str]], authorization: str
) -> None:
    caller = shared.with_headers(Authorization=authorization.format(token=shared.token))
    for method, path in everything:
        assert (await caller.call(method, concrete(path))).problem == (401, "not-signed-in"), (method, path)


async def test_nothing_answers_to_an_unknown_session(shared: World, everything: set[tuple[str, str]]) -> None:
    for cookie in ("wrong", "", shared.token):
        caller = shared.with_headers(Cookie=f"flamenco_session={cookie}", Origin=shared.url)
        for method, path in everything - OPEN_ON_PURPOSE - PAGES:
            assert (await caller.call(method, concrete(path))).problem == (401, "not-signed-in"), (method, path)


async def test_what_is_not_a_route_tells_a_stranger_nothing(shared: World) -> None:
    for path in ("/api/v1/nonsense", "/api/v2/jobs", "/nonsense", "/.git/config"):
        assert (await shared.nobody.call("GET", path)).problem == (401, "not-signed-in")
        assert (await shared.admin.call("GET", path)).problem == (404, "not-found")
    reply = await shared.admin.call("DELETE", "jobs")
    assert reply.problem == (405, "method-not-allowed")
    assert set(reply.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}


async def test_pages_tell_a_stranger_how_to_sign_in_and_nothing_else(shared: World) -> None:
    await shared.submit(name="secret film")
    for method, path in PAGES:
        reply = await shared.nobody.call(method, concrete(path))
        assert (reply.status, reply.headers["Content-Type"]) == (401, "text/html; charset=utf-8")
        assert b"flamenco open" in reply.body
        assert b"secret film" not in reply.body


async def test_open_routes_are_open(shared: World) -> None:
    assert (await shared.nobody.call("GET", "/healthz")).json() == {"status": "ok"}
    assert (await shared.nobody.call("GET", "/static/flamenco.css")).status == 200
    assert (await shared.nobody.call("GET", "/static/none")).status == 404


class TestKinds:
    async def test_a_managers_token_opens_its_own_routes_and_no_others(
        self, shared: World, everything: set[tuple[str, str]], manager: SiteManager
    ) -> None:
        for method, path in everything - OPEN_ON_PURPOSE:
            reply = await manager.caller.call(method, concrete(path))
            if path.startswith(MANAGER_ROUTES):
                assert reply.status not in (401, 403), (method, path)
            else:
                assert reply.problem == (403, "wrong-kind-of-caller"), (method, path)

    async def test_a_persons_credentials_open_no_managers_route(
        self, shared: World, everything: set[tuple[str, str]], manager: SiteManager
    ) -> None:
        feeds = {name: value for name, value in manager.caller.headers.items() if name != "Authorization"}
        session = await shared.signed_in()
        browser = shared.with_headers(Cookie=f"flamenco_session={session}", Origin=shared.url)
        managers = {(method, path) for method, path in everything if path.startswith(MANAGER_ROUTES)} - OPEN_ON_PURPOSE
        assert len(managers) >= 8
        for method, path in managers:
            for caller in (shared.admin, browser):
                reply = await caller.call(method, concrete(path), headers=feeds)
                assert reply.problem == (403, "wrong-kind-of-caller"), (method, path)

    async def test_a_managers_token_is_no_session(self, shared: World, manager: SiteManager) -> None:
        caller = shared.with_headers(Cookie=f"flamenco_session={manager.token}")
        assert (await caller.call("GET", "jobs")).problem == (401, "not-signed-in")


class TestOrigin:
    """A page of another site can make a browser send requests with our cookie, but not name our origin."""

    @pytest.mark.parametrize("origin", ["{url}", "{upper}"])
    async def test_our_own_pages_may_change_things(self, shared: World, origin: str) -> None:
        host = urlsplit(shared.url)
        origins = {"url": shared.url, "upper": f"http://{host.netloc.upper()}"}
        caller = shared.with_headers(
            Cookie=f"flamenco_session={await shared.signed_in()}", Origin=origin.format(**origins)
        )
        assert (await caller.post("sign-in-links")).status == 201

    @pytest.mark.parametrize(
        "origin",
        [
            *(None, "", "null", "http://evil.example", "http://127.0.0.1", "http://127.0.0.1:1", "file://", "{netloc}"),
            *("//{netloc}", "http://{netloc}.evil.example", "http://evil.example/{netloc}", "ftp://{netloc}"),
        ],
    )
    async def test_pages_of_others_may_not(self, shared: World, origin: str | None) -> None:
        headers = {"Cookie": f"flamenco_session={await shared.signed_in()}"}
        if origin is not None:
            headers["Origin"] = origin.format(netloc=urlsplit(shared.url).netloc)
        caller = shared.with_headers(**headers)
        before = await shared.admin.get("jobs")
        for path in ("sign-in-links", "sign-out", "jobs", "managers", f"jobs/{UNFOUND}/cancel"):
            assert (await caller.post(path, {"name": "x", "type": "echo-sleep-test"})).problem == (
                403,
                "foreign-origin",
            )
        assert await shared.admin.get("jobs") == before
        assert (await caller.call("GET", "me")).status == 200

    async def test_a_token_needs_no_origin(self, shared: World) -> None:
        assert (await shared.admin.post("sign-in-links", headers={"Origin": "http://evil.example"})).status == 201
