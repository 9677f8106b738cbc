"""A Worker that draws what it does from a seed and records what it says and hears, as ours would do it.

What was not answered is said again, in its order, until it is: that is how the outbox of a Worker behaves.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from happenings import HandOut, Happenings, Said
from raw_link import Answer, Broken, RawLink

TYPES = ["blender", "ffmpeg", "file-management", "misc"]
ASK_WAIT_S = 2
PAUSE_S = 0.01
"""Between two tries to reach a Manager that is away."""
MOST_FAILURES = 2
"""The third would block the Worker."""


async def _undisturbed() -> None:
    pass


class RecordedWorker:
    """``disturb`` is awaited at each answer: whoever kills counts them."""

    def __init__(
        self,
        name: str,
        rng: random.Random,
        record: Happenings,
        where: Callable[[], tuple[str, int]],
        disturb: Callable[[], Awaitable[None]] = _undisturbed,
        *,
        batches: bool = False,
        longest_log: int = 0,
    ) -> None:
        self.name, self._rng, self._record, self._disturb = name, rng, record, disturb
        self._longest_log = longest_log
        self._link = RawLink(where)
        self._failures = 0
        self._batches = batches
        self.id = ""

    async def run(self, over: asyncio.Event) -> None:
        """Work until ``over``."""
        try:
            await self._join()
            while not over.is_set():
                for task in await self._ask():
                    await self._work(task)
        finally:
            await self._link.close()

    async def _join(self) -> None:
        secret = f"secret of {self.name}"
        said = {"secret": secret, "platform": "linux", "supported_task_types": TYPES, "name": self.name}
        answer = await self._until_answered("POST", "register-worker", said)
        self.id = answer.json()["uuid"]  # type: ignore[index]
        self._link.sign(self.id, secret)
        await self._sign_on()

    async def _sign_on(self) -> None:
        said = {"name": self.name, "supported_task_types": TYPES, "software_version": "4"}
        await self._until_answered("POST", "sign-on", {**said, "features": ["attempt", "wait", "batch"]})
        await self._until_answered("POST", "state-changed", {"status": "awake"})

    async def _ask(self) -> list[dict[str, Any]]:
        most = self._rng.choice([1, 1, 3]) if self._batches else 1
        path = "task" if most == 1 else f"task?max={most}"
        answer = await self._until_answered("POST", path, wait_s=ASK_WAIT_S)
        if answer.status == 409:  # not awake: it was silent for too long, or its word of that was lost
            await self._sign_on()
        if answer.status != 200:
            return []
        found: Any = answer.json()
        tasks: list[dict[str, Any]] = found.get("tasks", [found])
        for task in tasks:
            at = self._record.moment()
            self._record.hand_outs.append(HandOut(self.id, task["uuid"], task["attempt"], at))
        return tasks

    async def _work(self, task: dict[str, Any]) -> None:
        self._record.tally["tasks taken"] += 1
        if self._rng.random() < 0.02:  # it dies, and comes back as if nothing had been
            self._record.tally["Workers that forgot their task"] += 1
            await self._sign_on()
            return
        for seq, update in enumerate(self._updates(), start=1):
            if not await self._say(task, seq, update):
                self._record.tally["attempts that were over"] += 1
                return

    def _updates(self) -> list[dict[str, Any]]:
        """Make up what is said of one attempt: begun, some log, the end."""
        updates: list[dict[str, Any]] = [{"taskStatus": "active", "activity": "Started"}]
        at = 0
        for number in range(self._rng.randrange(3)):
            log = "".join(f"{self.name} {self._rng.randrange(10**9)}\n" for _ in range(self._rng.randrange(1, 4)))
            if self._rng.random() < 0.2:
                log += "x" * self._rng.randrange(self._longest_log + 1)
            updates.append({"log": log, "log_at": at, "steps_completed": number + 1})
            at += len(log)
        fails = self._failures < MOST_FAILURES and self._rng.random() < 0.01
        self._failures += fails
        updates.append({"taskStatus": "failed" if fails else "completed", "activity": "Ended"})
        if self._rng.random() < 0.3:
            log = f"{self.name} says good-bye\n"
            updates[-1] |= {"log": log, "log_at": at}
        return updates

    async def _say(self, task: dict[str, Any], seq: int, update: dict[str, Any]) -> bool:
        said = Said(
            self.id,
            task["uuid"],
            task["attempt"],
            update.get("taskStatus"),
            update.get("log", "").encode(),
            self._record.moment(),
        )
        self._record.said.append(said)
        document = {"attempt": task["attempt"], "seq": seq, **update}
        answer = await self._until_answered("POST", f"task/{task['uuid']}", document)
        assert answer.status in (204, 409), (answer.status, answer.body)
        said.taken, said.answered = answer.status == 204, self._record.moment()
        if said.taken and said.status is not None:
            self._record.tally[f"{said.status}, acknowledged"] += 1
        return said.taken

    async def _until_answered(self, method: str, path: str, document: object = None, *, wait_s: int = 0) -> Answer:
        while True:
            try:
                answer = await self._link.call(method, path, document, wait_s=wait_s)
            except Broken:
                self._record.breaks += 1
                await asyncio.sleep(PAUSE_S)
                continue
            if answer.status in (429, 503):
                self._record.tally["answered: later"] += 1
                await asyncio.sleep(PAUSE_S)
                continue
            await self._disturb()
            return answer
