"""Orders about very many tasks: piece by piece, and in the end as if all had been done at once."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from fake_server import FakeServer
from farm_builder import Site
from manager_world import a_task, manager_world

from flamenco_core.identifiers import new_id
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_manager import asked_of_jobs, job_rules, pieces
from flamenco_manager.model import Job

MANY = pieces.AT_ONCE + 500
Asked = Callable[[Site, Job], Iterator[None]]

ASKED: dict[str, Asked] = {
    "cancel": lambda site, job: job_rules.cancelling(site.farm, job, site.now),
    "pause": lambda site, job: asked_of_jobs.pausing(site.farm, job, site.now),
    "tag": lambda site, job: asked_of_jobs.tagging(site.farm, job, "gpu"),
    "delete": lambda site, job: asked_of_jobs.deleting(site.farm, job, site.now),
    "requeue": lambda site, job: asked_of_jobs.requeueing(site.farm, job, job.tasks, site.now),
}


def big_site() -> tuple[Site, Job]:
    """A job of many tasks, one of which is done and one of which runs."""
    site = Site()
    job = site.job([() for _ in range(MANY)])
    worker = site.worker()
    site.says(worker, site.takes(worker), "completed")
    site.takes(worker)
    site.farm.take_changes()
    return site, job


def state(job: Job) -> tuple[object, ...]:
    tasks = [(task.status, task.kind.tag, task.is_held) for task in job.tasks]
    return job.status, job.counts, job.live, job.is_changing, tasks, sum(len(heap) for heap in job.ready.values())


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_in_pieces_it_becomes_what_it_would_be_at_once(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    site, job = big_site()
    sizes = [len(site.farm.take_changes().tasks) for _ in asked(site, job)]
    whole_site, whole = big_site()
    monkeypatch.setattr(pieces, "AT_ONCE", 10 * MANY)
    pieces.at_once(asked(whole_site, whole))
    assert state(job) == state(whole)
    site.check()
    assert len(sizes) >= 2
    assert max(sizes) <= MANY - 500, "what was changed is stored piece by piece"


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_nothing_of_the_job_is_handed_out_before_all_of_it_has_changed(asked: Asked) -> None:
    site, job = big_site()
    other = site.job()
    worker = site.worker()
    changing = asked(site, job)
    next(changing)
    assert site.takes(worker).job is other, "others do not wait"
    site.says(worker, other.tasks[0], "completed")
    assert site.ask(worker) is None
    pieces.at_once(changing)
    site.check()


def test_a_task_that_ends_meanwhile_stays_ended() -> None:
    site, job = big_site()
    worker = next(iter(site.farm.workers.values()))
    running = worker.task
    assert running is not None
    pausing = asked_of_jobs.pausing(site.farm, job, site.now)
    next(pausing)
    site.says(worker, running, "completed")
    pieces.at_once(pausing)
    assert running.status is TaskStatus.COMPLETED
    assert (job.status, job.counts[TaskStatus.PAUSED]) == (JobStatus.PAUSED, MANY - 2)
    site.resume(job)
    assert site.takes(worker).job is job
    site.check()


async def test_a_requeue_that_was_cut_short_is_finished_and_nothing_is_queued_twice(
    server: FakeServer, tmp_path: Path
) -> None:
    many = pieces.AT_ONCE + 1
    async with manager_world(tmp_path, server) as world:
        job = await server.submit([a_task() for _ in range(many)])
        await server.until_job(job, "queued")
        assert (await server.asked("job.cancel", job=job))["result"] == "done"
    order = await server.issue("job.requeue", job=job, which="all")
    store = apsw.Connection(str(tmp_path / "manager.sqlite"))  # as if it had died after some tasks
    change = store.execute("SELECT changes FROM link").get + 1
    id_of_order = bytes.fromhex(server.orders[order - 1]["id"].replace("-", ""))
    store.execute("UPDATE link SET changes = ?1, begun_order = ?2, begun_change = ?1", (change, id_of_order))
    ended = "status = 'completed', attempt = 1, requeued_by = ?1, rev = ?1, unreported = 1"
    store.execute(f"UPDATE tasks SET {ended} WHERE key % 2 = 0", (change,))
    done = store.changes()
    store.execute("UPDATE jobs SET status = 'active', is_cancelled = 0")
    store.close()
    async with manager_world(tmp_path, server) as world:
        await server.until(lambda: order in server.results)
        assert server.results[order]["result"] == "done"
        counts = world.foreman.farm.jobs[job].counts
        assert (counts[TaskStatus.COMPLETED], counts[TaskStatus.QUEUED]) == (done, many - done)


async def test_an_order_goes_on_when_the_link_breaks_in_the_midst_of_it(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        job = await server.submit([a_task() for _ in range(5 * pieces.AT_ONCE)])
        await server.until_job(job, "queued")
        order = await server.issue("job.cancel", job=job)
        while not world.foreman.farm.jobs[job].is_changing:  # noqa: ASYNC110 (it is to be met in the midst of it)
            await asyncio.sleep(0)
        server.manager_feed = new_id()  # the next call is refused, and the link begins anew
        await server.until_job(job, "canceled")
        await server.until(lambda: order in server.results)
        assert (await server.asked("job.requeue", job=job, which="all"))["result"] == "done"
