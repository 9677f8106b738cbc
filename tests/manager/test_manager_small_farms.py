"""Small farms, where there is nobody else to try: each ends as jobs.md says ("Failure of a task by a Worker")."""

from farm_builder import Site, statuses

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_manager import attempts, worker_rules
from flamenco_manager.attempts import Verdict
from flamenco_manager.model import Task, Worker

COMPLETED, FAILED = TaskStatus.COMPLETED, TaskStatus.FAILED


def test_one_worker_and_a_frame_that_always_fails() -> None:
    site = Site()
    job, worker = site.job([()] * 10, frames="1"), site.worker()
    for task in job.tasks:
        task.frames = str(task.index + 1)
    began_s = site.passed_s
    while not job.status.is_ended:
        task = site.ask(worker)
        if isinstance(task, attempts.HandOut):
            site.says(worker, task.task, "failed" if task.task.index == 4 else "completed")
        else:
            site.passes(1, worker)
    assert (job.status, job.activity) == (JobStatus.FAILED, "1 of 10 frames failed: 5")
    assert statuses(job).count(COMPLETED) == 9
    assert site.passed_s - began_s <= 36
    assert not job.blocked
    site.check()


def test_a_task_that_kills_its_worker_each_time() -> None:
    site = Site()
    job, worker = site.job([()] * 3), site.worker()
    for _ in range(20):
        task = site.takes(worker) if worker.task is None else worker.task
        site.says(worker, task, "active")
        if task.index == 1:
            site.comes_back(worker)
        else:
            site.says(worker, task, "completed")
        if job.status.is_ended:
            break
    assert (job.status, statuses(job)) == (JobStatus.FAILED, [COMPLETED, FAILED, COMPLETED])
    assert (job.tasks[1].lost, job.tasks[1].attempt) == (3, 3)
    assert job.activity == "1 of 3 tasks failed: task-1"
    site.check()


def test_two_workers_of_which_one_is_broken() -> None:
    site = Site()
    job, broken, works = site.job([()] * 30), site.worker(), site.worker()
    for _ in range(200):
        answer = site.ask(broken)
        if isinstance(answer, attempts.HandOut):
            site.says(broken, answer.task, "failed")
        site.says(works, site.takes(works), "completed")
        site.passes(1, broken, works)
        if job.status.is_ended:
            break
    assert (job.status, job.blocked == {(broken.id, "misc")}) == (JobStatus.COMPLETED, True)
    assert sum(task.attempt for task in job.tasks) == 33
    site.check()


def works(site: Site, worker: Worker, task: Task, minutes: int) -> None:
    """Let a Worker ask every 10 seconds whether it may go on with its task, and be told so."""
    for _ in range(minutes * 6):
        site.passes(10)
        worker_rules.heard(site.farm, worker, site.now)
        assert attempts.may_run(site.farm, worker, task, 1, site.now).yes


def test_a_network_that_is_gone_for_five_minutes_in_a_frame_of_forty() -> None:
    site = Site()
    job, worker = site.job([(), ()]), site.worker()
    task = site.takes(worker)
    site.says(worker, task, "active")
    works(site, worker, task, 20)
    site.passes(300)
    assert (worker.status, task.is_suspended) == (WorkerStatus.ERROR, True)
    works(site, worker, task, 15)
    assert site.says(worker, task, "completed") is Verdict.APPLIED
    assert (task.attempt, task.lost, list(task.failed_by), task.status) == (1, 0, [], COMPLETED)
    site.completes(job)
    site.check()


def test_a_network_that_is_gone_while_another_worker_has_nothing_to_do() -> None:
    site = Site()
    job, worker, other = site.job(), site.worker(), site.worker()
    task = site.takes(worker)
    site.says(worker, task, "active")
    works(site, worker, task, 20)
    site.passes(300, other)
    assert site.takes(other) is task
    assert (task.attempt, task.lost) == (2, 1)
    assert site.says(worker, task, activity="still at it", attempt=1) is Verdict.STALE
    assert (task.lost, task.worker) == (0, other)
    site.says(other, task, "completed")
    assert (job.status, list(task.failed_by)) == (JobStatus.COMPLETED, [])
    site.check()
