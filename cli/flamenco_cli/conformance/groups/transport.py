"""Section 1: what bodies must be, what answers look like, how connections are kept."""

import asyncio
from urllib.parse import urlsplit

from flamenco_cli.conformance.check import Needs, check
from flamenco_cli.conformance.peer import JSON_TYPE, Differs, basic
from flamenco_cli.conformance.visit import Visit, an_unknown_id
from flamenco_runtime.http_client import Unreachable, reason_of

PROMPT_S = 5.0
IDLE_S = 62.0
BAD_BODIES = {
    "text that is no JSON": b"{name: worker}",
    "an empty body": b"",
    "a list": b"[]",
    "null": b"null",
}


@check(
    "1",
    asked="POST sign-on whose Content-Type is missing, then text/plain",
    expected="400 both times",
    mend="Refuse JSON bodies that are not declared as application/json.",
)
async def _bodies_are_declared_as_json(visit: Visit) -> None:
    visitor = await visit.visitor()
    body = b'{"name": "n", "supported_task_types": [], "software_version": "3.9"}'
    for content_type in (None, "text/plain"):
        what = f"POST sign-on with Content-Type {content_type}"
        (await visitor.call("POST", "sign-on", data=body, content_type=content_type, what=what)).must_be(400)


@check(
    "1",
    asked="POST sign-on with no JSON, an empty body, a list, null",
    expected="400 each time",
    mend="Refuse bodies that are not the JSON object which the call takes.",
)
async def _bodies_are_json_objects(visit: Visit) -> None:
    visitor = await visit.visitor()
    for name, body in BAD_BODIES.items():
        what = f"POST sign-on with {name}"
        (await visitor.call("POST", "sign-on", data=body, content_type=JSON_TYPE, what=what)).must_be(400)


@check(
    "1",
    asked="POST register-worker, sign-on and state-changed, each without one of its required keys",
    expected="400 each time",
    mend="Refuse bodies in which a required key is missing.",
)
async def _missing_keys_are_refused(visit: Visit) -> None:
    for key in ("secret", "platform", "supported_task_types", "name"):
        document = {name: value for name, value in visit.registration().items() if name != key}
        what = f"POST register-worker without {key}"
        (await visit.peer.call("POST", "worker/register-worker", document=document, what=what)).must_be(400)
    visitor = await visit.visitor()
    whole = {"name": "n", "supported_task_types": ["misc"], "software_version": "3.9"}
    for key in whole:
        document = {name: value for name, value in whole.items() if name != key}
        (await visitor.call("POST", "sign-on", document=document, what=f"POST sign-on without {key}")).must_be(400)
    (await visitor.call("POST", "state-changed", document={})).must_be(400)


@check(
    "1",
    asked="POST register-worker and sign-on with values of the wrong type",
    expected="400 each time",
    mend="Refuse values of another type than the schema says; do not convert them.",
)
async def _wrong_types_are_refused(visit: Visit) -> None:
    for key, value in (("name", 3), ("secret", None), ("supported_task_types", "misc"), ("platform", ["linux"])):
        answer = await visit.register(**{key: value})
        answer.must_be(400)
    visitor = await visit.visitor()
    (await visitor.sign_on(supported_task_types=[1])).must_be(400)
    (await visitor.sign_on(can_restart="yes")).must_be(400)


@check(
    "1",
    asked='POST state-changed with {"status": "dancing"}',
    expected="400",
    mend="Refuse statuses that are not in the list of section 4.",
)
async def _values_outside_an_enum_are_refused(visit: Visit) -> None:
    visitor = await visit.signed_on()
    (await visitor.become("dancing")).must_be(400)


@check(
    "1",
    asked="POST sign-on with keys that the protocol does not know",
    expected="200",
    mend="Ignore unknown keys: newer Workers send some.",
)
async def _unknown_keys_are_ignored(visit: Visit) -> None:
    visitor = await visit.visitor()
    (await visitor.sign_on(colour="blue", nested={"a": [1, None]})).must_be(200)


@check(
    "1",
    asked="GET may-i-run of a task id without hyphens, in braces, and of a word",
    expected="400 each time",
    mend="Accept UUIDs in their hyphenated form of 36 characters only.",
)
async def _ids_are_hyphenated_uuids(visit: Visit) -> None:
    visitor = await visit.signed_on()
    known = an_unknown_id()
    for task_id in (known.replace("-", ""), f"%7B{known}%7D", "task"):
        (await visitor.call("GET", f"task/{task_id}/may-i-run")).must_be(400)


@check(
    "1",
    asked="wrong credentials, a task id that is no UUID and a broken body, all in one POST task/ID",
    expected="403",
    mend="Check credentials before parameters, and those before the body.",
)
async def _credentials_are_checked_first(visit: Visit) -> None:
    answer = await visit.peer.call(
        "POST", "worker/task/nonsense", data=b"{", content_type=JSON_TYPE, headers=basic(an_unknown_id(), "wrong")
    )
    answer.must_be(403)


@check(
    "1",
    asked="GET version, POST register-worker, POST sign-on",
    expected="200 with a Content-Type that contains json",
    mend="Declare JSON answers as application/json: a Worker takes others for no answer.",
)
async def _json_answers_are_declared(visit: Visit) -> None:
    (await visit.peer.call("GET", "version")).must_be(200).document()
    (await visit.register()).must_be(200).document()
    (await (await visit.visitor()).sign_on()).must_be(200).document()


@check(
    "1",
    asked="POST state-changed, GET state, POST sign-off",
    expected="204 with neither a body nor a JSON content type",
    mend="Send 204 without body and without Content-Type: the Go client decodes what is said to be JSON.",
)
async def _empty_answers_are_empty(visit: Visit) -> None:
    visitor = await visit.signed_on()
    (await visitor.become("awake")).must_be(204).must_be_empty()
    (await visitor.state()).must_be(204).must_be_empty()
    (await visitor.sign_off()).must_be(204).must_be_empty()


@check(
    "1",
    asked="GET state and POST task without Prefer",
    expected=f"an answer at once (we wait {PROMPT_S:g} s)",
    mend="Hold no answer back from a Worker that does not ask for it: its loop stands still meanwhile.",
)
async def _nothing_is_held_back_unasked(visit: Visit) -> None:
    visitor = await visit.signed_on()
    for ask in (visitor.state, visitor.ask):
        try:
            async with asyncio.timeout(PROMPT_S):
                (await ask()).must_be(200, 204, 409, 423)
        except TimeoutError as error:
            raise Differs(f"no answer within {PROMPT_S:g} seconds") from error


@check(
    "1",
    asked="GET version twice on one connection",
    expected="both answered",
    mend="Keep connections open after an answer (HTTP/1.1 keep-alive).",
)
async def _connections_are_kept(visit: Visit) -> None:
    await _ask_twice(visit, pause_s=0.0)


@check(
    "1",
    asked=f"GET version twice on one connection, {IDLE_S:g} s apart",
    expected="both answered",
    mend="Keep idle connections for 75 s: the longest gap between polls of a Flamenco 3 Worker is a minute.",
    is_slow=True,
)
async def _idle_connections_are_kept(visit: Visit) -> None:
    await _ask_twice(visit, pause_s=IDLE_S)


@check(
    "1",
    asked="POST task as a Worker that is awake",
    expected="200 with a task, or 204 with neither a body nor a JSON content type",
    mend="Answer 204, and nothing else, when there is no task.",
    needs=Needs.AWAKE,
)
async def _no_task_is_an_empty_answer(visit: Visit) -> None:
    visitor = await visit.awake()
    answer = (await visitor.ask()).must_be(200, 204)
    if answer.status == 204:
        answer.must_be_empty()


async def _ask_twice(visit: Visit, pause_s: float) -> None:
    """Speak HTTP on a socket of our own: the client would hide that a connection was closed."""
    parts = urlsplit(visit.peer.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=parts.scheme == "https" or None)
    except OSError as error:
        raise Unreachable(f"Cannot reach {visit.peer.url}: {reason_of(error)}.") from error
    request = f"GET {parts.path}/api/v3/version HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    try:
        for which in ("first", "second"):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise Differs(f"the {which} answer was {head.splitlines()[0].decode('latin-1')!r}")
            await reader.readexactly(_length_of(head))
            await asyncio.sleep(pause_s if which == "first" else 0)
    except (asyncio.IncompleteReadError, OSError) as error:
        raise Differs("the connection was closed before the second answer") from error
    finally:
        writer.close()


def _length_of(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    raise Differs("the answer has no Content-Length")
