"""The endpoints that Workers call, ``/api/v3/worker/…`` (worker-api.md, sections 6, 14 and 15)."""

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from flamenco_core.errors import BadInput, Conflict, Unavailable
from flamenco_core.identifiers import is_uuid
from flamenco_core.wire.worker_api import (
    FEATURES,
    MayKeepRunningSchema,
    RegisteredWorkerSchema,
    TaskUpdateSchema,
    WorkerRegistration,
    WorkerRegistrationSchema,
    WorkerSignOn,
    WorkerSignOnSchema,
    WorkerStateChange,
    WorkerStateChanged,
    WorkerStateChangedSchema,
    WorkerStateChangeSchema,
)
from flamenco_manager import worker_rules
from flamenco_manager.assignments import Assignments
from flamenco_manager.attempts import Answer, HandOut, NotAwake, StatusWanted
from flamenco_manager.foreman import Foreman
from flamenco_manager.http.batches import batch_answer, ends_something, read_batch
from flamenco_manager.http.hand_outs import described, handed_out, most_of
from flamenco_manager.http.worker_sign_in import bearer_token, caller_of, sign_in
from flamenco_manager.model import Worker
from flamenco_manager.preview_intake import MOST_BYTES, NoTaskOfPreview, PreviewIntake
from flamenco_manager.registration import Gate
from flamenco_manager.task_updates import TaskUpdates
from flamenco_runtime.json_body import MIB, json_reply, read_json, read_pieces
from flamenco_runtime.overload import Load
from flamenco_runtime.proxies import client_address

LONGEST_WAIT_S = 60
UPDATE_LIMIT_BYTES = 8 * MIB

_TASK = "/api/v3/worker/task/{task_id:[^/]+}"
"""Whatever stands there: what is no UUID is told so, also if it has characters that aiohttp keeps out by itself."""
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,5})", re.IGNORECASE)
_REGISTRATION = WorkerRegistrationSchema()
_REGISTERED = RegisteredWorkerSchema()
_SIGN_ON = WorkerSignOnSchema()
_STATE_CHANGE = WorkerStateChangeSchema()
_STATE_CHANGED = WorkerStateChangedSchema()
_UPDATE = TaskUpdateSchema()
_MAY_KEEP_RUNNING = MayKeepRunningSchema()

SignedIn = Callable[[web.Request, Worker], Awaitable[web.StreamResponse]]


class WorkerNotAwake(Conflict):
    """A Worker asks for a task in a state in which it gets none."""

    type = "worker-not-awake"


@dataclass(frozen=True)
class WorkerUseCases:
    """What the worker protocol is served by."""

    foreman: Foreman
    gate: Gate
    assignments: Assignments
    updates: TaskUpdates
    previews: PreviewIntake
    load: Load


def worker_routes(use: WorkerUseCases) -> list[web.RouteDef]:
    """Return the routes of the worker protocol."""
    by_worker = _signing_in(use)
    return [
        web.post("/api/v3/worker/register-worker", _register(use)),
        web.post("/api/v3/worker/sign-on", _sign_on(use)),
        web.post("/api/v3/worker/sign-off", by_worker(_sign_off(use))),
        web.get("/api/v3/worker/state", by_worker(_state(use))),
        web.post("/api/v3/worker/state-changed", by_worker(_state_changed(use))),
        web.post("/api/v3/worker/task", by_worker(_ask(use))),
        web.post("/api/v3/worker/updates", by_worker(_batch(use))),
        web.post(_TASK, by_worker(_update(use))),
        web.get(f"{_TASK}/may-i-run", by_worker(_may_i_run(use))),
        web.post(f"{_TASK}/release", by_worker(_release(use))),
        web.post(f"{_TASK}/output-produced", by_worker(_output_produced(use))),
    ]


def _signing_in(use: WorkerUseCases) -> Callable[[SignedIn], Callable[[web.Request], Awaitable[web.StreamResponse]]]:
    """Return a wrapper: the caller is recognised first, and was heard of by calling."""

    def wrap(handler: SignedIn) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def signed_in(request: web.Request) -> web.StreamResponse:
            worker = sign_in(request, use.gate)
            with use.foreman.hearing(worker), _taken_on(use.load, request):
                return await handler(request, worker)

        return signed_in

    return wrap


@contextmanager
def _taken_on(load: Load, request: web.Request) -> Iterator[None]:
    """Count a Worker's call that changes something; of those that let themselves be held there is one a Worker.

    What only reads is answered however much there is to do: a Worker that hears nothing gives its task up.
    """
    if request.method == "GET":
        yield
    elif "Prefer" in request.headers:
        load.check()
        yield
    else:
        with load.taken_on(request):
            yield


def _register(use: WorkerUseCases) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def register(request: web.Request) -> web.Response:
        with use.load.taken_on(request):
            registration: WorkerRegistration = await read_json(request, _REGISTRATION)
            registered = await use.gate.register(
                registration, caller_of(request), registration.token or bearer_token(request)
            )
        return json_reply(_REGISTERED.dump(registered))

    return register


def _sign_on(use: WorkerUseCases) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def sign_on(request: web.Request) -> web.Response:
        worker = sign_in(request, use.gate)
        with use.load.taken_on(request):
            said: WorkerSignOn = await read_json(request, _SIGN_ON)
            worker.address = client_address(request)
            now = use.foreman.now()
            wanted = worker_rules.sign_on(use.foreman.farm, worker, said, now)
            await use.foreman.settle()
        change = WorkerStateChange(wanted, FEATURES, now.wall) if said.features else WorkerStateChange(wanted)
        return json_reply(_STATE_CHANGE.dump(change))

    return sign_on


def _sign_off(use: WorkerUseCases) -> SignedIn:
    async def sign_off(_: web.Request, worker: Worker) -> web.Response:
        worker_rules.sign_off(use.foreman.farm, worker, use.foreman.now())
        await use.foreman.settle()
        return web.Response(status=204)

    return sign_off


def _state(use: WorkerUseCases) -> SignedIn:
    async def state(request: web.Request, worker: Worker) -> web.Response:
        wait_s = _wait_of(request)
        wanted = await use.foreman.status_wanted(worker, wait_s)
        if wanted is None:
            return _with_wait(web.Response(status=204), wait_s)
        return _with_wait(json_reply(_STATE_CHANGE.dump(wanted)), wait_s)

    return state


def _state_changed(use: WorkerUseCases) -> SignedIn:
    async def state_changed(request: web.Request, worker: Worker) -> web.Response:
        said: WorkerStateChanged = await read_json(request, _STATE_CHANGED)
        worker_rules.say_status(use.foreman.farm, worker, said.status, use.foreman.now())
        await use.foreman.settle()
        return web.Response(status=204)

    return state_changed


def _ask(use: WorkerUseCases) -> SignedIn:
    async def ask(request: web.Request, worker: Worker) -> web.StreamResponse:
        wait_s, most = _wait_of(request), most_of(request)
        answer = await use.foreman.ask(worker, wait_s, _at_once(worker, most))
        try:
            response = _with_wait(await _answer(use, worker, answer, most), wait_s)
            return await _sent(request, response)
        except BaseException:
            await use.foreman.take_back(answer)
            raise

    return ask


async def _answer(use: WorkerUseCases, worker: Worker, answer: Answer, most: int | None) -> web.Response:
    match answer:
        case HandOut():
            return await handed_out(use.assignments, answer, worker, most)
        case StatusWanted(status):
            return json_reply(_STATE_CHANGE.dump(WorkerStateChange(status)), status=423)
        case NotAwake.NOT_AWAKE:
            raise WorkerNotAwake(f"The Worker is {worker.status or 'not signed on'}; only awake ones get tasks.")
        case None:
            return web.Response(status=204)


def _update(use: WorkerUseCases) -> SignedIn:
    async def update(request: web.Request, worker: Worker) -> web.Response:
        task_id = _task_id(request)
        said = await read_json(request, _UPDATE, limit_bytes=UPDATE_LIMIT_BYTES)
        await use.updates.take(worker, task_id, said)
        return web.Response(status=204)

    return update


def _batch(use: WorkerUseCases) -> SignedIn:
    async def batch(request: web.Request, worker: Worker) -> web.StreamResponse:
        most = most_of(request)
        updates = await read_batch(request)
        results = await use.updates.take_all(worker, updates)
        document = batch_answer(updates, results)
        if most is None or not (ends_something(updates, results) and worker.is_free):
            return json_reply(document)
        answer = await use.foreman.ask(worker, 0, _at_once(worker, most))
        try:
            if isinstance(answer, HandOut):
                document["next"] = await described(use.assignments, answer, worker)
            return await _sent(request, json_reply(document))
        except BaseException:
            await use.foreman.take_back(answer)
            raise

    return batch


def _release(use: WorkerUseCases) -> SignedIn:
    async def release(request: web.Request, worker: Worker) -> web.Response:
        task_id, attempt = _task_id(request), _number(request, "attempt")
        if attempt is None:
            raise BadInput("attempt is missing: say which one is given back.", {"attempt": "Missing."})
        await use.updates.release(worker, task_id, attempt)
        return web.Response(status=204)

    return release


def _may_i_run(use: WorkerUseCases) -> SignedIn:
    async def may_i_run(request: web.Request, worker: Worker) -> web.Response:
        task_id, attempt, wait_s = _task_id(request), _number(request, "attempt"), _wait_of(request)
        answer = await use.foreman.may_run(worker, task_id, attempt, wait_s)
        return _with_wait(json_reply(_MAY_KEEP_RUNNING.dump(answer)), wait_s)

    return may_i_run


def _output_produced(use: WorkerUseCases) -> SignedIn:
    async def output_produced(request: web.Request, _: Worker) -> web.Response:
        task_id, frame = _task_id(request), _number(request, "frame")
        body = read_pieces(request, MOST_BYTES)
        try:
            await use.previews.take(task_id, frame, request.content_type, request.content_length, body)
        except NoTaskOfPreview as error:
            return json_reply(str(error), status=404)  # a bare text: Flamenco 3 does so
        return web.Response(status=202)

    return output_produced


async def _sent(request: web.Request, response: web.Response) -> web.StreamResponse:
    """Send an answer now, so that a closed connection is noticed while we can still do something about it."""
    if request.transport is None or request.transport.is_closing():
        raise Unavailable("The Worker has closed the connection.")
    await response.prepare(request)
    await response.write_eof()
    return response


def _at_once(worker: Worker, most: int | None) -> int:
    """Return how many tasks a Worker may have: more than one only if it says of which attempt it speaks."""
    return most if most is not None and worker.knows_attempts else 1


def _with_wait(response: web.Response, wait_s: float) -> web.Response:
    if wait_s:
        response.headers["Preference-Applied"] = "wait"
    return response


def _wait_of(request: web.Request) -> float:
    """Return how long the caller lets us wait, in seconds: ``Prefer: wait=S`` (RFC 7240)."""
    match = _WAIT.search(", ".join(request.headers.getall("Prefer", [])))
    return float(min(int(match[1]), LONGEST_WAIT_S)) if match else 0.0


def _task_id(request: web.Request) -> str:
    task_id = request.match_info["task_id"]
    if not is_uuid(task_id):
        raise BadInput("task_id is not a UUID.", {"task_id": "Not a UUID."})
    return task_id.lower()


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise BadInput(f"{name} is not a whole number.", {name: "Not a whole number."})
    return int(text)
