"""What must hold after each step of a history: a Manager and its model agree, and what must never be is not."""

from collections.abc import Sequence

import naive_choosing
from farm_builder import check_farm
from naive_farm import NaiveFarm
from naive_records import ENDED, NaiveJob, NaiveTask
from virtual_manager import VirtualManager

from flamenco_core.statuses import TaskStatus
from flamenco_manager.checking import check_farm as product_check
from flamenco_manager.model import Task
from flamenco_manager.stores import rows
from flamenco_manager.stores.arrivals import SLICE_TASKS
from flamenco_manager.stores.comparing import Remembered
from flamenco_manager.stores.row_checks import check_rows
from flamenco_manager.why import why

ASKED_EVERY = 3
"""After so many steps each task was asked why it does not run."""


class Agreement:
    """Compares a Manager, in memory and on disk, with the model."""

    def __init__(self, manager: VirtualManager, naive: NaiveFarm) -> None:
        self.manager = manager
        self.naive = naive
        self.final: dict[str, str] = {}
        """Tasks and their statuses that were acknowledged as final, before the present step."""
        self.blocked: set[tuple[str, str, str]] = set()
        self.attempts: dict[str, int] = {}

    def check(self, *, is_asked_for: bool = False) -> None:
        """Compare memory and disk with the model, and look for what must never be."""
        check_farm(self.manager.farm)
        self._compare_workers()
        for job in self.naive.jobs.values():
            if not job.erased:
                self._compare_job(job)
        self._compare_store()
        self._check_what_never_changes(is_asked_for=is_asked_for)
        self._check_who_waits()

    def audit(self) -> None:
        """Let the Manager check itself: memory, rows, and whether the two are the same."""
        farm, connection = self.manager.farm, self.manager.connection
        findings = [*product_check(farm), *check_rows(connection, SLICE_TASKS)]
        assert not findings, [str(finding) for finding in findings]
        everything = [*farm.jobs.values(), *farm.tasks.values(), *farm.workers.values()]
        differences = Remembered(everything, self.manager.foreman.now()).differences(connection)
        assert not differences

    def _compare_workers(self) -> None:
        farm = self.manager.farm
        present = {worker.id: worker for worker in self.naive.workers.values() if not worker.gone}
        assert farm.workers.keys() == present.keys()
        for naive in present.values():
            worker, held = farm.workers[naive.id], self.naive.held(naive)
            _same(worker.status, naive.status, naive.id, "status")
            _same(worker.status_requested, naive.requested, naive.id, "requested")
            assert worker.is_lazy == naive.lazy, naive.id
            assert worker.is_approved == naive.approved
            assert worker.tags == naive.tags
            assert (worker.task.id if worker.task else None) == (held.id if held else None), naive.id
            assert worker.seen_s == naive.seen, f"{naive.id} was seen at {worker.seen_s}, not {naive.seen}"
            assert worker.has_signed_on_since == naive.signed_on_since, naive.id

    def _compare_job(self, naive: NaiveJob) -> None:
        job = self.manager.farm.jobs.get(naive.id)
        assert (job is None) == (naive.status in ENDED), f"job {naive.number} is {naive.status}"
        if job is None:
            return
        _same(job.status, naive.status, f"job {naive.number}", "status")
        assert (job.is_deleted, job.is_cancelled, job.priority) == (naive.deleted, naive.cancelled, naive.priority)
        assert job.blocked == naive.blocked
        assert not job.tasks or job.is_held_back == self.naive.is_held_back(naive), f"job {naive.number}"
        for task, expected in zip(job.tasks, naive.tasks, strict=True):
            what = f"task {naive.number}.{task.index}"
            _same(task.status, expected.status, what, "status")
            assert task.attempt == expected.attempt, what
            assert (task.is_held, task.is_reserved) == (expected.holder is not None, expected.reserved is not None)
            if expected.holder or expected.reserved:
                assert task.worker is not None
                assert task.worker.id == (expected.holder or expected.reserved), what
            assert [entry.worker for entry in task.failed_by] == expected.failed_by, what
            assert expected.status in ENDED or task.lost == len(expected.lost), f"{what} was lost {task.lost} times"
            assert task.steps_completed == expected.steps, what
            assert task.failed_with_job == expected.canceled_by_failure
            assert task.is_pause_wanted == expected.pause_wanted, what
            self._compare_times(task, expected, what)

    def _compare_times(self, task: Task, expected: NaiveTask, what: str) -> None:
        """What time will bring: who waits until when, and when its attempt will have taken too long."""
        now = self.naive.now
        marked = {worker for worker, until_s in (task.marks or {}).items() if until_s > now}
        mark_s = self.naive.number("flamenco3_mark_s")
        assert marked == {worker for worker, said in expected.marks.items() if said + mark_s > now}, what
        if expected.failed_by and max(task.retry_at_s, expected.retry_at) > now:
            assert task.retry_at_s == expected.retry_at, what
        if expected.holder is not None:
            run = self.naive.runs[expected.id, expected.attempt]
            assert (task.has_begun, task.seq) == (expected.begun, run.seq), what
        if expected.status == "active":
            times = (task.touched_s, task.begun_s, task.output_s)
            assert times == (expected.touched, expected.begun_at, expected.output_at), what

    def _compare_store(self) -> None:
        """What is on disk is what the model says, also of jobs that have left memory."""
        connection = self.manager.connection
        query = "SELECT id, status, is_deleted, is_cancelled FROM jobs"
        stored = {rows.id_text(row[0]): (row[1], bool(row[2]), bool(row[3])) for row in connection.execute(query)}
        present = [job for job in self.naive.jobs.values() if not job.erased]
        expected_jobs = {job.id: (job.status, job.deleted, job.cancelled) for job in present}
        assert stored == expected_jobs, f"stored: {stored}, in the model {expected_jobs}"
        query = "SELECT id, status, attempt, is_held, is_reserved, steps_completed, failed_by FROM tasks"
        tasks = {rows.id_text(row[0]): row[1:] for row in connection.execute(query)}
        for task in self.naive.tasks():
            *facts, failed_by = tasks[task.id]
            expected = [task.status, task.attempt, task.holder is not None, task.reserved is not None, task.steps]
            assert facts == expected, f"stored of {task.id}: {facts}, not {expected}"
            assert [entry.worker for entry in rows.failures_of(failed_by)] == task.failed_by
        frames: dict[str, dict[int, int]] = {}
        query = "SELECT tasks.id, frame, frames.attempt FROM frames JOIN tasks ON tasks.key = frames.task"
        for task_id, frame, attempt in connection.execute(query):
            frames.setdefault(rows.id_text(task_id), {})[frame] = attempt
        assert {key: saved for key, saved in frames.items() if self.naive.task(key)} == {
            task.id: task.frames for task in self.naive.tasks() if task.frames
        }

    def _check_what_never_changes(self, *, is_asked_for: bool) -> None:
        """Attempts only grow (I2); what ended stays so, but for requests of people, and blocklisting (I3)."""
        blocked = {(job.id, *block) for job in self.naive.jobs.values() for block in job.blocked}
        was_blocked = bool(blocked - self.blocked)
        for task in self.naive.tasks():
            assert task.attempt >= self.attempts.get(task.id, 0)
            self.attempts[task.id] = task.attempt
            was = self.final.get(task.id, task.status)
            if was != task.status and not is_asked_for:
                assert was == "failed", f"{task.id} was {was}, and is {task.status}"
                assert was_blocked, f"{task.id} was {was}, and is {task.status}"
        self.final = {task.id: task.status for task in self.naive.tasks() if task.status in ENDED}
        self.blocked = blocked

    def _check_who_waits(self) -> None:
        """Nobody waits for work while there is some (I5), and no task is said to run soon that nobody gets."""
        for worker_id in self.manager.parked:
            worker = self.naive.workers[worker_id]
            missed = naive_choosing.best(self.naive, worker)
            assert not missed, f"{worker_id} waits, and could have {missed[0].id}"
            assert worker.requested is None, f"{worker_id} waits, and is to be {worker.requested}"
        now = self.manager.foreman.now()
        for job in self.manager.farm.jobs.values():
            for task in job.tasks:
                is_its_turn = (self.naive.step + task.index) % ASKED_EVERY == 0
                if is_its_turn and (task.status.is_waiting or task.status is TaskStatus.PAUSED):
                    self._check_why(task.id, [reason.code for reason in why(self.manager.farm, task, now)])

    def _check_why(self, task_id: str, codes: Sequence[str]) -> None:
        """Each reason is true, the first is "soon" just when a Worker could have it, and that one does not wait."""
        task = self.naive.task(task_id)
        assert task is not None
        truths = naive_choosing.reasons(self.naive, task)
        assert set(codes) <= truths, f"{task_id}: {codes}, of {truths}"
        assert codes, f"{task_id}: no reason, of {truths}"
        free = [
            worker.id
            for worker in [worker for worker in self.naive.workers.values() if not worker.gone]
            if worker.is_at_work
            and naive_choosing.is_idle(self.naive, worker)
            and naive_choosing.is_allowed(self.naive, worker, task)
        ]
        assert (codes[0] == "soon") == bool(free), f"{task_id}: {codes}, but free are {free}"
        waiting = set(free) & set(self.manager.parked)
        assert not waiting, f"{task_id} runs soon, and {waiting} wait"


def _same(real: object, model: str | None, what: str, which: str) -> None:
    said = None if real is None else str(real)
    assert said == model, f"{what}: {which} {said}, in the model {model}"
