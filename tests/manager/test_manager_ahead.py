"""Tasks handed out ahead of time (worker-api.md 15.6; jobs.md, "Tasks handed out ahead")."""

from collections.abc import Callable
from pathlib import Path

import pytest
from farm_builder import Site, statuses
from stored_site import stored_site

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.definitions import Needs
from flamenco_manager import asked_of_jobs, asked_of_workers, attempts, worker_rules
from flamenco_manager.attempts import HandOut, Verdict
from flamenco_manager.choosing import note_duration
from flamenco_manager.model import Job, Task, Worker

QUEUED, ACTIVE, PAUSED = TaskStatus.QUEUED, TaskStatus.ACTIVE, TaskStatus.PAUSED
CANCELED, COMPLETED = TaskStatus.CANCELED, TaskStatus.COMPLETED


def short_job(site: Site, tasks: int = 40, seconds: float = 1.0, **details: object) -> Job:
    """A job whose tasks are known to take so long."""
    job = site.job([()] * tasks, **details)
    job.typical_s["misc"] = seconds
    return job


def with_ahead(site: Site) -> tuple[Job, Worker, Task, list[Task]]:
    """A job of 40 short tasks, and a Worker that has the first and the next two ahead of time."""
    job, worker = short_job(site), site.worker()
    first, ahead = site.takes_ahead(worker, most=3)
    assert [task.index for task in (first, *ahead)] == [0, 1, 2]
    return job, worker, first, ahead


# -- how many


@pytest.mark.parametrize(
    ("seconds", "most", "expected"),
    [(1.0, 16, 9), (3.0, 16, 2), (4.0, 16, 1), (6.0, 16, 0), (600.0, 16, 0), (0.0, 16, 15), (1.0, 4, 3), (1.0, 1, 0)],
)
def test_about_ten_seconds_of_work_go_to_a_worker_and_no_more_than_it_asks_for(
    seconds: float, most: int, expected: int
) -> None:
    site = Site()
    job = short_job(site, seconds=seconds)
    first, ahead = site.takes_ahead(site.worker(), most)
    assert [task.index for task in (first, *ahead)] == list(range(expected + 1))
    assert [task.attempt for task in ahead] == [1] * expected
    assert job.live == 40
    site.check()


def test_nothing_is_handed_out_ahead_before_it_is_known_how_long_tasks_take() -> None:
    site = Site()
    job, worker = site.job([()] * 40), site.worker()
    first, ahead = site.takes_ahead(worker)
    assert ahead == []
    site.runs(worker, first, 5)
    assert job.typical_s == {"misc": 5.0}
    assert len(site.takes_ahead(worker)[1]) == 1


def test_recent_tasks_weigh_more_in_how_long_they_take() -> None:
    site = Site()
    task = site.job().tasks[0]
    for seconds in (4.0, 8.0, -1.0):
        note_duration(task, seconds)
    assert task.job.typical_s["misc"] == pytest.approx(3.75)


@pytest.mark.parametrize(("tasks", "workers", "expected"), [(2, 2, 0), (3, 2, 0), (4, 2, 1), (12, 4, 2), (40, 1, 9)])
def test_other_workers_that_are_awake_find_work_too(tasks: int, workers: int, expected: int) -> None:
    site = Site()
    job = short_job(site, tasks)
    awake = [site.worker() for _ in range(workers)]
    site.worker(awake=False)
    site.worker(types=("ffmpeg",))
    assert len(site.takes_ahead(awake[0])[1]) == expected
    for worker in awake[1:]:
        assert site.takes_ahead(worker)[0].job is job
    site.check()


@pytest.mark.parametrize("counted", ["limit", "project", "max_workers"])
def test_nothing_is_handed_out_ahead_where_something_is_counted(counted: str) -> None:
    site = Site()
    site.farm.set_limits({"licence": 9}, {"film": 9})
    asked = {"project": "film"} if counted == "project" else {"max_workers": 9} if counted == "max_workers" else {}
    short_job(site, asked=asked, needs=Needs(limits={"licence": 1}) if counted == "limit" else None)
    assert site.takes_ahead(site.worker())[1] == []


def test_only_plain_tasks_of_the_same_job_and_kind_are_handed_out_ahead_in_their_order() -> None:
    site = Site()
    job = short_job(site, 9, priorities=[50, 50, 50, 90, 50, 50, 50, 50, 50])
    short_job(site, 5)
    broken, silent, worker = site.worker(), site.worker(), site.worker()
    for _ in range(2):
        site.says(broken, site.takes(broken), "failed")  # tasks 3 and 0
    lost = site.takes(silent)
    assert lost is job.tasks[3]
    worker_rules.sign_off(site.farm, silent, site.now)
    suspended = site.takes(silent_again := site.worker())
    assert suspended is job.tasks[3]
    site.passes(181, worker)
    assert (suspended.is_suspended, silent_again.status) == (True, WorkerStatus.ERROR)
    job.tasks[1].lost = 1
    job.tasks[2].kind = site.farm.kind_of(job, "misc", Needs(memory_bytes=1))
    site.farm.scheduler.drop(job)
    site.farm.list_runnable(job.tasks)
    first, ahead = site.takes_ahead(worker)
    assert first is suspended
    assert [task.index for task in ahead] == [4, 5, 6, 7, 8]


def test_what_a_silent_worker_may_still_be_at_is_not_handed_out_ahead() -> None:
    site = Site()
    job = short_job(site)
    for _ in range(2):
        site.takes(site.worker())
    worker = site.worker()
    site.passes(181, worker)
    first, ahead = site.takes_ahead(worker, most=3)
    assert [task.index for task in (first, *ahead)] == [0, 2, 3]
    assert (first.lost, job.tasks[1].is_suspended) == (1, True)


# -- what becomes of them


def test_a_task_that_was_had_ahead_and_is_cancelled_is_next_nowhere() -> None:
    site = Site()
    job, _, _, ahead = with_ahead(site)
    assert ahead[0].activity.startswith("Next at")
    site.cancel(job)
    assert {task.activity for task in ahead} == {""}
    site.check()


def test_a_task_that_is_had_ahead_waits_for_its_worker_and_nobody_else_gets_it() -> None:
    site = Site()
    job, worker, first, ahead = with_ahead(site)
    assert [(task.status, task.worker, task.is_held) for task in ahead] == [(QUEUED, worker, False)] * 2
    assert site.takes(site.worker()).index == 3
    assert all(attempts.may_run(site.farm, worker, task, task.attempt, site.now).yes for task in (first, *ahead))
    assert ahead[0].status is QUEUED
    assert not attempts.may_run(site.farm, worker, ahead[0], None, site.now).yes
    assert not attempts.may_run(site.farm, worker, ahead[0], 7, site.now).yes
    assert job.status is JobStatus.ACTIVE
    site.check()


def test_they_are_active_when_they_begin_one_after_the_other() -> None:
    site = Site()
    job, worker, first, ahead = with_ahead(site)
    for task in (first, *ahead):
        assert site.says(worker, task, "active", seq=1) is Verdict.APPLIED
        assert (task.status, worker.task, task.is_reserved) == (ACTIVE, task, False)
        assert site.says(worker, task, "completed", seq=2) is Verdict.APPLIED
        site.check()
    assert (worker.is_idle, job.counts[COMPLETED]) == (True, 3)
    assert [task.attempt for task in (first, *ahead)] == [1, 1, 1]


def test_they_may_begin_out_of_order_and_end_without_a_word_before() -> None:
    site = Site()
    _, worker, first, (second, third) = with_ahead(site)
    site.says(worker, first, "completed")
    assert site.says(worker, third, "completed") is Verdict.APPLIED
    assert (third.status, worker.task, worker.reserved) == (COMPLETED, None, [second])
    site.check()
    assert site.says(worker, second, "failed") is Verdict.APPLIED
    assert (second.status, worker.is_idle) == (TaskStatus.SOFT_FAILED, True)
    site.check()


def test_a_worker_that_begins_the_next_one_is_done_with_the_one_before() -> None:
    site = Site()
    _, worker, first, (second, third) = with_ahead(site)
    site.says(worker, first, "active")
    assert site.says(worker, second, "active") is Verdict.APPLIED
    assert (worker.task, worker.reserved) == (second, [third])
    assert (first.status, first.is_held, first.lost, list(first.failed_by)) == (QUEUED, False, 0, [])
    assert site.says(worker, first, "completed") is Verdict.STALE
    site.check()


def test_one_is_given_back_by_its_worker_unless_it_has_begun() -> None:
    site = Site()
    _, worker, _, (second, third) = with_ahead(site)
    assert not attempts.give_back_ahead(site.farm, third, third.attempt + 1, site.now)
    assert attempts.give_back_ahead(site.farm, third, third.attempt, site.now)
    assert not attempts.give_back_ahead(site.farm, third, third.attempt, site.now)
    assert (third.status, worker.reserved) == (QUEUED, [second])
    assert site.says(worker, third, "active") is Verdict.STALE
    site.says(worker, second, "active")
    assert not attempts.give_back_ahead(site.farm, second, second.attempt, site.now)
    assert second.status is ACTIVE
    site.check()


def test_one_that_was_given_back_is_offered_and_gets_another_attempt() -> None:
    site = Site()
    _, _, _, (second, third) = with_ahead(site)
    site.farm.take_changes()
    assert attempts.give_back_ahead(site.farm, second, second.attempt, site.now)
    assert site.farm.take_changes().new_work == 1
    assert site.takes(site.worker()) is second
    assert (second.attempt, third.is_reserved) == (2, True)


Happening = Callable[[Site, Job, Worker], object]
TAKE_BACK: dict[str, Happening] = {
    "its Worker asks for more": lambda site, job, worker: site.ask(worker),
    "its Worker falls silent": lambda site, job, worker: site.passes(181),
    "its Worker signs off": lambda site, job, worker: worker_rules.sign_off(site.farm, worker, site.now),
    "its Worker sleeps": lambda site, job, worker: worker_rules.say_status(
        site.farm, worker, WorkerStatus.ASLEEP, site.now
    ),
    "its Worker is to sleep": lambda site, job, worker: asked_of_workers.request_status(
        site.farm, worker, WorkerStatus.ASLEEP, site.now, lazy=True
    ),
    "its Worker is removed": lambda site, job, worker: asked_of_workers.forget(site.farm, worker, site.now),
    "its Worker dies and comes back": lambda site, job, worker: site.comes_back(worker),
    "the job is paused": lambda site, job, worker: site.pause(job),
    "the job is cancelled": lambda site, job, worker: site.cancel(job),
    "the job is deleted": lambda site, job, worker: asked_of_jobs.delete(site.farm, job, site.now),
    "the job is requeued": lambda site, job, worker: site.requeue(job, which="all"),
    "the task is paused": lambda site, job, worker: asked_of_jobs.pause_task(site.farm, job.tasks[2], site.now),
    "the task is cancelled": lambda site, job, worker: asked_of_jobs.cancel_task(site.farm, job.tasks[2], site.now),
    "the task is requeued": lambda site, job, worker: site.requeue(job, 2),
    "the job fails": lambda site, job, worker: _fail(site, job),
}


def _fail(site: Site, job: Job) -> None:
    site.farm.policy = type(site.farm.policy)(failed_attempts=1, job_failed_tasks=1, job_failed_share=0.0)
    other = site.worker()
    site.says(other, site.takes(other), "failed")


@pytest.mark.parametrize("how", TAKE_BACK)
def test_what_takes_them_back_leaves_nobody_to_blame(how: str) -> None:
    site = Site()
    job, worker, _, ahead = with_ahead(site)
    last, attempt = ahead[1], ahead[1].attempt
    TAKE_BACK[how](site, job, worker)
    assert not last.is_reserved or last.attempt > attempt
    assert last not in worker.reserved or last.attempt > attempt
    assert (last.lost, list(last.failed_by), last.is_held) == (0, [], False)
    assert site.says(worker, last, "completed", attempt=attempt) is Verdict.STALE
    site.check()
    if not job.status.is_ended:
        site.resume(job)
        site.requeue(job, which="all")
        site.completes(job)


def test_a_hand_out_that_could_not_be_delivered_is_taken_back_with_all_that_came_ahead() -> None:
    site = Site()
    job, worker = short_job(site), site.worker()
    handed = site.ask(worker, 4)
    assert isinstance(handed, HandOut)
    attempts.take_back(site.farm, handed, site.now)
    assert (worker.is_idle, set(statuses(job))) == (True, {QUEUED})
    assert [ahead.task.index for ahead in handed.ahead] == [1, 2, 3]
    site.check()


def test_what_came_ahead_is_taken_back_also_if_the_first_task_is_gone_by_then() -> None:
    site = Site()
    job, worker = short_job(site), site.worker()
    handed = site.ask(worker, 3)
    assert isinstance(handed, HandOut)
    asked_of_jobs.cancel_task(site.farm, job.tasks[0], site.now)
    attempts.take_back(site.farm, handed, site.now)
    assert (worker.is_idle, statuses(job)[:3]) == (True, [CANCELED, QUEUED, QUEUED])
    site.check()


def test_a_suspended_first_task_does_not_keep_the_others_from_going_to_somebody_else() -> None:
    site = Site()
    _, worker, first, ahead = with_ahead(site)
    other = site.worker()
    site.passes(181, other)
    assert first.is_suspended
    assert [site.takes(other), worker.reserved] == [first, []]
    assert first.lost == 1  # that one did run
    site.says(other, first, "completed")
    assert site.takes(other) is ahead[0]
    assert [task.lost for task in ahead] == [0, 0]


# -- a restart of the Manager


async def test_after_a_restart_of_the_manager_they_are_still_their_workers(tmp_path: Path) -> None:
    async with stored_site(tmp_path) as site:
        job = await site.stored_job([()] * 40)
        job.typical_s["misc"] = 1.0
        worker = site.worker()
        site.takes_ahead(worker, most=4)
        await site.keep()
        site.passed_s += 3_600
        await site.restart()
        job, worker = next(iter(site.farm.jobs.values())), site.farm.workers[worker.id]
        assert [task.index for task in worker.reserved] == [1, 2, 3]
        assert worker.task is job.tasks[0]
        assert site.takes(site.worker()).index == 4
        site.says(worker, job.tasks[0], "completed")
        assert site.says(worker, job.tasks[2], "active", attempt=1) is Verdict.APPLIED
        assert (worker.task, [task.index for task in worker.reserved]) == (job.tasks[2], [1, 3])
        site.passes(62)
        assert (worker.reserved, job.tasks[2].is_suspended) == ([], True)
        assert [task.lost for task in job.tasks[1:4]] == [0, 0, 0]
        site.check()
        await site.keep()


async def test_what_was_taken_back_before_a_restart_is_free_after_it(tmp_path: Path) -> None:
    async with stored_site(tmp_path) as site:
        job = await site.stored_job([()] * 40)
        job.typical_s["misc"] = 1.0
        worker = site.worker()
        site.takes_ahead(worker, most=4)
        await site.keep()
        worker_rules.sign_off(site.farm, worker, site.now)
        await site.keep()
        await site.restart()
        job, worker = next(iter(site.farm.jobs.values())), site.farm.workers[worker.id]
        assert (worker.is_idle, job.tasks[0].lost) == (True, 1)
        site.completes(job)
        assert [task.attempt for task in job.tasks[:5]] == [2, 2, 2, 2, 1]
