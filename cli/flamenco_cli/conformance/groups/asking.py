"""Section 6.6: POST task."""

from flamenco_cli.conformance.check import Needs, check
from flamenco_cli.conformance.peer import Differs
from flamenco_cli.conformance.visit import Visit


@check(
    "6.6",
    asked="POST task while a status is pending; the Worker reports starting, then awake",
    expected="423 with status_requested, both times",
    mend="Answer 423 with the pending status before anything else, whatever the Worker is.",
    needs=Needs.AWAKE,
)
async def _a_pending_status_comes_first(visit: Visit) -> None:
    visitor = await visit.awake()
    (await visitor.become("asleep")).must_be(204)
    (await visitor.sign_off()).must_be(204)
    (await visitor.sign_on()).must_be(200)
    (await visitor.ask()).must_be(423).must_have(status_requested="asleep")
    (await visitor.become("awake")).must_be(204)
    (await visitor.ask()).must_be(423).must_have(status_requested="asleep")


@check(
    "6.6",
    asked="POST task as a Worker that is asleep",
    expected='409 with {"code": 409, "message"}',
    mend="Give tasks to Workers that are awake only; tell others so with 409.",
    needs=Needs.AWAKE,
)
async def _only_awake_workers_get_tasks(visit: Visit) -> None:
    visitor = await visit.awake()
    (await visitor.become("asleep")).must_be(204)
    (await visitor.ask()).must_be(409).must_have(code=409, message=str)


@check(
    "6.6",
    asked="POST task twice",
    expected="the same task again",
    mend="Hand a task that is active and assigned to this Worker to it again, before looking for others.",
    needs=Needs.TASK,
)
async def _an_active_task_is_handed_out_again(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    (await visitor.ask()).must_be(200).must_have(uuid=task.id)


@check(
    "6.6",
    asked="POST task as two Workers",
    expected="two different tasks",
    mend="Assign tasks atomically: selection and may-i-run share one lock.",
    needs=Needs.TASK,
)
async def _two_workers_get_two_tasks(visit: Visit) -> None:
    first, second = await visit.awake("one"), await visit.awake("two")
    tasks = [await visit.task(first), await visit.task(second)]
    if tasks[0].id == tasks[1].id:
        raise Differs(f"both got task {tasks[0].id}")


@check(
    "6.6",
    asked="POST task as a Worker that supports no task type",
    expected="204",
    mend="Hand out tasks only of the types that the Worker said at sign-on.",
    needs=Needs.TASK,
)
async def _tasks_are_of_the_workers_types(visit: Visit) -> None:
    await visit.source.prepare()
    visitor = await visit.awake(supported_task_types=["no-such-type"])
    (await visitor.ask()).must_be(204)


@check(
    "6.6",
    asked="sign-on with task types ' MISC ' and 'Blender', then POST task",
    expected="200: types are trimmed and in lower case",
    mend="Trim the task types of a sign-on and make them lower case.",
    needs=Needs.TASK,
)
async def _task_types_are_trimmed_and_lower_case(visit: Visit) -> None:
    visitor = await visit.awake(supported_task_types=[" MISC ", "Blender"])
    await visit.task(visitor)
