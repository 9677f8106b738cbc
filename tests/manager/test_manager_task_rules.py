"""The one rule that ends a job, and the counts that it is asked of."""

import itertools

import pytest
from farm_builder import Site, a_saved_frame

from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_manager import job_rules
from flamenco_manager.task_rules import ended_as


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("failed_with_job", [0, 1])
def test_the_end_rule_for_every_mix_of_statuses(*, cancelled: bool, failed_with_job: int) -> None:
    for completed, paused, failed, canceled in itertools.product(range(3), repeat=4):
        counts = {
            TaskStatus.COMPLETED: completed,
            TaskStatus.PAUSED: paused,
            TaskStatus.FAILED: failed,
            TaskStatus.CANCELED: canceled + failed_with_job,
        }
        end = ended_as(counts, live=0, failed_with_job=failed_with_job, cancelled=cancelled)
        if completed == sum(counts.values()):
            assert end is JobStatus.COMPLETED
        elif paused:
            assert end is JobStatus.PAUSED
        elif cancelled:
            assert end is JobStatus.CANCELED
        else:
            assert end is (JobStatus.FAILED if failed or failed_with_job else JobStatus.CANCELED)
        assert ended_as(counts, live=1, failed_with_job=failed_with_job, cancelled=cancelled) is None


def test_a_job_without_tasks_is_completed_at_once() -> None:
    assert Site().job(()).status is JobStatus.COMPLETED


def test_a_task_that_waits_for_a_failed_one_keeps_no_job_open() -> None:
    site = Site(failed_attempts=1)
    job, worker = site.job([(), (0,), (1,)]), site.worker()
    site.says(worker, site.takes(worker), "failed", activity="no camera")
    assert job.status is JobStatus.FAILED
    assert [task.status for task in job.tasks] == [TaskStatus.FAILED, TaskStatus.QUEUED, TaskStatus.QUEUED]
    site.check()


def test_a_failed_job_names_the_frames_that_are_missing() -> None:
    site = Site(failed_attempts=1)
    job, worker = site.job([(), ()], frames="1-12", type="blender"), site.worker()
    job.tasks[1].frames = "13-24"
    task = site.takes(worker)
    site.says(worker, task, frames=[a_saved_frame(frame) for frame in range(1, 12)], seq=1)
    site.says(worker, task, "failed", seq=2)
    site.says(worker, site.takes(worker), "completed")
    assert (job.status, job.activity) == (JobStatus.FAILED, "1 of 24 frames failed: 12")


def test_a_failed_job_without_frames_names_its_tasks() -> None:
    site = Site(failed_attempts=1)
    job, worker = site.job(), site.worker()
    site.says(worker, site.takes(worker), "failed")
    assert job.activity == "1 of 1 task failed: task-0"


def test_a_job_fails_when_three_tasks_and_a_tenth_of_them_failed() -> None:
    site = Site(failed_attempts=1, block_after=99)
    job, worker = site.job([()] * 30), site.worker()
    other = site.worker()
    held = site.takes(other)
    for number in range(3):
        assert job.status is not JobStatus.FAILED, number
        site.says(worker, site.takes(worker), "failed")
    assert job.status is JobStatus.FAILED
    assert job.counts[TaskStatus.CANCELED] == 27
    assert other.task is None
    assert held.status is TaskStatus.CANCELED
    site.check()


def test_three_failed_tasks_of_31_do_not_fail_the_job() -> None:
    site = Site(failed_attempts=1)
    job, worker = site.job([()] * 31), site.worker()
    for _ in range(3):
        site.says(worker, site.takes(worker), "failed")
    assert job.status is JobStatus.ACTIVE


@pytest.mark.parametrize(("tasks", "is_too_much"), [(99, True), (100, True), (101, False)])
def test_seven_of_a_hundred_are_seven_percent(tasks: int, *, is_too_much: bool) -> None:
    site = Site(failed_attempts=1, job_failed_share=0.07)  # times 100, that is a little more than 7
    job, worker = site.job([()] * tasks), site.worker()
    for _ in range(7):
        assert job.status is not JobStatus.FAILED
        site.says(worker, site.takes(worker), "failed")
    assert (job.status is JobStatus.FAILED) == is_too_much


def test_a_cancelled_job_is_canceled_also_when_a_task_had_failed() -> None:
    site = Site(failed_attempts=1)
    job, worker = site.job([(), ()]), site.worker()
    site.says(worker, site.takes(worker), "failed")
    job_rules.cancel(site.farm, job, site.now)
    assert job.status is JobStatus.CANCELED
    site.check()


def test_cancelling_a_job_that_has_ended_is_refused() -> None:
    site = Site()
    job, worker = site.job(), site.worker()
    site.says(worker, site.takes(worker), "completed")
    with pytest.raises(job_rules.JobEnded, match="completed"):
        job_rules.cancel(site.farm, job, site.now)
