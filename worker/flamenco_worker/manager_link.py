"""The worker protocol, spoken to the Manager by one slot (``worker-api.md`` sections 1-6 and 15)."""

import sys
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp

from flamenco_core import VERSION
from flamenco_core.errors import BadInput
from flamenco_core.statuses import WorkerStatus
from flamenco_core.wire.schema import WireSchema
from flamenco_core.wire.worker_api import (
    AssignedTask,
    AssignedTasks,
    AssignedTaskSchema,
    AssignedTasksSchema,
    BatchAnswer,
    BatchAnswerSchema,
    MayKeepRunning,
    MayKeepRunningSchema,
    RegisteredWorker,
    RegisteredWorkerSchema,
    WorkerRegistration,
    WorkerRegistrationSchema,
    WorkerSignOn,
    WorkerSignOnSchema,
    WorkerStateChange,
    WorkerStateChanged,
    WorkerStateChangedSchema,
    WorkerStateChangeSchema,
)
from flamenco_runtime.http_client import Reply, error_of, exchange
from flamenco_runtime.json_body import load_json
from flamenco_worker.credentials import Credentials

USER_AGENT = f"Flamenco/{VERSION}"
_STATUS_CHANGE = 423


@dataclass(frozen=True)
class TaskAnswer:
    """The answer to a request for a task: tasks to run one after the other, or a status to go to, or neither.

    ``waited``: the Manager held the answer back, so it may be asked again at once.
    """

    tasks: Sequence[AssignedTask] = ()
    status: WorkerStatus | None = None
    waited: bool = False


@dataclass(frozen=True)
class StateAnswer:
    """The status that a sleeping Worker is asked to go to, if any; ``waited`` as in TaskAnswer."""

    status: WorkerStatus | None
    waited: bool


@dataclass(frozen=True)
class MayIRunAnswer:
    """Whether the task may go on; ``waited`` as in TaskAnswer."""

    verdict: MayKeepRunning
    waited: bool


class ManagerLink:
    """Calls of one slot. Each raises Unreachable, or the error that the answer stands for (Forbidden, Conflict, …)."""

    def __init__(self, session: aiohttp.ClientSession, manager: str) -> None:
        self._session = session
        self._root = f"{manager.rstrip('/')}/api/v3/worker/"
        self._authorization = basic_authorization("", "")
        self._heard_at = now_counting_suspension()

    def identify(self, credentials: Credentials) -> None:
        """Use these credentials from now on."""
        self._authorization = basic_authorization(credentials.uuid or "", credentials.secret)

    @property
    def silent_for_s(self) -> float:
        """How long ago the Manager last answered us, in seconds; a suspended machine's time counts."""
        return now_counting_suspension() - self._heard_at

    async def register(self, registration: WorkerRegistration) -> RegisteredWorker:
        """Introduce a new Worker; the registration token, if there is one, also goes into the header."""
        authorization = f"Bearer {registration.token}" if registration.token else basic_authorization("", "")
        document = WorkerRegistrationSchema().dump(registration)
        reply = await self._call("POST", "register-worker", document, {"Authorization": authorization})
        registered: RegisteredWorker = _read(RegisteredWorkerSchema(), reply)
        return registered

    async def sign_on(self, sign_on: WorkerSignOn) -> WorkerStateChange:
        """Begin a session; the answer says what to be."""
        return _state_change(await self._call("POST", "sign-on", WorkerSignOnSchema().dump(sign_on)))

    async def sign_off(self) -> None:
        """End the session."""
        await self._call("POST", "sign-off")

    async def tell_status(self, status: WorkerStatus) -> None:
        """Say what this Worker is now: ``awake`` or ``asleep``."""
        await self._call("POST", "state-changed", WorkerStateChangedSchema().dump(WorkerStateChanged(status)))

    async def wanted_status(self, wait_s: int | None) -> StateAnswer:
        """Ask what to be; ``wait_s``: for how long the Manager may hold the answer back, None: not at all."""
        reply = await self._call("GET", "state", headers=_prefer(wait_s))
        status = _state_change(reply).status_requested if reply.status == 200 else None
        return StateAnswer(status, _has_waited(reply))

    async def ask_for_task(self, wait_s: int | None, most: int | None) -> TaskAnswer:
        """Ask for a task, or for up to ``most``. Raises Conflict when the Manager does not take us for awake."""
        path = _with_max("task", most)
        reply = await self._call("POST", path, headers=_prefer(wait_s), expected=_STATUS_CHANGE)
        if reply.status == _STATUS_CHANGE:
            return TaskAnswer(status=_state_change(reply).status_requested)
        if reply.status == 200:
            return TaskAnswer(_tasks_of(reply))
        return TaskAnswer(waited=_has_waited(reply))

    async def release(self, task: AssignedTask) -> None:
        """Give back a task that we were to run later."""
        await self._call("POST", f"task/{task.uuid}/release?{urlencode({'attempt': task.attempt})}")

    async def may_i_run(self, task_id: str, wait_s: int | None) -> MayIRunAnswer:
        """Ask whether the task may go on."""
        reply = await self._call("GET", f"task/{task_id}/may-i-run", headers=_prefer(wait_s))
        return MayIRunAnswer(_read(MayKeepRunningSchema(), reply), _has_waited(reply))

    async def send_update(self, task_id: str, body: bytes) -> None:
        """Send what happened to a task, as the JSON that was kept of it."""
        await self._call("POST", f"task/{task_id}", data=body, headers={"Content-Type": "application/json"})

    async def send_batch(self, updates: Sequence[Mapping[str, Any]], most: int | None) -> BatchAnswer:
        """Send updates of several attempts; the answer says what became of each, and brings up to ``most`` new tasks.

        Raises BadInput when the answer cannot be read.
        """
        reply = await self._call("POST", _with_max("updates", most), {"updates": updates})
        answer: BatchAnswer = _read(BatchAnswerSchema(), reply)
        if len(answer.results) != len(updates):
            raise BadInput(f"The Manager answered {len(answer.results)} of {len(updates)} updates.")
        return answer

    async def send_preview(self, task_id: str, frame: int, layer: str, jpeg: bytes) -> None:
        """Send a small picture of a frame."""
        path = f"task/{task_id}/output-produced?{urlencode({'frame': frame, 'layer': layer})}"
        await self._call("POST", path, data=jpeg, headers={"Content-Type": "image/jpeg"})

    async def _call(
        self,
        method: str,
        path: str,
        document: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        data: bytes | None = None,
        expected: int | None = None,
    ) -> Reply:
        """Make one call; statuses from 400 on are raised, but for the one that is ``expected``."""
        every = {"Authorization": self._authorization, "User-Agent": USER_AGENT, **(headers or {})}
        url = self._root + path
        reply = await exchange(self._session, method, url, headers=every, document=document, data=data)
        if reply.status >= 400 and reply.status != expected:
            raise error_of(reply)
        self._heard_at = now_counting_suspension()
        return reply


def basic_authorization(name: str, secret: str) -> str:
    """Write the header of HTTP Basic authentication."""
    return "Basic " + b64encode(f"{name}:{secret}".encode()).decode()


def now_counting_suspension() -> float:
    """Read a clock that never jumps and counts the time that the machine was suspended; seconds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


def _with_max(path: str, most: int | None) -> str:
    return path if most is None else f"{path}?max={most}"


def _tasks_of(reply: Reply) -> Sequence[AssignedTask]:
    """Read tasks: several, or one from a Manager that knows of one at a time."""
    document = reply.json()
    if isinstance(document, dict) and "tasks" in document:
        assigned: AssignedTasks = _read(AssignedTasksSchema(), reply)
        return assigned.tasks
    task: AssignedTask = _read(AssignedTaskSchema(), reply)
    return [task]


def _prefer(wait_s: int | None) -> dict[str, str]:
    return {} if wait_s is None else {"Prefer": f"wait={wait_s}"}


def _has_waited(reply: Reply) -> bool:
    return "wait" in reply.headers.get("Preference-Applied", "")


def _state_change(reply: Reply) -> WorkerStateChange:
    change: WorkerStateChange = _read(WorkerStateChangeSchema(), reply)
    return change


def _read(schema: WireSchema, reply: Reply) -> Any:
    return load_json(schema, reply.body)
