"""Section 5: the life of a Worker, end to end."""

from flamenco_cli.conformance.check import Needs, check
from flamenco_cli.conformance.visit import Visit


@check(
    "5",
    asked="sign-on, state-changed awake, task, state-changed asleep, state, sign-off, in this order",
    expected="200, 204, 200 or 204, 204, 204, 204",
    mend="Follow the life of a Worker of section 5; each call by itself is judged below.",
    needs=Needs.AWAKE,
)
async def _a_whole_life(visit: Visit) -> None:
    visitor = await visit.awake()
    (await visitor.ask()).must_be(200, 204)
    (await visitor.become("asleep")).must_be(204)
    (await visitor.state()).must_be(204)
    (await visitor.sign_off()).must_be(204)


@check(
    "5",
    asked="POST sign-on three times, without signing off",
    expected="200 each time",
    mend="Answer sign-on of a known Worker with 200, always: at anything else it throws its identity away.",
)
async def _sign_on_of_a_known_worker_is_always_200(visit: Visit) -> None:
    visitor = await visit.visitor()
    for _ in range(3):
        (await visitor.sign_on()).must_be(200)


@check(
    "5",
    asked="POST sign-off twice, then sign-on",
    expected="204, 204, 200",
    mend="Let a Worker sign off whatever it is; it may be told so twice when an answer was lost.",
)
async def _sign_off_may_be_repeated(visit: Visit) -> None:
    visitor = await visit.signed_on()
    (await visitor.sign_off()).must_be(204)
    (await visitor.sign_off()).must_be(204)
    (await visitor.sign_on()).must_be(200)


@check(
    "5",
    asked="sign off with a task, sign on, then may-i-run of it",
    expected="the task is not ours any more: mayKeepRunning false",
    mend="Requeue the active tasks of a Worker at its sign-off.",
    needs=Needs.TASK,
)
async def _signing_off_gives_the_task_back(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    (await visitor.sign_off()).must_be(204)
    visitor = await visit.awake()
    (await visitor.may_i_run(task)).must_be(200).must_have(mayKeepRunning=False, statusChangeRequested=False)


@check(
    "5",
    asked="sign-on while a task is held, then task",
    expected="the same task again",
    mend="Do not requeue at sign-on: a Worker that crashed is handed its active task again when it asks.",
    needs=Needs.TASK,
)
async def _signing_on_keeps_the_task(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    (await visitor.sign_on()).must_be(200)
    (await visitor.become("awake")).must_be(204)
    (await visitor.ask()).must_be(200).must_have(uuid=task.id)
