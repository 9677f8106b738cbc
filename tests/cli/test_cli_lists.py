"""The verbs that look at a farm and ask something of it, against a real Server without a Manager."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cli_world import Flamenco, RealServer

from flamenco_cli.client import PAGE

pytestmark = pytest.mark.usefixtures("signed_in")


@pytest.fixture(scope="module")
def animation(server: RealServer) -> dict[str, Any]:
    """A job of three frames that nobody renders."""
    content = b"BLENDER-v405" + bytes(100)
    sha256 = hashlib.sha256(content).hexdigest()
    server.api.send("PUT", f"blobs/{sha256}", content, {"Content-Type": "application/octet-stream"})
    settings = {"frames": "1-3", "blendfile": "scene.blend", "render_output_path": "/out", "chunk_size": 1}
    job_id = server.api.post(
        "jobs",
        {
            "name": "sh010",
            "type": "simple-blender-render",
            "settings": settings,
            "files": [{"path": "scene.blend", "sha256": sha256, "size_bytes": len(content)}],
        },
    )["id"]
    return server.compiled(job_id)


@pytest.mark.parametrize("verb", ["jobs", "workers", "managers"])
def test_an_empty_list_says_what_to_do_and_is_empty_json(flamenco: Flamenco, own_server: RealServer, verb: str) -> None:
    outcome = flamenco(verb)
    assert (outcome.status, outcome.out) == (0, "")
    assert "yet." in outcome.message
    assert "flamenco" in outcome.message
    assert flamenco(verb, "--json").json == []


def test_jobs_are_listed_newest_first_as_many_as_asked_for(flamenco: Flamenco, own_server: RealServer) -> None:
    ids = [own_server.submit(sleep_repeats=0) for _ in range(PAGE + 3)][::-1]
    assert [line.split()[0] for line in flamenco("jobs").out.splitlines()[1:]] == [id_[:8] for id_ in ids[:20]]
    listed = flamenco("jobs", "--limit", PAGE + 2, "--json").json
    assert [job["id"] for job in listed] == ids[: PAGE + 2]
    assert flamenco("job", ids[-1][:8], "--json").json["id"] == ids[-1]


def test_json_is_what_the_server_says(flamenco: Flamenco, server: RealServer, animation: dict[str, Any]) -> None:
    job_id = animation["id"]
    assert flamenco("job", job_id, "--json").json == server.api.get(f"jobs/{job_id}")
    assert flamenco("tasks", job_id, "--json").json == server.api.get(f"jobs/{job_id}/tasks")["tasks"]
    assert flamenco("frames", job_id, "--json").json == server.api.get(f"jobs/{job_id}/frames")["frames"]
    assert flamenco("job-types", "--json").json == server.api.get("job-types")["job_types"]


def test_jobs_can_be_listed_by_status(flamenco: Flamenco, server: RealServer) -> None:
    job_id = server.submit()
    server.compiled(job_id)
    server.cancel(job_id)
    assert job_id in [job["id"] for job in flamenco("jobs", "--status", "canceled", "--json").json]
    assert job_id not in [job["id"] for job in flamenco("jobs", "--status", "under-construction", "--json").json]
    outcome = flamenco("jobs", "--status", "completed")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "No such jobs.\n")
    assert flamenco("jobs", "--status", "finished").status == 2


def test_one_job_is_shown_with_its_page_and_settings(
    flamenco: Flamenco, server: RealServer, animation: dict[str, Any]
) -> None:
    shown = flamenco("job", animation["id"][:8]).out
    for words in ("sh010", "◌ Preparing", "Waiting for a Manager", "0 of 3 frames", "1-3 (3)", "render_output_path"):
        assert words in shown
    assert f"{server.url}/jobs/{animation['id']}" in shown


def test_tasks_are_listed_in_their_order_however_many(flamenco: Flamenco, server: RealServer) -> None:
    job_id = server.submit(sleep_repeats=2 * PAGE)
    server.compiled(job_id)
    listed = flamenco("tasks", job_id, "--json").json
    assert [task["index"] for task in listed] == list(range(2 * PAGE + 1))
    lines = flamenco("tasks", job_id).out.splitlines()
    assert lines[1].split()[:5] == [listed[0]["id"][:8], "0", "○", "Waiting", "echo"]
    assert len(lines) == 2 * PAGE + 2
    outcome = flamenco("tasks", job_id, "--status", "failed")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "No such tasks.\n")


def test_frames_are_listed_before_they_are_rendered(flamenco: Flamenco, animation: dict[str, Any]) -> None:
    lines = flamenco("frames", animation["id"]).out.splitlines()
    assert [line.split() for line in lines[1:]] == [[number, "○", "Waiting"] for number in "123"]


def test_a_job_that_renders_nothing_has_no_frames(flamenco: Flamenco, server: RealServer) -> None:
    outcome = flamenco("frames", server.submit())
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "This job renders no frames.\n")


def test_getting_frames_of_which_none_is_done_says_so(
    flamenco: Flamenco, animation: dict[str, Any], tmp_path: Path
) -> None:
    outcome = flamenco("frames", animation["id"], "--get", tmp_path / "got")
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err == f"0 of 3 frames copied to {tmp_path}/got.\n"
    assert flamenco("frames", animation["id"], "--get", tmp_path / "got", "--json").json[0]["frame"] == 1


@pytest.mark.parametrize("folder", ["/proc/no", "a-file", "a-file/x"])
def test_frames_cannot_go_where_no_folder_can_be(
    flamenco: Flamenco, animation: dict[str, Any], tmp_path: Path, folder: str
) -> None:
    (tmp_path / "a-file").touch()
    outcome = flamenco("frames", animation["id"], "--get", tmp_path / folder)
    assert (outcome.status, outcome.out) == (2, "")
    assert folder.rpartition("/")[2] in outcome.message


def test_canceling_asks_for_it_and_says_so(flamenco: Flamenco, server: RealServer) -> None:
    first, second = server.submit(), server.submit()
    outcome = flamenco("cancel", first[:8], second)
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err.splitlines() == [f"Canceling {first[:8]} (nap).", f"Canceling {second[:8]} (nap)."]
    assert [server.api.get(f"jobs/{job_id}")["status"] for job_id in (first, second)] == ["canceled", "canceled"]


def test_canceling_what_has_ended_is_refused_and_the_others_are_canceled(
    flamenco: Flamenco, server: RealServer
) -> None:
    ended, alive = server.submit(), server.submit()
    server.compiled(ended)
    flamenco("cancel", ended)
    outcome = flamenco("cancel", ended, alive, "--json")
    assert outcome.status == 2
    assert [job["id"] for job in outcome.json] == [alive]
    assert "The job 'nap' is canceled already" in outcome.message


def test_a_wrong_id_among_several_cancels_none(flamenco: Flamenco, server: RealServer) -> None:
    job_id = server.submit()
    outcome = flamenco("cancel", job_id, "ffffffff")
    assert (outcome.status, outcome.out) == (2, "")
    assert server.api.get(f"jobs/{job_id}")["cancel_requested"] is False


def test_watching_a_job_that_was_canceled_ends_as_1(flamenco: Flamenco, server: RealServer) -> None:
    job_id = server.submit()
    server.compiled(job_id)
    flamenco("cancel", job_id)
    outcome = flamenco("watch", job_id)
    assert (outcome.status, outcome.out) == (1, "")
    assert "Canceled: 0 of 2 tasks" in outcome.message
    assert f"Job 'nap' ({job_id[:8]}) was canceled" in outcome.message


def test_the_log_of_a_task_that_nobody_has_begun_is_none(
    flamenco: Flamenco, server: RealServer, animation: dict[str, Any]
) -> None:
    task_id = flamenco("tasks", animation["id"], "--json").json[0]["id"]
    outcome = flamenco("log", task_id)
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "This task has no log yet.\n")
    assert flamenco("log", task_id, "--attempt", 0).status == 2
    assert "has no attempt 1" in flamenco("log", task_id, "--attempt", 1, "-f").message


def test_following_the_log_of_a_task_that_never_began_ends_with_its_job(flamenco: Flamenco, server: RealServer) -> None:
    job_id = server.submit()
    server.compiled(job_id)
    flamenco("cancel", job_id)
    task_id = flamenco("tasks", job_id, "--json").json[0]["id"]
    outcome = flamenco("log", task_id, "-f")
    assert (outcome.status, outcome.out) == (0, "")
    assert "never begun" in outcome.message


def test_job_types_are_listed_with_what_set_takes(flamenco: Flamenco) -> None:
    shown = flamenco("job-types").out
    for words in ("echo-sleep-test", "sleep_repeats", "simple-blender-render", "PNG | JPEG", "required"):
        assert words in shown


def test_a_manager_is_added_with_a_token_that_is_all_of_standard_output(
    flamenco: Flamenco, own_server: RealServer
) -> None:
    outcome = flamenco("server", "add-manager", "studio")
    assert outcome.status == 0
    (token,) = outcome.out.split()
    assert f"FLAMENCO_MANAGER_TOKEN=… flamenco manager --server {own_server.url}" in outcome.message
    assert token not in outcome.err
    assert "○ Never seen" in flamenco("managers").out
    again = flamenco("server", "add-manager", "studio")
    assert (again.status, again.out) == (2, "")
    assert "There is a Manager 'studio' already" in again.message
    added = flamenco("server", "add-manager", "second", "--json").json
    assert set(added) == {"id", "name", "token"}


@pytest.mark.parametrize("name", ["", "two\nlines", "x" * 201])
def test_a_manager_s_name_is_a_line_of_text(flamenco: Flamenco, name: str) -> None:
    outcome = flamenco("server", "add-manager", name)
    assert (outcome.status, outcome.out) == (2, "")
    assert "name" in outcome.message
    assert "1" in outcome.message
    assert "200" in outcome.message


def test_a_worker_that_is_not_there_cannot_be_approved(flamenco: Flamenco) -> None:
    outcome = flamenco("worker", "approve", "node-01")
    assert outcome.status == 2
    assert "No Worker 'node-01' among those that 'flamenco workers' lists" in outcome.message


def test_no_list_writes_anything_but_its_json(flamenco: Flamenco, animation: dict[str, Any]) -> None:
    for verb in (["jobs"], ["workers"], ["managers"], ["job-types"], ["job", animation["id"]]):
        outcome = flamenco(*verb, "--json")
        json.loads(outcome.out)
        assert outcome.err == ""
