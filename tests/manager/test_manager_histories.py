"""Random histories of a farm; after each step its invariants hold (quality.md 4.1: I1, I2, I4, I6)."""

from farm_builder import Site, a_saved_frame
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from flamenco_core.statuses import TaskStatus, WorkerStatus
from flamenco_manager import attempts, job_rules, worker_rules
from flamenco_manager.attempts import HandOut, Verdict
from flamenco_manager.model import Job, Task

WORKERS = st.integers(0, 2)
GRAPHS = st.sampled_from(
    [((),), ((), ()), ((), (0,)), ((), (), (0, 1)), ((), (0,), (1,)), ((),) * 5 + (tuple(range(5)),)]
)


class Histories(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.site = Site()
        self.jobs: list[Job] = []
        self.handed: list[tuple[int, Task, int]] = []
        self.attempts: dict[str, int] = {}
        self.ended: dict[str, TaskStatus] = {}
        self.workers = [self.site.worker(), self.site.worker(), self.site.worker(ours=False)]

    @rule(graph=GRAPHS, priority=st.sampled_from([10, 50]))
    def submit(self, graph: tuple[tuple[int, ...], ...], priority: int) -> None:
        self.jobs.append(self.site.job(graph, priority=priority, frames="1-3"))

    @rule(number=WORKERS)
    def ask(self, number: int) -> None:
        answer = self.site.ask(self.workers[number])
        if isinstance(answer, HandOut):
            assert answer.task.status is TaskStatus.ACTIVE
            self.handed.append((number, answer.task, answer.attempt))

    @rule(number=WORKERS)
    def begin_task(self, number: int) -> None:
        worker = self.workers[number]
        if worker.task is not None:
            self.site.says(worker, worker.task, "active")

    @rule(number=WORKERS, status=st.sampled_from(["completed", "completed", "failed"]))
    def end_task(self, number: int, status: str) -> None:
        worker = self.workers[number]
        if worker.task is not None:
            self.site.says(worker, worker.task, status)

    @rule(data=st.data(), status=st.sampled_from(["active", "completed", "failed", None]), seq=st.integers(1, 9))
    def say_something_of_the_past(self, data: st.DataObject, status: str | None, seq: int) -> None:
        if not self.handed:
            return
        number, task, attempt = data.draw(st.sampled_from(self.handed))
        worker = self.workers[number]
        before = (task.status, task.steps_completed)
        frames = [a_saved_frame(1)]
        if not worker.knows_attempts:
            self.site.says(worker, task, status, frames=frames)
            return
        verdict = self.site.says(worker, task, status, attempt=attempt, seq=seq, frames=frames)
        if verdict is not Verdict.APPLIED:
            assert (task.status, task.steps_completed) == before
        if attempt != task.attempt:
            assert verdict is Verdict.STALE

    @rule(number=WORKERS)
    def ask_whether_to_go_on(self, number: int) -> None:
        worker = self.workers[number]
        for held, task, attempt in self.handed[-5:]:
            if held == number:
                asked = attempt if worker.knows_attempts else None
                worker_rules.heard(self.site.farm, worker, self.site.now)
                answer = attempts.may_run(self.site.farm, worker, task, asked, self.site.now)
                assert not answer.yes or (task.status is TaskStatus.ACTIVE and task.worker is worker)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        running = [job for job in self.jobs if not job.status.is_ended]
        if running:
            job_rules.cancel(self.site.farm, data.draw(st.sampled_from(running)), self.site.now)

    @rule(number=WORKERS)
    def die_and_come_back(self, number: int) -> None:
        self.site.sign_on(self.workers[number], ours=self.workers[number].knows_attempts)
        worker_rules.say_status(self.site.farm, self.workers[number], WorkerStatus.AWAKE, self.site.now)

    @rule(number=WORKERS)
    def sign_off(self, number: int) -> None:
        worker_rules.heard(self.site.farm, self.workers[number], self.site.now)
        worker_rules.sign_off(self.site.farm, self.workers[number], self.site.now)

    @rule(number=WORKERS)
    def sleep(self, number: int) -> None:
        worker_rules.heard(self.site.farm, self.workers[number], self.site.now)
        worker_rules.say_status(self.site.farm, self.workers[number], WorkerStatus.ASLEEP, self.site.now)

    @rule(seconds=st.sampled_from([1, 6, 40, 70, 200]), present=st.sets(WORKERS))
    def time_passes(self, seconds: int, present: set[int]) -> None:
        self.site.passes(seconds, *[self.workers[number] for number in present])

    @rule(data=st.data())
    def connection_closed(self, data: st.DataObject) -> None:
        if self.handed:
            _, task, attempt = data.draw(st.sampled_from(self.handed))
            attempts.take_back(self.site.farm, HandOut(task, attempt), self.site.now)

    @invariant()
    def everything_adds_up(self) -> None:
        if not hasattr(self, "site"):
            return
        self.site.check()
        for task in self.site.farm.tasks.values():
            assert task.attempt >= self.attempts.get(task.id, 0), "attempts only grow"
            self.attempts[task.id] = task.attempt
            assert self.ended.get(task.id, task.status) is task.status, "what ended stays so"
            if task.status.is_ended:
                self.ended[task.id] = task.status

    def teardown(self) -> None:
        """Whatever happened, a healthy Worker brings every job to its end."""
        if not hasattr(self, "site"):
            return
        self.site.passes(200)
        healthy = self.site.worker()
        for _ in range(400):
            answer = self.site.ask(healthy)
            if isinstance(answer, HandOut):
                self.site.says(healthy, answer.task, "completed")
            elif all(job.status.is_ended for job in self.jobs):
                break
            else:
                self.site.passes(30, healthy)
        assert all(job.status.is_ended for job in self.jobs)
        self.site.check()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
