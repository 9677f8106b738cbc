"""When nothing is heard, and when too much is: limits on a task's time (jobs.md, "Time-outs")."""

import pytest
from farm_builder import Site

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_manager import attempts, leases, worker_rules
from flamenco_manager.model import Job, Task, Worker

ACTIVE, SOFT_FAILED = TaskStatus.ACTIVE, TaskStatus.SOFT_FAILED


def at_work(site: Site, **limits: float) -> tuple[Job, Worker, Task]:
    """A job with limits on its tasks, and a Worker that has begun its only one."""
    job, worker = site.job(asked=limits), site.worker()
    task = site.takes(worker)
    site.says(worker, task, "active", seq=1)
    return job, worker, task


def may_run(site: Site, worker: Worker, task: Task) -> bool:
    return attempts.may_run(site.farm, worker, task, task.attempt, site.now).yes


def test_a_task_that_runs_for_longer_than_its_job_allows_has_failed() -> None:
    site = Site()
    job, worker, task = at_work(site, task_runtime_limit_s=100)
    site.passes(60, worker)
    site.says(worker, task, "active", seq=2, log="still at it")  # which does not make its time begin again
    site.passes(40, worker)
    assert task.status is ACTIVE
    site.passes(1, worker)
    assert (task.status, job.status) == (SOFT_FAILED, JobStatus.ACTIVE)
    assert task.failed_by[0].reason == "It ran for longer than its job allows (100 s)."
    assert not may_run(site, worker, task)
    site.check()


def test_the_time_of_a_task_begins_with_its_attempt_and_with_its_worker_s_first_word() -> None:
    site = Site()
    site.job(asked={"task_runtime_limit_s": 100})
    worker = site.worker()
    task = site.takes(worker)
    site.passes(90, worker)
    site.says(worker, task, "active")
    site.passes(90, worker)
    assert task.status is ACTIVE
    assert site.takes(worker) is task
    site.passes(99, worker)
    assert task.status is ACTIVE


def test_a_task_without_output_for_longer_than_its_job_allows_has_failed() -> None:
    site = Site()
    _, worker, task = at_work(site, task_silence_limit_s=50)
    for seq in range(2, 5):
        site.passes(49, worker)
        site.says(worker, task, log="Fra:1\n", seq=seq)
    site.passes(40, worker)
    site.says(worker, task, activity="no output", seq=5)
    assert may_run(site, worker, task)
    site.passes(10, worker)
    assert task.status is ACTIVE
    site.passes(1, worker)
    assert task.status is SOFT_FAILED
    assert task.failed_by[0].reason == "It was without output for longer than its job allows (50 s)."


@pytest.mark.parametrize("word", ["update", "may-i-run"])
def test_a_task_is_touched_by_an_update_and_by_the_question_whether_it_may_go_on(word: str) -> None:
    site = Site()
    _, worker, task = at_work(site)
    for seq in range(2, 5):
        site.passes(599, worker)
        if word == "update":
            site.says(worker, task, seq=seq)
        else:
            assert may_run(site, worker, task)
    site.passes(600, worker)
    assert task.status is ACTIVE
    site.passes(1, worker)
    assert task.status is SOFT_FAILED


def test_a_suspended_task_fails_by_no_limit_of_time() -> None:
    site = Site()
    _, worker, task = at_work(site, task_runtime_limit_s=100, task_silence_limit_s=100)
    site.passes(700)
    assert (worker.status, task.status, task.is_suspended) == (WorkerStatus.ERROR, TaskStatus.QUEUED, True)


def test_a_worker_that_waits_for_an_answer_is_in_touch_and_one_without_a_task_may_be_silent_for_three_minutes() -> None:
    site = Site()
    waits, silent = site.worker(), site.worker()
    site.passes(180, waits)
    assert (waits.status, silent.status) == (WorkerStatus.AWAKE, WorkerStatus.AWAKE)
    site.passes(1, waits)
    assert (waits.status, silent.status) == (WorkerStatus.AWAKE, WorkerStatus.ERROR)
    site.passes(600, waits)
    assert waits.status is WorkerStatus.AWAKE


@pytest.mark.parametrize("status", [WorkerStatus.AWAKE, WorkerStatus.ASLEEP, WorkerStatus.STARTING])
def test_any_message_revives_a_worker_as_what_it_was(status: WorkerStatus) -> None:
    site = Site()
    worker = site.worker()
    worker_rules.say_status(site.farm, worker, status, site.now)
    site.passes(181)
    assert worker.status is WorkerStatus.ERROR
    worker_rules.heard(site.farm, worker, site.now)
    assert worker.status is status


def test_a_tick_that_comes_a_little_late_is_none_that_starts_all_leases_anew() -> None:
    site = Site()
    _, worker, _ = at_work(site)
    for _ in range(11):
        site.passed_s += 5.9
        leases.tick(site.farm, site.now)
    assert worker.status is WorkerStatus.ERROR
    site = Site()
    _, worker, _ = at_work(site)
    for _ in range(11):
        site.passed_s += 6.1
        leases.tick(site.farm, site.now)
    assert worker.status is WorkerStatus.AWAKE
