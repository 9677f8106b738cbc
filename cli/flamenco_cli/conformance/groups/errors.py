"""Section 3: what errors look like."""

from flamenco_cli.conformance.check import check
from flamenco_cli.conformance.peer import JSON_TYPE
from flamenco_cli.conformance.visit import Visit, an_unknown_id


@check(
    "3",
    asked="POST task/ID of a task that there is not",
    expected='404 with {"code": 404, "message"}',
    mend="Give errors of the calls themselves a JSON body with the status as an integer and a message.",
)
async def _errors_have_code_and_message(visit: Visit) -> None:
    visitor = await visit.signed_on()
    answer = await visitor.call("POST", f"task/{an_unknown_id()}", document={"activity": "x"}, what="POST task/ID")
    answer.must_be(404).must_have(code=404, message=str)


@check(
    "3",
    asked="POST state-changed with a body that is no JSON",
    expected='400 with {"message"}',
    mend="Give refused bodies a JSON body with a message.",
)
async def _refused_bodies_have_a_message(visit: Visit) -> None:
    visitor = await visit.visitor()
    answer = await visitor.call("POST", "state-changed", data=b"{", content_type=JSON_TYPE)
    answer.must_be(400).must_have(message=str)


@check(
    "3",
    asked="GET worker/no-such-call",
    expected='404 with {"message"}',
    mend="Answer unknown paths as JSON too.",
)
async def _unknown_paths_are_told_as_json(visit: Visit) -> None:
    (await visit.peer.call("GET", "worker/no-such-call")).must_be(404).must_have(message=str)


@check(
    "3",
    asked="DELETE worker/task",
    expected='405 with {"message"}',
    mend="Answer wrong methods as JSON too.",
)
async def _wrong_methods_are_told_as_json(visit: Visit) -> None:
    (await visit.peer.call("DELETE", "worker/task")).must_be(405).must_have(message=str)
