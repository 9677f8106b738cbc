"""Jobs that wait for other jobs, to complete or to end (jobs.md, "One rule ends a job", "Who gets which task")."""

from collections.abc import Callable

import pytest
from farm_builder import Site, needed

from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_manager import asked_of_jobs, waiting
from flamenco_manager.model import Job
from flamenco_manager.waiting import JobState


def waits_for(site: Site, *others: Job, ended: bool = False) -> Job:
    return site.job(asked={"needs_jobs": [needed(other, ended=ended) for other in others]})


def is_held_back(site: Site, job: Job) -> bool:
    """Tell whether nobody gets a task of a job that waits; nothing else may wait."""
    site.check()
    assert job.status is JobStatus.QUEUED
    task = site.farm.scheduler.first(lambda _: True, lambda one, _: one is job, lambda _: True)
    assert (task is None) == job.is_held_back
    return job.is_held_back


def fail(site: Site, job: Job) -> None:
    site.farm.policy = type(site.farm.policy)(failed_attempts=1)
    worker = site.worker()
    site.says(worker, site.takes(worker), "failed")
    assert job.status is JobStatus.FAILED


ENDS: dict[str, tuple[Callable[[Site, Job], object], bool, bool]] = {
    "completed": (lambda site, job: site.completes(job), True, True),
    "failed": (fail, False, True),
    "canceled": (lambda site, job: site.cancel(job), False, True),
    "deleted": (lambda site, job: asked_of_jobs.delete(site.farm, job, site.now), False, True),
    "paused": (lambda site, job: site.pause(job), False, False),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_job_begins_when_what_it_waits_for_is_as_it_wants(how: str) -> None:
    site = Site()
    other = site.job()
    to_complete, to_end = waits_for(site, other), waits_for(site, other, ended=True)
    assert is_held_back(site, to_complete)
    assert is_held_back(site, to_end)
    ends, is_completed, is_ended = ENDS[how]
    site.pause(to_complete)
    site.pause(to_end)
    ends(site, other)
    site.resume(to_complete)
    site.resume(to_end)
    site.check()
    assert to_complete.is_held_back == (not is_completed)
    assert to_end.is_held_back == (not is_ended)


def test_a_job_may_wait_for_several_and_begins_at_the_last() -> None:
    site = Site()
    a, b = site.job(), site.job()
    job = waits_for(site, a, b)
    worker = site.worker()
    assert site.takes(worker) is a.tasks[0]
    site.says(worker, a.tasks[0], "completed")
    assert is_held_back(site, job)
    assert site.takes(worker) is b.tasks[0]
    site.says(worker, b.tasks[0], "completed")
    assert not is_held_back(site, job)


def test_a_completed_job_that_runs_again_holds_back_what_has_not_begun_and_leaves_what_has() -> None:
    site = Site()
    other = site.job()
    begun, waiting_still = waits_for(site, other), waits_for(site, other)
    site.pause(waiting_still)
    worker = site.worker()
    assert site.takes(worker) is other.tasks[0]
    site.says(worker, other.tasks[0], "completed")
    assert site.takes(worker) is begun.tasks[0]
    site.resume(waiting_still)
    assert waiting_still.status is JobStatus.ACTIVE
    site.requeue(other, 0)
    assert is_held_back(site, waiting_still)  # and is queued again
    assert (begun.status, begun.is_held_back) == (JobStatus.ACTIVE, False)
    site.says(worker, begun.tasks[0], "failed")
    site.completes(other)
    site.check()
    site.passes(5)
    site.completes(begun, waiting_still)


def test_deleted_counts_as_ended_not_as_completed_and_undeleted_as_what_it_was() -> None:
    site = Site()
    other = site.job()
    to_complete, to_end = waits_for(site, other), waits_for(site, other, ended=True)
    worker = site.worker()
    assert site.takes(worker) is other.tasks[0]
    site.says(worker, other.tasks[0], "completed")
    assert (is_held_back(site, to_complete), is_held_back(site, to_end)) == (False, False)
    asked_of_jobs.delete(site.farm, other, site.now)
    assert (is_held_back(site, to_complete), is_held_back(site, to_end)) == (True, False)
    asked_of_jobs.undelete(site.farm, other, site.now)
    assert (is_held_back(site, to_complete), is_held_back(site, to_end)) == (False, False)


@pytest.mark.parametrize(
    ("state", "completes", "ends"),
    [
        (JobState(JobStatus.COMPLETED), True, True),
        (JobState(JobStatus.FAILED), False, True),
        (JobState(JobStatus.CANCELED), False, True),
        (JobState(JobStatus.COMPLETED, is_deleted=True), False, True),
        (JobState(JobStatus.PAUSED), False, False),
        (waiting.GONE, False, True),
        (None, False, True),  # it was erased: nobody knows of it
    ],
)
def test_a_job_looks_at_those_that_left_memory_when_it_comes(
    state: JobState | None, completes: bool, ends: bool
) -> None:
    for ended, begins in ((False, completes), (True, ends)):
        site = Site()
        others = {} if state is None else {"gone": state}
        wanted = {"needs_jobs": [needed(Job("gone", key=9), ended=ended)]}
        job = site.arrives(site.announced(), asked=wanted, others=others)
        assert is_held_back(site, job) == (not begins)


def test_jobs_that_wait_for_each_other_wait_and_end_when_people_say_so() -> None:
    site = Site()
    a = site.announced()
    b = waits_for(site, a)
    itself = site.announced()
    site.arrives(itself, asked={"needs_jobs": [needed(itself)]})
    site.arrives(a, asked={"needs_jobs": [needed(b)]})
    for job in (a, b, itself):
        assert is_held_back(site, job)
        assert site.ask(site.worker()) is None
    site.cancel(a)
    assert is_held_back(site, b)
    site.cancel(b)
    site.cancel(itself)
    assert {job.status for job in (a, b, itself)} == {JobStatus.CANCELED}


def test_nothing_is_left_of_a_job_that_waited_when_it_leaves_memory() -> None:
    site = Site()
    other = site.job()
    job = waits_for(site, other)
    task = job.tasks[0]
    site.cancel(job)
    site.farm.forget(job)
    site.completes(other)
    assert not site.farm.waiting_for[other.id]
    assert task.status is TaskStatus.CANCELED
