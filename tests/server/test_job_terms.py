"""What a submission asks of the farm: project, tag, start, needs, limits, other jobs; each is checked by its name."""

from typing import Any

import pytest
from server_world import UNFOUND, World, a_submission
from site_manager import linked

pytestmark = pytest.mark.asyncio(loop_scope="module")

TERMS = {
    "project": "Short film",
    "tag": "gpu",
    "start_paused": True,
    "start_after": "2026-02-01T08:00:00.000Z",
    "max_workers": 5,
    "memory_bytes": 8_000_000_000,
    "gpu": "OPTIX",
    "limits": {"renderman": 2},
    "task_runtime_limit_s": 3600.0,
    "task_silence_limit_s": 90.5,
}


async def prepare(world: World) -> None:
    """Have a tag and a limit."""
    await world.admin.call("PUT", "tags/gpu", json={})
    await world.admin.call("PUT", "settings/farm", json={"limits": {"renderman": 2, "nuke": 1}})


async def test_what_a_job_asks_for_is_shown_and_reaches_its_manager(world: World) -> None:
    await prepare(world)
    manager = await linked(world)
    needed = await world.compiled()
    needs = [{"job": needed, "ended": True}]
    job_id = await world.compiled(**TERMS, needs_jobs=needs)
    job = await world.admin.get(f"jobs/{job_id}")
    definition = (await manager.call("GET", f"jobs/{job_id}")).json()
    for name, value in {**TERMS, "needs_jobs": needs}.items():
        assert job[name] == value, name
        assert definition[name] == value, name
    (listed, _) = (await world.admin.get("jobs"))["jobs"]
    assert listed["max_workers"] == 5


async def test_a_job_that_asks_for_nothing_gets_the_defaults(world: World) -> None:
    manager = await linked(world)
    job_id = await world.compiled()
    job = await world.admin.get(f"jobs/{job_id}")
    assert {name: job[name] for name in (*TERMS, "needs_jobs")} == {
        **dict.fromkeys(TERMS),
        "project": "",
        "start_paused": False,
        "limits": {},
        "needs_jobs": [],
    }
    definition = (await manager.call("GET", f"jobs/{job_id}")).json()
    assert not set(definition) & {"tag", "gpu", "memory_bytes", "limits", "max_workers", "start_after"}


@pytest.mark.parametrize("gpu", ["optix", "Optix", "any", "ANY", "cuda"])
async def test_a_gpu_may_be_written_in_any_case(world: World, gpu: str) -> None:
    job_id = await world.submit(gpu=gpu)
    assert (await world.admin.get(f"jobs/{job_id}"))["gpu"] == ("any" if gpu.lower() == "any" else gpu.upper())


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"project": "x" * 201}, "project"),
        ({"project": "two\nlines"}, "project"),
        ({"tag": "no such tag"}, "tag"),
        ({"tag": ""}, "tag"),
        ({"tag": 7}, "tag"),
        ({"start_paused": "yes"}, "start_paused"),
        ({"start_after": "tomorrow"}, "start_after"),
        ({"max_workers": 0}, "max_workers"),
        ({"max_workers": 1.5}, "max_workers"),
        ({"memory_bytes": -1}, "memory_bytes"),
        ({"memory_bytes": "8 GB"}, "memory_bytes"),
        ({"gpu": "VOODOO"}, "gpu"),
        ({"gpu": 1}, "gpu"),
        ({"limits": {"renderman": 0}}, "limits.renderman.value"),
        ({"limits": {"renderman": 3}}, "limits.renderman"),
        ({"limits": {"maya": 1}}, "limits.maya"),
        ({"limits": ["renderman"]}, "limits"),
        ({"task_runtime_limit_s": 0}, "task_runtime_limit_s"),
        ({"task_silence_limit_s": -5}, "task_silence_limit_s"),
        ({"task_silence_limit_s": 1e400}, "task_silence_limit_s"),
        ({"needs_jobs": [UNFOUND]}, "needs_jobs.0"),
        ({"needs_jobs": [{"job": "x"}]}, "needs_jobs.0.job"),
        ({"needs_jobs": [{"job": UNFOUND, "end": True}]}, "needs_jobs.0.end"),
        ({"needs_jobs": [{"job": UNFOUND}]}, "needs_jobs"),
        ({"max_worker": 5}, "max_worker"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_name_and_stores_nothing(
    world: World, members: dict[str, Any], field: str
) -> None:
    await prepare(world)
    body = a_submission(**members)
    reply = await world.admin.post("jobs", body)
    if members.get("task_silence_limit_s") == float("inf"):
        assert reply.problem == (400, "bad-json")
    else:
        assert reply.problem[0] == 422
        assert list(reply.json()["errors"]) == [field]
    assert (await world.admin.get("jobs"))["jobs"] == []


async def test_messages_name_what_there_is(world: World) -> None:
    await prepare(world)
    reply = await world.admin.post("jobs", a_submission(tag="cpu", limits={"maya": 1, "renderman": 5}))
    assert reply.problem == (422, "bad-terms")
    assert reply.json()["errors"] == {
        "tag": "there is no tag 'cpu'; there are gpu.",
        "limits.maya": "the farm has no such limit; there are nuke, renderman.",
        "limits.renderman": "a task cannot hold 5: the farm has 2.",
    }


async def test_jobs_that_can_never_be_waited_for_are_refused(world: World) -> None:
    canceled, deleted = await world.compiled(), await world.compiled()
    await world.admin.post(f"jobs/{canceled}/cancel")
    await world.admin.post(f"jobs/{deleted}/delete")
    reply = await world.admin.post("jobs", a_submission(needs_jobs=[{"job": canceled}]))
    assert "is canceled and will never be completed" in reply.json()["errors"]["needs_jobs"]
    reply = await world.admin.post("jobs", a_submission(needs_jobs=[{"job": deleted, "ended": True}]))
    assert "is deleted" in reply.json()["errors"]["needs_jobs"]
    assert (await world.admin.post("jobs", a_submission(needs_jobs=[{"job": canceled, "ended": True}]))).status == 201


async def test_jobs_on_different_managers_cannot_be_waited_for_together(world: World) -> None:
    await linked(world, "one")
    first = await world.compiled()
    world.time.passed_s += 61  # the first Manager is away now
    await linked(world, "other")
    second = await world.compiled()
    reply = await world.admin.post("jobs", a_submission(needs_jobs=[{"job": first}, {"job": second}]))
    assert "different Managers (one, other)" in reply.json()["errors"]["needs_jobs"]
