"""Which task comes first, and what a Worker needs for it (jobs.md, "Who gets which task")."""

import itertools
from datetime import timedelta

import pytest
from farm_builder import EPOCH, Site, needed, statuses

from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_core.wire.definitions import Needs
from flamenco_core.wire.worker_api import Gpu, Hardware
from flamenco_manager import asked_of_jobs, asked_of_workers, attempts, leases
from flamenco_manager.attempts import HandOut
from flamenco_manager.model import Job, Moment, Policy, Worker

GIB = 1 << 30


def order_of(site: Site, worker: Worker) -> list[tuple[int, int]]:
    """Complete all that a Worker gets; tells in which order: numbers of jobs and indexes of tasks."""
    order = []
    while isinstance(answer := site.ask(worker), HandOut):
        order.append((answer.task.job.key, answer.task.index))
        site.says(worker, answer.task, "completed")
    return order


def workers_of(site: Site, job: Job) -> int:
    return job.counts.get(TaskStatus.ACTIVE, 0)


def set_policy(site: Site, policy: str) -> None:
    site.farm.set_policy(site.farm.policy, is_balanced=policy == "balanced")


# -- order


def test_tasks_of_different_types_come_in_the_order_of_their_job_all_the_same() -> None:
    site = Site()
    job = site.job([()] * 4, priorities=[50, 70, 50, 60])
    for task in job.tasks[2:]:
        task.kind = site.farm.kind_of(job, "blender", None)
    site.farm.scheduler.drop(job)
    site.farm.list_runnable(job.tasks)
    assert [index for _, index in order_of(site, site.worker())] == [1, 3, 0, 2]


def test_a_job_that_is_older_comes_first_also_if_it_arrives_later() -> None:
    site = Site()
    late = site.job()
    late.created = EPOCH + timedelta(hours=1)
    site.farm.scheduler.reorder(late)
    early = site.job()
    assert site.takes(site.worker()) is early.tasks[0]


def test_a_changed_priority_counts_from_the_next_ask_on_and_takes_nothing_away() -> None:
    site = Site()
    a, b = site.job([(), ()]), site.job([(), ()])
    w0, w1 = site.worker(), site.worker()
    held = site.takes(w0)
    asked_of_jobs.set_priority(site.farm, b, 90)
    asked_of_jobs.set_priority(site.farm, a, 10)
    assert held.status is TaskStatus.ACTIVE
    assert site.takes(w1) is b.tasks[0]
    asked_of_jobs.set_priority(site.farm, b, 0)
    site.says(w1, b.tasks[0], "completed")
    assert site.takes(w1) is a.tasks[1]
    assert (a.asked, b.asked) == ({"priority": 10}, {"priority": 0})
    site.check()


def test_a_priority_changed_while_nothing_of_the_job_is_listed_counts_when_it_is() -> None:
    site = Site()
    a, b = site.job(), site.job()
    site.pause(b)
    asked_of_jobs.set_priority(site.farm, b, 90)
    site.resume(b)
    assert order_of(site, site.worker()) == [(b.key, 0), (a.key, 0)]


def test_balanced_gives_every_job_a_worker_before_any_gets_a_second() -> None:
    site = Site()
    set_policy(site, "balanced")
    jobs = [site.job([()] * 9), site.job([()] * 9), site.job([()] * 9, priority=40)]
    workers = [site.worker() for _ in range(5)]
    for worker in workers[:4]:
        site.takes(worker)
    assert [workers_of(site, job) for job in jobs] == [2, 2, 0]  # a higher priority comes first
    site.says(workers[0], workers[0].task, "completed")  # type: ignore[arg-type]
    assert site.takes(workers[4]).job is jobs[0]
    site.check()


def test_the_policy_may_change_while_jobs_are_listed() -> None:
    site = Site()
    a, b = site.job([()] * 9), site.job([()] * 9)
    workers = [site.worker() for _ in range(6)]
    assert [site.takes(worker).job for worker in workers[:2]] == [a, a]
    set_policy(site, "balanced")
    assert [site.takes(worker).job for worker in workers[2:4]] == [b, b]
    set_policy(site, "fifo")
    assert [site.takes(worker).job for worker in workers[4:]] == [a, a]
    set_policy(site, "balanced")
    site.check()
    assert order_of(site, site.worker())[0] == (b.key, 2)


def test_a_silent_worker_counts_no_more_for_the_balance() -> None:
    site = Site()
    set_policy(site, "balanced")
    a, b = site.job([()] * 9), site.job([()] * 9)
    w0, w1, w2 = site.worker(), site.worker(), site.worker()
    assert [site.takes(w0).job, site.takes(w1).job] == [a, b]
    site.passes(181, w1, w2)
    assert site.takes(w2).job is a


# -- what a Worker must have


@pytest.mark.parametrize(
    ("needs", "fits", "does_not"),
    [
        (Needs(tag="gpu"), {"tags": ["gpu", "fast"]}, {"tags": ["GPU"]}),
        (Needs(memory_bytes=8 * GIB), {"hardware": Hardware(memory_bytes=8 * GIB)}, {}),
        (
            Needs(memory_bytes=8 * GIB),
            {"hardware": Hardware(memory_bytes=9 * GIB)},
            {"hardware": Hardware(4, 8 * GIB - 1)},
        ),
        (Needs(gpu="any"), {"hardware": Hardware(gpus=[Gpu("HIP", "a card")])}, {"hardware": Hardware(4, 99 * GIB)}),
        (
            Needs(gpu="OPTIX"),
            {"hardware": Hardware(gpus=[Gpu("HIP", "x"), Gpu("optix", "y")])},
            {"hardware": Hardware(gpus=[Gpu("CUDA", "z")])},
        ),
    ],
)
def test_a_worker_gets_only_what_it_has_the_means_for(
    needs: Needs, fits: dict[str, object], does_not: dict[str, object]
) -> None:
    site = Site()
    job = site.job(needs=needs)
    assert site.ask(site.worker(**does_not)) is None  # type: ignore[arg-type]
    assert site.takes(site.worker(**fits)) is job.tasks[0]  # type: ignore[arg-type]


def test_a_task_needs_what_its_job_needs_unless_it_says_otherwise() -> None:
    site = Site()
    job = site.job(asked={"tag": "gpu", "memory_bytes": GIB})
    own = site.job(asked={"tag": "gpu"}, needs=Needs(tag=""), priority=90)
    assert (job.tasks[0].kind.tag, job.tasks[0].kind.memory_bytes) == ("gpu", GIB)
    assert own.tasks[0].kind.tag is None
    both = site.job(asked={"tag": "gpu"}, needs=Needs(memory_bytes=2 * GIB)).tasks[0].kind
    assert (both.tag, both.memory_bytes) == ("gpu", 2 * GIB)
    assert site.takes(site.worker()) is own.tasks[0]


def test_a_worker_that_gets_a_tag_or_loses_a_type_is_looked_at_anew() -> None:
    site = Site()
    tagged, worker = site.job(needs=Needs(tag="gpu")), site.worker()
    assert site.ask(worker) is None
    asked_of_workers.set_tags(site.farm, worker, ["gpu"])
    assert site.takes(worker) is tagged.tasks[0]
    asked_of_workers.set_tags(site.farm, worker, [])
    site.says(worker, tagged.tasks[0], "completed")
    site.job(needs=Needs(tag="gpu"))
    assert site.ask(worker) is None
    blender, other = site.job(type="blender"), site.worker()
    assert site.takes(other) is blender.tasks[0]
    other.task_types = ("misc",)
    site.comes_back(other)
    assert (other.task, blender.tasks[0].status) == (None, TaskStatus.QUEUED)  # it cannot run that any more
    site.check()


def test_a_changed_tag_counts_for_what_is_listed_and_leaves_what_runs() -> None:
    site = Site()
    job, plain, tagged = site.job([()] * 3), site.worker(), site.worker(tags=["gpu"])
    held = site.takes(plain)
    asked_of_jobs.set_tag(site.farm, job, "gpu")
    site.check()
    assert (held.status, job.asked) == (TaskStatus.ACTIVE, {"tag": "gpu"})
    site.says(plain, held, "completed")
    assert site.ask(plain) is None
    assert site.takes(tagged) is job.tasks[1]
    asked_of_jobs.set_tag(site.farm, job, None)
    site.check()
    assert site.takes(plain) is job.tasks[2]


def test_a_tag_changed_while_its_job_is_paused_counts_when_it_goes_on() -> None:
    site = Site()
    job, plain = site.job(), site.worker()
    site.pause(job)
    asked_of_jobs.set_tag(site.farm, job, "gpu")
    site.resume(job)
    assert site.ask(plain) is None
    assert site.takes(site.worker(tags=["gpu"])) is job.tasks[0]


# -- start times


def test_a_job_begins_at_its_start_time_by_the_wall_clock_and_not_before() -> None:
    site = Site()
    job, worker = site.job(asked={"start_after": EPOCH + timedelta(seconds=60)}), site.worker()
    site.passes(59, worker)
    assert (job.status, site.ask(worker)) == (JobStatus.QUEUED, None)
    site.passes(1, worker)
    assert site.takes(worker) is job.tasks[0]
    site.check()


def test_a_clock_that_jumps_ahead_starts_a_job_and_one_that_goes_back_does_not_stop_it() -> None:
    site = Site()
    job, worker = site.job([(), ()], asked={"start_after": EPOCH + timedelta(days=1)}), site.worker()
    site.passes(5, worker)
    tomorrow = Moment(EPOCH + timedelta(days=1), site.now.monotonic_s)
    leases.tick(site.farm, tomorrow, {worker.id})
    assert site.takes(worker) is job.tasks[0]
    site.passes(5, worker)  # the clock says today again
    site.says(worker, job.tasks[0], "completed")
    assert site.takes(worker) is job.tasks[1]


def test_a_job_that_its_start_time_held_back_again_begins_when_that_comes_once_more() -> None:
    site = Site()
    first = site.job()
    starts = EPOCH + timedelta(seconds=600)
    job = site.job(asked={"start_after": starts, "needs_jobs": [needed(first)]})
    leases.tick(site.farm, Moment(starts, site.now.monotonic_s))  # the clock was ahead for a moment
    site.completes(first)
    assert site.ask(site.worker()) is None
    site.passes(600)
    assert site.takes(site.worker()) is job.tasks[0]
    site.check()


def test_a_paused_job_whose_start_time_comes_stays_paused() -> None:
    site = Site()
    job = site.job(asked={"start_after": EPOCH + timedelta(seconds=60), "start_paused": True})
    site.passes(61)
    assert job.status is JobStatus.PAUSED
    site.resume(job)
    site.completes(job)


def test_a_job_that_is_resumed_or_requeued_before_its_start_time_is_queued() -> None:
    site = Site()
    job = site.job(asked={"start_after": EPOCH + timedelta(seconds=60), "start_paused": True})
    site.resume(job)
    assert (job.status, site.ask(site.worker())) == (JobStatus.QUEUED, None)
    site.check()
    site.cancel(job)
    site.requeue(job, which="all")
    assert (job.status, site.ask(site.worker())) == (JobStatus.QUEUED, None)
    site.check()
    site.passes(60)
    site.completes(job)


def test_a_task_has_its_place_whatever_was_taken_and_given_back_before() -> None:
    site = Site()
    job = site.job([()] * 6)
    workers = [site.worker() for _ in range(6)]
    taken = [site.takes(worker) for worker in workers]
    assert [task.index for task in taken] == list(range(6))
    for back in (4, 1, 3):
        site.says(workers[back], taken[back], "active")
        attempts.release(site.farm, workers[back], site.now, "for a test")
    site.check()
    assert [site.takes(workers[back]).index for back in (3, 4, 1)] == [1, 3, 4]
    assert statuses(job) == [TaskStatus.ACTIVE] * 6


@pytest.mark.parametrize("numbers", list(itertools.permutations([10, 50, 90])))
def test_jobs_come_by_priority_in_whatever_order_they_arrive(numbers: tuple[int, ...]) -> None:
    site = Site()
    keys = {priority: site.job(priority=priority).key for priority in numbers}
    assert order_of(site, site.worker()) == [(keys[90], 0), (keys[50], 0), (keys[10], 0)]


def test_changed_settings_of_the_farm_are_followed_at_the_next_failure() -> None:
    site = Site()
    job, worker = site.job(), site.worker()
    site.farm.set_policy(Policy(failed_attempts=1), is_balanced=False)
    site.says(worker, site.takes(worker), "failed")
    assert job.status is JobStatus.FAILED
