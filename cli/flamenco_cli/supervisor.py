"""Child processes that are kept running. What is decided when one ends is in ``supervision``."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from flamenco_cli.supervision import GiveUp, History, after_end
from flamenco_core.errors import Unavailable
from flamenco_runtime.children import end_child, start_child

STOP_GRACE_S = 10.0
"""How long a service may take to end after SIGTERM."""
SLOW_AFTER_S = 10.0
"""When a start that takes long is worth a word."""
PROBE_PAUSE_S = 0.1
LOG_TAIL_LINES = 15

Tell = Callable[[str], None]
"""Tells the person something, a sentence at a time."""


class ServiceFailed(Unavailable):
    """A service could not be started; the message ends with the last lines of its log."""

    type = "service-failed"


@dataclass(frozen=True)
class Service:
    """A program to keep running. Its environment is asked for at each start; both outputs are added to ``log``."""

    name: str
    arguments: Sequence[str]
    environment: Callable[[], Mapping[str, str]]
    log: Path


class Supervised:
    """A service that is kept running. Made by ``supervised``."""

    def __init__(self, service: Service, tell: Tell) -> None:
        self._service = service
        self._tell = tell
        self._history = History()
        self._process: asyncio.subprocess.Process | None = None
        self._log_begins = service.log.stat().st_size if service.log.exists() else 0
        self.task = asyncio.create_task(self._keep_running())

    async def until(
        self,
        question: Callable[[], Awaitable[bool]],
        what: str,
        *,
        deadline_s: float,
        slow_after_s: float = SLOW_AFTER_S,
    ) -> None:
        """Ask until the answer is yes; after ``slow_after_s`` tell that it takes long.

        Raises ServiceFailed if the service cannot be started or takes longer than ``deadline_s``.
        """
        began_s, is_told = time.monotonic(), False
        while not await self._is_so(question):
            if self.task.done():
                await self.task
            waited_s = time.monotonic() - began_s
            if waited_s > deadline_s:
                raise self._failed(f"{self._service.name} takes too long: {what} not within {deadline_s:.0f} s.")
            if waited_s >= slow_after_s and not is_told:
                self._tell(f"{self._service.name} takes its time: {what} not yet. Its log: {self._service.log}")
                is_told = True
            await asyncio.sleep(PROBE_PAUSE_S)
        self._history = self._history.answered()

    async def end(self) -> None:
        """Stop the service, and stop restarting it."""
        self.task.cancel()
        await asyncio.wait([self.task])
        if not self.task.cancelled():
            self.task.exception()  # told already, to whoever waited for it

    async def _is_so(self, question: Callable[[], Awaitable[bool]]) -> bool:
        """Ask only while our own process runs: somebody else may answer at the same address."""
        alive = self._process is not None and self._process.returncode is None
        return alive and await question()

    async def _keep_running(self) -> None:
        while True:
            started_s = time.monotonic()
            status = await self._run_once()
            self._history, decision = after_end(self._history, lived_s=time.monotonic() - started_s)
            if isinstance(decision, GiveUp):
                raise self._failed(f"{self._service.name} ended {decision.starts} times while it started.")
            self._tell(
                f"{self._service.name} ended ({_reason(status)}); starting it again in {decision.pause_s:g} s. "
                f"Its log: {self._service.log}"
            )
            await asyncio.sleep(decision.pause_s)

    async def _run_once(self) -> int:
        """Run the service until it ends, or until we are cancelled: then it is ended."""
        with self._service.log.open("ab") as log:
            process = await start_child(
                self._service.arguments, environment=self._service.environment(), output=log, errors=log
            )
        self._process = process
        try:
            return await process.wait()
        finally:
            await end_child(process, grace_s=STOP_GRACE_S)

    def _failed(self, message: str) -> ServiceFailed:
        log = self._service.log
        return ServiceFailed(f"{message} The last lines of {log}:\n{log_tail(log, begins=self._log_begins)}")


@asynccontextmanager
async def supervised(service: Service, tell: Tell) -> AsyncIterator[Supervised]:
    """Keep a service running while the context lasts."""
    service.log.parent.mkdir(parents=True, exist_ok=True)
    running = Supervised(service, tell)
    try:
        yield running
    finally:
        await running.end()


def log_tail(log: Path, *, begins: int = 0, lines: int = LOG_TAIL_LINES) -> str:
    """Return the last lines of a log, indented; what is before byte ``begins`` was written in an earlier life."""
    try:
        text = log.read_bytes()[begins:].decode("utf-8", "replace")
    except FileNotFoundError:
        return "  (there is no log yet)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (empty)"


def _reason(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"signal {-status}"
