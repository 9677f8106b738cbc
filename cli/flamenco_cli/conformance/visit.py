"""What checks ask with: Workers that are played, and tasks for them."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flamenco_cli.conformance.peer import Answer, Differs, Peer, basic
from flamenco_cli.conformance.work import Task, TaskSource
from flamenco_core.identifiers import new_id

TASK_TYPES = ("blender", "ffmpeg", "file-management", "misc")
SOFTWARE = "3.9"
TASK_PATIENCE_S = 30.0
"""How long a task may be in coming."""
ASK_AGAIN_S = 0.25
APPROVAL_PATIENCE_S = 30.0
"""How long an approval may take on its way from the Server to the Manager."""


class NotJudged(Exception):
    """A check cannot be made here; the message tells why, and what would help."""


class NeedsApproval(NotJudged):
    """The Manager keeps new Workers waiting until a person approves them."""


@dataclass
class Visitor:
    """A Worker that is played; it knows no attempts unless it says ``features`` at sign-on."""

    peer: Peer
    id: str
    secret: str
    name: str
    held: list[Task] = field(default_factory=list)

    async def call(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **sent: Any) -> Answer:
        """Make a call below ``/api/v3/worker/`` with this Worker's credentials."""
        sent.setdefault("what", f"{method} {path.replace(self.id, 'ID')}")
        own = basic(self.id, self.secret)
        return await self.peer.call(method, f"worker/{path}", headers={**own, **(headers or {})}, **sent)

    async def sign_on(self, **said: object) -> Answer:
        """Begin a session."""
        document = {
            "name": self.name,
            "supported_task_types": TASK_TYPES,
            "software_version": SOFTWARE,
            "can_restart": False,
        }
        return await self.call("POST", "sign-on", document={**document, **said})

    async def sign_off(self) -> Answer:
        """End the session."""
        self.held.clear()
        return await self.call("POST", "sign-off")

    async def become(self, status: str) -> Answer:
        """Say what this Worker is now."""
        return await self.call("POST", "state-changed", document={"status": status})

    async def state(self, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask what to be."""
        return await self.call("GET", "state", headers=headers)

    async def ask(self, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for a task; what comes is remembered, so that it can be given back."""
        answer = await self.call("POST", "task", headers=headers)
        if answer.status == 200:
            self.held.append(Task(answer.members()))
        return answer

    async def update(self, task: Task, **said: object) -> Answer:
        """Say something of a task."""
        return await self.call("POST", f"task/{task.id}", document=said, what=f"POST task/ID {_words(said)}")

    async def may_i_run(self, task: Task, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask whether to go on."""
        return await self.call("GET", f"task/{task.id}/may-i-run", headers=headers, what="GET task/ID/may-i-run")

    async def preview(self, task_id: str, image: bytes, content_type: str | None, query: str = "") -> Answer:
        """Send an image of what was rendered."""
        return await self.call(
            "POST",
            f"task/{task_id}/output-produced{query}",
            data=image,
            content_type=content_type,
            what=f"POST task/ID/output-produced ({content_type or 'no type'}, {len(image)} bytes)",
        )


class Visit:
    """One run of the suite against a Manager; checks share its two Workers, each in a state that it is brought to."""

    def __init__(self, peer: Peer, source: TaskSource, registration_token: str | None) -> None:
        self.peer = peer
        self.source = source
        self._token = registration_token
        self.run_name = f"conformance-{secrets.token_hex(3)}"
        self._visitors: dict[str, Visitor] = {}
        self._approved: set[str] = set()
        self.registered: list[str] = []
        """Ids of all Workers that were made."""

    async def register(self, **said: object) -> Answer:
        """Register a Worker; ``said`` replaces what ``registration`` says."""
        document = self.registration() | said
        answer = await self.peer.call("POST", "worker/register-worker", document=document, what="POST register-worker")
        self.note_registered(answer)
        return answer

    def note_registered(self, answer: Answer) -> None:
        """Note a Worker that was made, so that it can be removed at the end."""
        if answer.status == 200 and answer.is_json and isinstance(uuid := answer.members().get("uuid"), str):
            self.registered.append(uuid)

    def registration(self, name: str = "guest") -> dict[str, object]:
        """Return what a Flamenco 3 Worker says at registration; the token is only there if one was given to us."""
        document: dict[str, object] = {
            "name": f"{self.run_name}-{name}",
            "secret": secrets.token_hex(32),
            "platform": "linux",
            "supported_task_types": TASK_TYPES,
        }
        return document | ({"token": self._token} if self._token else {})

    async def visitor(self, name: str = "one") -> Visitor:
        """Return one of our Workers, registered once; what it was left with is not known. Raises Differs."""
        if name not in self._visitors:
            document = self.registration(name)
            answer = (await self.register(**document)).must_be(200)
            worker_id = answer.must_have(uuid=str)["uuid"]
            self._visitors[name] = Visitor(self.peer, worker_id, str(document["secret"]), str(document["name"]))
            self.peer.judged.clear()
        return self._visitors[name]

    async def signed_on(self, name: str = "one", **said: object) -> Visitor:
        """Return a Worker that has just signed on, with nothing that it is asked to be. Raises Differs."""
        visitor = await self.visitor(name)
        for _ in range(2):  # the second time there is nothing left of earlier checks
            wanted = (await visitor.sign_on(**said)).must_be(200).must_have(status_requested=str)["status_requested"]
            (await visitor.become(wanted)).must_be(204)
        self.peer.judged.clear()  # what comes from here on is what the check is about
        return visitor

    async def awake(self, name: str = "one", **said: object) -> Visitor:
        """Return a Worker that is awake and may have tasks. Raises NeedsApproval, Differs."""
        name = f"worker-{name}"  # others are used where it does not matter whether they are approved
        visitor = await self.visitor(name)
        if name not in self._approved:
            await self._get_approved(visitor)
            self._approved.add(name)
        visitor = await self.signed_on(name, **said)
        (await visitor.become("awake")).must_be(204)
        self.peer.judged.clear()
        return visitor

    async def task(self, visitor: Visitor) -> Task:
        """Let a Worker that is awake be handed a task. Raises NotJudged, Differs."""
        await self.source.prepare()
        deadline = asyncio.get_running_loop().time() + TASK_PATIENCE_S
        while asyncio.get_running_loop().time() < deadline:
            answer = (await visitor.ask()).must_be(200, 204)
            if answer.status == 200:
                task = visitor.held[-1]
                await self._refuse_foreign(visitor, task)
                return task
            await asyncio.sleep(ASK_AGAIN_S)
        raise NotJudged(f"No task came within {TASK_PATIENCE_S:g} seconds. {self.source.advice}")

    async def until(self, ask: Callable[[], Awaitable[Answer]], is_it: Callable[[Answer], bool]) -> bool:
        """Ask again and again until the answer is as wanted; tells whether it was in time."""
        deadline = asyncio.get_running_loop().time() + TASK_PATIENCE_S
        while not is_it(await ask()):
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(ASK_AGAIN_S)
        return True

    async def until_wanted(self, visitor: Visitor, status: str) -> None:
        """Wait until what people asked through the Server has reached the Manager. Raises NotJudged."""

        def is_wanted(answer: Answer) -> bool:
            return answer.status == 200 and answer.members().get("status_requested") == status

        if not await self.until(visitor.state, is_wanted):
            raise NotJudged(f"The request to be {status} did not reach the Manager: is the Server's farm the same?")

    def forget(self) -> None:
        """Look at no answer that came before."""
        self.peer.judged.clear()

    def what_came(self) -> str:
        """Say what was answered."""
        return self.peer.what_came()

    def last(self) -> str:
        """Say what was answered last."""
        return self.peer.judged[-1].short if self.peer.judged else "nothing"

    async def clean_up(self) -> None:
        """Give back what a check left: whatever goes wrong here, later checks notice."""
        for visitor in self._visitors.values():
            for task in visitor.held:
                for status in ("active", "completed"):
                    attempt = {} if task.attempt is None else {"attempt": task.attempt}
                    await visitor.update(task, taskStatus=status, **attempt)
            visitor.held.clear()

    async def leave(self) -> None:
        """Sign our Workers off, and have all that were made removed where that is possible."""
        for visitor in self._visitors.values():
            await visitor.sign_off()
        for worker_id in self.registered:
            await self.source.forget(worker_id)

    @property
    def names(self) -> list[str]:
        """The names of our Workers that are played through the whole run."""
        return [visitor.name for visitor in self._visitors.values()]

    async def _get_approved(self, visitor: Visitor) -> None:
        if await _is_let_be_awake(visitor):
            return
        if not await self.source.approve(visitor.id):
            raise NeedsApproval(
                f"The Manager keeps new Workers waiting for approval. Approve {visitor.name}: "
                f"flamenco worker approve {visitor.name} (or give --registration-token), within the time of --wait."
            )
        deadline = asyncio.get_running_loop().time() + APPROVAL_PATIENCE_S
        while not await _is_let_be_awake(visitor):
            if asyncio.get_running_loop().time() > deadline:
                raise Differs(f"{visitor.name} was approved, but is not let be awake")
            await asyncio.sleep(ASK_AGAIN_S)

    async def _refuse_foreign(self, visitor: Visitor, task: Task) -> None:
        """Give a task of somebody else's job back at once: nobody may think that it was done."""
        if self.source.owns(task):
            return
        await visitor.sign_off()
        raise NotJudged("The Manager handed out a task of another job, which was given back: use a farm that is idle.")


async def _is_let_be_awake(visitor: Visitor) -> bool:
    """Tell whether the Manager wants a Worker to be awake: at sign-on, or when it asks asleep."""
    answer = (await visitor.sign_on()).must_be(200).must_have(status_requested=str)
    if answer["status_requested"] == "awake":
        return True
    (await visitor.become("asleep")).must_be(204)
    state = (await visitor.state()).must_be(200, 204)
    return state.status == 200 and state.must_have(status_requested=str)["status_requested"] == "awake"


def an_unknown_id() -> str:
    """Return the id of nothing."""
    return new_id()


def _words(said: Mapping[str, object]) -> str:
    """Write an update in a few words."""
    parts = [f"{key}={value!r}" if len(repr(value)) < 40 else f"{key}=…" for key, value in said.items()]
    return "{" + ", ".join(parts) + "}"
