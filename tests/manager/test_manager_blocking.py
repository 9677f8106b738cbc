"""Failure lists, growing pauses, blocking; and small farms (jobs.md, "Failure of a task by a Worker")."""

import pytest
from farm_builder import Site, statuses

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.reports import FailedAttempt
from flamenco_manager import asked_of_jobs, asked_of_workers, failures, worker_rules
from flamenco_manager.attempts import Verdict
from flamenco_manager.model import Job, Task, Worker

QUEUED, SOFT_FAILED, PAUSED = TaskStatus.QUEUED, TaskStatus.SOFT_FAILED, TaskStatus.PAUSED
FAILED, COMPLETED = TaskStatus.FAILED, TaskStatus.COMPLETED


def fails(site: Site, worker: Worker, count: int = 1) -> list[Task]:
    """Let a Worker take and fail so many tasks."""
    failed = []
    for _ in range(count):
        failed.append(site.takes(worker))
        site.says(worker, failed[-1], "failed", activity=f"{worker.name} has no Blender")
    return failed


def is_blocked(job: Job, worker: Worker, task_type: str = "misc") -> bool:
    return (worker.id, task_type) in job.blocked


# -- failure lists


def test_a_failure_is_noted_with_its_worker_and_the_reason_cut_to_what_a_list_can_show() -> None:
    site = Site()
    job, worker = site.job(), site.worker()
    site.says(worker, site.takes(worker), "failed", activity="x" * 9_000)
    assert job.tasks[0].failed_by == [FailedAttempt(worker.id, "x" * 500)]
    assert (job.tasks[0].status, job.tasks[0].retry_at_s) == (SOFT_FAILED, site.now.monotonic_s + 5)
    site.passes(5, worker)
    site.says(worker, site.takes(worker), "failed", activity="")
    assert job.tasks[0].failed_by[1].reason


def test_a_task_has_failed_after_three_attempts_whoever_made_them() -> None:
    site = Site()
    job = site.job()
    for number in range(3):
        assert job.tasks[0].status is (SOFT_FAILED if number else QUEUED)
        fails(site, site.worker())
    assert (job.tasks[0].status, job.status) == (FAILED, JobStatus.FAILED)
    site.check()


def test_all_that_failed_a_task_wait_as_long_as_its_failures_ask_for() -> None:
    site = Site(failed_attempts=4)
    job, w0, w1 = site.job(), site.worker(), site.worker()
    for worker in (w0, w1):
        fails(site, worker)
    site.passes(29, w0, w1)
    assert (site.ask(w0), site.ask(w1)) == (None, None)
    site.passes(1, w0, w1)
    assert site.takes(w0) is job.tasks[0]


def test_a_worker_that_cannot_take_the_task_is_not_waited_for() -> None:
    site = Site()
    job, worker = site.job(type="blender"), site.worker()
    site.worker(types=("ffmpeg",))
    blocked = site.worker()
    job.blocked.add((blocked.id, "blender"))
    fails(site, worker)
    site.passes(5, *site.farm.workers.values())
    assert site.takes(worker) is job.tasks[0]


@pytest.mark.parametrize("goes", ["sleeps", "is asked to sleep", "signs off", "falls silent", "is removed"])
def test_whoever_waits_for_another_worker_to_try_is_offered_the_task_when_that_one_goes(goes: str) -> None:
    site = Site()
    job, worker, other = site.job(), site.worker(), site.worker()
    fails(site, worker)
    site.passes(10, worker, other)
    assert site.ask(worker) is None
    site.farm.take_changes()
    if goes == "sleeps":
        worker_rules.say_status(site.farm, other, WorkerStatus.ASLEEP, site.now)
    elif goes == "is asked to sleep":
        asked_of_workers.request_status(site.farm, other, WorkerStatus.ASLEEP, site.now, lazy=True)
    elif goes == "signs off":
        worker_rules.sign_off(site.farm, other, site.now)
    elif goes == "falls silent":
        site.passes(181, worker)
    else:
        asked_of_workers.forget(site.farm, other, site.now)
    assert site.farm.take_changes().new_work
    assert site.takes(worker) is job.tasks[0]


def test_a_pause_that_is_over_is_offered_to_a_waiting_worker() -> None:
    site = Site()
    site.job()
    worker = site.worker()
    fails(site, worker)
    site.farm.take_changes()
    site.passes(4, worker)
    assert not site.farm.take_changes().new_work
    site.passes(1, worker)
    assert site.farm.take_changes().new_work


# -- blocking


def test_the_third_failed_task_of_a_type_blocks_its_worker_from_that_type_in_that_job_only() -> None:
    site = Site()
    job, broken, other = site.job([()] * 5, type="blender"), site.worker(), site.worker()
    same_job = site.job([()] * 2, type="blender")
    failed = fails(site, broken, 3)
    assert is_blocked(job, broken, "blender")
    assert not is_blocked(job, broken, "misc")
    assert site.takes(broken).job is same_job
    assert site.takes(other) is failed[0]
    site.check()


def test_a_blocked_worker_still_gets_other_types_of_tasks_of_the_same_job() -> None:
    site = Site()
    job, broken = site.job([()] * 2), site.worker()
    job.blocked.add((broken.id, "blender"))
    job.tasks[0].kind = site.farm.kind_of(job, "blender", None)
    site.farm.scheduler.drop(job)
    site.farm.list_runnable(job.tasks)
    assert site.takes(broken) is job.tasks[1]
    assert site.takes(site.worker()) is job.tasks[0]


def test_the_same_task_failed_again_does_not_count_twice() -> None:
    site = Site(failed_attempts=9)
    job, broken = site.job(), site.worker()
    for _ in range(4):
        site.passes(121, broken)
        fails(site, broken)
    site.worker()
    assert not is_blocked(job, broken)
    site.passes(121, broken)
    assert job.failures[broken.id, "misc"] == {0}


def test_failures_of_another_type_or_job_do_not_add_up() -> None:
    site = Site()
    job, broken = site.job([()] * 4), site.worker()
    site.worker()
    for task in job.tasks[2:]:
        task.kind = site.farm.kind_of(job, "blender", None)
    site.farm.scheduler.drop(job)
    site.farm.list_runnable(job.tasks)
    fails(site, broken, 4)
    fails(site, broken, len(site.job([()] * 2).tasks))
    assert not job.blocked
    site.check()


def test_the_failures_of_a_blocked_worker_do_not_count_any_more() -> None:
    site = Site(failed_attempts=2)
    job, w0, w1 = site.job([()] * 5), site.worker(), site.worker()
    t0 = site.takes(w0)
    site.takes(w1)
    site.says(w0, t0, "failed")
    site.says(w1, job.tasks[1], "completed")
    fails(site, w1)  # t0 has failed twice
    assert t0.status is FAILED
    w2 = site.worker()
    assert [task.index for task in fails(site, w0, 2)] == [2, 3]
    assert is_blocked(job, w0)
    assert (t0.status, [entry.worker for entry in t0.failed_by]) == (QUEUED, [w1.id])
    assert (t0.finished_at, t0.retry_at_s) == (None, 0.0)
    assert statuses(job)[2:] == [QUEUED, QUEUED, QUEUED]
    assert (w0.id, "misc") not in job.failures
    site.check()
    assert site.takes(w2) is t0


def test_what_a_blocked_worker_failed_in_a_paused_job_is_paused() -> None:
    site = Site()
    job, broken = site.job([()] * 4), site.worker()
    site.worker()
    fails(site, broken, 2)
    last = site.takes(broken)
    site.pause(job)
    site.says(broken, last, "failed")
    assert (is_blocked(job, broken), statuses(job), job.status) == (True, [PAUSED] * 4, JobStatus.PAUSED)
    site.check()


def test_a_task_that_failed_also_without_the_blocked_worker_stays_failed() -> None:
    site = Site(block_after=2)
    job, broken = site.job([()] * 3), site.worker()
    killer = fails(site, broken)[0]
    site.passes(6)
    for _ in range(3):
        victim = site.worker()
        assert site.takes(victim) is killer
        site.comes_back(victim)
        worker_rules.sign_off(site.farm, victim, site.now)
        if killer.status is FAILED:
            break
    assert (killer.status, killer.lost) == (FAILED, 3)
    site.worker()
    fails(site, broken)
    assert is_blocked(job, broken)
    assert (killer.status, killer.failed_by) == (FAILED, [])
    site.check()


def test_nobody_is_blocked_where_no_other_worker_is_awake() -> None:
    site = Site()
    job, broken, asleep = site.job([()] * 40), site.worker(), site.worker()
    worker_rules.say_status(site.farm, asleep, WorkerStatus.ASLEEP, site.now)
    fails(site, broken, 5)
    assert not job.blocked
    worker_rules.say_status(site.farm, asleep, WorkerStatus.AWAKE, site.now)
    fails(site, broken)
    assert is_blocked(job, broken)
    site.check()


def test_nobody_is_blocked_for_another_that_is_about_to_sleep_or_is_blocked_or_cannot_take_the_work() -> None:
    site = Site()
    job, broken = site.job([()] * 40, type="blender"), site.worker()
    site.worker(types=("ffmpeg",))
    leaving, blocked = site.worker(), site.worker()
    leaving.status_requested, leaving.is_lazy = WorkerStatus.ASLEEP, True
    job.blocked.add((blocked.id, "blender"))
    fails(site, broken, 4)
    assert not is_blocked(job, broken, "blender")


def test_where_others_fail_the_same_tasks_the_job_is_at_fault_and_nobody_is_blocked() -> None:
    site = Site()
    job, w0, w1 = site.job([()] * 3), site.worker(), site.worker()
    for worker in (w0, w1) * 3:
        fails(site, worker)
    assert not job.blocked
    site.passes(30, w0, w1)
    fails(site, w0, 3)
    assert (job.status, job.blocked) == (JobStatus.FAILED, set())
    site.check()


def test_one_shared_failure_is_enough_for_the_job_to_be_at_fault() -> None:
    site = Site()
    job, w0, w1 = site.job([()] * 40), site.worker(), site.worker()
    shared = site.takes(w0)
    site.says(w0, shared, "failed")
    assert fails(site, w1) == [shared]
    fails(site, w0, 2)
    assert not job.blocked
    w2 = site.worker()
    fails(site, w0)
    assert is_blocked(job, w0)
    assert not is_blocked(job, w2)


def test_a_job_whose_last_worker_goes_waits() -> None:
    site = Site()
    job, broken, other = site.job([()] * 3), site.worker(), site.worker()
    fails(site, broken, 3)
    worker_rules.sign_off(site.farm, other, site.now)
    site.passes(1000, broken)
    assert (job.status, site.ask(broken)) == (JobStatus.ACTIVE, None)
    site.completes(job)


def test_a_blocked_worker_gets_back_what_it_had_ahead_of_time() -> None:
    site = Site(block_after=1)
    job, broken, other = site.job([()] * 30), site.worker(), site.worker()
    job.typical_s["misc"] = 1.0
    first, ahead = site.takes_ahead(broken)
    assert ahead
    site.says(broken, first, "failed")
    assert (is_blocked(job, broken), broken.reserved) == (True, [])
    assert site.says(broken, ahead[0], "active") is Verdict.STALE
    assert site.takes(other) is first
    site.check()


def test_unblocking_lifts_the_blocks_that_were_meant_and_begins_to_count_anew() -> None:
    site = Site()
    a, b = site.job([()] * 5), site.job([()] * 5)
    broken, other = site.worker(), site.worker()
    fails(site, broken, 6)
    assert is_blocked(a, broken)
    assert is_blocked(b, broken)
    assert site.ask(broken) is None
    site.farm.take_changes()
    jobs = list(site.farm.jobs.values())
    assert failures.unblock(site.farm, broken, jobs, "blender") == 0
    assert failures.unblock(site.farm, other, jobs, None) == 0
    assert not site.farm.take_changes().new_work
    assert failures.unblock(site.farm, broken, [a], "misc") == 1
    assert site.farm.take_changes().new_work
    assert (a.blocked, is_blocked(b, broken)) == (set(), True)
    fails(site, broken, 2)
    assert not is_blocked(a, broken)
    fails(site, broken)
    assert is_blocked(a, broken)
    assert failures.unblock(site.farm, broken, jobs, None) == 2


def test_a_person_who_requeues_a_task_clears_it_from_what_may_block_a_worker() -> None:
    site = Site()
    job, broken = site.job([()] * 5), site.worker()
    site.worker()
    failed = fails(site, broken, 2)
    asked_of_jobs.requeue(site.farm, job, failed, site.now)
    assert len(fails(site, broken, 2)) == 2
    assert not job.blocked
