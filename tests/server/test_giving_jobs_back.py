"""A Manager gives back what the Server has lost, right after a resync and at no other time."""

from typing import Any

import orjson
import pytest
from server_world import World
from site_manager import SiteManager, linked

from flamenco_core.identifiers import new_id, task_id

pytestmark = pytest.mark.asyncio(loop_scope="module")


def lines(job: str, tasks: int = 2, **changes: Any) -> bytes:
    """A job as its Manager gives it back."""
    definition = {
        "id": job, "name": "shot", "type": "hello", "priority": 60, "owner": "ada", "created": "2026-01-31T12:00:00Z",
        "task_count": 2, "settings": {"a": 1}, "project": "film", **changes,
    }  # fmt: skip
    found = [
        {
            "index": index,
            "id": task_id(job, index),
            "name": f"frame-{index}",
            "type": "blender",
            "commands": [],
            "frames": f"{index}",
        }
        for index in range(tasks)
    ]
    return b"\n".join(orjson.dumps(line) for line in (definition, *found))


async def give_back(manager: SiteManager, job: str, body: bytes) -> Any:
    return await manager.call("PUT", f"jobs/{job}", data=body, headers={"Content-Type": "application/jsonl"})


async def test_a_job_that_is_given_back_is_shown_and_follows_its_reports(world: World) -> None:
    manager, job = await linked(world), new_id()
    for _ in range(2):  # the answer to the first was lost
        assert (await give_back(manager, job, lines(job))).status == 204
    shown = await world.admin.get(f"jobs/{job}")
    assert (shown["name"], shown["priority"], shown["project"], shown["task_counts"]) == (
        "shot",
        60,
        "film",
        {"queued": 2},
    )
    assert [task["frames"] for task in (await world.admin.get(f"jobs/{job}/tasks"))["tasks"]] == ["0", "1"]
    await manager.report(
        jobs=[
            {
                "id": job,
                "rev": manager.rev(),
                "status": "completed",
                "activity": "",
                "counts": {"completed": 2},
                "steps_completed": 0,
                "steps_total": 0,
            }
        ]
    )
    assert (await world.admin.get(f"jobs/{job}"))["status"] == "completed"


async def test_after_the_first_report_nothing_is_taken_back(world: World) -> None:
    manager, job = await linked(world), new_id()
    await manager.report()
    assert (await give_back(manager, job, lines(job))).problem == (409, "not-beginning")
    assert (await world.admin.call("GET", f"jobs/{job}")).status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (lambda job: lines(job, tasks=1), 422),
        (lambda _: lines(new_id()), 422),
        (lambda _: b"{}", 422),
        (lambda _: b"no JSON", 400),
    ],
    ids=["a task is missing", "another job", "no definition", "no JSON"],
)
async def test_what_does_not_fit_together_is_refused_and_changes_nothing(world: World, body: Any, status: int) -> None:
    manager, job = await linked(world), new_id()
    assert (await give_back(manager, job, body(job))).status == status
    assert (await world.admin.get("jobs"))["jobs"] == []
