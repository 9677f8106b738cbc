"""Carries out what the farm's rules decide: stores it, wakes those who wait, tells the link to the Server.

Everything happens in one event loop, and a rule runs from its beginning to its end without an await in between; so the
farm needs no locks, and what is written to the journal keeps the order in which it was decided.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from flamenco_core.errors import FlamencoError
from flamenco_core.statuses import JobStatus
from flamenco_core.wire.worker_api import MayKeepRunning, WorkerStateChange
from flamenco_manager import asked_of_workers, attempts, job_rules, leases, worker_rules
from flamenco_manager.attempts import Answer, HandOut
from flamenco_manager.farm import Changes, Farm
from flamenco_manager.model import Moment, Worker
from flamenco_manager.stores.farm_store import Also, StoredJob
from flamenco_manager.task_rules import Links
from flamenco_manager.telling import Line, lines_of, of_ended_job
from flamenco_runtime import garbage
from flamenco_runtime.clock import Clock

_Commit = asyncio.Future[None]
"""Ends when what was decided is on disk."""


class Store(Protocol):
    """What a foreman needs of a store."""

    def save(self, changes: Changes, now: Moment, also: Also | None = None) -> _Commit:
        """Store what a step changed, and what ``also`` writes, in one transaction."""


@dataclass(frozen=True, slots=True)
class _Parked:
    """An ask that waits for work; ``most``: how many tasks its Worker would take."""

    answer: asyncio.Future[tuple[Answer, _Commit]]
    most: int


class Foreman:
    """The farm, its store, and the requests that wait for it."""

    def __init__(self, farm: Farm, store: Store, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.farm = farm
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._parked: dict[str, _Parked] = {}
        """Workers whose ask waits for work, the longest waiting first."""
        self._listeners: dict[str, set[asyncio.Future[None]]] = {}
        """Workers that wait for something to be said about them or their task."""
        self._newest_commit: _Commit | None = None
        self.on_change: Callable[[Changes], None] = lambda _: None
        """Called after each commit: there is something to report."""

    @property
    def present(self) -> AbstractSet[str]:
        """The Workers that wait for an answer from us just now."""
        return self._parked.keys() | self._listeners.keys()

    @property
    def asks_waiting(self) -> int:
        """How many asks for a task wait until there is one."""
        return len(self._parked)

    def now(self) -> Moment:
        """Return the present."""
        return Moment(self._clock(), self._monotonic())

    @contextlib.contextmanager
    def hearing(self, worker: Worker) -> Iterator[None]:
        """Note that a Worker is in touch; its call is answered within.

        What that changes is stored with whatever comes of the call, and at its end if nothing did.
        """
        worker_rules.heard(self.farm, worker, self.now())
        try:
            yield
        finally:
            if self.farm.has_changed:
                self._commit()

    async def settle(self, also: Also | None = None) -> None:
        """Store what the last rule changed, wake whom it concerns, and wait until it is on disk.

        Call it right after the rule, without an await in between. It is shielded: a request that goes away changes
        nothing about what was decided. A rule that changed nothing may have seen what is not on disk yet (a repeat of
        what was said a moment ago), so it waits for that. Raises Unavailable when the store had to stop.
        """
        await asyncio.shield(self._commit(also))

    async def ask(self, worker: Worker, wait_s: float, most: int = 1) -> Answer:
        """Answer a Worker that asks for a task; waits up to ``wait_s`` while there is none. On disk when it returns."""
        self._end_parked(worker)
        answer = attempts.ask(self.farm, worker, self.now(), most)
        commit = self._commit()
        try:
            if answer is None and wait_s > 0:
                answer, commit = await self._parked_answer(worker, commit, wait_s, most)
            await asyncio.shield(commit)
        except asyncio.CancelledError:
            await self.take_back(answer)
            raise
        return answer

    async def take_back(self, answer: Answer) -> None:
        """Undo a hand-out whose answer found its connection closed."""
        if isinstance(answer, HandOut):
            attempts.take_back(self.farm, answer, self.now())
            await self.settle()

    @contextlib.asynccontextmanager
    async def listening(self, worker: Worker) -> AsyncIterator["asyncio.Future[None]"]:
        """Yield a future that is done when something about the Worker, or its task, has changed."""
        bell: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listeners.setdefault(worker.id, set()).add(bell)
        try:
            yield bell
        finally:
            self._listeners[worker.id].discard(bell)
            if not self._listeners[worker.id]:
                del self._listeners[worker.id]

    async def status_wanted(self, worker: Worker, wait_s: float) -> WorkerStateChange | None:
        """Return what a Worker is asked to be; waits for it up to ``wait_s``."""
        async with self.listening(worker) as bell:
            if worker.status_requested is None and wait_s > 0:
                await asyncio.wait({bell}, timeout=wait_s)
        return WorkerStateChange(worker.status_requested) if worker.status_requested is not None else None

    async def may_run(self, worker: Worker, task_id: str, attempt: int | None, wait_s: float) -> MayKeepRunning:
        """Answer whether a Worker may go on with a task; a yes is held back up to ``wait_s``, a no comes at once."""
        deadline = self._monotonic() + wait_s
        while True:
            async with self.listening(worker) as bell:  # before we look: what happens meanwhile is not missed
                task = self.farm.tasks.get(task_id)
                answer = attempts.may_run(self.farm, worker, task, attempt, self.now())
                await self.settle()
                left_s = deadline - self._monotonic()
                if not answer.yes or left_s <= 0:
                    return MayKeepRunning(answer.yes, answer.reason, answer.status_wanted)
                await asyncio.wait({bell}, timeout=left_s)

    async def tick(self) -> None:
        """Look at the leases, start times and sleep schedules; call it every second."""
        leases.tick(self.farm, self.now(), self.present)
        await self.settle()

    async def tick_for_ever(self) -> None:
        """Call ``tick`` every second."""
        while True:
            await asyncio.sleep(leases.TICK_S)
            await self.tick()

    def _commit(self, also: Also | None = None) -> _Commit:
        changes = self.farm.take_changes()
        now = self.now()
        if changes or also:
            self._newest_commit = self._saved(changes, now, also)
        lines = lines_of(changes)
        commit = self._newest_commit or _done()
        self._ring(changes.touched_workers)
        self._offer(changes.new_work)
        if changes or also:
            commit.add_done_callback(lambda done: self._committed(done, changes, lines))
        return commit

    def _saved(self, changes: Changes, now: Moment, also: Also | None) -> _Commit:
        """Hand changes to the store; when it takes nothing any more, that is what everybody is told from now on."""
        try:
            return self._store.save(changes, now, also)
        except FlamencoError as error:
            refused: _Commit = asyncio.get_running_loop().create_future()
            refused.set_exception(error)
            refused.exception()  # noted: nobody may be there to ask
            return refused

    def _committed(self, commit: _Commit, changes: Changes, lines: Sequence[Line]) -> None:
        if commit.cancelled() or commit.exception() is not None:
            return  # whoever waits for it is told; the service stops
        for line in lines:
            line.write()
        for job in changes.jobs.values():
            is_newest = job.rev == changes.number  # else it may have ended in a commit that is still on its way
            if is_newest and job.status.is_ended and self.farm.jobs.get(job.id) is job:
                self.farm.forget(job)
                of_ended_job(job).write()
        self.on_change(changes)

    def _ring(self, worker_ids: set[str]) -> None:
        for worker_id in worker_ids:
            for bell in self._listeners.get(worker_id, ()):
                if not bell.done():
                    bell.set_result(None)
            if worker_id in self._parked:
                self._ask_again(worker_id)

    def _offer(self, new_work: int) -> None:
        """Let waiting Workers look for new work, until there is one who found something for each piece of it."""
        for worker_id in list(self._parked) if new_work else ():
            new_work -= self._ask_again(worker_id)
            if new_work <= 0:
                return

    def _ask_again(self, worker_id: str) -> bool:
        """Ask for a Worker that waits; tells whether it got an answer."""
        parked = self._parked.get(worker_id)
        if parked is None or parked.answer.done():
            return False
        if worker_id not in self.farm.workers:  # people had it removed; it is told so when it asks again
            parked.answer.set_result((None, _done()))
            return False
        answer = attempts.ask(self.farm, self.farm.worker(worker_id), self.now(), parked.most)
        if answer is None:
            if self.farm.has_changed:  # by looking: a task was lost once too often, and nobody gets it
                self._commit()
            return False
        del self._parked[worker_id]
        parked.answer.set_result((answer, self._commit()))
        return True

    async def _parked_answer(self, worker: Worker, commit: _Commit, wait_s: float, most: int) -> tuple[Answer, _Commit]:
        parked: asyncio.Future[tuple[Answer, _Commit]] = asyncio.get_running_loop().create_future()
        self._parked[worker.id] = _Parked(parked, most)
        try:
            await asyncio.wait({parked}, timeout=wait_s)
        except asyncio.CancelledError:
            if parked.done():
                await self.take_back(parked.result()[0])
            raise
        finally:
            mine = self._parked.get(worker.id)
            if mine is not None and mine.answer is parked:
                del self._parked[worker.id]
        return parked.result() if parked.done() else (None, commit)

    def let_go(self) -> None:
        """End all asks that wait, with "no task": we stop, and they need not wait for nothing."""
        for parked in self._parked.values():
            if not parked.answer.done():
                parked.answer.set_result((None, _done()))

    def _end_parked(self, worker: Worker) -> None:
        """End an older ask of the same Worker with "no task": only the newest is meant."""
        older = self._parked.pop(worker.id, None)
        if older is not None and not older.answer.done():
            older.answer.set_result((None, _done()))


def restore(farm: Farm, unfinished: Sequence[StoredJob], now: Moment) -> None:
    """Put what the store kept back into the farm: running attempts go on, and everybody gets a lease of grace."""
    for stored in unfinished:
        farm.jobs[stored.job.id] = stored.job
    for stored in unfinished:
        if stored.job.status is not JobStatus.UNDER_CONSTRUCTION:
            put_back(farm, stored, now)
    for stored in unfinished:
        job_rules.look_at_end(farm, stored.job, now)
    asked_of_workers.resume_schedules(farm, now)
    farm.started_s = now.monotonic_s
    leases.begin(farm, now)
    garbage.keep()


def put_back(farm: Farm, stored: StoredJob, now: Moment, links: Links | None = None) -> None:
    """Put a job that was stored, with its tasks, into the farm; ``links``: the tasks are linked already."""
    job_rules.resume(farm, stored.job, stored.tasks, now, stored.others, links)
    for moment_s in stored.wakes_s:
        farm.wake_at(moment_s)


def _done() -> _Commit:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future
