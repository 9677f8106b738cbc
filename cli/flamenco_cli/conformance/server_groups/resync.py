"""POST resync, the last of all: it changes both feeds."""

from collections.abc import Sequence

import orjson

from flamenco_cli.conformance.check import Needs
from flamenco_cli.conformance.guest_manager import REFUSED, GuestManager, must_be_problem
from flamenco_cli.conformance.manager_api import SERVER
from flamenco_cli.conformance.peer import Answer
from flamenco_core.identifiers import new_id
from flamenco_core.wire.manager_api import NO_DIGEST, SERVER_FEED

BOTH = "both sides start new feeds; the Manager says all that it holds"
KNOWN = "what only the Server knows comes back: jobs, their tasks with status and attempt"


async def _begun_anew(guest: GuestManager, jobs: Sequence[str] = ()) -> Answer:
    """Say that our store was lost, and take over what holds from now on. Raises Differs."""
    hello = guest.introduction(last_order=0, last_order_digest=NO_DIGEST, first_report=1)
    hello |= {"previous_report_digest": NO_DIGEST}
    feed = new_id()
    said = {"hello": hello, "next_report": 1, "feed": feed, "epoch": guest.epoch, "highest_attempt": 0}
    answer = await guest.call("POST", "resync", document={**said, "went_back": True, "applied": [], "jobs": list(jobs)})
    new = answer.must_be(200).must_have(
        feed=str, epoch=int, commit=int, attempts_above=int, last_order=int, last_order_digest=str, went_back=True
    )
    guest.feed, guest.server_feed = feed, new["feed"]
    guest.last_order, guest.last_order_digest = new["last_order"], new["last_order_digest"]
    guest.next_report, guest.last_report_digest = 1, NO_DIGEST
    guest.epoch, guest.commits = new["epoch"], new["commit"]
    guest.open_orders.clear()
    return answer


@SERVER.declare(
    "resync",
    says=BOTH,
    asked="POST resync without a hello in it; then as a Manager that lost its store; then hello with the new feeds",
    expected="a 4xx problem; 200 with a new feed, a higher epoch, the order to go on from; 200 with resync false and "
    "next_report 1; the old feeds get 409",
    mend="Agree on new feeds, an epoch above both and numbers that begin anew.",
)
async def _both_sides_begin_anew(guest: GuestManager) -> None:
    await guest.linked()
    must_be_problem(await guest.call("POST", "resync", document={"feed": new_id()}), *REFUSED)
    old_feed, old_epoch = guest.server_feed, guest.epoch
    answer = await _begun_anew(guest)
    if guest.server_feed == old_feed:
        raise answer.differs("with the feed that there was")
    if guest.epoch <= old_epoch:
        raise answer.differs(f"with an epoch that is not above {old_epoch}")
    must_be_problem(await guest.call("GET", "orders?after=0", headers={SERVER_FEED: old_feed or ""}), 409)
    (await guest.say_hello()).must_be(200).must_have(resync=False, next_report=1, next_order=guest.last_order + 1)
    await guest.report()


@SERVER.declare(
    "resync",
    says=KNOWN,
    asked="POST resync, having had a job with a task at attempt 7; then GET resync",
    expected="attempts_above of 1,007 or more; the job, and that task with its attempt, as JSON lines",
    mend="Say what was reported of every job that the Manager does not name.",
    needs=Needs.FARM,
)
async def _what_the_server_knows_comes_back(guest: GuestManager) -> None:
    job = await guest.with_job()
    await guest.report(tasks=[guest.task_state(2, "active", attempt=7)])
    answer = await _begun_anew(guest)
    if answer.members()["attempts_above"] < 1007:
        raise answer.differs("with attempts that do not go on 1,000 above the highest")
    known = (await guest.call("GET", "resync")).must_be(200)
    lines = [orjson.loads(line) for line in known.body.splitlines() if line]
    if job.id not in [one["id"] for line in lines for one in line.get("jobs", [])]:
        raise known.differs(f"without the job {job.id}")
    tasks = {one["id"]: one["attempt"] for line in lines for one in line.get("tasks", [])}
    if tasks.get(guest.tasks[2]["id"]) != 7:
        raise known.differs("without the task that was at attempt 7")
