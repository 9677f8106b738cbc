"""Named limits of the farm, caps of projects, and at most N Workers per job (jobs.md, "Who gets which task")."""

import pytest
from farm_builder import Site

from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_core.wire.definitions import Needs
from flamenco_manager import asked_of_jobs, attempts, worker_rules
from flamenco_manager.attempts import Verdict
from flamenco_manager.model import Job

LICENCE = Needs(limits={"licence": 1})


def set_limits(site: Site, limits: dict[str, int], caps: dict[str, int] | None = None) -> None:
    site.farm.set_limits(limits, caps or {})


def used(site: Site) -> dict[str, int]:
    return dict(site.farm.limits.in_use())


def test_no_more_tasks_than_a_limit_allows_are_active_and_others_run_meanwhile() -> None:
    site = Site()
    set_limits(site, {"licence": 2})
    limited, free = site.job([()] * 5, needs=LICENCE, priority=90), site.job([()] * 5)
    workers = [site.worker() for _ in range(4)]
    assert [site.takes(worker).job for worker in workers] == [limited, limited, free, free]
    assert used(site) == {"licence": 2}
    site.says(workers[0], limited.tasks[0], "completed")
    assert site.takes(workers[0]).job is limited
    site.check()


def test_a_task_that_wants_a_limit_which_the_farm_does_not_have_waits() -> None:
    site = Site()
    job, worker = site.job(needs=LICENCE), site.worker()
    assert (site.ask(worker), job.status) == (None, JobStatus.QUEUED)
    set_limits(site, {"licence": 1})
    assert site.takes(worker) is job.tasks[0]


def test_a_lowered_limit_lets_what_runs_end_and_nothing_new_begin_until_there_is_room() -> None:
    site = Site()
    set_limits(site, {"licence": 3})
    job = site.job([()] * 6, needs=LICENCE)
    workers = [site.worker() for _ in range(3)]
    held = [site.takes(worker) for worker in workers]
    set_limits(site, {"licence": 2})
    assert all(attempts.may_run(site.farm, task.worker, task, None, site.now).yes for task in held if task.worker)
    site.says(workers[0], held[0], "completed")
    assert site.ask(workers[0]) is None
    site.says(workers[1], held[1], "completed")
    assert site.takes(workers[1]) is job.tasks[3]
    set_limits(site, {"licence": 0})
    assert site.ask(workers[0]) is None
    set_limits(site, {})
    assert site.ask(workers[0]) is None
    site.check()


def test_a_task_needs_room_in_all_of_its_limits_and_holds_as_much_of_each_as_it_says() -> None:
    site = Site()
    set_limits(site, {"licence": 4, "storage": 10})
    heavy = site.job([()] * 3, needs=Needs(limits={"licence": 1, "storage": 6}))
    light = site.job([()] * 3, needs=Needs(limits={"licence": 2, "nothing": 0}))
    workers = [site.worker() for _ in range(4)]
    assert [site.takes(worker).job for worker in workers[:2]] == [heavy, light]
    assert used(site) == {"licence": 3, "storage": 6}
    assert site.ask(workers[2]) is None  # neither 6 of storage nor 2 licences are left
    site.says(workers[0], heavy.tasks[0], "completed")
    assert site.takes(workers[2]) is heavy.tasks[1]
    assert site.ask(workers[3]) is None
    site.check()


ENDS = ["completed", "failed", "asks", "signs off", "falls silent", "is cancelled", "is requeued"]


@pytest.mark.parametrize("how", ENDS)
def test_whatever_ends_an_active_task_gives_back_what_it_held(how: str) -> None:
    site = Site()
    set_limits(site, {"licence": 1})
    job, worker, other = site.job([(), ()], needs=LICENCE), site.worker(), site.worker()
    task = site.takes(worker)
    assert site.ask(other) is None
    if how in ("completed", "failed"):
        site.says(worker, task, how)
    elif how == "asks":
        task.is_pause_wanted = True
        assert site.takes(worker) is job.tasks[1]
        site.cancel(job)
    elif how == "signs off":
        worker_rules.sign_off(site.farm, worker, site.now)
    elif how == "falls silent":
        site.passes(181, other)
    elif how == "is cancelled":
        site.cancel(job)
    else:
        site.requeue(job, 0)
    assert used(site) == {}
    site.job(needs=LICENCE, priority=99)
    assert site.takes(other).job.priority == 99
    site.check()


def test_a_silent_worker_that_asks_gets_its_task_again_only_if_what_it_held_is_still_free() -> None:
    site = Site()
    set_limits(site, {"licence": 1})
    job, silent, other = site.job([(), ()], needs=LICENCE), site.worker(), site.worker()
    first = site.takes(silent)
    site.passes(181, other)
    assert first.is_suspended
    rival = site.job(needs=LICENCE, priority=90)
    assert site.takes(other) is rival.tasks[0]
    assert site.ask(silent) is None
    assert (used(site), first.status, first.is_held, first.lost) == ({"licence": 1}, TaskStatus.QUEUED, False, 0)
    site.says(other, rival.tasks[0], "completed")
    assert site.takes(silent) is first
    site.passes(181, other)
    assert site.takes(silent) is first  # nobody else took the licence
    assert job.tasks[0].attempt == 3
    site.check()


def test_a_silent_worker_that_still_runs_its_task_goes_on_though_the_limit_is_used_up_by_now() -> None:
    site = Site()
    set_limits(site, {"licence": 1})
    silent, other = site.worker(), site.worker()
    site.job(needs=LICENCE)
    first = site.takes(silent)
    site.passes(181, other)
    site.job(needs=LICENCE, priority=90)
    site.takes(other)
    assert site.says(silent, first, activity="still at it") is Verdict.APPLIED
    assert used(site) == {"licence": 2}
    site.check()


def a_job_of(site: Site, project: str, tasks: int = 5) -> Job:
    return site.job([()] * tasks, asked={"project": project})


def test_a_project_has_at_most_as_many_workers_as_its_cap_in_all_of_its_jobs() -> None:
    site = Site()
    set_limits(site, {}, {"film": 2, "closed": 0})
    film, again, closed, other = (a_job_of(site, name) for name in ("film", "film", "closed", "ad"))
    workers = [site.worker() for _ in range(4)]
    assert [site.takes(worker).job for worker in workers] == [film, film, other, other]
    assert again.counts[TaskStatus.QUEUED] == closed.counts[TaskStatus.QUEUED] == 5
    site.says(workers[0], film.tasks[0], "completed")
    assert site.takes(workers[0]).job is film
    set_limits(site, {}, {"film": 3})
    assert site.takes(site.worker()).job is film
    assert site.takes(site.worker()).job is closed
    site.check()


def test_a_cap_counts_what_was_active_before_it_was_set() -> None:
    site = Site()
    film = a_job_of(site, "film")
    workers = [site.worker() for _ in range(3)]
    for worker in workers[:2]:
        site.takes(worker)
    set_limits(site, {}, {"film": 2})
    assert site.ask(workers[2]) is None
    assert film.counts[TaskStatus.ACTIVE] == 2


def test_at_most_so_many_workers_are_at_work_on_a_job_as_it_says() -> None:
    site = Site()
    job, other = site.job([()] * 5, asked={"max_workers": 2}, priority=90), site.job([()] * 2)
    workers = [site.worker() for _ in range(5)]
    assert [site.takes(worker).job for worker in workers[:4]] == [job, job, other, other]
    assert site.ask(workers[4]) is None
    site.check()
    site.says(workers[0], job.tasks[0], "failed")
    assert site.takes(workers[4]).job is job
    assert site.ask(workers[0]) is None
    site.says(workers[1], job.tasks[1], "completed")
    assert site.takes(workers[0]).job is job
    site.check()


def test_a_full_job_is_in_its_place_when_there_is_room_again() -> None:
    site = Site()
    site.farm.set_policy(site.farm.policy, is_balanced=True)
    full, other = site.job([()] * 5, asked={"max_workers": 1}), site.job([()] * 5)
    workers = [site.worker() for _ in range(4)]
    assert [site.takes(worker).job for worker in workers[:3]] == [full, other, other]
    site.farm.set_policy(site.farm.policy, is_balanced=False)
    site.farm.set_policy(site.farm.policy, is_balanced=True)
    site.says(workers[0], full.tasks[0], "completed")
    assert site.takes(workers[3]) is full.tasks[1]
    site.pause(full)
    site.says(workers[3], full.tasks[1], "completed")
    site.resume(full)
    assert site.takes(workers[0]) is full.tasks[2]
    site.check()


def test_a_job_that_was_full_when_the_policy_changed_is_in_its_place_when_there_is_room_again() -> None:
    site = Site()
    site.farm.set_policy(site.farm.policy, is_balanced=True)
    full, _ = site.job([()] * 5, asked={"max_workers": 1}), site.job([()] * 5)
    worker = site.worker()
    task = site.takes(worker)
    site.farm.set_policy(site.farm.policy, is_balanced=False)
    site.says(worker, task, "completed")
    assert site.takes(worker) is full.tasks[1]  # it is the older one


def test_a_silent_worker_that_asks_does_not_get_its_task_again_if_its_job_is_full_by_now() -> None:
    site = Site()
    job, silent, other = site.job([(), ()], priorities=[50, 90], asked={"max_workers": 1}), site.worker(), site.worker()
    asked_of_jobs.pause_task(site.farm, job.tasks[1], site.now)
    first = site.takes(silent)
    site.passes(181, other)
    site.resume(job)
    assert site.takes(other) is job.tasks[1]
    assert site.ask(silent) is None
    assert (first.status, first.is_held, job.counts[TaskStatus.ACTIVE]) == (TaskStatus.QUEUED, False, 1)
    site.check()


def test_a_limit_that_comes_free_is_offered_to_as_many_waiting_workers_as_it_feeds() -> None:
    site = Site()
    set_limits(site, {"storage": 4})
    site.job(needs=Needs(limits={"storage": 4}), priority=90)
    worker = site.worker()
    task = site.takes(worker)
    site.job([()] * 4, needs=Needs(limits={"storage": 1}))
    site.farm.take_changes()
    site.says(worker, task, "completed")
    assert site.farm.take_changes().new_work >= 4
