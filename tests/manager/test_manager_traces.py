"""The traces 5 to 17 and 19 of traces.md against the pure rules: sequences that broke earlier drafts of them.

Traces 1 to 4, 16, 18, 20 and 23 are in ``test_manager_attempts``.
"""

import pytest
from farm_builder import Site, needed, statuses

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_manager import asked_of_jobs, attempts
from flamenco_manager.attempts import Verdict
from flamenco_manager.job_rules import JobEnded

QUEUED, ACTIVE, PAUSED = TaskStatus.QUEUED, TaskStatus.ACTIVE, TaskStatus.PAUSED
CANCELED, COMPLETED, FAILED = TaskStatus.CANCELED, TaskStatus.COMPLETED, TaskStatus.FAILED


def test_trace_5_a_task_whose_answer_was_lost_is_not_left_active_with_nobody() -> None:
    site = Site()
    job, worker = site.job([(), ()], priority=90), site.worker()
    other_work = site.job()
    t0 = site.takes(worker)  # the answer is lost
    site.pause(job)
    assert site.takes(worker) is other_work.tasks[0]
    assert (t0.status, t0.lost, list(t0.failed_by), job.status) == (PAUSED, 0, [], JobStatus.PAUSED)
    site.check()


def test_trace_6_a_silent_worker_comes_back_to_a_job_that_was_paused_meanwhile() -> None:
    site = Site()
    job, worker = site.job([(), ()]), site.worker()
    t0 = site.takes(worker)
    site.passes(181)
    site.pause(job)
    assert (t0.status, job.status) == (PAUSED, JobStatus.PAUSED)
    assert site.says(worker, t0, activity="still at it") is Verdict.APPLIED
    assert (t0.status, job.status) == (ACTIVE, JobStatus.PAUSE_REQUESTED)
    site.check()
    site.says(worker, t0, "completed")
    assert (t0.status, job.status) == (COMPLETED, JobStatus.PAUSED)


@pytest.mark.parametrize("is_t1_active", [True, False])
def test_trace_7_a_task_requeued_in_a_paused_job_is_paused_whether_another_is_active_or_not(
    *, is_t1_active: bool
) -> None:
    site = Site()
    job, worker = site.job([(), ()]), site.worker()
    site.says(worker, site.takes(worker), "completed")
    t1 = site.takes(worker) if is_t1_active else None
    site.pause(job)
    site.requeue(job, 0)
    assert job.tasks[0].status is PAUSED
    if t1 is not None:
        assert job.status is JobStatus.PAUSE_REQUESTED
        site.says(worker, t1, "completed")
    assert job.status is JobStatus.PAUSED
    site.check()


def test_trace_8_a_task_that_soft_fails_in_a_paused_job_is_paused_and_so_is_the_job_at_its_last_one() -> None:
    site = Site()
    job, w0, w1 = site.job([(), ()]), site.worker(), site.worker()
    t0, t1 = site.takes(w0), site.takes(w1)
    site.pause(job)
    site.says(w0, t0, "failed")
    assert (t0.status, len(t0.failed_by), job.status) == (PAUSED, 1, JobStatus.PAUSE_REQUESTED)
    site.says(w1, t1, "completed")
    assert job.status is JobStatus.PAUSED
    site.check()


def test_trace_9_one_cancelled_task_ends_neither_a_paused_job_nor_one_that_runs() -> None:
    site = Site()
    job = site.job([()] * 50)
    site.pause(job)
    asked_of_jobs.cancel_task(site.farm, job.tasks[7], site.now)
    assert job.status is JobStatus.PAUSED
    running, worker = site.job([(), ()]), site.worker()
    t0 = site.takes(worker)
    asked_of_jobs.cancel_task(site.farm, running.tasks[1], site.now)
    assert (running.status, t0.status) == (JobStatus.ACTIVE, ACTIVE)
    site.says(worker, t0, "completed")
    assert running.status is JobStatus.CANCELED
    site.check()


def test_trace_10_a_job_that_people_cancelled_is_canceled_also_when_a_task_had_failed() -> None:
    site = Site(failed_attempts=1)
    job, worker = site.job([(), ()]), site.worker()
    site.says(worker, site.takes(worker), "failed")
    site.cancel(job)
    assert (job.status, statuses(job)) == (JobStatus.CANCELED, [FAILED, CANCELED])


def test_trace_10_a_job_whose_tasks_wait_for_a_cancelled_one_is_canceled_and_goes_on_with_it() -> None:
    site = Site()
    job, worker = site.job([(), (), (0,)]), site.worker()
    asked_of_jobs.cancel_task(site.farm, job.tasks[0], site.now)
    assert job.status is JobStatus.QUEUED
    site.says(worker, site.takes(worker), "completed")
    assert (job.status, statuses(job)) == (JobStatus.CANCELED, [CANCELED, COMPLETED, QUEUED])
    site.requeue(job, 2)
    assert (job.status, statuses(job)) == (JobStatus.ACTIVE, [QUEUED, COMPLETED, QUEUED])
    site.completes(job)


def test_trace_10_a_task_requeued_in_a_cancelled_job_brings_along_what_it_waits_for() -> None:
    site = Site()
    job = site.job([(), (), (0,)])
    site.cancel(job)
    site.requeue(job, 2)
    assert statuses(job) == [QUEUED, CANCELED, QUEUED]
    site.check()


def test_trace_11_an_update_for_a_task_of_a_deleted_job_is_stale() -> None:
    site = Site()
    job, worker = site.job(), site.worker()
    task = site.takes(worker)
    asked_of_jobs.delete(site.farm, job, site.now)
    assert site.says(worker, task, "completed") is Verdict.STALE
    assert not attempts.may_run(site.farm, worker, task, task.attempt, site.now).yes
    assert (job.is_deleted, task.status) == (True, CANCELED)


def test_trace_12_a_failure_that_is_the_last_of_its_task_and_blocks_its_worker_leaves_no_failed_job() -> None:
    site = Site(failed_attempts=1)
    job, w0, w1 = site.job([()] * 4), site.worker(), site.worker()
    held = site.takes(w1)
    for _ in range(3):
        site.says(w0, site.takes(w0), "failed")
    assert job.blocked == {(w0.id, "misc")}
    assert (job.status, statuses(job).count(FAILED), statuses(job).count(QUEUED)) == (JobStatus.ACTIVE, 0, 3)
    site.check()
    site.says(w1, held, "completed")
    for _ in range(3):
        site.says(w1, site.takes(w1), "completed")
    assert job.status is JobStatus.COMPLETED


def test_trace_13_a_task_that_another_worker_completed_stays_so_when_the_first_is_blocked() -> None:
    site = Site()
    job, w0, w1 = site.job([()] * 4), site.worker(), site.worker()
    t0 = site.takes(w0)
    site.says(w0, t0, "failed")
    assert site.takes(w1) is t0
    site.says(w1, t0, "completed")
    for _ in range(2):
        site.says(w0, site.takes(w0), "failed")
    assert (w0.id, "misc") in job.blocked
    assert (t0.status, list(t0.failed_by)) == (COMPLETED, [])
    assert statuses(job)[1:] == [QUEUED] * 3
    site.check()


def test_trace_14_a_job_that_waits_for_another_runs_when_that_one_was_paused_resumed_and_completed() -> None:
    site = Site()
    a = site.job()
    b = site.job(asked={"needs_jobs": [needed(a)]})
    site.pause(a)
    assert (b.status, site.ask(site.worker())) == (JobStatus.QUEUED, None)
    site.resume(a)
    worker = site.worker()
    assert site.takes(worker) is a.tasks[0]
    assert site.ask(site.worker()) is None
    site.says(worker, a.tasks[0], "completed")
    assert site.takes(worker) is b.tasks[0]
    site.check()


@pytest.mark.parametrize("ended", [False, True])
def test_trace_14_a_job_does_not_fail_when_the_one_that_it_waits_for_is_deleted(*, ended: bool) -> None:
    site = Site()
    a = site.job()
    b = site.job(asked={"needs_jobs": [needed(a, ended=ended)]})
    asked_of_jobs.delete(site.farm, a, site.now)
    assert b.status is JobStatus.QUEUED
    assert (site.ask(site.worker()) is None) == (not ended)
    site.check()


def test_trace_15_after_a_requeue_losses_are_counted_anew() -> None:
    site = Site(lost_attempts=2)
    job, worker = site.job(), site.worker()
    site.takes(worker)
    for _ in range(2):
        site.comes_back(worker)
    assert (job.tasks[0].status, job.status) == (FAILED, JobStatus.FAILED)
    site.requeue(job, 0)
    site.takes(worker)
    site.comes_back(worker)
    assert (job.tasks[0].status, job.tasks[0].lost) == (ACTIVE, 1)
    site.check()


def test_trace_16_a_second_worker_that_fails_a_task_twice_does_not_wait_for_one_that_will_sleep_after_its_task() -> (
    None
):
    site = Site()
    job, w0, w1, leaving = site.job(priority=1), site.worker(), site.worker(), site.worker()
    site.job(priority=99)
    site.takes(leaving)
    leaving.status_requested, leaving.is_lazy = WorkerStatus.ASLEEP, True
    for worker in (w0, w1, w1):
        site.says(worker, site.takes(worker), "failed")
        site.passes(31, w0, w1, leaving)
    assert job.status is JobStatus.FAILED


def test_trace_17_requeueing_a_task_ends_the_suspended_attempt_of_what_depends_on_it() -> None:
    site = Site()
    job, worker = site.job([(), (0,)]), site.worker()
    site.says(worker, site.takes(worker), "completed")
    t1 = site.takes(worker)
    site.passes(181)
    assert t1.is_suspended
    site.requeue(job, 0)
    assert (t1.is_held, t1.status, worker.task) == (False, QUEUED, None)
    assert site.says(worker, t1, "completed") is Verdict.STALE
    assert site.takes(worker) is job.tasks[0]
    site.check()


def test_trace_19_a_job_that_is_cancelled_before_it_has_come_never_runs() -> None:
    site = Site()
    job, worker = site.announced(), site.worker()
    site.cancel(job)
    assert (job.status, job.is_cancelled, site.ask(worker)) == (JobStatus.CANCELED, True, None)
    with pytest.raises(JobEnded):
        site.cancel(job)


def test_trace_19_a_cancel_that_comes_just_before_the_last_task_completes_wins_and_one_just_after_is_refused() -> None:
    site = Site()
    before, worker = site.job([(), ()]), site.worker()
    site.says(worker, site.takes(worker), "completed")
    last = site.takes(worker)
    site.cancel(before)
    assert site.says(worker, last, "completed") is Verdict.STALE
    assert (before.status, statuses(before)) == (JobStatus.CANCELED, [COMPLETED, CANCELED])
    after = site.job()
    site.completes(after)
    with pytest.raises(JobEnded, match="completed"):
        site.cancel(after)
    site.check()
