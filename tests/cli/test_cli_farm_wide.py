"""Tags, settings, and what a job asks of the farm, against a real Server and a Manager that is played."""

import pytest
from cli_world import Flamenco
from played_manager import PlayedManager

from flamenco_core.identifiers import new_id

pytestmark = pytest.mark.usefixtures("own_server")


def test_tags_are_made_listed_and_deleted(flamenco: Flamenco, manager: PlayedManager) -> None:
    assert "No tags yet" in flamenco("tag", "list").message
    assert "flamenco worker tags NAME gpu" in flamenco("tag", "add", "gpu", "--description", "fast").message
    assert flamenco("tag", "list", "--json").json == [{"name": "gpu", "description": "fast"}]
    assert "fast" in flamenco("tag", "list").out
    manager.report(workers=[manager.worker(new_id(), "r7", tags=["gpu"])])
    refused = flamenco("tag", "delete", "gpu")
    assert (refused.status, "1 Workers" in refused.message) == (2, True)
    assert flamenco("tag", "delete", "gpu", "--force").status == 0
    assert flamenco("tag", "delete", "gpu").status == 2
    assert flamenco("tag", "list", "--json").json == []


def test_settings_are_shown_and_changed_one_by_one(flamenco: Flamenco) -> None:
    assert flamenco("settings", "--json").json["policy"] == "fifo"
    changed = flamenco("settings", "policy=balanced", "limits.renderman=5", "limits.nuke=1", "block_after=4", "--json")
    assert changed.json["limits"] == {"renderman": 5, "nuke": 1}
    assert (changed.json["policy"], changed.json["block_after"]) == ("balanced", 4)
    changed = flamenco("settings", "limits.nuke=", "block_after=", "--json")
    assert (changed.json["limits"], changed.json["block_after"], changed.json["policy"]) == (
        {"renderman": 5},
        3,
        "balanced",
    )
    assert "balanced" in flamenco("settings").out


@pytest.mark.parametrize(
    ("change", "message"),
    [("policy", "KEY=VALUE"), ("=x", "KEY=VALUE"), ("policy=random", "policy"), ("polcy=fifo", "polcy")],
)
def test_bad_settings_are_named_and_change_nothing(flamenco: Flamenco, change: str, message: str) -> None:
    before = flamenco("settings", "--json").json
    outcome = flamenco("settings", "block_after=4", change)
    assert outcome.status == 2
    assert message in outcome.message
    assert flamenco("settings", "--json").json == before


def test_what_a_job_asks_of_the_farm_is_sent_and_shown(flamenco: Flamenco, manager: PlayedManager) -> None:
    flamenco("tag", "add", "gpu")
    flamenco("settings", "limits.renderman=5")
    needed = manager.running_job()
    job = flamenco(
        *("submit", "--type", "echo-sleep-test", "--project", "Film", "--tag", "gpu", "--paused"),
        *("--start-after", "2030-01-01T08:00Z", "--max-workers", 3, "--after", needed[:8], "--memory", "16GB"),
        *("--gpu", "optix", "--limit", "renderman=2", "--json"),
        *("--task-time", "1h30m", "--task-silence", "20m"),
    ).json
    assert (job["project"], job["tag"], job["start_paused"], job["max_workers"]) == ("Film", "gpu", True, 3)
    assert (job["start_after"], job["memory_bytes"]) == ("2030-01-01T08:00:00.000Z", 16_000_000_000)
    assert (job["gpu"], job["limits"]) == ("OPTIX", {"renderman": 2})
    assert (job["task_runtime_limit_s"], job["task_silence_limit_s"]) == (5400, 1200)
    assert job["needs_jobs"] == [{"job": needed, "ended": False}]
    sheet = flamenco("job", job["id"]).out
    for words in ("Film", "gpu", "2030-01-01", needed[:8], "16.0 GB, GPU OPTIX, 2 × renderman", "3 Workers"):
        assert words in sheet
    for words in ("at most 1h30m", "at most 20m without output"):
        assert words in sheet


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tag", "no-such"], "tag: there is no tag 'no-such'"),
        (["--limit", "maya"], "limits.maya"),
        (["--limit", "maya=x"], "--limit"),
        (["--memory", "lots"], "--memory"),
        (["--gpu", "voodoo"], "gpu"),
        (["--task-time", "90"], "--task-time: '90' is no length of time. Write it as in 90m"),
        (["--task-silence", "0m"], "--task-silence"),
        (["--task-silence", "99999d"], "task_silence_limit_s"),
        (["--start-after", "soon"], "--start-after"),
        (["--max-workers", "0"], "--max-workers"),
        (["--after", "ffffffff"], "No job 'ffffffff'"),
    ],
)
def test_what_cannot_be_is_named_and_submits_nothing(flamenco: Flamenco, options: list[str], message: str) -> None:
    outcome = flamenco("submit", "--type", "echo-sleep-test", *options)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.message
    assert flamenco("jobs", "--json").json == []
