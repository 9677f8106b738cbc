"""What the rules know is still known after a restart of the Manager (jobs.md: "Suspension, holder, … are stored")."""

from datetime import timedelta
from pathlib import Path

import pytest
from farm_builder import EPOCH, needed
from stored_site import StoredSite, stored_site

from flamenco_core.errors import Unavailable
from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.definitions import Needs
from flamenco_manager import asked_of_jobs, job_rules, worker_rules
from flamenco_manager.attempts import Verdict
from flamenco_manager.held_pieces import HeldPiece, LogKey
from flamenco_manager.model import Job, Worker


async def restarted(site: StoredSite, job: Job, *workers: Worker) -> tuple[Job, list[Worker]]:
    """Restart the Manager; returns the same job and Workers as they are after that."""
    await site.keep()
    await site.restart()
    return site.farm.jobs[job.id], [site.farm.workers[worker.id] for worker in workers]


async def test_a_suspended_attempt_its_holder_and_that_it_was_lost_before(tmp_path: Path) -> None:
    async with stored_site(tmp_path) as site:
        job, worker = await site.stored_job([()]), site.worker()
        site.takes(worker)
        site.comes_back(worker)
        site.passes(181)
        job, (worker,) = await restarted(site, job, worker)
        task = job.tasks[0]
        assert (task.is_suspended, task.worker, worker.task, task.lost, task.attempt) == (True, worker, task, 1, 2)
        assert site.says(worker, task, "completed") is Verdict.APPLIED
        assert job.status is JobStatus.COMPLETED


async def test_a_worker_that_had_died_before_the_restart_has_lost_its_task_when_it_asks_after_it(
    tmp_path: Path,
) -> None:
    async with stored_site(tmp_path) as site:
        job, worker = await site.stored_job([()]), site.worker()
        site.takes(worker)
        site.sign_on(worker)
        job, (worker,) = await restarted(site, job, worker)
        worker_rules.say_status(site.farm, worker, WorkerStatus.AWAKE, site.now)
        assert site.takes(worker) is job.tasks[0]
        assert job.tasks[0].lost == 1


async def test_who_may_take_back_that_it_lost_an_attempt(tmp_path: Path) -> None:
    async with stored_site(tmp_path) as site:
        job, silent, other = await site.stored_job([()]), site.worker(), site.worker()
        site.takes(silent)
        site.passes(181, other)
        site.takes(other)
        job, (silent,) = await restarted(site, job, silent)
        assert job.tasks[0].lost == 1
        worker_rules.heard(site.farm, silent, site.now)
        assert job.tasks[0].lost == 0


async def test_failure_lists_what_they_add_up_to_and_pauses(tmp_path: Path) -> None:
    async with stored_site(tmp_path) as site:
        job, broken = await site.stored_job([()] * 4), site.worker()
        for _ in range(2):
            site.says(broken, site.takes(broken), "failed")
        job, (broken,) = await restarted(site, job, broken)
        assert site.takes(broken) is job.tasks[2]  # the others wait for their pauses
        site.worker()
        site.says(broken, job.tasks[2], "failed")
        assert job.blocked == {(broken.id, "misc")}
        job, (broken,) = await restarted(site, job, broken)
        assert site.ask(broken) is None
        site.completes(job)


async def test_what_people_asked_of_an_active_task_and_of_one_that_they_queued_again(tmp_path: Path) -> None:
    async with stored_site(tmp_path) as site:
        job, worker = await site.stored_job([(), ()]), site.worker()
        task = site.takes(worker)
        seen = job.rev
        site.requeue(job, 1)
        asked_of_jobs.pause_task(site.farm, task, site.now)
        job, (worker,) = await restarted(site, job, worker)
        assert site.requeue(job, 0, 1, seen=seen) == 1
        asked_of_jobs.pause_task(site.farm, site.takes(worker), site.now)
        job, (worker,) = await restarted(site, job, worker)
        worker_rules.sign_off(site.farm, worker, site.now)
        assert job.tasks[0].status is TaskStatus.PAUSED


async def test_whether_people_cancelled_a_job_deleted_it_or_changed_where_it_stands(tmp_path: Path) -> None:
    async with stored_site(tmp_path) as site:
        job = await site.stored_job([(), ()])
        asked_of_jobs.set_priority(site.farm, job, 7)
        asked_of_jobs.set_tag(site.farm, job, "gpu")
        site.pause(job)
        asked_of_jobs.cancel_task(site.farm, job.tasks[0], site.now)
        job, _ = await restarted(site, job)
        assert (job.priority, job.needs.tag, job.tasks[1].kind.tag) == (7, "gpu", "gpu")
        assert job.status is JobStatus.PAUSED


async def test_that_a_job_which_is_still_on_its_way_shall_begin_paused_or_not(tmp_path: Path) -> None:
    async with stored_site(tmp_path) as site:
        job = site.announced()
        site.resume(job)
        job, _ = await restarted(site, job)
        definition = job_rules.JobDefinition(
            job.id, "shot", "test", 50, "admin", EPOCH, 1, start_paused=True, pause_requested=True
        )
        job_rules.define(site.farm, job, definition)
        assert not job.is_pause_wanted


async def test_what_tasks_hold_and_how_many_workers_a_job_has(tmp_path: Path) -> None:
    async with stored_site(tmp_path) as site:
        site.farm.set_limits({"licence": 2}, {})
        job = await site.stored_job([()] * 3, needs=Needs(limits={"licence": 1}), asked={"max_workers": 2})
        workers = [site.worker() for _ in range(3)]
        for worker in workers[:2]:
            site.takes(worker)
        job, workers = await restarted(site, job, *workers)
        site.farm.set_limits({"licence": 9}, {})
        assert dict(site.farm.limits.in_use()) == {"licence": 2}
        assert site.ask(workers[2]) is None
        site.says(workers[0], job.tasks[0], "completed")
        assert site.takes(workers[2]) is job.tasks[2]


async def test_for_what_a_job_waits_and_that_it_had_begun(tmp_path: Path) -> None:
    async with stored_site(tmp_path) as site:
        first = await site.stored_job([()])
        waits = await site.stored_job([()], asked={"needs_jobs": [needed(first)]})
        later = await site.stored_job([()], asked={"start_after": EPOCH + timedelta(seconds=60)})
        waits, _ = await restarted(site, waits)
        first, later = site.farm.jobs[first.id], site.farm.jobs[later.id]
        assert (waits.is_held_back, later.is_held_back) == (True, True)
        worker = site.worker()
        site.says(worker, site.takes(worker), "completed")
        assert site.takes(worker).job is waits
        site.requeue(first, 0)
        waits, (worker,) = await restarted(site, waits, worker)
        assert not waits.is_held_back
        site.passes(60, worker)
        site.completes(site.farm.jobs[first.id], site.farm.jobs[later.id])


async def test_that_a_flamenco_3_worker_may_not_have_a_task_again_yet(tmp_path: Path) -> None:
    async with stored_site(tmp_path) as site:
        job, old = await site.stored_job([()]), site.worker(ours=False)
        site.takes(old)
        worker_rules.sign_off(site.farm, old, site.now)
        job, (old,) = await restarted(site, job, old)
        assert site.comes_back(old) is None
        site.passes(61, old)
        assert site.takes(old) is job.tasks[0]


async def test_a_change_that_cannot_be_stored_stops_the_store_since_the_farm_is_ahead_of_it(tmp_path: Path) -> None:
    async with stored_site(tmp_path) as site:
        job = await site.stored_job([()])
        worker = site.worker()
        piece = HeldPiece(1, LogKey(job.id, job.tasks[0].id, 1), 0, b"x")
        for _ in range(2):  # two pieces of one name
            site.farm.log_said(job.tasks[0], piece)
        site.takes(worker)
        with pytest.raises(Unavailable, match="log_pieces"):
            await site.keep()
        site.says(worker, job.tasks[0], "completed")
        with pytest.raises(Unavailable):
            await site.keep()
    async with stored_site(tmp_path) as again:  # and a restart begins with what is stored
        await again.restart()
        assert again.farm.jobs[job.id].tasks[0].status is TaskStatus.QUEUED
