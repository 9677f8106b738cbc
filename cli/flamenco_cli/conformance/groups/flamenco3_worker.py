"""Section 9: what a Flamenco 3 Worker sends, and must get answered."""

from flamenco_cli.conformance.check import Needs, check
from flamenco_cli.conformance.peer import Differs
from flamenco_cli.conformance.visit import NotJudged, Visit

MANY = 200
RUN = (
    {"activity": "Started", "taskStatus": "active"},
    {"log": "cmd: blender -b\npid=7 > Fra:1"},
    {"activity": "Progress", "steps_completed": 1},
    {"log": "pid=7 > Saved: '/render/000001.png'"},
    {"activity": "Progress", "steps_completed": 2},
)
TRIES = 4


@check(
    "9.2",
    asked="the updates of a run that succeeds, as a Flamenco 3 Worker words them",
    expected="204 each time",
    mend="Take every update of section 9.2: at anything but 204 the Worker loses it, and may fail the task.",
    needs=Needs.TASK,
)
async def _a_run_that_succeeds(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    for said in (*RUN, {"activity": "Completed", "taskStatus": "completed"}):
        (await visitor.update(task, **said)).must_be(204).must_be_empty()
    visitor.held.clear()


@check(
    "9.2",
    asked="the updates of a run that fails",
    expected="204 each time, and the Worker may ask for more",
    mend="Take the report of a failure with its log in one update.",
    needs=Needs.TASK,
)
async def _a_run_that_fails(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    for said in (*RUN[:2], {"activity": "Failed: no", "log": "Failed: no", "taskStatus": "failed"}):
        (await visitor.update(task, **said)).must_be(204).must_be_empty()
    visitor.held.clear()
    (await visitor.may_i_run(task)).must_be(200).must_have(mayKeepRunning=False)
    (await visitor.ask()).must_be(200, 204)


@check(
    "9.3",
    asked=f"{MANY} updates one right after the other",
    expected="204 each time",
    mend="Answer 204 under load too: a Flamenco 3 Worker tries nothing again that got an answer.",
    needs=Needs.TASK,
)
async def _many_updates_are_all_taken(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    (await visitor.update(task, taskStatus="active")).must_be(204)
    for number in range(MANY):
        (await visitor.update(task, log=f"line {number}", steps_completed=number)).must_be(204)


@check(
    "9.3",
    asked="an update of a task that was given to another Worker meanwhile",
    expected="409",
    mend="Tell a Worker with 409 that its task was reassigned: this is how it stops working on it.",
    needs=Needs.TASK,
)
async def _a_reassigned_task_is_409(visit: Visit) -> None:
    first, second = await visit.awake("one"), await visit.awake("two")
    task = await visit.task(first)
    (await first.sign_off()).must_be(204)
    for _ in range(TRIES):
        taken = await visit.task(second)
        if taken.id == task.id:
            (await first.update(task, log="late")).must_be(409)
            return
        await visit.clean_up()
    raise NotJudged("The Manager gave the task to nobody else soon enough.")


@check(
    "9.4",
    asked="the Worker's state changes while it runs a task; it asks for another task",
    expected="no answer but those of section 6.6",
    mend="Let a Worker that dropped its task ask again, whatever became of it.",
    needs=Needs.TASK,
)
async def _an_aborted_task_is_reported_by_nobody(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    (await visitor.update(task, taskStatus="active")).must_be(204)
    (await visitor.become("asleep")).must_be(204)
    visitor.held.clear()
    (await visitor.become("awake")).must_be(204)
    answer = (await visitor.ask()).must_be(200, 204)
    if answer.status == 200 and not answer.members().get("commands"):
        raise Differs("a task without commands was handed out")
