"""What a Manager tells whoever watches it: health, readiness, figures for Prometheus, and what its port is."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from fake_server import TOKEN, FakeServer
from manager_world import World, a_task, manager_world
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from flamenco_core.errors import BadInput
from flamenco_manager.app import build_app
from flamenco_manager.http.meanwhile import Meanwhile, Starting
from flamenco_manager.link_watch import LinkWatch
from flamenco_manager.model import Moment
from flamenco_manager.settings import Settings
from flamenco_manager.watching import readiness_of
from flamenco_runtime.journal import Journal
from flamenco_runtime.proxies import read_proxies
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]
FROM_ELSEWHERE = {"X-Forwarded-For": "192.0.2.1"}


def figures_in(text: str) -> Figures:
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


async def figures(world: World) -> Figures:
    reply = await world.call("GET", "/metrics")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return figures_in(reply.body.decode())


def value(found: Figures, name: str, **labels: str) -> float:
    return found["flamenco_manager_" + name, frozenset(labels.items())]


async def until_linked(world: World) -> None:
    async with asyncio.timeout(20):
        while not (await world.call("GET", "/readyz")).json()["server"]["in_touch"]:
            continue


async def test_who_opens_its_address_reads_what_it_is_and_where_the_server_is(
    server: FakeServer, tmp_path: Path
) -> None:
    async with manager_world(tmp_path, server) as world:
        page = await world.call("GET", "/")
        assert (page.status, page.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
        assert "Flamenco Manager site, version 4." in page.body.decode()
        assert server.url in page.body.decode()
        facts = (await world.call("GET", "/", headers={"Accept": "application/json"})).json()
        assert (facts["name"], facts["server"]) == ("site", server.url)


async def test_it_is_ready_whether_the_server_is_there_or_not_and_says_so(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path / "a", server) as world:
        await until_linked(world)
        assert (await world.call("GET", "/readyz")).status == 200
    server.is_away = True
    async with manager_world(tmp_path / "b", server) as world:
        reply = await world.call("GET", "/readyz")
        assert (reply.status, reply.json()["status"]) == (200, "ready")
        assert reply.json()["server"] == {"in_touch": False, "since": "2026-01-31T12:00:00.000Z"}


async def test_while_the_store_is_being_read_it_lives_but_is_not_ready_and_says_why() -> None:
    async with listening(Meanwhile().app(), Address("127.0.0.1", 0)) as address, aiohttp.ClientSession() as session:
        async with session.get(f"{address.url}/readyz") as answer:
            said = await answer.json(content_type="application/problem+json")
        assert (answer.status, said["type"]) == (503, "not-ready")
        assert "it reads its store" in said["detail"]
        assert said["missing"] == [str(Starting())]
        assert int(answer.headers["Retry-After"]) > 0
        async with session.get(f"{address.url}/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok"})


async def test_figures_tell_of_tasks_jobs_workers_requests_and_commits(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        await world.registered("new")
        job = await server.submit([a_task(), a_task(), a_task()])
        task = await worker.task()
        assert (await worker.update(task, taskStatus="active", seq=1)).status == 204
        await server.until_job(job, "active")
        found = await figures(world)
        assert [value(found, "tasks", status=status) for status in ("active", "queued", "completed")] == [1, 2, 0]
        assert [value(found, "jobs", status=status) for status in ("active", "queued")] == [1, 0]
        assert [value(found, "workers", status=status) for status in ("awake", "new", "asleep")] == [1, 1, 0]
        assert value(found, "last_order") == 1
        route = {"method": "POST", "route": "/api/v3/worker/task/{task_id}", "waited": "false"}
        assert value(found, "request_seconds_count", status="2xx", **route) == 1
        assert value(found, "request_seconds_sum", status="2xx", **route) > 0
        assert value(found, "commit_works_count") == value(found, "commit_seconds_count") > 0
        assert value(found, "commit_works_sum") >= value(found, "commit_works_count")
        assert found["flamenco_manager_info", frozenset({("name", "site"), ("version", "4.0.0.dev0")})] == 1
        assert found["process_resident_memory_bytes", frozenset()] > 0


async def test_figures_tell_what_waits_and_whether_a_request_asked_to(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        asking = asyncio.create_task(worker.ask(wait_s=30))
        await world.until_present(worker)
        assert value(await figures(world), "waiting", queue="asks") == 1
        await server.submit([a_task()])
        assert (await asking).status == 200
        found = await figures(world)
        asked = {"method": "POST", "route": "/api/v3/worker/task", "status": "2xx", "waited": "true"}
        assert value(found, "request_seconds_count", **asked) == 1
        queues = {dict(labels)["queue"] for name, labels in found if name == "flamenco_manager_waiting"}
        assert queues == {
            *(
                "asks",
                "requests",
                "journal",
                "log_writes",
                "logs_held",
                "preview_scaling",
                "log_uploads",
                "preview_uploads",
            )
        }
        assert value(found, "waiting", queue="asks") == 0


async def test_paths_and_methods_that_nobody_has_are_one_route(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        for path in ("/one", "/two", "/api/v3/three"):
            assert (await world.call("GET", path)).status == 404
        assert (await world.call("PROPFIND", "/one")).status == 404
        found = await figures(world)
        unknown = {"method": "*", "route": "unknown", "status": "4xx", "waited": "false"}
        assert value(found, "request_seconds_count", **unknown) == 4
        assert not any("three" in str(labels) or "PROPFIND" in str(labels) for _, labels in found)


async def test_reports_that_the_server_does_not_take_are_counted_with_their_age(
    server: FakeServer, tmp_path: Path
) -> None:
    async with manager_world(tmp_path, server) as world:
        await server.submit([a_task()])
        await until_linked(world)
        async with asyncio.timeout(20):
            while value(await figures(world), "report_lag_seconds") != 0:
                continue
        assert value(await figures(world), "server_link_up") == 1
        server.is_away = True
        await world.worker()
        async with asyncio.timeout(20):
            while value(found := await figures(world), "reports_held") == 0 or value(found, "server_link_up") == 1:
                continue
        world.time.passed_s += 100
        assert value(await figures(world), "report_lag_seconds") >= 100


async def test_figures_are_for_this_machine_unless_a_token_is_set(server: FakeServer, tmp_path: Path) -> None:
    proxies = {"trusted_proxies": read_proxies("127.0.0.1")}
    async with manager_world(tmp_path / "a", server, **proxies) as world:
        assert (await world.call("GET", "/metrics")).status == 200
        refused = await world.call("GET", "/metrics", headers=FROM_ELSEWHERE)
        assert (refused.status, refused.json()["type"]) == (403, "metrics-forbidden")
        assert "metrics_token" in refused.json()["detail"]
        bearer = {"Authorization": "Bearer None", **FROM_ELSEWHERE}
        assert (await world.call("GET", "/metrics", headers=bearer)).status == 403
    async with manager_world(tmp_path / "b", server, metrics_token="scrape-me", **proxies) as world:
        for given in ({}, {"Authorization": "Bearer scrape"}, {"Authorization": "Basic scrape-me"}):
            refused = await world.call("GET", "/metrics", headers={**FROM_ELSEWHERE, **given})
            assert (refused.status, refused.json()["type"]) == (401, "no-metrics-token")
        bearer = {"Authorization": "Bearer scrape-me", **FROM_ELSEWHERE}
        assert (await world.call("GET", "/metrics", headers=bearer)).status == 200
        assert (await world.call("GET", "/metrics")).status == 200


async def test_two_managers_in_one_process_count_for_themselves(server: FakeServer, tmp_path: Path) -> None:
    async with (
        manager_world(tmp_path, server) as world,
        build_app(Settings(server=server.url, data=tmp_path / "other", token=TOKEN)) as other,
    ):
        assert other is not None
        for _ in range(3):
            await world.call("GET", "/healthz")
        counted = {"method": "GET", "route": "/healthz", "status": "2xx", "waited": "false"}
        assert value(await figures(world), "request_seconds_count", **counted) == 3


async def test_a_slow_request_is_told_in_the_log_with_its_worker(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker("render-07")
        monkeypatch.setattr("flamenco_runtime.request_metrics.SLOW_S", 0.0)
        with capture_logs() as lines:
            await worker.say_status("awake")
            await worker.ask(wait_s=1)
        (slow,) = [line for line in lines if line["event"] == "slow request"]
        assert (slow["path"], slow["worker"]) == ("/api/v3/worker/state-changed", "render-07")
        assert (slow["status"], slow["worker_id"], slow["address"]) == ("2xx", worker.id, "127.0.0.1")


@pytest.mark.parametrize("key", ["registration_token", "metrics_token"])
def test_an_empty_token_is_none(key: str) -> None:
    with pytest.raises(BadInput, match=f"{key} is empty"):
        Settings(**{key: " "})


class Watching:
    """A LinkWatch whose time is set by hand."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.watch = LinkWatch(lambda: Moment(datetime.fromtimestamp(self.at_s, UTC), self.at_s))


def test_reports_lag_by_the_oldest_change_that_the_server_does_not_have() -> None:
    world = Watching()
    watch = world.watch
    assert watch.lag_s == 0
    world.at_s = 10
    watch.changed()
    world.at_s = 15
    watch.changed()
    assert watch.lag_s == 5
    watch.froze(15, is_all=True)
    world.at_s = 18
    watch.changed()
    assert watch.lag_s == 8
    watch.acknowledged()
    assert watch.lag_s == 3, "what changed while it was frozen may not be in it"
    watch.reported_all(18)
    assert watch.lag_s == 0


def test_a_backlog_that_needs_several_reports_keeps_its_age_until_the_last() -> None:
    world = Watching()
    watch = world.watch
    watch.changed()
    world.at_s = 100
    watch.froze(100, is_all=False)
    watch.acknowledged()
    assert watch.lag_s == 100
    watch.froze(100, is_all=True)
    watch.acknowledged()
    assert watch.lag_s == 0


def test_a_change_that_comes_while_nothing_was_found_is_not_forgotten() -> None:
    world = Watching()
    watch = world.watch
    world.at_s = 5
    watch.changed()
    watch.reported_all(4)
    world.at_s = 6
    assert watch.lag_s == 1


def test_the_link_keeps_the_moment_at_which_it_came_and_went() -> None:
    world = Watching()
    watch = world.watch
    assert (watch.is_up, watch.since.monotonic_s) == (False, 0)
    world.at_s = 5
    watch.linked()
    world.at_s = 6
    watch.linked()
    assert (watch.is_up, watch.since.monotonic_s) == (True, 5)
    watch.lost()
    assert (watch.is_up, watch.since.monotonic_s) == (False, 6)


async def test_a_store_that_is_closed_makes_it_unready(tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path / "some.sqlite", lambda _: None)
    watch = Watching().watch
    assert not readiness_of(journal, watch).missing
    await journal.close()
    assert readiness_of(journal, watch).missing == ["The store cannot be written."]
