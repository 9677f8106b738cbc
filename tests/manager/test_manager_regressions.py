"""Histories that once went wrong, shrunk to what mattered: found by test_manager_histories.py and ``make chaos``.

Each step of them is done to the Manager and to the naive model, which must agree after it.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from farm_builder import Site
from history import History
from naive_choosing import Handed
from naive_records import NaiveJob, NaiveTask, NaiveWorker, Word
from planned_jobs import JobPlan, TaskPlan

from flamenco_core.statuses import JobStatus
from flamenco_manager import job_rules
from flamenco_manager.farm import Changes
from flamenco_manager.foreman import Foreman
from flamenco_manager.model import Moment
from flamenco_manager.stores.farm_store import Also


@pytest.fixture
def history() -> Iterator[History]:
    begun = History()
    yield begun
    begun.close()


def a_worker(history: History, *, ours: bool = True) -> NaiveWorker:
    """Let one more Worker register, and be awake."""
    number = len(history.naive.workers)
    worker = NaiveWorker(f"00000000-0000-4000-9000-{number:012}", ours=ours, types=("misc",))
    history.register(worker)
    return worker


def a_job(history: History, tasks: int = 1, **facts: Any) -> NaiveJob:
    return history.submit(JobPlan([TaskPlan()] * tasks, **facts))


def takes(history: History, worker: NaiveWorker) -> NaiveTask:
    """Let a Worker take a task; there must be one."""
    answer = history.ask(worker)
    assert isinstance(answer, Handed)
    task = history.naive.task(answer.task)
    assert task is not None
    return task


def test_a_new_job_does_not_get_the_number_of_one_that_was_erased(history: History) -> None:
    first = a_job(history)
    history.order("job.delete", {"job": first.id})
    history.order("job.erase", {"job": first.id})
    assert a_job(history).status == "queued"  # rows of the erased one are still there, and go later


def test_what_people_asked_of_a_job_before_it_came_survives_a_restart(history: History) -> None:
    job_id = history.announce(JobPlan([TaskPlan()]))
    history.order("job.priority", {"job": job_id, "priority": 0})
    history.order("job.tag", {"job": job_id, "tag": "gpus"})
    history.restart()
    assert history.manager.farm.jobs[job_id].priority == 0
    assert history.manager.farm.jobs[job_id].needs.tag == "gpus"
    history.arrive(0)
    assert history.naive.jobs[job_id].priority == 0


def test_frames_that_are_told_of_after_their_attempt_ended_are_kept(history: History) -> None:
    a_job(history)
    worker = a_worker(history)
    answer = history.ask(worker)
    assert isinstance(answer, Handed)
    history.take_back(worker, answer)
    assert history.say(worker, Word(answer.task, 1, 1, "active", frames=[7])) == "stale"
    task = history.naive.task(answer.task)
    assert task is not None
    assert task.frames == {7: 1}


def test_a_mark_that_is_over_begins_anew_with_a_word_after_a_restart(history: History) -> None:
    a_job(history)
    old = a_worker(history, ours=False)
    task = takes(history, old)
    history.sign_off(old)
    history.sign_on(old, old.types)
    history.say_status(old, "awake")
    history.passes(60, [old])
    history.order("task.requeue", {"task": task.id})  # it is written, and the mark is over
    history.restart()
    assert history.say(old, Word(task.id, None, None, "completed")) == "stale"
    assert history.ask(old) is None


def test_a_mark_begins_anew_with_a_word_about_a_job_that_has_left_memory(history: History) -> None:
    job = a_job(history)
    old = a_worker(history, ours=False)
    task = takes(history, old)
    history.say(old, Word(task.id, None, None, "active"))
    history.say(old, Word(task.id, None, None, "completed"))
    history.passes(60, [old])
    assert history.say(old, Word(task.id, None, None, "active")) == "stale"
    history.order("job.requeue", {"job": job.id, "which": "all"})
    assert history.ask(old) is None


def test_what_ends_because_a_waiting_worker_looked_is_stored(history: History) -> None:
    history.order("settings", {"lost_attempts": 1})
    job = a_job(history)
    silent, waiting = a_worker(history), a_worker(history)
    takes(history, silent)
    history.ask(waiting, waits=True)
    history.passes(185)  # given away, and lost once too often: nobody gets it
    assert (job.status, job.tasks[0].status) == ("failed", "failed")


def test_what_becomes_ready_in_a_job_about_to_be_paused_is_paused_and_runs_after_a_resume(history: History) -> None:
    job = history.submit(JobPlan([TaskPlan(), TaskPlan([0])]))
    worker = a_worker(history)
    first = takes(history, worker)
    history.passes(185)  # silent: its attempt is suspended
    history.order("task.pause", {"task": first.id})
    assert job.status == "paused"  # nothing else could run
    assert history.say(worker, Word(first.id, 1, 1, "completed")) == "applied"
    assert (job.status, job.tasks[1].status) == ("paused", "paused")
    history.order("job.resume", {"job": job.id})
    assert takes(history, worker) is job.tasks[1]


class SlowStore:
    """A store whose transactions end when the test says so."""

    def __init__(self) -> None:
        self.commits: list[asyncio.Future[None]] = []

    def save(self, changes: Changes, now: Moment, also: Also | None = None) -> "asyncio.Future[None]":
        self.commits.append(asyncio.get_running_loop().create_future())
        return self.commits[-1]


async def test_a_job_stays_in_memory_until_it_is_on_disk_that_it_ended() -> None:
    store, site = SlowStore(), Site()
    foreman = Foreman(site.farm, store, lambda: datetime(2026, 1, 31, tzinfo=UTC), lambda: 1000.0)
    job = site.job([(), ()])
    begun = asyncio.create_task(foreman.settle())
    await asyncio.sleep(0)
    job_rules.cancel(site.farm, job, foreman.now())
    ended = asyncio.create_task(foreman.settle())
    await asyncio.sleep(0)
    store.commits[0].set_result(None)
    await begun
    assert job.status is JobStatus.CANCELED
    assert job.id in foreman.farm.jobs  # who asks for it now must not get the older one from the disk
    store.commits[1].set_result(None)
    await ended
    assert job.id not in foreman.farm.jobs


def test_that_a_worker_is_back_is_stored_also_when_what_it_says_is_refused(history: History) -> None:
    a_job(history)
    worker = a_worker(history)
    task = takes(history, worker)
    history.passes(185)
    assert worker.status == "error"
    history.say(worker, Word(task.id, 1, 1, "queued"))  # no Worker can say that
    assert worker.status == "awake"
    history.restart()
    assert history.manager.farm.workers[worker.id].status == "awake"


def test_a_soft_failed_task_is_queued_again_when_its_worker_is_blocked_however_often_it_was_lost(
    history: History,
) -> None:
    job = a_job(history, 2)
    lost, other = a_worker(history), a_worker(history)
    first = takes(history, lost)
    history.passes(185, [other])
    assert takes(history, other) is first  # it was lost once
    history.say(other, Word(first.id, 2, 1, "failed"))
    history.order("settings", {"lost_attempts": 1, "block_after": 2})
    history.say(lost, Word(first.id, 1, 9, None))  # back again
    second = takes(history, other)
    history.say(other, Word(second.id, second.attempt, 1, "failed"))
    assert job.blocked == {(other.id, "misc")}
    assert first.status == "queued"
