"""GET orders, and what becomes of them."""

from collections import deque

from flamenco_cli.conformance.host_server import HostServer, order
from flamenco_cli.conformance.manager_api import MANAGER, an_unknown_id
from flamenco_cli.conformance.peer import Differs
from flamenco_core.identifiers import new_id

RESULTS = "`orders` (`[{order, result: done | dropped | expired, why}]`)"
APPLIED_BEFORE = "an order that it has applied before is answered `done`, and not done again"


@MANAGER.declare(
    "orders",
    says="Asking for what is after N acknowledges N",
    asked="three orders of a kind that there is not, at once",
    expected="each is reported as dropped, with why; GET orders asks for what is after the last one",
    mend="Answer orders that cannot be carried out with dropped and a reason, and go on to the next.",
)
async def _unknown_orders_are_dropped_with_why(host: HostServer) -> None:
    results = await host.answered(*(order("conformance.nothing", number=number) for number in range(3)))
    for result in results:
        if result["result"] != "dropped" or not result.get("why"):
            raise Differs(f"the result was {result}")
    await host.until(lambda: host.acknowledged == len(host.orders), f"GET orders?after={len(host.orders)}")
    host.must_keep("orders-query")
    host.must_keep("acknowledged")


@MANAGER.declare(
    "orders",
    says=RESULTS,
    asked="orders about a job, a task and a Worker that there are not; without details; with an id that is none",
    expected="each is reported as dropped, with why",
    mend="Look at what an order names before doing anything.",
)
async def _orders_about_nothing_are_dropped(host: HostServer) -> None:
    results = await host.answered(
        order("job.cancel", job=an_unknown_id()),
        order("task.cancel", task=an_unknown_id()),
        order("worker.approve", worker=an_unknown_id()),
        order("job.cancel"),
        order("job.submit", job="../../etc"),
    )
    for result in results:
        if result["result"] != "dropped" or not result.get("why"):
            raise Differs(f"the result was {result}")


@MANAGER.declare(
    "orders",
    says="where it makes sense only soon (`worker.status` now, `task.log`) `expires`",
    asked="an order that expired in 2020",
    expected="it is reported as expired",
    mend="Look at expires before carrying an order out.",
)
async def _orders_that_come_too_late_are_expired(host: HostServer) -> None:
    late = {**order("job.cancel", job=an_unknown_id()), "expires": "2020-01-01T00:00:00.000Z"}
    (result,) = await host.answered(late)
    if result["result"] != "expired":
        raise Differs(f"the result was {result}")


@MANAGER.declare(
    "orders",
    says=APPLIED_BEFORE,
    asked="job.pause; job.resume; then the very same job.pause (its id) under a new number; then one more order",
    expected="done each time, and the job is not paused again",
    mend="Keep the ids of orders for 30 days, in the same transaction as what they did.",
)
async def _an_order_is_not_done_twice(host: HostServer) -> None:
    job = await host.submitted()
    pause = {**order("job.pause", job=job), "id": new_id()}
    await host.answered(pause)
    await host.until_job(job, "paused")
    await host.answered(order("job.resume", job=job))
    await host.until_job(job, "active")
    results = await host.answered(pause, order("conformance.nothing"))
    if results[0]["result"] != "done":
        raise Differs(f"the order that was applied before was answered with {results[0]}")
    await host.answered(order("job.priority", job=job, priority=60))  # by now it would have been reported
    if host.mirror[job]["status"] == "paused":
        raise Differs("the job was paused again by an order that had been applied before")


@MANAGER.declare(
    "orders",
    says="So N + 1 exists only after N",
    asked="two orders, of which the second comes alone at first",
    expected="it is not acknowledged; GET orders asks again for what is after the one before; both are answered",
    mend="Apply orders in the order of their numbers, and none after a hole.",
)
async def _no_order_is_skipped(host: HostServer) -> None:
    await host.until(lambda: host.acknowledged == len(host.orders), "GET orders after the last one")
    host.early_order = len(host.orders) + 2
    numbers = await host.issue(order("conformance.first"), order("conformance.second"))
    await host.until(lambda: host.early_order is None, "GET orders")
    await host.until(lambda: all(number in host.results for number in numbers), "a result of both orders")
    host.must_keep("order-digest")


@MANAGER.declare(
    "orders",
    says="The Manager opens every connection.",
    asked="503 to the next three calls for orders; then an order",
    expected="GET orders again and again, and a result",
    mend="Try again after errors of 500 and more, with growing pauses.",
)
async def _a_server_that_is_unavailable_is_asked_again(host: HostServer) -> None:
    host.faults["orders"] = deque([503, 503, 503])
    await host.answered(order("conformance.nothing"))
    await host.until(lambda: not host.faults["orders"], "GET orders three times more")
    if host.results[len(host.orders)]["result"] != "dropped":
        raise Differs(f"the result was {host.results[len(host.orders)]}")
