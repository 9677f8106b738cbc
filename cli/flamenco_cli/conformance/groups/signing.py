"""Sections 6.2 and 6.3: POST sign-on and POST sign-off."""

from flamenco_cli.conformance.check import Needs, check
from flamenco_cli.conformance.visit import Visit


@check(
    "6.2",
    asked="POST sign-on of a Worker of which nothing is requested",
    expected="200 with status_requested awake",
    mend="Send a Worker to awake unless something else is requested, or its sleep schedule says asleep.",
    needs=Needs.AWAKE,
)
async def _a_worker_is_sent_to_awake(visit: Visit) -> None:
    visitor = await visit.awake()
    (await visitor.sign_on()).must_be(200).must_have(status_requested="awake")


@check(
    "6.2",
    asked="state-changed asleep, sign-off, then sign-on twice",
    expected="200 with status_requested asleep, both times",
    mend="Keep a pending request at sign-on; only the Worker's state-changed clears it.",
    needs=Needs.AWAKE,
)
async def _sign_on_keeps_what_is_pending(visit: Visit) -> None:
    visitor = await visit.awake()
    (await visitor.become("asleep")).must_be(204)
    (await visitor.sign_off()).must_be(204)
    for _ in range(2):
        (await visitor.sign_on()).must_be(200).must_have(status_requested="asleep")


@check(
    "6.3",
    asked="state-changed asleep, sign-off, sign-on; then the same with awake",
    expected="status_requested asleep, then awake",
    mend="Remember at sign-off whether a Worker was awake or asleep, and return it to that at its next sign-on.",
    needs=Needs.AWAKE,
)
async def _sign_off_remembers_the_status(visit: Visit) -> None:
    visitor = await visit.awake()
    for status in ("asleep", "awake"):
        (await visitor.become(status)).must_be(204)
        (await visitor.sign_off()).must_be(204)
        (await visitor.sign_on()).must_be(200).must_have(status_requested=status)
        (await visitor.become(status)).must_be(204)


@check(
    "6.3",
    asked="ask a Worker to shut down; state, sign-off, sign-on",
    expected="200 offline; then anything but offline at sign-on",
    mend="Clear a request for offline or restart at sign-off: it is fulfilled.",
    needs=Needs.FARM,
)
async def _sign_off_fulfils_a_shutdown(visit: Visit) -> None:
    visitor = await visit.awake()
    await visit.source.ask_worker(visitor.id, "offline", lazy=False)
    await visit.until_wanted(visitor, "offline")
    (await visitor.sign_off()).must_be(204)
    answer = (await visitor.sign_on()).must_be(200)
    if answer.must_have(status_requested=str)["status_requested"] == "offline":
        raise answer.differs("still")
