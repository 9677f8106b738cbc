"""What a question to the scheduler costs: it does not grow with what waits, nor with what a Worker cannot take.

Counted are calls of functions, not seconds: a farm of a hundred tasks and one of a hundred thousand need as many.
"""

import gc
import sys
from collections.abc import Callable
from datetime import timedelta
from types import FrameType

import pytest
from farm_builder import EPOCH, Site, needed

from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_core.wire.definitions import Needs
from flamenco_manager import asked_of_jobs
from flamenco_manager.model import Worker

FEW, MANY = 20, 2_000
"""Jobs."""
TASKS = 5
"""Of each of them."""


def calls_of(act: Callable[[], object]) -> int:
    """Count the calls of functions while ``act`` runs."""
    count = 0

    def note(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    gc.disable()  # others may have asked to be called when garbage is collected
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


def jobs(site: Site, count: int, **details: object) -> None:
    for _ in range(count):
        site.job([()] * TASKS, **details)


def of_another_type(site: Site, worker: Worker, count: int) -> None:
    jobs(site, count, type="ffmpeg")


def with_a_tag(site: Site, worker: Worker, count: int) -> None:
    jobs(site, count, needs=Needs(tag="gpu"))


def with_much_memory(site: Site, worker: Worker, count: int) -> None:
    jobs(site, count, needs=Needs(memory_bytes=1 << 40))


def at_a_limit(site: Site, worker: Worker, count: int) -> None:
    site.farm.set_limits({"licence": 0}, {})
    jobs(site, count, needs=Needs(limits={"licence": 1}))


def of_a_project_at_its_cap(site: Site, worker: Worker, count: int) -> None:
    site.farm.set_limits({}, {"film": 0})
    jobs(site, count, asked={"project": "film"})


def that_are_full(site: Site, worker: Worker, count: int) -> None:
    jobs(site, count, asked={"max_workers": 1})
    for _ in range(count):
        site.takes(site.worker())


def that_are_paused(site: Site, worker: Worker, count: int) -> None:
    jobs(site, count)
    for job in site.farm.jobs.values():
        site.pause(job)


def that_are_paused_once_their_active_task_ends(site: Site, worker: Worker, count: int) -> None:
    site.farm.set_policy(site.farm.policy, is_balanced=True)
    jobs(site, count)
    for _ in range(count):
        site.takes(site.worker())
    for job in site.farm.jobs.values():
        site.pause(job)
        assert job.status is JobStatus.PAUSE_REQUESTED


def before_their_time(site: Site, worker: Worker, count: int) -> None:
    jobs(site, count, asked={"start_after": EPOCH + timedelta(days=1)})


def that_wait_for_a_job(site: Site, worker: Worker, count: int) -> None:
    first = site.job(type="ffmpeg")
    jobs(site, count, asked={"needs_jobs": [needed(first)]})


CANNOT_TAKE = [
    of_another_type,
    with_a_tag,
    with_much_memory,
    at_a_limit,
    of_a_project_at_its_cap,
    that_are_full,
    that_are_paused,
    that_are_paused_once_their_active_task_ends,
    before_their_time,
    that_wait_for_a_job,
]


@pytest.mark.parametrize("fill", CANNOT_TAKE)
def test_an_ask_looks_at_no_job_that_its_worker_cannot_take(fill: Callable[[Site, Worker, int], None]) -> None:
    costs = []
    for count in (FEW, MANY):
        site = Site()
        worker = site.worker()
        fill(site, worker, count)
        last = site.job(priority=1)
        costs.append(calls_of(lambda site=site, worker=worker: site.ask(worker)))  # type: ignore[misc]
        assert worker.task is last.tasks[0]
    assert costs[1] == costs[0]


def a_blocked_worker(site: Site, worker: Worker, tasks: int) -> None:
    job = site.job([()] * tasks)
    job.blocked.add((worker.id, "misc"))


def a_worker_that_failed_some(site: Site, worker: Worker, tasks: int) -> None:
    site.worker()
    site.job([()] * tasks)
    for _ in range(2):
        site.says(worker, site.takes(worker), "failed")


def a_worker_that_gets_one(site: Site, worker: Worker, tasks: int) -> None:
    site.job([()] * tasks)


@pytest.mark.parametrize("fill", [a_blocked_worker, a_worker_that_failed_some, a_worker_that_gets_one])
def test_an_ask_costs_the_same_in_a_job_of_a_hundred_tasks_as_in_one_of_a_hundred_thousand(
    fill: Callable[[Site, Worker, int], None],
) -> None:
    costs = []
    for tasks in (100, 100_000):
        site = Site()
        worker = site.worker()
        fill(site, worker, tasks)
        costs.append(calls_of(lambda site=site, worker=worker: site.ask(worker)))  # type: ignore[misc]
    assert costs[1] == costs[0]
    assert costs[0] < 200


@pytest.mark.parametrize("most", [1, 16])
def test_a_life_cycle_costs_the_same_whatever_waits_and_however_many_workers_there_are(most: int) -> None:
    costs = []
    for tasks, workers in ((5_000, 10), (100_000, 1_000)):
        site = Site()
        job = site.job([()] * tasks)
        job.typical_s["misc"] = 1.0
        worker = [site.worker() for _ in range(workers)][-1]

        def cycle(site: Site = site, worker: Worker = worker) -> None:
            task, _ = site.takes_ahead(worker, most)
            site.says(worker, task, "active")
            site.says(worker, task, "completed")

        cycle()
        costs.append(calls_of(cycle))
        assert job.counts[TaskStatus.COMPLETED] == 2
    assert costs[1] == costs[0]


def test_tasks_that_others_lost_are_not_all_looked_at_for_one_that_may_be_had_ahead_of_time() -> None:
    costs = []
    for lost in (100, 20_000):
        site = Site()
        job = site.job([()] * 2 * lost)
        job.typical_s["misc"] = 1.0
        worker = site.worker()
        for task in job.tasks[:lost]:
            task.lost = 1
        costs.append(calls_of(lambda site=site, worker=worker: site.takes_ahead(worker)))  # type: ignore[misc]
    assert costs[1] == costs[0]


def test_a_priority_or_a_pause_costs_no_more_the_more_jobs_there_are() -> None:
    costs = []
    for count in (FEW, MANY):
        site = Site()
        jobs(site, count)
        job = site.job([()] * TASKS)

        def ask(site: Site = site, job: object = job) -> None:
            asked_of_jobs.set_priority(site.farm, job, 99)  # type: ignore[arg-type]
            site.pause(job)  # type: ignore[arg-type]
            site.resume(job)  # type: ignore[arg-type]

        costs.append(calls_of(ask))
    assert costs[1] <= costs[0] + 8 * 60  # a bisection looks at some more, of the hundredfold
