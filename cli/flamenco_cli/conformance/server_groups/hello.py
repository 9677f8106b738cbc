"""POST hello, and the feeds on every other call."""

from flamenco_cli.conformance.guest_manager import HAS_A_PAST, REFUSED, GuestManager, must_be_problem
from flamenco_cli.conformance.manager_api import SERVER
from flamenco_cli.conformance.visit import NotJudged
from flamenco_core.identifiers import new_id
from flamenco_core.wire.manager_api import MANAGER_FEED, SERVER_FEED

REPLY = (
    "the farm's settings for this Manager, the Server's key for upload tokens, the `feed` of the Server's store, "
    "`next_order`, `next_report`, or `resync: true`"
)
FEEDS = "Every call carries the feeds of both sides; another feed gets 409, then comes `hello`."


@SERVER.declare(
    "hello",
    says=REPLY,
    asked="POST hello",
    expected="200 with manager, feed, next_order one above ours, next_report, resync false, settings",
    mend="Answer hello with everything that the Manager goes on from.",
)
async def _hello_tells_from_where_to_go_on(guest: GuestManager) -> None:
    answer = (await guest.say_hello()).must_be(200)
    if answer.must_have(resync=bool)["resync"] and guest.server_feed is None:
        raise NotJudged(HAS_A_PAST)
    said = answer.must_have(
        manager=str,
        feed=str,
        next_order=guest.last_order + 1,
        next_report=guest.next_report,
        resync=False,
        settings=dict,
    )
    guest.server_feed = said["feed"]


@SERVER.declare(
    "hello",
    says="at every start and every reconnection",
    asked="POST hello twice more",
    expected="200 and the same feed and numbers",
    mend="Let a Manager say hello as often as it likes.",
)
async def _hello_may_be_said_again(guest: GuestManager) -> None:
    await guest.linked()
    expected = {"feed": guest.server_feed, "next_report": guest.next_report, "resync": False}
    for _ in range(2):
        (await guest.say_hello()).must_be(200).must_have(**expected)


@SERVER.declare(
    "hello",
    says="the `feed` of its store, the last order that it applied and its digest",
    asked="POST hello with a feed that is no UUID, a digest that is none, a negative number, and no name",
    expected="a 4xx problem each time",
    mend="Refuse a hello that breaks the schema, and change nothing.",
)
async def _a_hello_that_cannot_be_meant_is_refused(guest: GuestManager) -> None:
    for wrong in ({"feed": "mine"}, {"last_order_digest": "x"}, {"last_order": -1}, {"name": None}):
        must_be_problem(await guest.say_hello(**wrong), *REFUSED)


@SERVER.declare(
    "feeds",
    says=FEEDS,
    asked="GET orders, GET jobs/ID and POST reports with another feed of ours, then with another of the Server, then "
    "without any",
    expected="409 each time, and the calls work again after hello",
    mend="Compare both feeds on every call but hello and resync.",
)
async def _calls_for_another_store_get_409(guest: GuestManager) -> None:
    await guest.linked()
    for headers in ({MANAGER_FEED: new_id()}, {SERVER_FEED: new_id()}, {MANAGER_FEED: "", SERVER_FEED: ""}):
        for method, path in (("GET", "orders?after=0"), ("GET", f"jobs/{new_id()}"), ("POST", "reports")):
            document = {"report": 1, "previous": "0" * 64} if method == "POST" else None
            must_be_problem(await guest.call(method, path, headers=headers, document=document), 409)
    (await guest.say_hello()).must_be(200).must_have(resync=False)
    (await guest.call("GET", f"orders?after={guest.last_order}")).must_be(200)


@SERVER.declare(
    "feeds",
    says="the Manager has applied an order that the Server has not issued",
    asked="POST hello with a last order far above what was issued",
    expected="200 with resync true",
    mend="Answer resync: true where the numbers of orders do not fit.",
)
async def _an_order_that_was_never_issued_leads_to_resync(guest: GuestManager) -> None:
    await guest.linked()
    (await guest.say_hello(last_order=guest.last_order + 1000)).must_be(200).must_have(resync=True)


@SERVER.declare(
    "feeds",
    says="the Server expects a report that the Manager no longer has, or has not written yet",
    asked="POST hello with a first report far above the one that the Server expects",
    expected="200 with resync true",
    mend="Answer resync: true where reports are missing between the two.",
)
async def _reports_that_are_missing_lead_to_resync(guest: GuestManager) -> None:
    await guest.linked()
    (await guest.say_hello(first_report=guest.next_report + 1000)).must_be(200).must_have(resync=True)


@SERVER.declare(
    "feeds",
    says="so a store that went back by a copy of its file, without anybody telling it, is noticed",
    asked="POST hello with the right numbers and another digest of the report before; then the right one",
    expected="200 with resync true, then with resync false: asking changed nothing",
    mend="Keep the SHA-256 of the last report that was applied, and compare it.",
)
async def _another_past_is_noticed_by_its_digest(guest: GuestManager) -> None:
    await guest.linked()
    if guest.next_report == 1:
        await guest.report()
    (await guest.say_hello(previous_report_digest="a" * 64)).must_be(200).must_have(resync=True)
    (await guest.say_hello()).must_be(200).must_have(resync=False)
