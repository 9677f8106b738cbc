"""Sections 6.4 and 6.5: GET state and POST state-changed."""

from flamenco_cli.conformance.check import Needs, check
from flamenco_cli.conformance.visit import Visit, Visitor


@check(
    "6.4",
    asked="GET state when nothing is requested",
    expected="204",
    mend="Answer 204 when nothing is requested of the Worker.",
    needs=Needs.AWAKE,
)
async def _state_is_204_when_nothing_is_wanted(visit: Visit) -> None:
    visitor = await visit.awake()
    (await visitor.state()).must_be(204).must_be_empty()


@check(
    "6.4",
    asked="GET state while a status is pending (remembered at sign-off)",
    expected="200 with that status_requested",
    mend="Tell a Worker that asks for its state what is pending.",
    needs=Needs.AWAKE,
)
async def _state_tells_what_is_pending(visit: Visit) -> None:
    visitor = await _asked_to_sleep(visit)
    (await visitor.state()).must_be(200).must_have(status_requested="asleep")


@check(
    "6.5",
    asked="state-changed with the pending status, then GET state",
    expected="204, then 204: the request is cleared",
    mend="Clear a pending request when the Worker reports just that status.",
    needs=Needs.AWAKE,
)
async def _reporting_what_was_wanted_clears_it(visit: Visit) -> None:
    visitor = await _asked_to_sleep(visit)
    (await visitor.become("asleep")).must_be(204).must_be_empty()
    (await visitor.state()).must_be(204)


@check(
    "6.5",
    asked="state-changed with another status than the pending one, then GET state",
    expected="204, then 200 with the pending status still",
    mend="Keep a pending request when the Worker reports another status.",
    needs=Needs.AWAKE,
)
async def _reporting_something_else_keeps_it(visit: Visit) -> None:
    visitor = await _asked_to_sleep(visit)
    (await visitor.become("awake")).must_be(204)
    (await visitor.state()).must_be(200).must_have(status_requested="asleep")


@check(
    "6.5",
    asked="state-changed asleep with a task, then may-i-run of it",
    expected="the task is not ours any more: mayKeepRunning false",
    mend="Requeue the active tasks of a Worker that goes from awake to anything else.",
    needs=Needs.TASK,
)
async def _leaving_awake_gives_the_task_back(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    (await visitor.become("asleep")).must_be(204)
    visitor.held.clear()
    (await visitor.may_i_run(task)).must_be(200).must_have(mayKeepRunning=False)


async def _asked_to_sleep(visit: Visit) -> Visitor:
    """Return a Worker with a pending request: it remembers at sign-on that it was asleep."""
    visitor = await visit.awake()
    (await visitor.become("asleep")).must_be(204)
    (await visitor.sign_off()).must_be(204)
    (await visitor.sign_on()).must_be(200)
    return visitor
