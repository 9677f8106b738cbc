"""Sections 15.1 to 15.4: what a Worker of ours gets that asks for it."""

import asyncio

from flamenco_cli.conformance.check import Needs, check
from flamenco_cli.conformance.groups.previews import JPEG
from flamenco_cli.conformance.peer import Answer, Differs
from flamenco_cli.conformance.visit import Visit, Visitor
from flamenco_core.identifiers import new_id

FEATURES = ("attempt", "wait", "batch", "frames")
WAIT = {"Prefer": "wait=1"}
LONG_WAIT = {"Prefer": "wait=30"}


@check(
    "15.1",
    asked="POST sign-on with features, then without",
    expected="features of the Manager and its time; then status_requested alone",
    mend="Tell what the Manager can do at sign-on, to Workers that say what they can.",
)
async def _sign_on_tells_features_and_time(visit: Visit) -> None:
    visitor = await visit.visitor()
    (await visitor.sign_on(features=FEATURES)).must_be(200).must_have(features=list, time=str)
    plain = (await visitor.sign_on()).must_be(200)
    if set(plain.members()) != {"status_requested"}:
        raise plain.differs("with more than a Flamenco 3 Worker asked for")


@check(
    "15.1",
    asked="register twice with the same node, slot and secret; then with another secret",
    expected="the same uuid twice; then another one",
    mend="Give a Worker its old record back when node, slot and secret are those of that record.",
)
async def _a_slot_gets_its_record_back(visit: Visit) -> None:
    place = {"node": new_id(), "slot": 3}
    secrets = ("the same", "the same", "another")
    first, second, third = [
        (await visit.register(secret=secret, **place)).must_be(200).must_have(uuid=str)["uuid"] for secret in secrets
    ]
    if first != second:
        raise Differs("another record, though node, slot and secret were the same")
    if third == first:
        raise Differs("the same record, though the secret was another one")


@check(
    "15.2",
    asked="POST task twice",
    expected="attempt, a whole number that rises by one; deadline_seconds",
    mend="Number hand-outs: every 200 of POST task raises the attempt of its task, a re-hand too.",
    needs=Needs.TASK,
)
async def _attempts_are_numbered(visit: Visit) -> None:
    visitor = await _ours(visit)
    task = await visit.task(visitor)
    again = (await visitor.ask()).must_be(200).must_have(uuid=task.id, attempt=int)
    if task.attempt is None or again["attempt"] != task.attempt + 1:
        raise Differs(f"attempt {task.attempt!r}, then {again['attempt']!r}")
    if not isinstance(again.get("deadline_seconds"), int | float):
        raise Differs(f"deadline_seconds is {again.get('deadline_seconds')!r}")


@check(
    "15.2",
    asked="be handed a task twice; say completed of the first attempt",
    expected="409, and the second may run",
    mend="Let only the attempt that holds the task change it.",
    needs=Needs.TASK,
)
async def _an_earlier_attempt_changes_nothing(visit: Visit) -> None:
    visitor = await _ours(visit)
    first, second = await visit.task(visitor), await visit.task(visitor)
    (await visitor.update(first, attempt=first.attempt, seq=1, taskStatus="completed")).must_be(409)
    (await visitor.may_i_run(second)).must_be(200).must_have(mayKeepRunning=True)


@check(
    "15.2",
    asked="updates with seq 3, 1, 3 and 2, with log_at, the last with completed first",
    expected="204 each time: repeats and disorder do no harm",
    mend="Apply status, steps and activity from the highest seq only, and place log text by its offset.",
    needs=Needs.TASK,
)
async def _order_and_repeats_do_not_matter(visit: Visit) -> None:
    visitor = await _ours(visit)
    task = await visit.task(visitor)
    own = {"attempt": task.attempt}
    visitor.held.clear()
    (await visitor.update(task, **own, seq=3, taskStatus="completed", activity="Completed")).must_be(204)
    (await visitor.update(task, **own, seq=1, taskStatus="active", log="one\n", log_at=0)).must_be(204)
    (await visitor.update(task, **own, seq=3, taskStatus="completed", activity="Completed")).must_be(204)
    (await visitor.update(task, **own, seq=2, log="two\n", log_at=4, steps_completed=1)).must_be(204)
    (await visitor.may_i_run(task)).must_be(200).must_have(mayKeepRunning=False)


@check(
    "15.3",
    asked="GET state with Prefer: wait=1 while nothing is wanted",
    expected="204 with Preference-Applied: wait",
    mend="Hold answers back where a Worker allows it, and say so.",
    needs=Needs.AWAKE,
)
async def _answers_may_be_held_back(visit: Visit) -> None:
    visitor = await _ours(visit)
    _must_have_waited((await visitor.state(WAIT)).must_be(204))


@check(
    "15.3",
    asked="POST task with Prefer: wait=30, and again before the answer came",
    expected="204 to the first as soon as the second is there",
    mend="Keep one parked ask per Worker: a newer one ends the older with 204.",
    needs=Needs.AWAKE,
)
async def _a_newer_ask_ends_the_older(visit: Visit) -> None:
    visitor = await visit.awake(supported_task_types=["no-such-type"], features=FEATURES)
    older = asyncio.create_task(visitor.ask(LONG_WAIT))
    newer = asyncio.create_task(visitor.ask(LONG_WAIT))
    try:
        async with asyncio.timeout(20):
            done, _ = await asyncio.wait({older, newer}, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result().must_be(204)
    except TimeoutError as error:
        raise Differs("neither was answered within 20 seconds") from error
    finally:
        await _ended(older, newer)


@check(
    "15.3",
    asked="ask the Worker to sleep while its GET may-i-run waits (Prefer: wait=30)",
    expected="mayKeepRunning false at once, with Preference-Applied: wait",
    mend="Answer a waiting may-i-run as soon as the answer turns to no.",
    needs=Needs.FARM,
)
async def _a_no_ends_the_waiting(visit: Visit) -> None:
    visitor = await _ours(visit)
    task = await visit.task(visitor)
    waiting = asyncio.create_task(visitor.may_i_run(task, LONG_WAIT))
    await visit.source.ask_worker(visitor.id, "asleep", lazy=False)
    answer = (await waiting).must_be(200)
    answer.must_have(mayKeepRunning=False, statusChangeRequested=True)
    _must_have_waited(answer)


@check(
    "15.4",
    asked="POST output-produced?frame=7&layer=, then with frame=-1",
    expected="202, then 400",
    mend="Take the frame that a preview is of, and refuse what is no frame number.",
    needs=Needs.TASK,
)
async def _previews_name_their_frame(visit: Visit) -> None:
    visitor = await _ours(visit)
    task = await visit.task(visitor)
    (await visitor.preview(task.id, JPEG, "image/jpeg", "?frame=7&layer=")).must_be(202).must_be_empty()
    (await visitor.preview(task.id, JPEG, "image/jpeg", "?frame=-1&layer=")).must_be(400)


async def _ours(visit: Visit) -> Visitor:
    return await visit.awake(features=FEATURES)


def _must_have_waited(answer: Answer) -> None:
    if "wait" not in answer.headers.get("Preference-Applied", ""):
        raise answer.differs("without Preference-Applied: wait")


async def _ended(*asks: "asyncio.Task[Answer]") -> None:
    for ask in asks:
        ask.cancel()
    await asyncio.gather(*asks, return_exceptions=True)
