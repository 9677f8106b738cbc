"""Running tasks again: which ones, and what they bring along (jobs.md, "What people may ask of a job": requeue)."""

import pytest
from farm_builder import Site, a_saved_frame, statuses

from flamenco_core.errors import BadInput
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_manager import asked_of_jobs, attempts, worker_rules
from flamenco_manager.asked_of_jobs import NothingToRequeue, NotReadyYet
from flamenco_manager.attempts import Verdict

QUEUED, ACTIVE, PAUSED = TaskStatus.QUEUED, TaskStatus.ACTIVE, TaskStatus.PAUSED
CANCELED, COMPLETED, FAILED = TaskStatus.CANCELED, TaskStatus.COMPLETED, TaskStatus.FAILED


def test_all_of_a_completed_job_runs_again_in_its_order() -> None:
    site = Site()
    job = site.job([(), (0,), (1,)], frames="1-3", steps_total=3)
    site.completes(job)
    numbers = [task.attempt for task in job.tasks]
    assert site.requeue(job, which="all") == 3
    assert (job.status, statuses(job), job.steps_completed) == (JobStatus.ACTIVE, [QUEUED] * 3, 0)
    assert job.finished_at is None
    site.check()
    site.completes(job)
    assert [task.attempt for task in job.tasks] == [number + 1 for number in numbers]


def test_each_choice_means_its_tasks() -> None:
    site = Site(failed_attempts=1, block_after=99)
    job, worker = site.job([()] * 6), site.worker()
    site.says(worker, site.takes(worker), "completed")
    asked_of_jobs.cancel_task(site.farm, job.tasks[5], site.now)
    for _ in range(3):
        site.says(worker, site.takes(worker), "failed")
    assert statuses(job) == [COMPLETED, FAILED, FAILED, FAILED, CANCELED, CANCELED]

    def chosen(which: str) -> list[int]:
        return [task.index for task in asked_of_jobs.select(job, which, [job.tasks[2].id, "no id of ours"])]

    assert chosen("all") == [0, 1, 2, 3, 4, 5]
    assert chosen("not-completed") == [1, 2, 3, 4, 5]
    assert chosen("failed") == [1, 2, 3, 4]  # and the one that was canceled because the job failed
    assert chosen("chosen") == [2]
    with pytest.raises(BadInput, match="some"):
        asked_of_jobs.select(job, "some")


def test_all_that_depends_on_a_requeued_task_comes_along_but_not_what_a_person_cancelled() -> None:
    site = Site()
    job = site.job([(), (0,), (1,), (0,), ()])
    asked_of_jobs.cancel_task(site.farm, job.tasks[3], site.now)
    worker = site.worker()
    for _ in range(4):
        site.says(worker, site.takes(worker), "completed")
    assert job.status is JobStatus.CANCELED
    assert site.requeue(job, 0) == 3
    assert (job.status, statuses(job)) == (JobStatus.ACTIVE, [QUEUED, QUEUED, QUEUED, CANCELED, COMPLETED])
    site.check()


def test_the_failed_and_canceled_ones_that_a_requeued_task_waits_for_come_along() -> None:
    site = Site(failed_attempts=1)
    job, worker = site.job([(), (0,), (1,), ()]), site.worker()
    site.says(worker, site.takes(worker), "failed")
    asked_of_jobs.cancel_task(site.farm, job.tasks[1], site.now)
    site.says(worker, site.takes(worker), "completed")
    assert (job.status, statuses(job)) == (JobStatus.FAILED, [FAILED, CANCELED, QUEUED, COMPLETED])
    assert site.requeue(job, 2) == 3
    assert statuses(job) == [QUEUED, QUEUED, QUEUED, COMPLETED]
    site.check()
    site.completes(job)


def test_requeue_ends_attempts_that_are_active_suspended_or_reserved() -> None:
    site = Site()
    job = site.job([()] * 12)
    job.typical_s["misc"] = 1.0
    active, silent = site.worker(), site.worker()
    first, ahead = site.takes_ahead(active, most=2)
    lost_touch = site.takes(silent)
    site.passes(181, active)
    assert lost_touch.is_suspended
    numbers = [first.attempt, ahead[0].attempt, lost_touch.attempt]
    site.requeue(job, which="all")
    assert (active.task, active.reserved, silent.task) == (None, [], None)
    for worker, task, attempt in zip((active, active, silent), (first, *ahead, lost_touch), numbers, strict=False):
        assert site.says(worker, task, "completed", attempt=attempt) is Verdict.STALE
    assert set(statuses(job)) == {QUEUED}
    site.check()


def test_requeue_clears_failure_lists_pauses_and_lost_counts() -> None:
    site = Site(failed_attempts=2)
    job, worker = site.job([(), ()]), site.worker()
    task = site.takes(worker)
    site.comes_back(worker)
    site.says(worker, task, "failed", activity="no camera")
    assert (task.lost, len(task.failed_by)) == (1, 1)
    assert site.takes(worker) is not task  # that one waits
    site.requeue(job, which="all")
    assert (task.lost, list(task.failed_by), task.activity) == (0, [], "")
    site.check()
    assert site.takes(worker) is task
    site.says(worker, task, "failed")
    assert task.status is TaskStatus.SOFT_FAILED


def test_requeue_takes_back_that_a_task_would_be_paused() -> None:
    site = Site()
    job, worker = site.job(), site.worker()
    asked_of_jobs.pause_task(site.farm, site.takes(worker), site.now)
    site.requeue(job, 0)
    site.takes(worker)
    worker_rules.sign_off(site.farm, worker, site.now)
    assert job.tasks[0].status is QUEUED


def test_a_lost_attempt_that_a_requeue_cleared_is_not_taken_back_again() -> None:
    site = Site()
    job, silent, other = site.job(), site.worker(), site.worker()
    task = site.takes(silent)
    site.says(silent, task, "active")
    site.passes(62, other)
    assert site.takes(other) is task
    site.requeue(job, 0)
    site.takes(other)
    site.comes_back(other)
    assert task.lost == 1
    worker_rules.heard(site.farm, silent, site.now)
    assert task.lost == 1


@pytest.mark.parametrize("is_active", [False, True])
def test_requeue_in_a_job_that_is_set_aside_leaves_all_paused(*, is_active: bool) -> None:
    site = Site()
    job, worker = site.job([(), ()]), site.worker()
    site.says(worker, site.takes(worker), "completed")
    if is_active:
        site.takes(worker)
    site.pause(job)
    assert job.status is (JobStatus.PAUSE_REQUESTED if is_active else JobStatus.PAUSED)
    site.requeue(job, which="all")
    assert (job.status, statuses(job)) == (JobStatus.PAUSED, [PAUSED, PAUSED])
    site.check()


def test_what_was_requeued_since_the_person_looked_is_left_alone() -> None:
    site = Site()
    job, worker = site.job([(), ()]), site.worker()
    site.farm.take_changes()
    seen = job.rev
    site.requeue(job, 0)
    site.farm.take_changes()
    assert site.requeue(job, 0, seen=job.rev) == 1  # that is what the person saw
    task = site.takes(worker)
    assert site.requeue(job, 0, 1, seen=seen) == 1
    assert (task.status, task.worker) == (ACTIVE, worker)
    with pytest.raises(NothingToRequeue):
        site.requeue(job, 0, seen=seen)
    site.farm.take_changes()
    assert site.requeue(job, 0, seen=job.rev) == 1
    assert task.status is QUEUED
    site.check()


def test_a_requeue_of_nothing_and_of_a_job_on_its_way_is_refused() -> None:
    site = Site()
    job = site.job()
    with pytest.raises(NothingToRequeue, match="Requeue all to run everything again"):
        site.requeue(job, which="failed")
    with pytest.raises(NotReadyYet):
        site.requeue(site.announced(), which="all")


def test_after_a_requeue_a_job_is_not_cancelled_any_more() -> None:
    site = Site(failed_attempts=1)
    job, worker = site.job(), site.worker()
    site.cancel(job)
    site.requeue(job, which="all")
    site.says(worker, site.takes(worker), "failed")
    assert job.status is JobStatus.FAILED


def test_what_was_saved_before_a_requeue_is_rendered_again() -> None:
    site = Site()
    job, worker = site.job(frames="1-3"), site.worker()
    task = site.takes(worker)
    site.says(worker, task, frames=[a_saved_frame(1)], seq=1)
    site.requeue(job, 0)
    assert site.says(worker, task, frames=[a_saved_frame(2)], seq=2, attempt=1) is Verdict.STALE
    attempts.record_frames(site.farm, task, 1, [a_saved_frame(2)])
    assert task.saved_frames is None


def test_a_job_of_which_only_the_failed_tasks_ran_again_names_what_is_still_missing() -> None:
    site = Site(failed_attempts=1, block_after=99)
    job, worker = site.job([()] * 5), site.worker()
    for task in job.tasks:
        task.frames = str(task.index + 1)
    for _ in range(3):
        site.says(worker, site.takes(worker), "failed")
    assert (job.status, job.activity) == (JobStatus.FAILED, "3 of 5 frames failed: 1-3")
    site.requeue(job, 0, 1, 2)
    for _ in range(3):
        site.says(worker, site.takes(worker), "completed")
    assert (job.status, job.activity) == (JobStatus.FAILED, "2 of 5 frames canceled because the job failed: 4-5")
    assert site.requeue(job, which="failed") == 2
    site.completes(job)
