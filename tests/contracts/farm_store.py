"""What every engine promises of tags and settings (``TagStore``, ``SettingsStore``): all Managers hear of a change."""

import pytest

from contracts.server_store import (
    ADA,
    NOON,
    Engine,
    Reporter,
    ServerStore,
    StoreContract,
    a_job,
    compiled,
    job_report,
    linked,
    worker_report,
)
from flamenco_core.identifiers import new_id
from flamenco_core.statuses import JobStatus
from flamenco_core.wire.farm_settings import FarmSettings
from flamenco_core.wire.variables import Variable, VariableValue
from flamenco_server import job_requests, worker_requests
from flamenco_server.events import Change
from flamenco_server.records import Tag
from flamenco_server.tags import NoSuchTag, TagInUse

GPU = Tag("gpu", "with a GPU")


class TagStoreContract(StoreContract):
    async def test_tags_are_kept_by_name_and_described_anew(self, engine: Engine) -> None:
        async with engine() as store:
            for tag in (Tag("gpu", "old words"), Tag("Zürich"), GPU):
                await store.farm.put_tag(tag, ADA)
        async with engine() as store:
            assert await store.farm.tags() == [Tag("Zürich"), GPU]

    async def test_every_manager_hears_of_a_tag_and_of_its_end(self, store: ServerStore) -> None:
        managers = [await linked(store, name) for name in ("one", "other")]
        told = await store.farm.put_tag(GPU, ADA)
        assert sorted(told.managers) == sorted(managers)
        await store.farm.delete_tag("gpu", ADA, force=False)
        ids = set()
        for manager in managers:
            put, delete = await store.orders.orders_after(manager, 0, 10)
            assert (put.kind, put.details) == ("tag.put", {"name": "gpu", "description": "with a GPU"})
            assert (delete.kind, delete.details, delete.asked_by) == ("tag.delete", {"name": "gpu"}, "ada")
            ids |= {put.id, delete.id}
        assert len(ids) == 4
        assert await store.farm.tags() == []

    async def test_a_manager_that_is_added_hears_of_the_tags_that_there_are(self, store: ServerStore) -> None:
        for tag in (GPU, Tag("cpu")):
            await store.farm.put_tag(tag, ADA)
        manager = await linked(store)
        orders = await store.orders.orders_after(manager, 0, 10)
        assert [(order.kind, order.details["name"]) for order in orders] == [("tag.put", "cpu"), ("tag.put", "gpu")]

    async def test_a_tag_that_is_not_there_cannot_be_deleted(self, store: ServerStore) -> None:
        manager = await linked(store)
        with pytest.raises(NoSuchTag, match="'gpu'"):
            await store.farm.delete_tag("gpu", ADA, force=True)
        assert await store.orders.orders_after(manager, 0, 10) == []

    async def test_a_tag_that_is_used_goes_by_force_only_and_then_from_all_that_use_it(
        self, store: ServerStore
    ) -> None:
        await store.farm.put_tag(GPU, ADA)
        manager = await linked(store)
        reporter, workers = Reporter(), [new_id() for _ in range(3)]
        ended = await compiled(store, a_job(tag="gpu"))
        said = [worker_report(workers[0], reporter.rev(), tags=["gpu", "big"])]
        said += [worker_report(worker, reporter.rev()) for worker in workers[1:]]
        report = reporter.next(
            workers=said, jobs=[job_report(ended, reporter.rev(), JobStatus.COMPLETED, priority=50, tag="gpu")]
        )
        await store.reports.apply_report(manager, report, NOON)
        wants = await compiled(store, a_job(tag="gpu"))
        will_want = await compiled(store)
        await store.asks.change_job(will_want, lambda job: job_requests.change(job, ADA, {"tag": "gpu"}))
        await store.asks.change_worker(workers[1], lambda worker: worker_requests.set_tags(worker, ADA, ["gpu"]))

        orders_before = await store.orders.orders_after(manager, 0, 100)
        with pytest.raises(TagInUse, match="2 unfinished jobs and 2 Workers") as refused:
            await store.farm.delete_tag("gpu", ADA, force=False)
        assert refused.value.members == {"jobs": 2, "workers": 2}
        assert await store.farm.tags() == [GPU]
        assert await store.orders.orders_after(manager, 0, 100) == orders_before

        told = await store.farm.delete_tag("gpu", ADA, force=True)
        assert await store.farm.tags() == []
        assert set(told.changes) == {
            *(Change("job", job_id) for job_id in (wants, will_want)),
            *(Change("worker", worker_id) for worker_id in workers[:2]),
        }
        orders = await store.orders.orders_after(manager, len(orders_before), 100)
        details = {(order.kind, order.details.get("job") or order.details.get("worker")): order for order in orders}
        assert len(orders) == len(details) == 5
        for job_id in (wants, will_want):
            assert details["job.tag", job_id].details["tag"] is None
        assert details["worker.tags", workers[0]].details["tags"] == ["big"]
        assert details["worker.tags", workers[1]].details["tags"] == []
        assert orders[-1].kind == "tag.delete"

    async def test_a_job_that_no_manager_has_loses_its_tag_at_once(self, store: ServerStore) -> None:
        await store.farm.put_tag(GPU, ADA)
        job_id = await compiled(store, a_job(tag="gpu"))
        await store.farm.delete_tag("gpu", ADA, force=True)
        assert (await store.jobs.job(job_id)).tag is None


class SettingsStoreContract(StoreContract):
    async def test_nobody_has_changed_the_settings_of_a_new_farm(self, store: ServerStore) -> None:
        assert await store.farm.farm_settings() == FarmSettings()

    async def test_settings_are_kept(self, engine: Engine) -> None:
        variables = {"storage": Variable([VariableValue("/mnt", platform="linux")], is_twoway=True)}
        settings = FarmSettings(policy="balanced", limits={"renderman": 2}, variables=variables, retry_pauses_s=[1.0])
        async with engine() as store:
            await store.farm.put_farm_settings(settings, ADA)
        async with engine() as store:
            assert await store.farm.farm_settings() == settings

    async def test_every_manager_hears_what_differs_from_the_defaults_and_what_does_so_no_more(
        self, store: ServerStore
    ) -> None:
        managers = [await linked(store, name) for name in ("one", "other")]
        await store.farm.put_farm_settings(FarmSettings(policy="balanced", block_after=5), ADA)
        told = await store.farm.put_farm_settings(FarmSettings(block_after=6), ADA)
        assert sorted(told.managers) == sorted(managers)
        for manager in managers:
            first, second = await store.orders.orders_after(manager, 0, 10)
            assert (first.kind, first.details) == ("settings", {"policy": "balanced", "block_after": 5})
            assert (second.kind, second.details) == ("settings", {"policy": "fifo", "block_after": 6})

    async def test_settings_that_change_nothing_are_told_to_nobody(self, store: ServerStore) -> None:
        manager = await linked(store)
        assert (await store.farm.put_farm_settings(FarmSettings(), ADA)).managers == ()
        assert await store.orders.orders_after(manager, 0, 10) == []
