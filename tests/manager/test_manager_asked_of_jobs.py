"""What people may ask of a job and of a task, row by row (jobs.md, "What people may ask of a job")."""

from collections.abc import Callable

import pytest
from farm_builder import Site, statuses

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.definitions import JobDefinition
from flamenco_manager import asked_of_jobs, attempts, job_rules, worker_rules
from flamenco_manager.asked_of_jobs import NotReadyYet, TaskEnded
from flamenco_manager.attempts import Verdict
from flamenco_manager.job_rules import JobEnded
from flamenco_manager.model import Job, Task, Worker

QUEUED, ACTIVE, PAUSED = TaskStatus.QUEUED, TaskStatus.ACTIVE, TaskStatus.PAUSED
CANCELED, COMPLETED, FAILED = TaskStatus.CANCELED, TaskStatus.COMPLETED, TaskStatus.FAILED


def a_mixed_job(site: Site) -> tuple[Job, Worker]:
    """A job of six tasks: completed, failed, soft-failed, active, paused, queued."""
    job, worker, other = site.job([()] * 6), site.worker(), site.worker()
    site.says(worker, site.takes(worker), "completed")
    for one in (worker, other, worker):
        site.says(one, site.takes(one), "failed")
        site.passes(31, worker, other)
    worker_rules.say_status(site.farm, other, WorkerStatus.ASLEEP, site.now)
    site.says(worker, site.takes(worker), "failed")
    site.takes(worker)
    asked_of_jobs.pause_task(site.farm, job.tasks[4], site.now)
    assert statuses(job) == [COMPLETED, FAILED, TaskStatus.SOFT_FAILED, ACTIVE, PAUSED, QUEUED]
    return job, worker


# -- start paused


def test_a_job_that_starts_paused_has_only_paused_tasks_and_runs_once_it_is_resumed() -> None:
    site = Site()
    job, worker = site.job([(), (0,)], asked={"start_paused": True}), site.worker()
    assert (job.status, statuses(job), site.ask(worker)) == (JobStatus.PAUSED, [PAUSED, PAUSED], None)
    site.check()
    site.resume(job)
    assert (job.status, statuses(job)) == (JobStatus.ACTIVE, [QUEUED, QUEUED])
    site.check()
    site.completes(job)


@pytest.mark.parametrize("definition", ["start_paused", "pause_requested"])
def test_what_people_ask_while_a_job_is_on_its_way_wins_over_its_definition(definition: str) -> None:
    site = Site()
    resumed = site.announced()
    site.resume(resumed)
    said = JobDefinition(resumed.id, "shot", "test", 50, "admin", site.now.wall, 1, **{definition: True})  # type: ignore[arg-type]
    job_rules.define(site.farm, resumed, said)  # and a second time, since the first try to fetch its files failed
    assert site.arrives(resumed, asked={definition: True}).status is JobStatus.QUEUED
    paused = site.announced()
    site.pause(paused)
    assert site.arrives(paused).status is JobStatus.PAUSED
    site.check()


# -- cancel


def test_cancel_cancels_what_has_not_ended_and_leaves_what_has() -> None:
    site = Site()
    job, worker = a_mixed_job(site)
    held = job.tasks[3]
    site.cancel(job)
    assert statuses(job) == [COMPLETED, FAILED, CANCELED, CANCELED, CANCELED, CANCELED]
    assert (job.status, job.failed_with_job, worker.task) == (JobStatus.CANCELED, 0, None)
    assert site.says(worker, held, "completed") is Verdict.STALE
    site.check()


def test_a_job_that_is_cancelled_on_its_way_ends_at_once_and_cannot_be_requeued() -> None:
    site = Site()
    job = site.announced()
    site.cancel(job)
    assert job.status is JobStatus.CANCELED
    with pytest.raises(NotReadyYet, match="submit it again"):
        site.requeue(job, which="all")


# -- pause


def test_pause_sets_aside_what_waits_and_active_tasks_finish() -> None:
    site = Site()
    job, worker = a_mixed_job(site)
    site.pause(job)
    assert statuses(job) == [COMPLETED, FAILED, PAUSED, ACTIVE, PAUSED, PAUSED]
    assert job.status is JobStatus.PAUSE_REQUESTED
    assert attempts.may_run(site.farm, worker, job.tasks[3], None, site.now).yes
    assert site.ask(site.worker()) is None
    site.says(worker, job.tasks[3], "completed")
    assert job.status is JobStatus.PAUSED
    site.pause(job)
    assert job.status is JobStatus.PAUSED
    site.check()


def test_a_job_of_which_all_is_done_when_it_would_be_paused_is_completed() -> None:
    site = Site()
    job, worker = site.job(), site.worker()
    task = site.takes(worker)
    site.pause(job)
    site.says(worker, task, "completed")
    assert job.status is JobStatus.COMPLETED


def test_what_waits_for_a_failed_task_is_paused_too() -> None:
    site = Site(failed_attempts=1)
    job, worker = site.job([(), (0,), ()]), site.worker()
    site.says(worker, site.takes(worker), "failed")
    site.pause(job)
    assert (job.status, statuses(job)) == (JobStatus.PAUSED, [FAILED, PAUSED, PAUSED])
    site.check()


@pytest.mark.parametrize("ask", [asked_of_jobs.pause, asked_of_jobs.resume, job_rules.cancel])
def test_a_job_that_has_ended_is_neither_paused_nor_resumed_nor_cancelled(ask: Callable[..., None]) -> None:
    site = Site()
    job = site.job()
    site.completes(job)
    with pytest.raises(JobEnded, match="completed"):
        ask(site.farm, job, site.now)
    assert (job.status, statuses(job)) == (JobStatus.COMPLETED, [COMPLETED])


# -- resume


def test_resume_queues_what_is_paused_and_nothing_else() -> None:
    site = Site()
    job, worker = a_mixed_job(site)
    asked_of_jobs.cancel_task(site.farm, job.tasks[5], site.now)
    site.pause(job)
    site.says(worker, job.tasks[3], "completed")
    site.resume(job)
    assert job.status is JobStatus.ACTIVE
    assert statuses(job) == [COMPLETED, FAILED, QUEUED, COMPLETED, QUEUED, CANCELED]
    site.check()


def test_resume_takes_back_a_pause_that_was_only_requested() -> None:
    site = Site()
    job, worker = site.job([(), ()]), site.worker()
    task = site.takes(worker)
    site.pause(job)
    site.resume(job)
    assert (job.status, statuses(job)) == (JobStatus.ACTIVE, [ACTIVE, QUEUED])
    worker_rules.sign_off(site.farm, worker, site.now)
    assert task.status is QUEUED
    site.check()
    site.completes(job)


def test_resume_takes_back_that_an_active_task_would_be_paused() -> None:
    site = Site()
    job, worker = site.job(), site.worker()
    asked_of_jobs.pause_task(site.farm, site.takes(worker), site.now)
    site.resume(job)
    worker_rules.sign_off(site.farm, worker, site.now)
    assert statuses(job) == [QUEUED]


# -- delete


def test_delete_cancels_and_undelete_leaves_it_canceled() -> None:
    site = Site()
    job, worker = site.job([(), ()]), site.worker()
    task = site.takes(worker)
    asked_of_jobs.delete(site.farm, job, site.now)
    assert (job.is_deleted, job.status, statuses(job)) == (True, JobStatus.CANCELED, [CANCELED, CANCELED])
    assert site.says(worker, task, "completed") is Verdict.STALE
    asked_of_jobs.undelete(site.farm, job, site.now)
    assert (job.is_deleted, job.status, task.attempt) == (False, JobStatus.CANCELED, 1)
    with pytest.raises(NotReadyYet, match="not deleted"):
        asked_of_jobs.undelete(site.farm, job, site.now)
    site.requeue(job, which="all")
    site.completes(job)


def test_a_job_that_had_ended_is_what_it_was_when_it_is_undeleted() -> None:
    site = Site()
    job = site.job()
    site.completes(job)
    asked_of_jobs.delete(site.farm, job, site.now)
    asked_of_jobs.undelete(site.farm, job, site.now)
    assert (job.status, statuses(job)) == (JobStatus.COMPLETED, [COMPLETED])


# -- of a task


def test_a_task_is_cancelled_in_every_status_but_those_in_which_it_has_ended() -> None:
    site = Site()
    job, worker = a_mixed_job(site)
    for task in job.tasks[2:]:
        asked_of_jobs.cancel_task(site.farm, task, site.now)
        assert task.status is CANCELED
        site.check()
    assert worker.task is None
    for task in job.tasks:
        with pytest.raises(TaskEnded):
            asked_of_jobs.cancel_task(site.farm, task, site.now)
        with pytest.raises(TaskEnded):
            asked_of_jobs.pause_task(site.farm, task, site.now)


def test_a_task_that_waits_is_paused_and_goes_on_by_resuming_the_job_or_by_requeueing_it() -> None:
    site = Site()
    job = site.job([(), (), ()])
    for task in job.tasks[:2]:
        asked_of_jobs.pause_task(site.farm, task, site.now)
    asked_of_jobs.pause_task(site.farm, job.tasks[0], site.now)
    assert (job.status, statuses(job)) == (JobStatus.QUEUED, [PAUSED, PAUSED, QUEUED])
    site.requeue(job, 0)
    assert statuses(job) == [QUEUED, PAUSED, QUEUED]
    site.resume(job)
    assert statuses(job) == [QUEUED] * 3
    site.check()
    site.completes(job)


COMES_BACK: dict[str, Callable[[Site, Worker, Task], object]] = {
    "fails": lambda site, worker, task: site.says(worker, task, "failed"),
    "falls silent": lambda site, worker, task: site.passes(181),
    "signs off": lambda site, worker, task: worker_rules.sign_off(site.farm, worker, site.now),
    "sleeps": lambda site, worker, task: worker_rules.say_status(site.farm, worker, WorkerStatus.ASLEEP, site.now),
    "asks again": lambda site, worker, task: site.ask(worker),
    "dies and comes back": lambda site, worker, task: site.comes_back(worker),
}


@pytest.mark.parametrize("how", COMES_BACK)
@pytest.mark.parametrize("paused", ["task", "job"])
def test_an_active_task_that_was_paused_is_paused_when_it_comes_back(how: str, paused: str) -> None:
    site = Site()
    job, worker = site.job(), site.worker()
    task = site.takes(worker)
    if paused == "task":
        asked_of_jobs.pause_task(site.farm, task, site.now)
    else:
        site.pause(job)
    assert task.status is ACTIVE
    COMES_BACK[how](site, worker, task)
    assert (task.status, job.status) == (PAUSED, JobStatus.PAUSED)
    site.check()


@pytest.mark.parametrize("how", COMES_BACK)
def test_a_task_that_was_paused_while_its_worker_was_silent_is_paused_again_should_it_come_back(how: str) -> None:
    site = Site()
    job, worker = site.job([(), ()]), site.worker()
    task = site.takes(worker)
    site.passes(181)
    asked_of_jobs.pause_task(site.farm, task, site.now)
    assert (task.status, task.is_suspended) == (PAUSED, True)
    site.says(worker, task, activity="still at it")
    assert (task.status, job.status) == (ACTIVE, JobStatus.ACTIVE)
    COMES_BACK[how](site, worker, task)
    assert task.status is PAUSED
    site.check()


def test_an_active_task_that_was_paused_may_finish() -> None:
    site = Site()
    job, worker = site.job(), site.worker()
    task = site.takes(worker)
    asked_of_jobs.pause_task(site.farm, task, site.now)
    assert attempts.may_run(site.farm, worker, task, None, site.now).yes
    site.says(worker, task, "completed")
    assert job.status is JobStatus.COMPLETED


def test_a_task_that_never_ran_in_a_job_that_has_ended_cannot_be_paused() -> None:
    site = Site(failed_attempts=1)
    job, worker = site.job([(), (0,)]), site.worker()
    site.says(worker, site.takes(worker), "failed")
    with pytest.raises(JobEnded, match="failed"):
        asked_of_jobs.pause_task(site.farm, job.tasks[1], site.now)
    assert (job.status, statuses(job)) == (JobStatus.FAILED, [FAILED, QUEUED])
    site.check()
