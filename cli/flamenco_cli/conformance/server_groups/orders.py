"""GET orders."""

from flamenco_cli.conformance.check import Needs
from flamenco_cli.conformance.guest_manager import REFUSED, GuestManager, must_be_problem
from flamenco_cli.conformance.manager_api import SERVER
from flamenco_core.wire.manager_api import OrderSchema

POLL = (
    "long poll: the orders after N, oldest first, at most 100, at once if there are any, else after S seconds (≤ 60) "
    "an empty list"
)
ORDER = "An order carries `order` (its number), `id` (a UUID), `asked_by`, `asked_at`"


@SERVER.declare(
    "orders",
    says=POLL,
    asked="GET orders until there are none; then once more with wait=1",
    expected="200 with consecutive orders, then 200 with an empty list",
    mend="Answer with an empty list when the time is over, not with an error or a connection that is cut.",
)
async def _without_orders_the_list_is_empty(guest: GuestManager) -> None:
    await guest.linked()
    while await guest.fetch():
        pass
    answer = (await guest.call("GET", f"orders?after={guest.last_order}&wait=1")).must_be(200)
    if answer.must_have(orders=list)["orders"]:
        raise answer.differs("with orders, where there were none")


@SERVER.declare(
    "orders",
    says="Asking for what is after N acknowledges N",
    asked="GET orders after a number that was never issued; with after=-1; with wait=61",
    expected="409, then a 4xx problem twice",
    mend="Refuse to have acknowledged what was not issued.",
)
async def _what_was_not_issued_cannot_be_acknowledged(guest: GuestManager) -> None:
    await guest.linked()
    must_be_problem(await guest.call("GET", f"orders?after={guest.last_order + 1000}"), 409)
    must_be_problem(await guest.call("GET", "orders?after=-1"), *REFUSED)
    must_be_problem(await guest.call("GET", f"orders?after={guest.last_order}&wait=61"), *REFUSED)


@SERVER.declare(
    "orders",
    says=ORDER,
    asked="GET orders with wait, and a job that is submitted meanwhile; the same again, then after its number",
    expected="job.submit with the next number and every member; the same order again; not again once acknowledged",
    mend="Number orders for each Manager without gaps, and keep what they say.",
    needs=Needs.FARM,
)
async def _a_submitted_job_becomes_an_order(guest: GuestManager) -> None:
    assert guest.farm is not None
    await guest.linked()
    while await guest.fetch():
        pass
    before = guest.last_order
    job = await guest.farm.submit()
    order = await guest.order_of("job.submit", job.id)
    again = (await guest.call("GET", f"orders?after={before}")).must_be(200)
    listed = again.must_have(orders=list)["orders"]
    numbers = [one["order"] for one in listed]
    if numbers != list(range(before + 1, before + 1 + len(numbers))) or order not in listed:
        raise again.differs(f"where order {before + 1} and those after it were due, as they came before")
    OrderSchema().load(order)
    if not order["asked_by"]:
        raise again.differs("with an order that says not who asked")
    after = (await guest.call("GET", f"orders?after={order['order']}")).must_be(200)
    if any(one["id"] == order["id"] for one in after.must_have(orders=list)["orders"]):
        raise after.differs("with an order that was acknowledged")
    await guest.take(job)
    (await guest.say_hello()).must_be(200).must_have(next_order=guest.last_order + 1, resync=False)


@SERVER.declare(
    "orders",
    says="the last order that it applied and its digest",
    asked="POST hello with the right number of the last order, and another digest",
    expected="200 with resync true",
    mend="Keep the digest of each order and all before it: SHA-256 of the one before and the order as sorted JSON.",
    needs=Needs.FARM,
)
async def _orders_are_chained_by_their_digest(guest: GuestManager) -> None:
    await guest.with_job()
    (await guest.say_hello()).must_be(200).must_have(resync=False)
    (await guest.say_hello(last_order_digest="a" * 64)).must_be(200).must_have(resync=True)
