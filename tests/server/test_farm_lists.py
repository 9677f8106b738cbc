"""Looking at the farm over HTTP: pages by key, filters, single things, and what is refused."""

from typing import Any

import pytest
import pytest_asyncio
from server_world import BLEND, UNFOUND, Caller, World, an_animation
from site_manager import linked

from flamenco_core.identifiers import new_id, task_id

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def every_page(caller: Caller, path: str, member: str, **between: Any) -> list[dict[str, Any]]:
    """Fetch a list page by page; ``between`` is done after each page."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = await caller.get(path + after)
        found += page[member]
        for act in between.values():
            await act()
        if page["next"] is None:
            return found
        assert after != f"&after={page['next']}"
        after = f"&after={page['next']}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def job_with_many_tasks(shared: World) -> str:
    return await shared.compiled(settings={"sleep_repeats": 249})


class TestJobs:
    @pytest.mark.parametrize("limit", [1, 3, 7, 8, 200])
    async def test_every_job_is_seen_once_newest_first_while_others_arrive(self, world: World, limit: int) -> None:
        jobs = [await world.submit(name=f"shot {number}") for number in range(7)]
        found = await every_page(world.admin, f"jobs?limit={limit}", "jobs", arrives=world.submit)
        assert [job["id"] for job in found] == jobs[::-1]

    async def test_without_a_limit_there_are_a_hundred(self, shared: World) -> None:
        for _ in range(101):
            await shared.submit()
        assert len((await shared.admin.get("jobs"))["jobs"]) == 100
        assert len((await shared.admin.get("jobs?limit=200"))["jobs"]) > 100

    async def test_a_filter_and_pages_go_together(self, world: World) -> None:
        jobs = [await world.compiled() for _ in range(6)]
        for job_id in jobs[::2]:
            await world.admin.post(f"jobs/{job_id}/cancel")
        for status, expected in (("canceled", jobs[::2]), ("under-construction", jobs[1::2]), ("completed", [])):
            found = await every_page(world.admin, f"jobs?limit=2&status={status}", "jobs")
            assert [job["id"] for job in found] == expected[::-1]

    async def test_a_list_leaves_out_the_files_and_a_job_has_them(self, world: World) -> None:
        job = (await world.admin.post("jobs", an_animation([await world.upload(BLEND)]))).json()
        (listed,) = (await world.admin.get("jobs"))["jobs"]
        assert "files" not in listed
        assert (await world.admin.get(f"jobs/{job['id'].upper()}"))["files"] == job["files"]

    async def test_the_last_page_has_no_next_also_when_it_is_full(self, world: World) -> None:
        for _ in range(4):
            await world.submit()
        first = await world.admin.get("jobs?limit=2")
        second = await world.admin.get(f"jobs?limit=2&after={first['next']}")
        assert (len(second["jobs"]), second["next"]) == (2, None)
        empty = await world.admin.get("jobs?after=0")
        assert empty == {"jobs": [], "next": None}


class TestTasks:
    @pytest.mark.parametrize("limit", [1, 99, 125, 200])
    async def test_every_task_is_seen_once_by_its_index(
        self, shared: World, job_with_many_tasks: str, limit: int
    ) -> None:
        found = await every_page(shared.admin, f"jobs/{job_with_many_tasks}/tasks?limit={limit}", "tasks")
        assert [task["index"] for task in found] == list(range(250))
        assert found[7]["name"] == "sleep-7"
        assert "commands" not in found[7]

    async def test_one_task_comes_with_its_commands(self, shared: World, job_with_many_tasks: str) -> None:
        task = await shared.admin.get(f"tasks/{task_id(job_with_many_tasks, 249)}")
        assert (task["job"], task["name"], task["depends_on"]) == (job_with_many_tasks, "sleep-249", [0])
        (command,) = task["commands"]
        assert (command["name"], command["parameters"]) == ("sleep", {"duration_in_seconds": 5.0})

    async def test_tasks_can_be_filtered_by_status(self, world: World) -> None:
        manager = await linked(world)
        job_id = await world.compiled(settings={"sleep_repeats": 9})
        await manager.report(tasks=[manager.task(job_id, index, "completed") for index in range(0, 10, 2)])
        for status, expected in (("completed", [0, 2, 4, 6, 8]), ("queued", [1, 3, 5, 7, 9]), ("failed", [])):
            found = await every_page(world.admin, f"jobs/{job_id}/tasks?limit=2&status={status}", "tasks")
            assert [task["index"] for task in found] == expected


class TestFrames:
    async def test_frames_are_listed_by_number_with_what_was_saved(self, world: World) -> None:
        manager = await linked(world)
        files = [await world.upload(BLEND)]
        reply = await world.admin.post("jobs", an_animation(files, frames="10, 1-3", chunk_size=2))
        job_id = reply.json()["id"]
        await world.until_job(job_id, lambda job: job["task_count"])
        details = {"width": 64, "height": 36, "seconds": 1.5}
        task = manager.task(job_id, 0, "active", worker=new_id(), worker_name="node-01")
        await manager.report(tasks=[task], frames=[manager.frame(job_id, 2, 0, **details)])
        frames = (await world.admin.get(f"jobs/{job_id}/frames"))["frames"]
        assert [frame["frame"] for frame in frames] == [1, 2, 3, 10]
        assert [frame["status"] for frame in frames] == ["active", "completed", "queued", "queued"]
        assert [frame["task"] for frame in frames] == [task_id(job_id, index) for index in (0, 0, 1, 2)]
        saved = frames[1]
        assert {key: saved[key] for key in details} == details
        assert (saved["path"], saved["sha256"], saved["worker_name"]) == ("/out/000002.png", "a" * 64, "node-01")
        assert (frames[0]["path"], frames[0]["thumbnail"]) == (None, None)
        job = await world.admin.get(f"jobs/{job_id}")
        assert (job["frame_count"], job["frames_done"]) == (4, 1)

    async def test_a_job_that_renders_nothing_has_no_frames(self, shared: World, job_with_many_tasks: str) -> None:
        assert await shared.admin.get(f"jobs/{job_with_many_tasks}/frames") == {"frames": []}


class TestWorkers:
    async def test_workers_are_listed_by_name(self, world: World) -> None:
        manager = await linked(world, "site")
        workers = {name: new_id() for name in ("node-2", "node-1", "node-10")}
        await manager.report(workers=[manager.worker(identity, name=name) for name, identity in workers.items()])
        listed = (await world.admin.get("workers"))["workers"]
        assert [worker["name"] for worker in listed] == ["node-1", "node-10", "node-2"]
        assert {worker["manager"]["name"] for worker in listed} == {"site"}
        assert await world.admin.get(f"workers/{workers['node-2']}") == listed[2]

    async def test_approving_asks_the_workers_manager_and_only_if_it_must(self, world: World) -> None:
        manager = await linked(world)
        waiting, approved = new_id(), new_id()
        await manager.report(workers=[manager.worker(waiting, approved=False), manager.worker(approved, approved=True)])
        assert (await world.admin.post(f"workers/{approved}/approve")).status == 202
        assert await manager.orders() == []
        reply = await world.admin.post(f"workers/{waiting}/approve")
        assert (reply.status, reply.json()["approved"]) == (202, False)  # the Manager makes it true, and says so
        (order,) = await manager.orders()
        assert (order["kind"], order["details"]) == ("worker.approve", {"worker": waiting})
        assert (await world.admin.post(f"workers/{UNFOUND}/approve")).problem == (404, "no-such-worker")


BAD_QUERIES = [
    *("limit=0", "limit=201", "limit=-1", "limit=x", "limit=1.5", "limit="),
    *("after=x", "after=-1", "after=1.5", "after=", "after=1234567890123456789", "after=1%0a", "after=%d9%a1"),
    *("status=sleepy", "status=", "status=COMPLETED", "offset=3", "sort=name", "q=x"),
]


@pytest.mark.parametrize("query", BAD_QUERIES)
async def test_a_bad_question_is_refused_with_its_name(shared: World, job_with_many_tasks: str, query: str) -> None:
    for path in ("jobs", f"jobs/{job_with_many_tasks}/tasks"):
        reply = await shared.admin.call("GET", f"{path}?{query}")
        assert reply.problem == (422, "bad-input")
        assert list(reply.json()["errors"]) == [query.partition("=")[0]]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        *((f"jobs/{UNFOUND}{rest}", "no-such-job") for rest in ("", "/tasks", "/frames")),
        (f"tasks/{UNFOUND}", "no-such-task"),
        (f"tasks/{UNFOUND}/log", "no-such-task"),
        (f"workers/{UNFOUND}", "no-such-worker"),
        *((f"{noun}/{bad}", "not-found") for noun in ("jobs", "tasks", "workers") for bad in ("1", "..%2fx", "%00")),
        ("jobs/nonsense/tasks", "not-found"),
        (f"jobs/{UNFOUND}/frames/x/thumbnail", "not-found"),
        (f"jobs/{UNFOUND}/frames/-1/thumbnail", "not-found"),
        (f"jobs/{UNFOUND}/frames/%d9%a1/thumbnail", "not-found"),
    ],
)
async def test_what_is_not_there_is_told_so(shared: World, path: str, problem: str) -> None:
    assert (await shared.admin.call("GET", path)).problem == (404, problem)


async def test_a_job_that_is_not_there_cannot_be_canceled(shared: World) -> None:
    assert (await shared.admin.post(f"jobs/{UNFOUND}/cancel")).problem == (404, "no-such-job")
    assert (await shared.admin.post("jobs/nonsense/cancel")).problem == (404, "not-found")


async def test_canceling_twice_is_canceling_once(world: World) -> None:
    manager = await linked(world)
    job_id = await world.compiled()
    for _ in range(2):
        reply = await world.admin.post(f"jobs/{job_id}/cancel")
        assert (reply.status, reply.json()["cancel_requested"]) == (202, True)
    assert [order["kind"] for order in await manager.orders()] == ["job.submit", "job.cancel"]


async def test_a_job_that_no_manager_has_is_canceled_at_once(world: World) -> None:
    job_id = await world.compiled()
    job = (await world.admin.post(f"jobs/{job_id}/cancel")).json()
    assert (job["status"], job["activity"], job["task_counts"]) == ("canceled", "Canceled by admin", {"canceled": 2})
    assert (await world.admin.post(f"jobs/{job_id}/cancel")).problem == (409, "job-ended")
