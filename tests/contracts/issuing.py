"""What every engine promises of jobs that wait for other jobs: they go where those are, and after them."""

import pytest

from contracts.server_store import (
    NOON,
    Reporter,
    ServerStore,
    StoreContract,
    a_hello,
    a_job,
    at,
    cancel,
    compiled,
    job_report,
    linked,
    submitted,
)
from flamenco_core.identifiers import new_id
from flamenco_core.statuses import JobStatus
from flamenco_core.wire.manager_api import NeededJob
from flamenco_server.compiling import Compiled
from flamenco_server.records import Job, Terms


def waiting_for(*jobs: str, ended: bool = False) -> Job:
    """Build a job that waits for others."""
    return a_job(name="later", terms=Terms(needs_jobs=[NeededJob(job, ended) for job in jobs]))


class IssuingContract(StoreContract):
    async def test_a_job_goes_where_those_are_that_it_waits_for(self, store: ServerStore) -> None:
        there = await linked(store, "there", added=at(2))
        needed = await compiled(store)
        await linked(store, "preferred otherwise", added=at(1))
        elsewhere = await store.jobs.job(await compiled(store))
        assert elsewhere.manager_name == "preferred otherwise"
        later = await store.jobs.job(await compiled(store, waiting_for(needed)))
        assert later.manager_id == there
        assert later.terms.needs_jobs == [NeededJob(needed)]

    async def test_jobs_on_different_managers_cannot_be_waited_for_together(self, store: ServerStore) -> None:
        await linked(store, "first", added=at(2))
        one = await compiled(store)
        await linked(store, "second", added=at(1))
        other = await compiled(store)
        job = await store.jobs.job(await compiled(store, waiting_for(one, other)))
        assert (job.status, job.manager_id) == (JobStatus.FAILED, None)
        assert "different Managers" in job.activity

    async def test_jobs_that_wait_for_each_other_and_for_a_manager_are_issued_in_their_order(
        self, store: ServerStore
    ) -> None:
        needed = await compiled(store)
        later = await compiled(store, waiting_for(needed))
        assert (await store.jobs.job(later)).activity == "Waiting for a Manager"
        manager = new_id()
        await store.managers.add_manager(manager, "site", "sha256", NOON)
        assert await store.managers.record_hello(manager, a_hello(), NOON) == [needed, later]

    async def test_a_job_that_is_compiled_before_the_one_that_it_waits_for_follows_it(self, store: ServerStore) -> None:
        manager = await linked(store)
        needed = await submitted(store)
        later = await compiled(store, waiting_for(needed))
        last = await compiled(store, waiting_for(later))
        assert [(await store.jobs.job(job)).manager_id for job in (later, last)] == [None, None]
        await store.compiles.begin_compile(needed)
        await store.compiles.finish_compile(needed, Compiled(1, 1), NOON)
        orders = await store.orders.orders_after(manager, 0, 10)
        assert [order.details["job"] for order in orders] == [needed, later, last]

    @pytest.mark.parametrize("ends_by", ["cancel", "fault"])
    async def test_when_a_job_ends_that_no_manager_has_those_that_wait_for_it_are_looked_at(
        self, store: ServerStore, ends_by: str
    ) -> None:
        manager = await linked(store)
        needed = await submitted(store)
        for_its_end = await compiled(store, waiting_for(needed, ended=True))
        for_its_success = await compiled(store, waiting_for(needed))
        for_that = await compiled(store, waiting_for(for_its_success))
        if ends_by == "cancel":
            await cancel(store, needed)
        else:
            await store.compiles.fail_compile(needed, "no camera", NOON)
        orders = await store.orders.orders_after(manager, 0, 10)
        assert [order.details["job"] for order in orders] == [for_its_end]
        for job_id in (for_its_success, for_that):
            assert (await store.jobs.job(job_id)).status is JobStatus.FAILED

    async def test_a_job_that_waits_for_one_that_ended_without_a_manager_need_not_wait_or_never_runs(
        self, store: ServerStore
    ) -> None:
        needed = await compiled(store)
        for_its_end = await compiled(store, waiting_for(needed, ended=True))
        for_its_success = await compiled(store, waiting_for(needed))
        await cancel(store, needed)
        manager = await linked(store)
        job = await store.jobs.job(for_its_end)
        assert (job.manager_id, job.terms.needs_jobs) == (manager, [])
        job = await store.jobs.job(for_its_success)
        assert (job.status, job.manager_id, job.finished_at) == (JobStatus.FAILED, None, NOON)
        assert "'shot', which is canceled" in job.activity

    async def test_a_job_that_has_ended_on_its_manager_is_still_told_to_it(self, store: ServerStore) -> None:
        manager, reporter = await linked(store), Reporter()
        needed = await compiled(store)
        report = reporter.next(jobs=[job_report(needed, reporter.rev(), JobStatus.COMPLETED)])
        await store.reports.apply_report(manager, report, NOON)
        job = await store.jobs.job(await compiled(store, waiting_for(needed)))
        assert (job.manager_id, job.terms.needs_jobs) == (manager, [NeededJob(needed)])

    async def test_a_job_that_waits_for_one_that_is_gone_never_runs(self, store: ServerStore) -> None:
        await linked(store)
        job = await store.jobs.job(await compiled(store, waiting_for(new_id())))
        assert (job.status, job.activity) == (JobStatus.FAILED, "It waits for a job that is gone.")
