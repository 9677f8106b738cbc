"""Section 6.8: GET may-i-run."""

from flamenco_cli.conformance.check import Needs, check
from flamenco_cli.conformance.peer import Answer, Differs
from flamenco_cli.conformance.visit import Visit, an_unknown_id


@check(
    "6.8",
    asked="GET may-i-run of a task that there is not",
    expected="200 with mayKeepRunning false, statusChangeRequested false and a reason",
    mend="Say no about tasks that there are not, and why.",
)
async def _an_unknown_task_may_not_run(visit: Visit) -> None:
    visitor = await visit.signed_on()
    answer = await visitor.call("GET", f"task/{an_unknown_id()}/may-i-run", what="GET task/ID/may-i-run")
    members = answer.must_be(200).must_have(mayKeepRunning=False, statusChangeRequested=False, reason=str)
    if not members["reason"]:
        raise answer.differs("without a reason")


@check(
    "6.8",
    asked="GET may-i-run of the task that the Worker runs",
    expected='200 with mayKeepRunning true, statusChangeRequested false, reason ""',
    mend="Say yes while the task is active and assigned to this Worker.",
    needs=Needs.TASK,
)
async def _the_holder_may_run(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    answer = await visitor.may_i_run(task)
    answer.must_be(200).must_have(mayKeepRunning=True, statusChangeRequested=False, reason="")


@check(
    "6.8",
    asked="GET may-i-run of another Worker's task",
    expected="200 with mayKeepRunning false and statusChangeRequested false",
    mend="Say no to a Worker that the task is not assigned to.",
    needs=Needs.TASK,
)
async def _others_may_not_run_it(visit: Visit) -> None:
    first, second = await visit.awake("one"), await visit.awake("two")
    task = await visit.task(first)
    (await second.may_i_run(task)).must_be(200).must_have(mayKeepRunning=False, statusChangeRequested=False)


@check(
    "6.8",
    asked="GET may-i-run of a task that was completed",
    expected="200 with mayKeepRunning false and a reason",
    mend="Say no when the task is not active any more, and name its status.",
    needs=Needs.TASK,
)
async def _an_ended_task_may_not_run(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    (await visitor.update(task, taskStatus="active")).must_be(204)
    (await visitor.update(task, taskStatus="completed")).must_be(204)
    visitor.held.clear()
    (await visitor.may_i_run(task)).must_be(200).must_have(mayKeepRunning=False, reason=str)


@check(
    "6.8",
    asked="ask the Worker to sleep at once while it runs a task; GET may-i-run",
    expected="200 with mayKeepRunning false and statusChangeRequested true",
    mend="Let an immediate status request stop the task that the Worker runs.",
    needs=Needs.FARM,
)
async def _an_immediate_request_stops_the_task(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    await visit.source.ask_worker(visitor.id, "asleep", lazy=False)
    await visit.until_wanted(visitor, "asleep")
    (await visitor.may_i_run(task)).must_be(200).must_have(mayKeepRunning=False, statusChangeRequested=True)


@check(
    "6.8",
    asked="ask the Worker to sleep after its task; GET may-i-run; then POST task",
    expected="mayKeepRunning true; then 423",
    mend="Let a lazy request wait for the end of the task; no new task is handed out meanwhile.",
    needs=Needs.FARM,
)
async def _a_lazy_request_waits_for_the_task(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    await visit.source.ask_worker(visitor.id, "asleep", lazy=True)
    await visit.until_wanted(visitor, "asleep")
    (await visitor.may_i_run(task)).must_be(200).must_have(mayKeepRunning=True)
    (await visitor.update(task, taskStatus="active")).must_be(204)
    (await visitor.update(task, taskStatus="completed")).must_be(204)
    visitor.held.clear()
    (await visitor.ask()).must_be(423).must_have(status_requested="asleep")


@check(
    "6.8",
    asked="cancel the job while a task of it runs; GET may-i-run, again and again",
    expected="mayKeepRunning turns false",
    mend="Say no about tasks of a job that was cancelled: this is how a Worker learns to stop.",
    needs=Needs.FARM,
)
async def _a_cancelled_task_may_not_run(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    await visit.source.cancel_job()
    visitor.held.clear()
    if not await visit.until(lambda: visitor.may_i_run(task), _says_no):
        raise Differs("it may still run, half a minute after its job was cancelled")


def _says_no(answer: Answer) -> bool:
    return not answer.must_be(200).must_have(mayKeepRunning=bool)["mayKeepRunning"]
