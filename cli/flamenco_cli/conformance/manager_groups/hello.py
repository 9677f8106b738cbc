"""POST hello, the token and the feeds."""

from collections import deque

from flamenco_cli.conformance.host_server import HostServer, order
from flamenco_cli.conformance.manager_api import MANAGER, an_unknown_id
from flamenco_cli.conformance.peer import Differs
from flamenco_cli.conformance.visit import NotJudged


@MANAGER.declare(
    "hello",
    says="at every start and every reconnection",
    asked="nothing: the Manager was started",
    expected="POST hello before any other call, with name, software, platform, feed, and numbers of an empty store",
    mend="Say hello first, and go on from what the answer says.",
)
async def _hello_comes_first(host: HostServer) -> None:
    await host.until(lambda: host.calls, "POST hello")
    first = host.calls[0]
    if first.name != "hello":
        raise Differs(f"{first.method} {first.name} came first")
    host.must_keep("hello")
    said = first.document
    if said.get("last_order", 0) != 0 or said.get("first_report", 1) != 1:
        raise NotJudged("This Manager has a past with a Server: start it with an empty data folder.")


@MANAGER.declare(
    "errors",
    says="Bearer token (its own, from linking)",
    asked="nothing: the calls that came so far",
    expected="Authorization: Bearer with the token, on each",
    mend="Send the token in the header of every call.",
)
async def _every_call_carries_the_token(host: HostServer) -> None:
    await host.until(lambda: host.calls, "any call")
    host.must_keep("token")


@MANAGER.declare(
    "feeds",
    says="Every call carries the feeds of both sides; another feed gets 409, then comes `hello`.",
    asked="409 to the next call for orders; then an order",
    expected="POST hello, and then a result of the order",
    mend="Say hello after a 409, and go on.",
)
async def _after_409_comes_hello(host: HostServer) -> None:
    host.faults["orders"] = deque([409])
    await host.issue(order("conformance.nothing"))
    await host.until(lambda: host.since("hello"), "POST hello after the 409")
    await host.answered(order("conformance.nothing"))
    host.must_keep("hello")


@MANAGER.declare(
    "feeds",
    says="Every call carries the feeds of both sides; another feed gets 409, then comes `hello`.",
    asked="409 to the next report",
    expected="POST hello; the report comes again, the same bytes",
    mend="Keep a report until it is acknowledged, whatever comes between.",
)
async def _a_report_outlives_a_409(host: HostServer) -> None:
    host.faults["reports"] = deque([409])
    await host.answered(order("conformance.nothing"))
    await host.until(lambda: host.since("hello"), "POST hello after the 409")
    host.must_keep("frozen")
    host.must_keep("order-digest")


@MANAGER.declare(
    "feeds",
    says="Every call carries the feeds of both sides; another feed gets 409, then comes `hello`.",
    asked="nothing: the calls that came so far",
    expected="both feeds on every call but hello",
    mend="Send Flamenco-Manager-Feed and Flamenco-Server-Feed with every call.",
)
async def _every_call_carries_both_feeds(host: HostServer) -> None:
    await host.answered(order("job.cancel", job=an_unknown_id()))
    host.must_keep("feeds")
    host.must_keep("order-digest")
