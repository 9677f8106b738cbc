"""Section 15.5: batches of updates."""

from typing import Any

from flamenco_cli.conformance.check import Needs, check
from flamenco_cli.conformance.visit import Visit, an_unknown_id
from flamenco_cli.conformance.work import Task

MOST = 1_000


@check(
    "15.5",
    asked="POST updates: one of our attempt, the same again, one of an earlier attempt, one of no task",
    expected="200 with results applied, repeated, stale, unknown, in this order",
    mend="Answer a batch with what became of each of its updates, in their order.",
    needs=Needs.TASK,
)
async def _a_batch_tells_what_became_of_each(visit: Visit) -> None:
    visitor = await visit.awake(features=("attempt", "batch"))
    earlier, task = await visit.task(visitor), await visit.task(visitor)
    unknown = {"task": an_unknown_id(), "attempt": 1, "seq": 1}
    updates = [_said(task, 1, activity="x"), _said(task, 1, activity="x"), _said(earlier, 9, log="late"), unknown]
    answer = await visitor.call("POST", "updates", document={"updates": updates})
    results = answer.must_be(200).must_have(results=list)["results"]
    expected = [
        {"task": said["task"], "seq": said["seq"], "result": result}
        for said, result in zip(updates, ("applied", "repeated", "stale", "unknown"), strict=True)
    ]
    if results != expected:
        raise answer.differs()


@check(
    "15.5",
    asked=f"POST updates with none, with {MOST:,} and with {MOST + 1:,} updates",
    expected="200, 200, 400",
    mend=f"Take batches of up to {MOST:,} updates.",
)
async def _a_batch_has_at_most_1000_updates(visit: Visit) -> None:
    visitor = await visit.signed_on()
    unknown = {"task": an_unknown_id(), "attempt": 1}
    for number, status in ((0, 200), (MOST, 200), (MOST + 1, 400)):
        document = {"updates": [unknown | {"seq": seq + 1} for seq in range(number)]}
        what = f"POST updates with {number} of them"
        (await visitor.call("POST", "updates", document=document, what=what)).must_be(status)


@check(
    "15.5",
    asked="POST updates of which the second has no seq",
    expected="400 with a message that names updates.1.seq; the first is not applied either",
    mend="Refuse a batch as a whole when one of its updates breaks the schema, and name it.",
    needs=Needs.TASK,
)
async def _a_broken_batch_is_refused_whole(visit: Visit) -> None:
    visitor = await visit.awake(features=("attempt", "batch"))
    task = await visit.task(visitor)
    broken = {"task": task.id, "attempt": task.attempt}
    said = _said(task, 1, taskStatus="completed")
    answer = (await visitor.call("POST", "updates", document={"updates": [said, broken]})).must_be(400)
    if "updates.1.seq" not in answer.must_have(message=str)["message"]:
        raise answer.differs("without naming updates.1.seq")
    (await visitor.may_i_run(task)).must_be(200).must_have(mayKeepRunning=True)


def _said(task: Task, seq: int, **said: Any) -> dict[str, Any]:
    return {"task": task.id, "attempt": task.attempt, "seq": seq, **said}
