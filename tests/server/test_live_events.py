"""Live events: present states, a few times a second, only of what is committed; who missed something is told so."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio
from server_world import DEADLINE_S, EventStream, TestTime, World, server_world
from site_manager import added, linked

from contracts.server_store import Reporter, ServerStore, compiled, frame_report, task_report
from contracts.server_store import linked as linked_store
from flamenco_core.identifiers import new_id, task_id
from flamenco_core.statuses import TaskStatus
from flamenco_server.events import Change, InProcessBus
from flamenco_server.live import MOST_PENDING, LiveEvents, ManagerWatch
from flamenco_server.reading import FarmView
from flamenco_server.stores.sqlite.store import open_store

pytestmark = pytest.mark.asyncio(loop_scope="module")


class TestOverHttp:
    async def test_a_job_is_seen_to_arrive_to_be_compiled_and_to_be_canceled(self, world: World) -> None:
        async with world.watching() as stream:
            assert stream.headers["Content-Type"] == "text/event-stream"
            assert stream.headers["Cache-Control"] == "no-store"
            job_id = await world.submit(name="shot 7")
            event = await stream.until("job", id=job_id, task_count=2)
            (listed,) = (await world.admin.get("jobs"))["jobs"]
            assert event.document == listed
            await world.admin.post(f"jobs/{job_id}/cancel")
            await stream.until("job", id=job_id, status="canceled")

    async def test_what_a_manager_reports_is_seen_as_it_is_listed(self, world: World) -> None:
        manager = await linked(world)
        job_id = await world.compiled()
        worker_id = new_id()
        async with world.watching(f"?job={job_id}") as stream:
            task = manager.task(job_id, 1, worker=worker_id, worker_name="node-01")
            await manager.report(jobs=[manager.job(job_id)], tasks=[task], workers=[manager.worker(worker_id)])
            events = [
                await stream.until("job", status="active"),
                await stream.until("task", status="active"),
                await stream.until("worker", id=worker_id),
            ]
            assert [event.document for event in events] == [
                (await world.admin.get("jobs"))["jobs"][0],
                (await world.admin.get(f"jobs/{job_id}/tasks"))["tasks"][1],
                (await world.admin.get("workers"))["workers"][0],
            ]
            ids = [int(event.id) for event in events]
            assert ids == sorted(set(ids))

    async def test_tasks_and_frames_are_for_those_who_look_at_their_job(self, world: World) -> None:
        manager = await linked(world)
        job_id, other = await world.compiled(), await world.compiled()
        async with world.watching(f"?job={other}") as stream, world.watching() as everything:
            await manager.report(tasks=[manager.task(job_id)], jobs=[manager.job(job_id)])
            await manager.report(tasks=[manager.task(other)], jobs=[manager.job(other)])
            last = await added(world, "the last that happens")
            for watched, tasks in ((stream, {task_id(other, 0)}), (everything, set())):
                seen = []
                while (event := await watched.next()).document["id"] != last.id:
                    seen.append((event.kind, event.document["id"]))
                assert {("job", job_id), ("job", other)} <= set(seen)
                assert {identity for kind, identity in seen if kind == "task"} == tasks

    async def test_a_manager_is_seen_to_be_linked(self, world: World) -> None:
        async with world.watching() as stream:
            manager = await linked(world, "site")
            event = await stream.until("manager", id=manager.id, software="test 1.0")
            assert event.document["away"] is False

    @pytest.mark.parametrize("query", ["?job=nonsense", "?job=", "?jobs=1", "?job=../x"])
    async def test_a_bad_question_is_refused(self, shared: World, query: str) -> None:
        assert (await shared.admin.call("GET", f"events{query}")).problem == (422, "bad-input")

    async def test_streams_end_when_the_server_stops(self, tmp_path: Path) -> None:
        async with aiohttp.ClientSession() as session:
            async with server_world(tmp_path) as world:
                response = await session.get(world.admin.address("events"), headers=world.admin.headers)
                stream = EventStream(response)
                await world.submit()
                await stream.next()
                ended = asyncio.create_task(stream.ended())
            await ended
            response.close()


class TestComingBack:
    """Here a Manager that is added is what happens: it is told of once, before the call is answered."""

    async def watch_something(self, world: World) -> str:
        """See something happen; returns the id of the last event."""
        async with world.watching() as stream:
            await stream.until("manager", id=(await added(world, new_id())).id)
            return stream.last_id

    async def first_event(self, world: World, last_event_id: str) -> str:
        """Come back, have something happen, and return what is told first."""
        async with world.watching(Last_Event_ID=last_event_id) as stream:
            await added(world, new_id())
            return (await stream.next()).kind

    async def test_who_missed_nothing_goes_on(self, world: World) -> None:
        assert await self.first_event(world, await self.watch_something(world)) == "manager"

    async def test_who_missed_something_is_told_to_fetch_everything(self, world: World) -> None:
        last = await self.watch_something(world)
        await self.watch_something(world)
        assert await self.first_event(world, last) == "resync"

    async def test_what_happened_while_nobody_looked_was_missed_too(self, world: World) -> None:
        last = await self.watch_something(world)
        await added(world)
        assert await self.first_event(world, last) == "resync"

    async def test_who_left_before_the_first_event_has_missed_what_came_then(self, world: World) -> None:
        async with world.watching(Last_Event_ID="of a browser that was elsewhere") as stream:
            assert (await stream.next()).kind == "resync"
            last = stream.last_id
        assert await self.first_event(world, last) == "manager"
        assert await self.first_event(world, last) == "resync"

    async def test_a_browser_is_told_where_it_is_when_it_connects(self, world: World) -> None:
        async with world.admin.session.get(world.admin.address("events"), headers=world.admin.headers) as response:
            async with asyncio.timeout(DEADLINE_S):
                lines = [(await response.content.readline()).decode() for _ in range(3)]
        assert lines[0] == "retry: 2000\n"
        assert lines[1].startswith("id: ")
        assert lines[2] == "\n"

    async def test_tasks_that_changed_while_nobody_looked_at_their_job_were_missed(self, world: World) -> None:
        manager = await linked(world)
        job_id = await world.compiled()
        async with world.watching(f"?job={job_id}") as stream:
            await manager.report(tasks=[manager.task(job_id)])
            await stream.until("task")
        async with world.watching():  # somebody who does not see tasks
            await manager.report(tasks=[manager.task(job_id, status="completed")])
        async with world.watching(f"?job={job_id}", Last_Event_ID=stream.last_id) as stream:
            assert (await stream.next()).kind == "resync"

    async def test_a_restart_is_something_missed(self, tmp_path: Path) -> None:
        time = TestTime()
        async with server_world(tmp_path, time) as world:
            last = await self.watch_something(world)
        time.passed_s += 10
        async with server_world(tmp_path, time) as world:
            assert await self.first_event(world, last) == "resync"


class Stage:
    """The live events of a store, without HTTP."""

    def __init__(self, store: ServerStore) -> None:
        self.store = store
        self.bus = InProcessBus()
        self.time = TestTime()
        self.view = FarmView(store.reader, self.time.wall)
        self.live = LiveEvents(self.view, self.bus, self.time.wall)

    @asynccontextmanager
    async def watching(self, job: str | None = None) -> AsyncIterator[Callable[[], Any]]:
        """Look; yields what returns the next events as (kind, document)."""
        async with aclosing(self.live.stream(job, None)) as stream:
            await anext(stream)

            async def next_events() -> list[tuple[str, Any]]:
                async with asyncio.timeout(DEADLINE_S):
                    text = (await anext(stream)).decode()
                blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.split("\n\n")[:-1]]
                return [(block["event"], orjson.loads(block["data"])) for block in blocks]

            yield next_events


@pytest_asyncio.fixture(loop_scope="module")
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    failures: list[BaseException] = []
    async with open_store(tmp_path, failures.append) as store:
        stage = Stage(store)
        running = asyncio.create_task(stage.live.run())
        await asyncio.sleep(0)  # it listens now
        yield stage
        running.cancel()
        await asyncio.wait([running])
    assert failures == []


async def test_many_changes_of_one_object_are_one_event(stage: Stage) -> None:
    first, second = await compiled(stage.store), await compiled(stage.store)
    async with stage.watching() as next_events:
        stage.bus.publish([Change("job", first)] * 20 + [Change("job", second)] + [Change("job", first)] * 20)
        events = await next_events()
        assert sorted(document["id"] for _, document in events) == sorted([first, second])


async def test_a_slow_viewer_gets_the_newest_state_once(stage: Stage) -> None:
    manager, reporter = await linked_store(stage.store), Reporter()
    job_id = await compiled(stage.store)
    async with stage.watching(job_id) as slow, stage.watching(job_id) as quick:
        for status in (TaskStatus.ACTIVE, TaskStatus.SOFT_FAILED, TaskStatus.COMPLETED):
            report = reporter.next(tasks=[task_report(job_id, 0, reporter.rev(), status)])
            stage.bus.publish(await stage.store.reports.apply_report(manager, report, stage.time.wall()))
            assert [document["status"] for _, document in await quick()] == [str(status)]
        assert [document["status"] for _, document in await slow()] == ["completed"]


async def test_a_viewer_who_falls_far_behind_is_told_to_fetch_everything(stage: Stage) -> None:
    job_id = await compiled(stage.store, frames=[f"1-{MOST_PENDING + 1}"])
    async with stage.watching(job_id) as next_events:
        frames = [Change("frame", str(number), job_id) for number in range(1, MOST_PENDING + 2)]
        stage.bus.publish(frames)
        assert await next_events() == [("resync", {})]
        stage.bus.publish(frames[:MOST_PENDING])
        assert [document["frame"] for _, document in await next_events()] == list(range(1, MOST_PENDING + 1))


async def test_frames_are_told_of_with_their_job(stage: Stage) -> None:
    manager, reporter = await linked_store(stage.store), Reporter()
    one, other = [await compiled(stage.store, frames=["1-3"]) for _ in range(2)]
    report = reporter.next(frames=[frame_report(one, 0, 2, reporter.rev())])
    await stage.store.reports.apply_report(manager, report, stage.time.wall())
    async with stage.watching(one) as next_events:
        stage.bus.publish([Change("frame", "2", other), Change("frame", "2", one), Change("frame", "99", one)])
        ((kind, document),) = await next_events()
        assert (kind, document) == ("frame", (await stage.view.frames(one, [2]))["frames"][0])
        assert document["status"] == "completed"


async def test_a_job_or_worker_that_does_not_exist_is_gone_and_anything_else_no_event(stage: Stage) -> None:
    job_id = await compiled(stage.store)
    async with stage.watching(job_id) as next_events:
        gone = new_id()
        stage.bus.publish([Change("order", gone), Change("answer", gone), Change("frame", "1", job_id)])
        stage.bus.publish([Change("job", gone), Change("task", gone, job_id), Change("worker", gone)])
        stage.bus.publish([Change("job", job_id)])
        events = set[tuple[str, str | None, str]]()
        while len(events) < 3:
            events |= {(kind, document.get("gone"), document["id"]) for kind, document in await next_events()}
        assert events == {("gone", "job", gone), ("gone", "worker", gone), ("job", None, job_id)}


async def test_a_manager_that_goes_away_or_comes_back_is_told_of_once(stage: Stage) -> None:
    manager = await linked_store(stage.store, seen=stage.time.wall())
    watch = ManagerWatch(stage.view, stage.bus)
    heard: list[Change] = []
    with stage.bus.listening(heard.append):
        for passed_s in (0, 30, 61, 70):
            stage.time.passed_s = passed_s
            await watch.look()
        assert heard == [Change("manager", manager)] * 2
        await stage.store.orders.acknowledge(manager, 0, stage.time.wall())
        await watch.look()
        await watch.look()
        assert len(heard) == 3


async def test_a_stopping_server_ends_its_streams(stage: Stage) -> None:
    async with aclosing(stage.live.stream(None, None)) as stream:
        await anext(stream)
        rest = asyncio.create_task(anext(stream, b"the end"))
        await asyncio.sleep(0)
        stage.live.close()
        async with asyncio.timeout(DEADLINE_S):
            assert await rest == b"the end"
