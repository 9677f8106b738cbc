"""Section 6.7: POST task/ID."""

from flamenco_cli.conformance.check import Needs, check
from flamenco_cli.conformance.peer import JSON_TYPE
from flamenco_cli.conformance.visit import Visit, an_unknown_id

LONG_LOG = "x" * 79 + "\n"


@check(
    "6.7",
    asked="POST task/ID of a task that there is not",
    expected="404",
    mend="Answer 404 for tasks that there are not.",
)
async def _an_unknown_task_is_404(visit: Visit) -> None:
    visitor = await visit.signed_on()
    answer = await visitor.call("POST", f"task/{an_unknown_id()}", document={"log": "x"}, what="POST task/ID")
    answer.must_be(404)


@check(
    "6.7",
    asked="POST task/ID with an id that is no UUID; with keys of wrong types; with an unknown taskStatus",
    expected="400 each time",
    mend="Refuse ids and bodies that break the schema.",
)
async def _bad_updates_are_400(visit: Visit) -> None:
    visitor = await visit.signed_on()
    (await visitor.call("POST", "task/nonsense", document={"log": "x"})).must_be(400)
    path = f"task/{an_unknown_id()}"
    for document in ({"log": 1}, {"activity": ["x"]}, {"steps_completed": "3"}, {"taskStatus": "dancing"}):
        (await visitor.call("POST", path, document=document, what=f"POST task/ID {document}")).must_be(400)
    (await visitor.call("POST", path, data=b"", content_type=JSON_TYPE, what="POST task/ID, empty")).must_be(400)


@check(
    "6.7",
    asked="POST task/ID as a Worker that the task was not given to; once with taskStatus soft-failed",
    expected="409 both times: whose task it is is looked at before what is said",
    mend="Answer 409 when the task is assigned to nobody or to another Worker.",
    needs=Needs.TASK,
)
async def _another_workers_task_is_409(visit: Visit) -> None:
    first, second = await visit.awake("one"), await visit.awake("two")
    task = await visit.task(first)
    (await second.update(task, activity="mine")).must_be(409)
    (await second.update(task, taskStatus="soft-failed")).must_be(409)


@check(
    "6.7",
    asked="POST task/ID with taskStatus soft-failed",
    expected="400",
    mend="Refuse soft-failed: only the Manager decides between soft and hard.",
    needs=Needs.TASK,
)
async def _workers_cannot_say_soft_failed(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    (await visitor.update(task, taskStatus="soft-failed")).must_be(400)
    (await visitor.may_i_run(task)).must_be(200).must_have(mayKeepRunning=True)


@check(
    "6.7",
    asked="activity, a log with and without a newline, steps: each alone, each twice",
    expected="204 each time",
    mend="Take any part of an update alone, and any number of identical updates.",
    needs=Needs.TASK,
)
async def _updates_may_be_partial_and_repeated(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    for said in (
        {"taskStatus": "active"},
        {"activity": "Started"},
        {"log": "a line\n"},
        {"log": "no newline"},
        {"log": ""},
        {"steps_completed": 1},
    ):
        for _ in range(2):
            (await visitor.update(task, **said)).must_be(204).must_be_empty()


@check(
    "6.7",
    asked="steps_completed of 10^15, of 0 and of -1",
    expected="204 each time",
    mend="Cut steps to the task's steps_total; refuse no integer of 64 bits (stresser sends nanoseconds).",
    needs=Needs.TASK,
)
async def _steps_are_cut_not_refused(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    for steps in (10**15, 0, -1):
        (await visitor.update(task, steps_completed=steps)).must_be(204)


@check(
    "6.7",
    asked="a log of 1 MB in one update",
    expected="204",
    mend="Take long logs: a 4xx or 5xx to a log update fails the task on a Flamenco 3 Worker.",
    needs=Needs.TASK,
)
async def _long_logs_are_taken(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    (await visitor.update(task, log=LONG_LOG * (10**6 // len(LONG_LOG)))).must_be(204)


@check(
    "6.7",
    asked="taskStatus active, then completed, then POST task",
    expected="204, 204, then another task or 204",
    mend="Apply what a Worker says of its task; what is completed is not handed out again.",
    needs=Needs.TASK,
)
async def _a_completed_task_is_over(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    (await visitor.update(task, taskStatus="active")).must_be(204)
    (await visitor.update(task, taskStatus="completed", activity="Completed")).must_be(204)
    visitor.held.clear()
    answer = (await visitor.ask()).must_be(200, 204)
    if answer.status == 200 and answer.members().get("uuid") == task.id:
        raise answer.differs("which is completed")
