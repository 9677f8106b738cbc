"""Section 14: where Flamenco differs from Flamenco 3, on purpose."""

from flamenco_cli.conformance.check import Needs, check
from flamenco_cli.conformance.peer import JSON_TYPE
from flamenco_cli.conformance.visit import NotJudged, Visit, Visitor

MIB = 1024 * 1024
FORWARDED = {"X-Forwarded-For": "192.0.2.1"}
HOSTILE = {
    "NaN": b'{"status": NaN}',
    "invalid UTF-8": b'{"status": "\xff"}',
    "1,000 levels": b'{"status": ' + b"[" * 1000 + b"]" * 1000 + b"}",
    "a lone surrogate": b'{"status": "\\ud800"}',
}
STEPS = {
    "a fraction": b"1.5",
    "400 digits": b"1" * 400,
    "2^63": b"9223372036854775808",
    "a text": b'"1"',
    "true": b"true",
}


@check(
    "14",
    asked="taskStatus queued, paused and canceled",
    expected="400 each time, and the task goes on",
    mend="Let Workers say active, completed and failed only.",
    needs=Needs.TASK,
)
async def _workers_say_three_statuses(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    for status in ("queued", "paused", "canceled"):
        (await visitor.update(task, taskStatus=status)).must_be(400).must_have(message=str)
    (await visitor.may_i_run(task)).must_be(200).must_have(mayKeepRunning=True)


@check(
    "14",
    asked="sign off with a task, then say active and completed of it",
    expected="409 both times",
    mend="Count updates only while the attempt that they are about holds the task.",
    needs=Needs.TASK,
)
async def _late_words_change_nothing(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    (await visitor.sign_off()).must_be(204)
    (await visitor.update(task, taskStatus="active")).must_be(409)
    (await visitor.update(task, taskStatus="completed")).must_be(409)


@check(
    "14",
    asked="say completed twice, then failed",
    expected="204, 204, 409",
    mend="Answer 204 to a repeat of what was applied, 409 to anything else about an attempt that is over.",
    needs=Needs.TASK,
)
async def _repeats_are_harmless(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    (await visitor.update(task, taskStatus="active")).must_be(204)
    visitor.held.clear()
    for _ in range(2):
        (await visitor.update(task, taskStatus="completed")).must_be(204)
    (await visitor.update(task, taskStatus="failed")).must_be(409)


@check(
    "14",
    asked="say completed of a task before having said active of it",
    expected="409: it comes from the queue, about an earlier run",
    mend="Take a result from a Worker that knows no attempts only after its own active.",
    needs=Needs.TASK,
)
async def _a_result_needs_a_beginning(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    (await visitor.update(task, taskStatus="completed")).must_be(409)


@check(
    "14",
    asked="sign off with a task, sign on, ask at once",
    expected="another task or 204: this one is kept from the Worker for a minute",
    mend="Keep a task that left a Worker which knows no attempts from it, until its queue must be empty.",
    needs=Needs.TASK,
)
async def _a_task_that_left_does_not_come_back_at_once(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    (await visitor.update(task, taskStatus="active")).must_be(204)
    (await visitor.sign_off()).must_be(204)
    visitor = await visit.awake()
    answer = (await visitor.ask()).must_be(200, 204)
    if answer.status == 200 and answer.members().get("uuid") == task.id:
        raise answer.differs("which is the task that it has just left")


@check(
    "14",
    asked="state-changed with NaN, invalid UTF-8, 1,000 levels of nesting, a lone surrogate",
    expected="400 with a message, each time",
    mend="Answer malformed JSON with 400, never with 500.",
)
async def _hostile_json_is_400(visit: Visit) -> None:
    visitor = await visit.signed_on()
    for name, body in HOSTILE.items():
        what = f"POST state-changed with {name}"
        answer = await visitor.call("POST", "state-changed", data=body, content_type=JSON_TYPE, what=what)
        answer.must_be(400).must_have(message=str)


@check(
    "14",
    asked="an update whose steps_completed is a fraction, has 400 digits, is 2^63, a text, true",
    expected="400 with a message that names steps_completed, or that the JSON cannot be read",
    mend="Name the field in the message of a 400.",
)
async def _refusals_name_the_field(visit: Visit) -> None:
    visitor = await visit.signed_on()
    for name, value in STEPS.items():
        body = b'{"steps_completed": ' + value + b"}"
        answer = await visitor.call(
            "POST",
            "task/00000000-0000-4000-8000-000000000000",
            data=body,
            content_type=JSON_TYPE,
            what=f"POST task/ID with steps_completed = {name}",
        )
        message = answer.must_be(400).must_have(message=str)["message"]
        if "steps_completed" not in message and "JSON" not in message:
            raise answer.differs("without the name of the field")


@check(
    "14",
    asked="bodies just above the limits: sign-on of 1 MiB, an update of 8 MiB",
    expected="413 both times",
    mend="Limit bodies: task updates to 8 MiB, previews to 25 MiB, others to 1 MiB.",
)
async def _bodies_are_limited(visit: Visit) -> None:
    visitor = await visit.visitor()
    for path, size in (("sign-on", MIB), ("task/00000000-0000-4000-8000-000000000000", 8 * MIB)):
        body = b'{"log": "' + b"x" * size + b'"}'
        what = f"POST {path} with {len(body)} bytes"
        (await visitor.call("POST", path, data=body, content_type=JSON_TYPE, what=what)).must_be(413)


@check(
    "14",
    asked="register through a proxy (X-Forwarded-For), sign on, say awake, ask",
    expected="asleep; then 423 asleep: it waits for approval",
    mend="Keep Workers waiting that come neither from this machine nor with the registration token.",
)
async def _strangers_wait_for_approval(visit: Visit) -> None:
    document = {key: value for key, value in visit.registration("stranger").items() if key != "token"}
    answer = await visit.peer.call(
        "POST", "worker/register-worker", document=document, headers=FORWARDED, what="POST register-worker"
    )
    visit.note_registered(answer)
    worker_id = answer.must_be(200).must_have(uuid=str)["uuid"]
    stranger = Visitor(visit.peer, worker_id, str(document["secret"]), str(document["name"]))
    signed_on = (await stranger.sign_on()).must_be(200)
    if signed_on.must_have(status_requested=str)["status_requested"] == "awake":
        await stranger.sign_off()
        raise NotJudged("This Manager approves every Worker (its setting 'approve' is 'all').")
    signed_on.must_have(status_requested="asleep")
    (await stranger.become("awake")).must_be(204)
    (await stranger.ask()).must_be(423).must_have(status_requested="asleep")
    (await stranger.sign_off()).must_be(204)
