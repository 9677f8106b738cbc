"""A Manager without sockets, threads and real time: its own rules, foreman, orders and store, on an SQLite in memory.

It can be killed and started again at any moment between two steps; what it had not stored is gone then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import apsw

from flamenco_core.identifiers import task_id
from flamenco_core.statuses import WorkerStatus
from flamenco_core.wire.definitions import JobDefinition, TaskDefinition
from flamenco_core.wire.manager_api import Order
from flamenco_core.wire.worker_api import (
    BatchedUpdate,
    BatchResult,
    TaskUpdate,
    WorkerRegistration,
    WorkerSignOn,
)
from flamenco_manager import attempts, job_rules, worker_rules
from flamenco_manager.attempts import Answer, BadTaskStatus, HandOut, MayRun
from flamenco_manager.farm import Farm
from flamenco_manager.farm_settings import FarmSettingsKeeper
from flamenco_manager.foreman import Foreman, restore
from flamenco_manager.model import Job, Policy, Worker
from flamenco_manager.order_acts import OrderActs
from flamenco_manager.orders import Orders
from flamenco_manager.stores.arrivals import ArrivalStore
from flamenco_manager.stores.erasing import ErasingStore
from flamenco_manager.stores.farm_store import FarmStore
from flamenco_manager.stores.outbox import Outbox, prepare_link
from flamenco_manager.task_updates import AttemptOver, NoSuchTask, TaskUpdates
from flamenco_runtime.migrations import migrate

T = TypeVar("T")

EPOCH = datetime(2026, 1, 31, 12, tzinfo=UTC)
FEED = "00000000-0000-4000-8000-000000000000"
FOR_EVER_S = 1e9
HOPS, HOPS_WITH_WAITING = 5, 10
"""So many turns of the event loop let all happen that can happen without time passing, also to those who wait."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes when it is told to."""

    passed_s = 0.0

    def time(self) -> float:
        return self.passed_s


class PromptJournal:
    """Group commit without a thread: what is written in one turn of the event loop is on disk in the next."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._works: list[tuple[Callable[[apsw.Connection], Any], asyncio.Future[Any]]] = []

    def write(self, work: Callable[[apsw.Connection], T]) -> "asyncio.Future[T]":
        loop = asyncio.get_running_loop()
        if not self._works:
            loop.call_soon(self._commit)
        future: asyncio.Future[T] = loop.create_future()
        self._works.append((work, future))
        return future

    def _commit(self) -> None:
        works, self._works = self._works, []
        for work, future in works:
            try:
                with self._connection:
                    result = work(self._connection)
            except apsw.Error as error:
                future.set_exception(error)
            else:
                if not future.cancelled():
                    future.set_result(result)

    async def read(self, work: Callable[[apsw.Connection], T], *, is_long: bool = False) -> T:
        return work(self._connection)

    @property
    def is_busy(self) -> bool:
        """There is something on its way to the disk."""
        return bool(self._works)


class NoLogs:
    """Logs of Workers that print nothing."""

    async def place(self, *_: object) -> None:
        raise AssertionError("nobody printed anything")

    def is_on_disk(self, *_: object) -> bool:
        """There is nothing to put there."""
        return True


@dataclass(eq=False)
class Ask:
    """A Worker's question for a task, and its answer once there is one."""

    worker: str
    most: int
    call: "asyncio.Task[None]" = field(init=False)
    answer: Answer = None
    is_answered: bool = False


class NoArrivals:
    """Jobs come when the history wants it."""

    def begin(self, job: Job) -> None:
        """See VirtualManager.arrive."""


class VirtualManager:
    """What the history drives; times are seconds since its beginning."""

    def __init__(self, policy: Policy) -> None:
        self.loop = VirtualLoop()
        self.policy = policy
        self.connection = apsw.Connection(":memory:")
        with self.connection:
            migrate(self.connection, "flamenco_manager.stores.migrations")
            prepare_link(self.connection, FEED)
        self.orders_issued = 0
        self.parked: dict[str, Ask] = {}
        """Asks that wait for an answer, by their Workers."""
        self.answered: list[Ask] = []
        """Asks in the order in which they were answered, since somebody looked."""
        self.do(self._start())

    async def _start(self) -> None:
        journal: Any = PromptJournal(self.connection)
        self.journal: PromptJournal = journal
        store, outbox, arrivals_store = FarmStore(journal), Outbox(journal), ArrivalStore(journal)
        self.arrivals_store, self.store = arrivals_store, store
        self.farm = Farm(self.policy, changes_so_far=await store.last_change())
        self.foreman = Foreman(self.farm, store, lambda: EPOCH + timedelta(seconds=self.passed_s), self.loop.time)
        restore(self.farm, await store.load(self.farm, self.foreman.now()), self.foreman.now())
        await self.foreman.settle()
        keeper = FarmSettingsKeeper(self.farm, outbox, self.policy, lambda _: None)
        await keeper.restore()
        erasing: Any = ErasingStore(journal)
        erasing.wake = lambda: None
        acts = OrderActs(self.foreman, arrivals_store, store, erasing, keeper, lambda _: None)
        arrivals: Any = NoArrivals()
        self.orders = Orders(self.foreman, outbox, acts, arrivals)
        logs: Any = NoLogs()
        self.updates = TaskUpdates(self.foreman, store, logs, outbox)
        self.ticking = self.loop.create_task(self.foreman.tick_for_ever())

    @property
    def passed_s(self) -> float:
        return self.loop.passed_s

    @property
    def change(self) -> int:
        """The number of the last change that was stored."""
        return self.farm.number_of_next_change - 1

    def do(self, work: Awaitable[T]) -> T:
        """Do something, and let all happen that follows from it at once."""

        async def run() -> T:
            result = await work
            for _ in range(HOPS_WITH_WAITING if self.parked else HOPS):
                await asyncio.sleep(0)
            assert not self.journal.is_busy, "all is on disk before anything else happens"
            return result

        return self.loop.run_until_complete(run())

    def tick(self, seconds: float) -> None:
        """Let time pass in one go; the Manager ticks once."""
        self.loop.passed_s += seconds
        self.do(asyncio.sleep(0))

    def kill(self) -> None:
        """Kill it without warning; who waited for an answer gets none."""
        self.ticking.cancel()
        for ask in list(self.parked.values()):
            self.hang_up(ask)
        self.do(asyncio.sleep(0))

    def start(self) -> None:
        """Start it on what it had stored."""
        self.do(self._start())

    def close(self) -> None:
        self.kill()
        self.loop.close()
        self.connection.close()

    # Workers.

    def register(self, worker_id: str, said: WorkerRegistration, *, is_approved: bool) -> None:
        async def register() -> None:
            worker = Worker(worker_id, b"", said.name, said.platform, "127.0.0.1", ())
            worker_rules.register(self.farm, worker, said, self.foreman.now(), is_approved=is_approved)
            await self.foreman.settle()

        self.do(register())

    def sign_on(self, worker: Worker, said: WorkerSignOn) -> WorkerStatus:
        async def sign_on() -> WorkerStatus:
            wanted = worker_rules.sign_on(self.farm, worker, said, self.foreman.now())
            await self.foreman.settle()
            return wanted

        return self.do(sign_on())

    def sign_off(self, worker: Worker) -> None:
        self._call(worker, lambda: worker_rules.sign_off(self.farm, worker, self.foreman.now()))

    def say_status(self, worker: Worker, status: str) -> None:
        said = WorkerStatus(status)
        self._call(worker, lambda: worker_rules.say_status(self.farm, worker, said, self.foreman.now()))

    def poll(self, worker: Worker) -> WorkerStatus | None:
        """Let a Worker ask what it is to be."""
        self._call(worker, lambda: None)
        return worker.status_requested

    def ask(self, worker: Worker, *, most: int, waits: bool) -> Ask:
        """Let a Worker ask for a task; an ask that waits, and finds nothing, is parked."""
        ask = Ask(worker.id, most)
        self.parked.pop(worker.id, None)

        async def call() -> None:
            with self.foreman.hearing(worker):
                ask.answer = await self.foreman.ask(worker, FOR_EVER_S if waits else 0, most)
            ask.is_answered = True
            self.answered.append(ask)
            if self.parked.get(worker.id) is ask:
                del self.parked[worker.id]

        async def begin() -> None:
            self.parked[worker.id] = ask
            ask.call = self.loop.create_task(call())

        self.do(begin())
        return ask

    def hang_up(self, ask: Ask) -> None:
        """Let the connection of a Worker that waits for a task break."""
        ask.call.cancel()
        self.do(asyncio.sleep(0))
        self.parked.pop(ask.worker, None)

    def take_back(self, handed: HandOut) -> None:
        """Let the connection of a Worker break that was just answered."""
        self.do(self.foreman.take_back(handed))

    def say(self, worker: Worker, task: str, said: TaskUpdate) -> str:
        """Let a Worker say something of a task; tells what became of it."""

        async def say() -> None:
            with self.foreman.hearing(worker):
                await self.updates.take(worker, task, said)

        try:
            self.do(say())
        except (AttemptOver, NoSuchTask, BadTaskStatus) as error:
            return {AttemptOver: "stale", NoSuchTask: "unknown", BadTaskStatus: "bad"}[type(error)]
        return "taken"

    def say_all(self, worker: Worker, said: Sequence[BatchedUpdate]) -> list[BatchResult]:
        """Let a Worker say many things in one call."""

        async def say_all() -> list[BatchResult]:
            with self.foreman.hearing(worker):
                return await self.updates.take_all(worker, said)

        return self.do(say_all())

    def may_run(self, worker: Worker, task: str, attempt: int | None) -> MayRun:
        async def may_run() -> MayRun:
            with self.foreman.hearing(worker):
                now = self.foreman.now()
                answer = attempts.may_run(self.farm, worker, self.farm.tasks.get(task), attempt, now)
                await self.foreman.settle()
            return answer

        return self.do(may_run())

    def release(self, worker: Worker, task: str, attempt: int) -> bool:
        """Let a Worker give a task back that it had ahead of time."""
        found = self.farm.tasks.get(task)
        outcome: list[bool] = []

        def give_back() -> None:
            if found is not None:
                outcome.append(attempts.give_back_ahead(self.farm, found, attempt, self.foreman.now()))

        self._call(worker, give_back)
        return outcome == [True]

    def _call(self, worker: Worker, rule: Callable[[], None]) -> None:
        async def call() -> None:
            with self.foreman.hearing(worker):
                rule()
                await self.foreman.settle()

        self.do(call())

    # People.

    def order(self, kind: str, details: dict[str, Any], order_id: str | None = None) -> str:
        """Apply an order; tells its result. The same id twice is the same order."""
        self.orders_issued += 1
        number = self.orders_issued
        order = Order(number, order_id or id_of_order(number), kind, details, "admin", self.foreman.now().wall)
        self.do(self.orders.apply(order))
        if order_id is not None:
            return "done"
        query = "SELECT coalesce(result, 'done') FROM orders WHERE number = ?"
        return str(self.connection.execute(query, (number,)).get)

    def arrive(self, definition: JobDefinition, tasks: Sequence[TaskDefinition]) -> None:
        """Let all of a job come that was announced."""
        job = self.farm.jobs.get(definition.id)
        if job is not None:
            self.do(self._arrive(job, definition, tasks))

    async def _arrive(self, job: Job, definition: JobDefinition, tasks: Sequence[TaskDefinition]) -> None:
        await self.arrivals_store.keep_definition(job, definition)
        job_rules.define(self.farm, job, definition)
        await self.foreman.settle()
        await self.arrivals_store.keep_tasks(job, tasks)
        now = self.foreman.now()
        stored = await self.store.tasks_of(job, self.farm, now)
        others = await self.store.states_of([needed.id for needed in job.needs_jobs])
        job_rules.start(self.farm, job, stored, now, others)
        await self.foreman.settle()


def id_of_order(number: int) -> str:
    return f"00000000-0000-4000-b000-{number:012}"


def id_of_task(job_id: str, index: int) -> str:
    """Return the id that a task has, in the farm and in its model."""
    return task_id(job_id, index)
