"""One history: everything that happens is done to a Manager and to the naive model, and both must agree after it."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import naive_choosing
import naive_requests
import naive_time
import naive_words
import planned_jobs
from history_checks import Agreement
from naive_choosing import Handed
from naive_farm import NaiveFarm
from naive_records import NaiveJob, NaiveTask, NaiveWorker, Word
from planned_jobs import JobPlan
from virtual_manager import Ask, VirtualManager, id_of_order, id_of_task

from flamenco_core.statuses import TaskStatus
from flamenco_core.wire.worker_api import (
    BatchedUpdate,
    Gpu,
    Hardware,
    SavedFrame,
    TaskUpdate,
    WorkerRegistration,
    WorkerSignOn,
)
from flamenco_manager.attempts import HandOut, NotAwake, StatusWanted
from flamenco_manager.model import Policy, Worker

SHORT_S = 6
"""Time that is no longer passes second by second, other time in steps of ``STEP_S``."""
STEP_S = 5
ASKED_EVERY = 3
"""After so many steps each task was asked why it does not run."""


@dataclass(frozen=True)
class HandedOut:
    """A hand-out of the past."""

    worker: str
    task: str
    attempt: int


class History:
    """A Manager and its model. After each step ``check`` compares them."""

    def __init__(self, tally: Counter[str] | None = None) -> None:
        policy = Policy(start_up_grace_s=0.0)
        named = {name: getattr(policy, name) for name in Policy.__dataclass_fields__}
        self.naive = NaiveFarm(
            {**named, "policy": "fifo", "limits": {}, "project_caps": {}}, Counter() if tally is None else tally
        )
        self.manager = VirtualManager(policy)
        self.handed: list[HandedOut] = []
        self.plans: list[tuple[str, JobPlan]] = []
        self.seen: list[int] = []
        """The Manager's last change after each step: what a person saw who looked then."""
        self.agreement = Agreement(self.manager, self.naive)
        self.orders: list[tuple[str, str, dict[str, Any]]] = []
        self.is_broken = False
        """A step has begun, and was not found right yet."""
        self.checks_each_step = True

    def close(self) -> None:
        self.manager.close()

    # Looking things up.

    def real(self, worker: NaiveWorker) -> Worker:
        return self.manager.farm.workers[worker.id]

    def workers(self) -> list[NaiveWorker]:
        """Those that were not forgotten."""
        return [worker for worker in self.naive.workers.values() if not worker.gone]

    def jobs(self) -> list[NaiveJob]:
        """Those that were not erased."""
        return [job for job in self.naive.jobs.values() if not job.erased]

    def tasks(self) -> list[NaiveTask]:
        return list(self.naive.tasks())

    def some_hold(self) -> list[NaiveTask]:
        """Tasks that Workers hold, also suspended."""
        return [task for task in self.naive.tasks() if task.holder]

    def needed_jobs(self) -> list[NaiveJob]:
        """Jobs that others wait for, or have waited for."""
        needed = {job_id for job in self.jobs() for job_id, _ in job.needs_jobs}
        return [job for job in self.jobs() if job.id in needed]

    def silent(self) -> list[NaiveWorker]:
        """Workers that were given up, as they were not heard of."""
        return [worker for worker in self.workers() if worker.status == "error"]

    def reserved(self) -> list[NaiveTask]:
        """Tasks that Workers have ahead of time."""
        return [task for task in self.naive.tasks() if task.reserved]

    def is_waiting(self, worker: NaiveWorker) -> bool:
        """Tell whether its ask waits for an answer."""
        return worker.id in self.manager.parked

    # One step.

    def step(self, real: Callable[[], Any], model: Callable[[], Any], *, is_asked_for: bool = False) -> Any:
        """Do something to both; then those that wait for work have what they got, and both agree."""
        self.begin_step()
        self.naive.tally["steps"] += 1
        got, expected = real(), model()
        assert got == expected, f"the Manager says {got!r}, the model {expected!r}"
        self.end_step(is_asked_for=is_asked_for)
        return got

    def begin_step(self) -> None:
        self.is_broken = True
        self.naive.step += 1

    def end_step(self, *, is_asked_for: bool = False) -> None:
        self.take_answers()
        if self.checks_each_step:
            self.agreement.check(is_asked_for=is_asked_for)
            self.is_broken = False
        self.seen.append(self.manager.change)

    def take_answers(self) -> None:
        """Let the model hear, in their order, which Workers that had waited got an answer."""
        self.naive.look_at_waiting_jobs()
        answered, self.manager.answered = self.manager.answered, []
        for ask in answered:
            worker = self.naive.workers[ask.worker]
            if not worker.gone and ask.answer is not None:
                self._judge_answer(worker, ask)
        naive_choosing.lose_hopeless(self.naive, self.manager.parked)

    def _judge_answer(self, worker: NaiveWorker, ask: Ask) -> None:
        naive_choosing.ask(
            self.naive, worker, self._seen_answer(worker, ask), most=ask.most, parked=self.manager.parked
        )

    def _seen_answer(self, worker: NaiveWorker, ask: Ask) -> naive_choosing.Answer:
        match ask.answer:
            case HandOut(task, attempt, ahead):
                others = tuple((one.task.id, one.attempt) for one in ahead)
                for task_id, number in ((task.id, attempt), *others):
                    self.handed.append(HandedOut(worker.id, task_id, number))
                return Handed(task.id, attempt, others)
            case StatusWanted(status):
                return str(status)
            case NotAwake():
                return "not awake"
        return None

    # Workers.

    def register(self, worker: NaiveWorker) -> None:
        """Let a new Worker register, and sign on as awake."""
        hardware = Hardware(4, worker.memory, tuple(Gpu(backend, "card") for backend in worker.gpus))
        said = WorkerRegistration("secret", "linux", tuple(worker.types), worker.id[-2:], None, None, hardware)
        tags, worker.tags = sorted(worker.tags), frozenset()

        def model() -> None:
            self.naive.workers[worker.id] = worker
            worker.seen = self.naive.now

        self.step(lambda: self.manager.register(worker.id, said, is_approved=worker.approved), model)
        self.sign_on(worker, worker.types)
        self.say_status(worker, "awake")
        if tags:
            self.order("worker.tags", {"worker": worker.id, "tags": tags})

    def sign_on(self, worker: NaiveWorker, types: Sequence[str]) -> None:
        self._stops_waiting(worker)
        features = ("attempt",) if worker.ours else ()
        said = WorkerSignOn(worker.id[-2:], tuple(types), "4", can_restart=worker.can_restart, features=features)
        self.step(
            lambda: str(self.manager.sign_on(self.real(worker), said)),
            lambda: naive_words.sign_on(self.naive, worker, types),
        )

    def sign_off(self, worker: NaiveWorker) -> None:
        self._stops_waiting(worker)
        self.step(lambda: self.manager.sign_off(self.real(worker)), lambda: naive_words.sign_off(self.naive, worker))

    def say_status(self, worker: NaiveWorker, status: str) -> None:
        self._stops_waiting(worker)
        self.step(
            lambda: self.manager.say_status(self.real(worker), status),
            lambda: naive_words.say_status(self.naive, worker, status),
        )

    def poll(self, worker: NaiveWorker) -> None:
        def model() -> str | None:
            naive_words.heard(self.naive, worker)
            return worker.requested

        self.step(lambda: self.manager.poll(self.real(worker)), model)

    def ask(self, worker: NaiveWorker, *, most: int = 1, waits: bool = False) -> naive_choosing.Answer:
        """Let a Worker ask for a task; one that waits, and whose answer there is not yet, is parked."""
        self.begin_step()
        naive_words.heard(self.naive, worker)
        ask = self.manager.ask(self.real(worker), most=most, waits=waits)
        answer: naive_choosing.Answer = None
        if ask.is_answered:
            self.manager.answered.remove(ask)  # decided first, though others may have been told before it
            answer = self._seen_answer(worker, ask)
        naive_choosing.ask(self.naive, worker, answer, most=most, parked=self.manager.parked)
        self.end_step()
        return answer

    def hang_up(self, worker: NaiveWorker) -> None:
        """Let the connection break on which a Worker waits."""
        ask = self.manager.parked[worker.id]
        self.step(lambda: self.manager.hang_up(ask), lambda: None)

    def take_back(self, worker: NaiveWorker, answer: Handed) -> None:
        """Let the connection break by which a Worker was answered."""
        tasks = self.manager.farm.tasks
        ahead = [HandOut(tasks[task], attempt) for task, attempt in answer.ahead if task in tasks]
        if answer.task not in tasks:
            return  # its job has ended since, and left memory
        handed = HandOut(tasks[answer.task], answer.attempt, ahead)
        self.step(
            lambda: self.manager.take_back(handed),
            lambda: self.naive.take_back(answer.task, answer.attempt, answer.ahead),
        )

    def say(self, worker: NaiveWorker, said: Word) -> str:
        """Let a Worker say something of a task; tells what became of it."""
        self._stops_waiting(worker)
        verdict: list[str] = []

        def model() -> str:
            naive_words.heard(self.naive, worker)
            verdict.append(naive_words.word(self.naive, worker, said))
            return "taken" if verdict[0] in ("applied", "repeated") else verdict[0]

        self.step(lambda: self.manager.say(self.real(worker), said.task, _update(said)), model)
        return verdict[0]

    def say_all(self, worker: NaiveWorker, said: Sequence[Word]) -> None:
        """Let a Worker say many things in one call."""
        self._stops_waiting(worker)

        def model() -> list[str]:
            naive_words.heard(self.naive, worker)
            return [naive_words.word(self.naive, worker, word) for word in said]

        batch = [BatchedUpdate(task=word.task, **_facts(word)) for word in said]
        self.step(lambda: [str(result) for result in self.manager.say_all(self.real(worker), batch)], model)

    def may_run(self, worker: NaiveWorker, task: str, attempt: int | None) -> None:
        def real() -> tuple[bool, bool]:
            answer = self.manager.may_run(self.real(worker), task, attempt)
            assert answer.yes or answer.reason
            return answer.yes, answer.status_wanted

        def model() -> tuple[bool, bool]:
            naive_words.heard(self.naive, worker)
            return naive_words.may_run(self.naive, worker, task, attempt)

        self.step(real, model)

    def release(self, worker: NaiveWorker, task: str, attempt: int) -> None:
        def model() -> bool:
            naive_words.heard(self.naive, worker)
            return self.naive.give_back_ahead(task, attempt)

        self.step(lambda: self.manager.release(self.real(worker), task, attempt), model)

    def _stops_waiting(self, worker: NaiveWorker) -> None:
        """A Worker that does something else does not wait for an answer any more."""
        if self.is_waiting(worker):
            self.hang_up(worker)

    # Time.

    def passes(self, seconds: int, present: Sequence[NaiveWorker] = (), *, ticks: bool = True) -> None:
        """Let time pass. ``present`` Workers call every 20 s. Without ticks: the Manager itself was stopped."""
        self.begin_step()
        step_s = (1 if seconds <= SHORT_S else STEP_S) if ticks else seconds
        for second in range(0, seconds, step_s):
            if second % 20 == 15:
                for worker in present:
                    self.manager.poll(self.real(worker))
                    naive_words.heard(self.naive, worker)
            waiting = set(self.manager.parked)
            self.manager.tick(step_s)
            self.naive.now += step_s
            naive_time.tick(self.naive, waiting)
            self.take_answers()
        self.end_step()

    def restart(self) -> None:
        """Kill the Manager, and start it on what it had stored."""
        self.begin_step()
        self.manager.kill()
        self.manager.start()
        naive_time.restart(self.naive)
        self.end_step()

    # People.

    def order(self, kind: str, details: dict[str, Any], *, seen: int | None = None) -> str:
        """Let people ask for something; ``seen``: the step after which they looked."""
        facts = dict(details)
        if seen is not None:
            details = {**details, "rev": [1, self.seen[seen]]}
            facts["seen"] = seen + 1
        if kind == "settings":
            kind = "settings.put"
        self.orders.append((kind, id_of_order(self.manager.orders_issued + 1), details))
        result: str = self.step(
            lambda: self.manager.order(kind.removesuffix(".put"), details),
            lambda: naive_requests.order(self.naive, kind, facts),
            is_asked_for=True,
        )
        return result

    def same_order_again(self, index: int) -> None:
        """Let an order come twice: nothing happens."""
        kind, order_id, details = self.orders[index]
        self.step(lambda: self.manager.order(kind.removesuffix(".put"), details, order_id), lambda: "done")

    def announce(self, plan: JobPlan) -> str:
        """Submit a job; it is under construction until ``arrive``."""
        job_id = f"00000000-0000-4000-8000-{len(self.plans) + 1:012}"
        self.plans.append((job_id, plan))
        self.order("job.submit", {"job": job_id})
        return job_id

    def arrive(self, number: int) -> None:
        """Let all of a job come."""
        job_id, plan = self.plans[number]
        job = self.naive.jobs[job_id]
        if job.status != "under-construction":
            return
        job.created, job.priority, job.project, job.needs = float(number), plan.priority, plan.project, plan.needs
        job.start_after = None if plan.starts_in_s is None else self.naive.now + plan.starts_in_s
        job.max_workers, job.runtime_limit, job.silence_limit = plan.max_workers, plan.runtime_limit, plan.silence_limit
        job.needs_jobs = [(self.plans[other][0], ended) for other, ended in plan.needs_jobs]
        tasks = [
            NaiveTask(
                id_of_task(job_id, index),
                job,
                index,
                task.type,
                task.priority,
                task.depends_on,
                task.needs,
                steps_total=2,
            )
            for index, task in enumerate(plan.tasks)
        ]
        definition, sent = planned_jobs.wired(job, plan, tasks)
        self.step(
            lambda: self.manager.arrive(definition, sent),
            lambda: naive_requests.arrive(self.naive, job, tasks, start_paused=plan.start_paused),
        )

    def submit(self, plan: JobPlan) -> NaiveJob:
        job_id = self.announce(plan)
        self.arrive(len(self.plans) - 1)
        return self.naive.jobs[job_id]


def _facts(said: Word) -> dict[str, Any]:
    return {
        "task_status": TaskStatus(said.status) if said.status else None,
        "attempt": said.attempt,
        "seq": said.seq,
        "steps_completed": said.steps,
        "frames": [SavedFrame(frame, f"/out/{frame}.png", 10, "a" * 64) for frame in said.frames],
    }


def _update(said: Word) -> TaskUpdate:
    return TaskUpdate(**_facts(said))
