"""Orders about jobs and tasks, as the Server gives them: what is done, what is dropped, and why (manager-api.md)."""

from pathlib import Path
from typing import Any

import pytest
from fake_server import FakeServer
from manager_world import TASK_TYPES, a_task, manager_world

ORDERS: list[tuple[str, dict[str, Any]]] = [
    ("job.cancel", {}),
    ("job.pause", {}),
    ("job.resume", {}),
    ("job.requeue", {"which": "all"}),
    ("job.priority", {"priority": 1}),
    ("job.tag", {"tag": "gpu"}),
    ("task.cancel", {"task": True}),
    ("task.pause", {"task": True}),
    ("task.requeue", {"task": True}),
    ("worker.unblock", {"worker": True}),
]


async def test_on_a_deleted_job_every_other_order_is_dropped_with_why(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        job = await server.submit([a_task()])
        task = await worker.task()
        early = await server.asked("job.erase", job=job)
        assert (early["result"], "not deleted" in early["why"]) == ("dropped", True)
        assert (await server.asked("job.delete", job=job))["result"] == "done"
        before = await server.until_job(job, "canceled")
        assert before["deleted"] is True
        for kind, details in ORDERS:
            named = {"task": task["uuid"]} if "task" in details else {**details, "job": job}
            if "worker" in details:
                named["worker"] = worker.id
            result = await server.asked(kind, **named)
            assert (result["result"], "undelete it first" in result["why"]) == ("dropped", True), kind
        assert server.mirror["jobs"][job] == before
        assert (await worker.update(task, taskStatus="completed", seq=1)).status == 409
        again = await server.asked("job.delete", job=job)
        assert (again["result"], again["why"]) == ("done", "It is deleted already.")
        assert (await server.asked("job.erase", job=job))["result"] == "done"
        assert (await worker.update(task, taskStatus="completed", seq=1)).status == 404
        gone = await server.asked("job.undelete", job=job)
        assert (gone["result"], gone["why"]) == ("dropped", f"There is no job {job}.")


async def test_a_job_that_left_memory_is_undeleted_and_requeued_and_runs(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        job = await server.submit([a_task(), a_task(depends_on=[0])])
        for _ in range(2):
            await worker.update(await worker.task(), taskStatus="completed", seq=1)
        await server.until_job(job, "completed")
        assert (await server.asked("job.delete", job=job))["result"] == "done"
        assert (await server.asked("job.undelete", job=job))["result"] == "done"
        seen = server.mirror["jobs"][job]["rev"]
        assert (await server.asked("job.requeue", job=job, which="all", rev=seen))["result"] == "done"
        for _ in range(2):
            task = await worker.task()
            assert task["attempt"] == 2
            await worker.update(task, taskStatus="completed", seq=1)
        await server.until_job(job, "completed")
        stale = await server.asked("job.requeue", job=job, which="all", rev=seen)
        assert (stale["result"], "requeued meanwhile" in stale["why"]) == ("dropped", True)


@pytest.mark.parametrize(
    ("kind", "details", "says"),
    [
        ("job.priority", {"priority": 101}, "from 0 to 100"),
        ("job.priority", {"priority": True}, "from 0 to 100"),
        ("job.priority", {}, "from 0 to 100"),
        ("job.tag", {"tag": 7}, "cannot be a tag"),
        ("job.tag", {"tag": " "}, "cannot be a tag"),
        ("job.requeue", {"which": "some"}, "not as 'some'"),
        ("job.requeue", {"which": "chosen", "tasks": ["no such task"]}, "No task was requeued"),
        ("job.pause", {"job": "nonsense"}, "There is no job nonsense"),
        ("task.pause", {"task": "nonsense"}, "There is no task nonsense"),
        ("worker.unblock", {"worker": "nonsense"}, "no Worker nonsense"),
    ],
)
async def test_an_order_that_makes_no_sense_is_dropped_with_why_and_changes_nothing(
    server: FakeServer, tmp_path: Path, kind: str, details: dict[str, Any], says: str
) -> None:
    async with manager_world(tmp_path, server):
        job = await server.submit([a_task()])
        before = await server.until_job(job, "queued")
        result = await server.asked(kind, **{"job": job, **details})
        assert result["result"] == "dropped"
        assert says in result["why"]
        assert server.mirror["jobs"][job] == before


async def test_a_tag_is_trimmed_and_a_worker_that_has_it_gets_the_job(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker(supported_task_types=TASK_TYPES)
        job = await server.submit([a_task()])
        assert (await server.asked("job.tag", job=job, tag=" gpu "))["result"] == "done"
        assert (await worker.ask()).status == 204
        assert (await server.asked("worker.tags", worker=worker.id, tags=["gpu"]))["result"] == "done"
        assert (await worker.task())["job"] == job


async def test_the_manager_says_why_a_task_does_not_run(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        await world.worker("sleepy")
        job = await server.submit([a_task(name="first"), a_task(depends_on=[0])])
        await server.until_job(job, "queued")
        first, second = (task["id"] for task in server.tasks[job])
        soon = (await server.asked("task.why", task=first))["answer"]["reasons"]
        assert [(reason["code"], reason["workers"]) for reason in soon] == [("soon", ["sleepy"])]
        waits = (await server.asked("task.why", task=second))["answer"]["reasons"]
        assert waits == [{"code": "waits-for-tasks", "text": "It waits for first.", "count": 1}]
        await server.asked("job.cancel", job=job)
        ended = (await server.asked("task.why", task=first))["answer"]["reasons"]
        assert [reason["code"] for reason in ended] == ["ended"]


async def test_a_cancel_of_what_its_definition_cancelled_already_is_done(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server):
        job = await server.submit([a_task()], cancel_requested=True)
        await server.until_job(job, "canceled")
        result = await server.asked("job.cancel", job=job)
        assert (result["result"], result["why"]) == ("done", "It is canceled already.")
