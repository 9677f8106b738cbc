"""Section 15.6: several tasks at once."""

from typing import Any

from flamenco_cli.conformance.check import Needs, check
from flamenco_cli.conformance.peer import Answer
from flamenco_cli.conformance.visit import Visit, Visitor, an_unknown_id
from flamenco_cli.conformance.work import Task

FEATURES = ("attempt", "batch")
AT_ONCE = 4


@check(
    "15.6",
    asked="POST task?max=0, ?max=17, ?max=x",
    expected="400 each time",
    mend="Take a max from 1 to 16.",
    needs=Needs.AWAKE,
)
async def _max_is_from_1_to_16(visit: Visit) -> None:
    visitor = await visit.awake(features=FEATURES)
    for most in ("0", "17", "x"):
        (await visitor.call("POST", f"task?max={most}")).must_be(400).must_have(message=str)


@check(
    "15.6",
    asked=f"POST task?max={AT_ONCE}",
    expected="200 with a task, or with tasks: the first active, each with an attempt",
    mend="Answer with AssignedTask, or with a list of them under tasks, of which only the first runs.",
    needs=Needs.TASK,
)
async def _the_first_of_several_runs(visit: Visit) -> None:
    visitor = await visit.awake(features=FEATURES)
    tasks = await _several(visit, visitor)
    if len(tasks) > AT_ONCE or tasks[0].get("status") != "active":
        raise visit.peer.judged[-1].differs()
    for task in tasks:
        if type(task.get("attempt")) is not int or not task.get("commands"):
            raise visit.peer.judged[-1].differs("with a task that has no attempt or no commands")


@check(
    "15.6",
    asked="POST task/ID/release of the task that runs, of one that there is not, and without an attempt",
    expected="409, 404, 400; the task goes on",
    mend="Let only tasks be given back that were handed out ahead of time.",
    needs=Needs.TASK,
)
async def _only_what_is_ahead_is_given_back(visit: Visit) -> None:
    visitor = await visit.awake(features=FEATURES)
    task = await visit.task(visitor)
    (await _release(visitor, task.id, task.attempt)).must_be(409)
    (await _release(visitor, an_unknown_id(), 1)).must_be(404)
    (await visitor.call("POST", f"task/{task.id}/release", what="POST task/ID/release")).must_be(400)
    (await visitor.may_i_run(task)).must_be(200).must_have(mayKeepRunning=True)


@check(
    "15.6",
    asked="end short tasks until several come at once; give the last one back; say active of it",
    expected="204, then 409 (where only one comes: nothing to give back)",
    mend="Take tasks back that a Worker had ahead of time; their attempt is over then.",
    needs=Needs.TASK,
)
async def _what_was_given_back_is_over(visit: Visit) -> None:
    visitor = await visit.awake(features=FEATURES)
    for _ in range(2):  # so that the Manager knows how long such tasks take
        task = await visit.task(visitor)
        for seq, status in enumerate(("active", "completed"), start=1):
            (await visitor.update(task, attempt=task.attempt, seq=seq, taskStatus=status)).must_be(204)
        visitor.held.clear()
    tasks = [Task(document) for document in await _several(visit, visitor)]
    if len(tasks) > 1:
        last = tasks[-1]
        (await _release(visitor, last.id, last.attempt)).must_be(204).must_be_empty()
        (await visitor.update(last, attempt=last.attempt, seq=1, taskStatus="active")).must_be(409)


async def _several(visit: Visit, visitor: Visitor) -> list[dict[str, Any]]:
    await visit.source.prepare()
    answer = (await visitor.call("POST", f"task?max={AT_ONCE}")).must_be(200)
    members = answer.members()
    tasks = members.get("tasks", [members])
    if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict) for task in tasks):
        raise answer.differs("with tasks that are none")
    visitor.held += [Task(task) for task in tasks]
    return tasks


async def _release(visitor: Visitor, task_id: str, attempt: int | None) -> Answer:
    return await visitor.call("POST", f"task/{task_id}/release?attempt={attempt}", what="POST task/ID/release")
