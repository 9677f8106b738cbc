"""The conformance kit for Servers on our own: every check is passed, and every check notices what it is there for."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from server_world import World
from site_manager import added

from flamenco_cli.client import open_client
from flamenco_cli.commands.conformance_servers import judged
from flamenco_cli.conformance.check import Needs, Outcome, Verdict
from flamenco_cli.conformance.farm_people import FarmPeople
from flamenco_cli.conformance.guest_manager import GuestManager
from flamenco_cli.conformance.manager_api import TITLES, server_checks
from flamenco_cli.conformance.peer import open_peer
from flamenco_cli.connection import Connection
from flamenco_server.linking import MOST_PER_ORIGIN
from spoiling_proxy import Given, Spoil, spoiling

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHECKS = server_checks()
BY_NAME = {check.name: check for check in CHECKS}


@asynccontextmanager
async def guest_at(world: World, url: str | None = None) -> AsyncIterator[GuestManager]:
    """Play a Manager that was just added; people call the Server itself."""
    token = (await added(world, f"guest {world.time.passed_s}")).token
    connection = Connection(world.url, world.token)
    async with open_peer(url or world.url) as peer, open_client(connection) as client:
        yield GuestManager(peer, token, FarmPeople(client))


def failed(verdicts: list[Verdict]) -> dict[str, str]:
    return {one.check.name: one.came for one in verdicts if one.outcome is Outcome.FAILED}


async def test_our_server_passes_every_check_and_no_job_is_left(world: World) -> None:
    async with guest_at(world) as guest:
        verdicts = [verdict async for verdict in judged(guest, CHECKS)]
        await guest.leave()
    assert failed(verdicts) == {}
    assert {one.outcome for one in verdicts} == {Outcome.PASSED}
    assert {one.check.section for one in verdicts} == set(TITLES)
    assert {job["status"] for job in (await world.admin.get("jobs"))["jobs"]} == {"canceled"}


async def test_without_people_what_needs_a_job_is_not_judged(world: World) -> None:
    async with guest_at(world) as guest:
        guest.farm = None
        verdicts = [verdict async for verdict in judged(guest, CHECKS)]
    assert failed(verdicts) == {}
    left_out = {one.check.name for one in verdicts if one.outcome is Outcome.NOT_JUDGED}
    assert left_out == {check.name for check in CHECKS if check.needs is Needs.FARM}


async def test_a_manager_with_a_past_is_not_judged_but_told(world: World) -> None:
    async with guest_at(world) as guest:
        await guest.linked()
        await guest.report()
        stranger = GuestManager(guest.peer, guest.token)
        (verdict,) = [one async for one in judged(stranger, [BY_NAME["a-report-creates-no-job"]])]
    assert verdict.outcome is Outcome.NOT_JUDGED
    assert "flamenco server add-manager" in verdict.came


async def test_a_server_that_answers_everything_with_500_passes_nothing(world: World) -> None:
    async with spoiling(world.url, fails_from=1) as proxy, guest_at(world, proxy.url) as guest:
        verdicts = [verdict async for verdict in judged(guest, CHECKS)]
    assert {one.outcome for one in verdicts} == {Outcome.FAILED}
    assert "500" in verdicts[0].came


Changes = Callable[[dict[str, Any]], object]


def of(method: str, path: str, change: Changes, *, status: int | None = None) -> Spoil:
    """Change the JSON of what is answered to calls of this method whose path contains this."""

    def spoil(given: Given) -> Given:
        if given.method != method or path not in given.path or (status is not None and given.status != status):
            return given
        document = orjson.loads(given.body)
        change(document)
        return given.but(body=orjson.dumps(document))

    return spoil


def as_200(path: str, body: bytes = b"{}") -> Spoil:
    """Answer what was refused as if all was well."""
    return lambda given: given.but(status=200, body=body) if path in given.path and given.status >= 400 else given


def as_plain_json(given: Given) -> Given:
    return given.but(headers={"Content-Type": "application/json"}) if given.status >= 400 else given


def another_order(document: dict[str, Any]) -> None:
    """Skip an order: the numbers have a hole."""
    for order in document["orders"]:
        order["order"] += 1


def forget_the_number(document: dict[str, Any]) -> None:
    document["acknowledged"] = 0


def whole_blob(given: Given) -> Given:
    return given.but(status=200) if "blobs/" in given.path and given.status == 206 else given


SPOILED: list[tuple[str, Spoil]] = [
    ("without-a-known-token-nothing-is-answered", as_200("hello")),
    ("errors-are-problem-documents", as_plain_json),
    ("a-link-can-be-asked-for", of("POST", "link", lambda said: said.update(code="1234"))),
    ("a-link-can-be-asked-for", of("POST", "link", lambda said: said.update(poll=f"/poll?code={said['code']}"))),
    ("each-request-has-its-own-code", of("POST", "link", lambda said: said.update(code="BCDF-GHJK"))),
    ("keys-that-cannot-be-used-are-refused", as_200("link")),
    ("only-who-asked-gets-the-token", of("GET", "link/", lambda said: said.update(sealed_token="AAAA"))),
    ("hello-tells-from-where-to-go-on", of("POST", "hello", lambda said: said.pop("next_order"))),
    ("hello-may-be-said-again", of("POST", "hello", lambda said: said.update(next_report=7))),
    ("calls-for-another-store-get-409", as_200("orders", b'{"orders": []}')),
    ("an-order-that-was-never-issued-leads-to-resync", of("POST", "hello", lambda said: said.update(resync=False))),
    ("another-past-is-noticed-by-its-digest", of("POST", "hello", lambda said: said.update(resync=False))),
    ("what-was-not-issued-cannot-be-acknowledged", as_200("orders", b'{"orders": []}')),
    ("a-submitted-job-becomes-an-order", of("GET", "orders", another_order, status=200)),
    ("a-job-that-is-gone-is-404", as_200("jobs")),
    ("a-job-is-defined", of("GET", "jobs/", lambda said: said.update(files=[]), status=200)),
    ("tasks-are-json-lines-in-order", lambda given: given),  # the proxy takes the compression away
    (
        "a-report-is-acknowledged-however-often-it-is-sent",
        of("POST", "reports", lambda said: said.update(acknowledged=0)),
    ),
    ("a-gap-is-refused-with-what-is-expected", of("POST", "reports", lambda said: said.pop("expected", None))),
    ("a-gap-is-refused-with-what-is-expected", as_200("reports")),
    ("a-report-that-follows-another-is-refused", as_200("reports")),
    ("a-report-that-cannot-be-meant-changes-nothing", as_200("reports")),
    ("a-report-creates-no-job", as_200("jobs")),
    ("a-log-has-no-holes", as_200("log")),
    ("thumbnails-are-small-images", as_200("frames")),
    ("a-blob-that-is-not-there-is-404", as_200("blobs")),
    ("a-blob-is-what-its-name-says", lambda given: given.but(body=b"other") if "blobs/" in given.path else given),
    ("a-part-of-a-blob-can-be-had", whole_blob),
    ("both-sides-begin-anew", of("POST", "resync", lambda said: said.update(epoch=1), status=200)),
    ("what-the-server-knows-comes-back", of("POST", "resync", lambda said: said.update(attempts_above=7), status=200)),
]


@pytest.mark.parametrize(("name", "spoil"), SPOILED, ids=[name for name, _ in SPOILED])
async def test_a_server_that_gets_it_wrong_fails(world: World, name: str, spoil: Spoil) -> None:
    async with spoiling(world.url) as proxy, guest_at(world, proxy.url) as guest:
        if BY_NAME[name].needs is Needs.FARM and name not in ("a-job-is-defined", "a-submitted-job-becomes-an-order"):
            await guest.with_job()
        proxy.spoil = spoil
        (verdict,) = [one async for one in judged(guest, [BY_NAME[name]])]
    assert verdict.outcome is Outcome.FAILED, verdict


@dataclass
class Credulous(FarmPeople):
    """People on a Server that believes everything: each state that comes is shown, whatever its number or rev."""

    said: dict[str, Any] = field(default_factory=dict)

    def hears(self, given: Given) -> Given:
        if given.path.endswith("reports"):
            for job in orjson.loads(given.said).get("jobs", []):
                self.said = job
        return given

    async def job(self, job_id: str) -> dict[str, Any]:
        return self.said

    async def log(self, task_id: str, attempt: int) -> bytes:
        return b"first\nfirst\nsecond\n"


@pytest.mark.parametrize(
    "name", ["an-older-rev-changes-nothing", "an-old-number-is-not-applied", "a-log-comes-in-parts"]
)
async def test_a_server_that_applies_things_twice_fails(world: World, name: str) -> None:
    async with spoiling(world.url) as proxy, guest_at(world, proxy.url) as guest:
        assert isinstance(guest.farm, FarmPeople)
        people = guest.farm = Credulous(guest.farm.client)
        proxy.spoil = people.hears
        (verdict,) = [one async for one in judged(guest, [BY_NAME[name]])]
    assert verdict.outcome is Outcome.FAILED, verdict


async def test_every_check_cites_a_sentence_and_says_how_to_mend_it() -> None:
    assert all(check.says and check.asked and check.expected and check.mend for check in CHECKS)
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    spoiled = {name for name, _ in SPOILED}
    twice = {"an-older-rev-changes-nothing", "an-old-number-is-not-applied", "a-log-comes-in-parts"}
    rest = set(BY_NAME) - spoiled - twice
    assert rest == ONLY_BY_500, "checks that nothing but a Server which answers 500 was seen to fail"


ONLY_BY_500 = {
    "an-unknown-request-is-404",
    "a-hello-that-cannot-be-meant-is-refused",
    "reports-that-are-missing-lead-to-resync",
    "without-orders-the-list-is-empty",
    "orders-are-chained-by-their-digest",
    "tasks-go-on-behind-an-index",
    "logs-and-thumbnails-of-nothing-are-404",
}


async def test_a_server_that_takes_no_more_requests_for_links_is_not_judged_for_that(world: World) -> None:
    async with guest_at(world) as guest:
        check = [BY_NAME["a-link-can-be-asked-for"]]
        for _ in range(MOST_PER_ORIGIN):
            assert [one.outcome async for one in judged(guest, check)] == [Outcome.PASSED]
        (verdict,) = [one async for one in judged(guest, check)]
    assert verdict.outcome is Outcome.NOT_JUDGED
    assert "try again in 600 seconds" in verdict.came
