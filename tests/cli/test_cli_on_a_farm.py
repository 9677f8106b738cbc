"""The command line as people use it, on a farm of real processes that ``flamenco up`` started."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_world import PROGRAM, Flamenco, Running, Up, environment

from end_to_end.farm import Api, eventually
from flamenco_cli.connection import connection_in

pytestmark = [pytest.mark.usefixtures("on_farm"), pytest.mark.timeout(180)]

NAP = ["--type", "echo-sleep-test"]
Background = Callable[..., Running]


def nap(seconds: float, repeats: int = 1, **more: str) -> list[str]:
    settings = {"sleep_duration_seconds": seconds, "sleep_repeats": repeats, **more}
    return ["submit", *NAP, *(f"--set={key}={value}" for key, value in settings.items())]


def api(farm: Up) -> Api:
    connection = connection_in(farm.data)
    return Api(connection.url, f"Bearer {connection.token}")


def running_task(farm: Up, job_id: str) -> dict[str, Any]:
    """Wait until a task of the job runs, other than the first, which only speaks."""

    def question() -> dict[str, Any] | None:
        tasks = api(farm).get(f"jobs/{job_id}/tasks?status=active")["tasks"]
        return next((task for task in tasks if task["name"] != "echo"), None)

    return eventually(question, "a task runs", deadline_s=30)


def on_a_terminal(farm: Up, *arguments: str, until: str | None = None, **more: str) -> tuple[int, str]:
    """Run ``flamenco`` on a terminal of its own; with ``until``, Ctrl-C is typed once that is seen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        env=environment(farm.config, TERM="xterm-256color", COLUMNS="100", LINES="30", **more),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # its end, on Linux
            break
        shown += piece
        if until is not None and until in shown.decode(errors="replace"):
            process.send_signal(signal.SIGINT)
            until = None
    os.close(ours)
    return process.wait(60), shown.decode(errors="replace")


def test_waiting_for_a_job_that_is_done_ends_as_0_with_its_progress_on_standard_error(
    flamenco: Flamenco, farm: Up
) -> None:
    outcome = flamenco(*nap(0, 20), "--wait")
    assert outcome.status == 0
    job_id, page = outcome.out.splitlines()
    assert page == f"{farm.url}/jobs/{job_id}"
    lines = outcome.err.splitlines()
    assert lines[-1] == "Done: 21 of 21 tasks"
    assert len(lines) <= 15, "a line for each tenth and state, not for each task"
    assert flamenco("job", job_id, "--json").json["status"] == "completed"


def test_waiting_with_json_prints_the_job_as_it_ended_and_nothing_else(flamenco: Flamenco) -> None:
    outcome = flamenco(*nap(0), "--wait", "--json")
    assert outcome.status == 0
    assert outcome.json["status"] == "completed"
    assert outcome.json["task_counts"]["completed"] == 2


def test_waiting_for_a_job_that_fails_ends_as_1_and_says_where_the_reasons_are(
    flamenco: Flamenco, tmp_path: Path
) -> None:
    (tmp_path / "broken.blend").write_bytes(b"BLENDER-v304" + bytes(500))
    submitted = flamenco("submit", tmp_path / "broken.blend", "-f", "1", "-o", tmp_path / "out", "--wait", "--json")
    assert submitted.status == 1
    job = submitted.json
    assert job["status"] == "failed"
    assert f"Job 'broken' ({job['id'][:8]}) failed: " in submitted.message
    assert f"flamenco tasks {job['id'][:8]} --status failed" in submitted.message
    workers = {worker["name"] for worker in flamenco("workers", "--json").json}
    reasons = " ".join(flamenco("tasks", job["id"][:8], "--status", "failed").out.split())
    assert any(f"{name}: " in reasons for name in workers)
    task_id = flamenco("tasks", job["id"], "--json").json[0]["id"]
    assert "broken.blend" in flamenco("log", task_id[:8]).out
    assert flamenco("log", task_id, "--attempt", 1).out != ""
    watched = flamenco("watch", job["id"])
    assert (watched.status, watched.out) == (1, "")


def test_waiting_for_a_job_that_somebody_cancels_ends_as_1(
    flamenco: Flamenco, farm: Up, background: Background
) -> None:
    waiting = background(*nap(600), "--wait", FLAMENCO_CONFIG_DIR=str(farm.config))
    waiting.until("Running")
    job_id = waiting.out.split()[0]
    running_task(farm, job_id)
    assert flamenco("cancel", job_id[:8]).status == 0
    outcome = waiting.ended()
    assert outcome.status == 1
    assert f"Job 'Echo and sleep' ({job_id[:8]}) was canceled" in outcome.message


def test_an_animation_is_rendered_listed_and_fetched(flamenco: Flamenco, scene: Path, tmp_path: Path) -> None:
    outcome = flamenco("submit", scene, "-f", "1-3", "-o", tmp_path / "out", "--set", "preview_video=no", "--wait")
    assert outcome.status == 0
    assert outcome.err.splitlines()[-1] == "Done: 3 of 3 frames"
    job_id = outcome.out.split()[0]
    frames = flamenco("frames", job_id[:8], "--json").json
    assert [(frame["frame"], frame["status"]) for frame in frames] == [
        (1, "completed"),
        (2, "completed"),
        (3, "completed"),
    ]
    assert {Path(frame["path"]) for frame in frames} == set((tmp_path / "out").glob("*.png"))
    assert f"{tmp_path}/out/000003.png" in flamenco("frames", job_id).out
    fetched = flamenco("frames", job_id, "--get", tmp_path / "got")
    assert (fetched.status, fetched.out) == (0, "")
    assert fetched.err == f"3 of 3 frames copied to {tmp_path}/got.\n"
    assert (tmp_path / "got" / "000002.png").read_bytes() == (tmp_path / "out" / "000002.png").read_bytes()
    (tmp_path / "out" / "000002.png").unlink()
    partly = flamenco("frames", job_id, "--get", tmp_path / "again")
    assert partly.status == 2
    assert "2 of 3 frames copied" in partly.message
    assert f"1 finished frame is on storage that this machine does not see: {tmp_path}/out/000002.png" in partly.message


def test_watching_on_a_terminal_shows_a_bar_and_what_each_worker_does(flamenco: Flamenco, farm: Up) -> None:
    job_id = flamenco(*nap(600), "--json").json["id"]
    task = running_task(farm, job_id)
    status, shown = on_a_terminal(farm, "watch", job_id[:8], until="sleep-1")
    assert status == 130
    assert "◐ Running" in shown
    assert "1 of 2 tasks" in shown
    assert f"{task['worker']['name']}: " in shown
    assert "Interrupted." in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is there again"
    assert api(farm).get(f"jobs/{job_id}")["status"] == "active", "the watching ended, not the job"
    assert flamenco("cancel", job_id).status == 0


def test_no_color_on_a_terminal_leaves_shapes_and_words(flamenco: Flamenco, farm: Up) -> None:
    flamenco(*nap(0), "--wait")
    _, coloured = on_a_terminal(farm, "jobs", "--limit", "1")
    assert "\x1b[32m● Done" in coloured
    _, plain = on_a_terminal(farm, "jobs", "--limit", "1", NO_COLOR="1")
    assert "● Done" in plain
    assert "\x1b[32m" not in plain


def test_a_log_is_followed_while_its_task_runs(flamenco: Flamenco, farm: Up, background: Background) -> None:
    job_id = flamenco(*nap(600), "--json").json["id"]
    task = running_task(farm, job_id)
    following = background("log", task["id"][:8], "-f", FLAMENCO_CONFIG_DIR=str(farm.config))
    following.until("Sleeping", where="out")
    assert following.process.poll() is None, "it goes on while the task does"
    flamenco("cancel", job_id)
    outcome = following.ended()
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == flamenco("log", task["id"]).out


def test_a_log_can_do_nothing_to_a_terminal_and_programs_get_it_as_it_is(flamenco: Flamenco, farm: Up) -> None:
    job_id = flamenco(*nap(0, message="[red]:boom:\x1b[31m"), "--wait", "--json").json["id"]
    task_id = flamenco("tasks", job_id, "--json").json[0]["id"]
    assert "[red]:boom:\x1b[31m" in flamenco("log", task_id).out
    _, shown = on_a_terminal(farm, "log", task_id)
    assert r"[red]:boom:\x1b[31m" in shown
    assert "\x1b" not in shown


def test_workers_and_managers_are_listed(flamenco: Flamenco, farm: Up) -> None:
    workers = flamenco("workers", "--json").json
    assert [worker["status"] for worker in workers] == ["awake", "awake"]
    lines = flamenco("workers").out.splitlines()
    for worker in workers:
        line = next(line for line in lines if line.startswith(worker["id"][:8]))
        assert "● Awake" in line
        assert worker["name"] in line
        assert "Blender 3.4" in line
    (manager,) = flamenco("managers", "--json").json
    assert manager["away"] is False
    assert "● Connected" in flamenco("managers").out


def test_a_worker_from_elsewhere_waits_until_it_is_approved(flamenco: Flamenco, farm: Up) -> None:
    manager = Api(manager_url(farm), root="/api/v3/worker/")
    registration = {"name": "stranger", "platform": "linux", "secret": "s", "supported_task_types": ["misc"]}
    from_elsewhere = {"X-Forwarded-For": "192.0.2.1"}
    status, _ = manager.send("POST", "register-worker", json.dumps(registration).encode(), from_elsewhere)
    assert status == 200
    eventually(lambda: "▲ Awaits approval" in flamenco("workers").out, "the stranger is listed", deadline_s=20)
    assert flamenco("worker", "approve", "stranger").err == "Approved stranger.\n"
    eventually(lambda: "▲ Awaits approval" not in flamenco("workers").out, "it is approved", deadline_s=20)
    assert flamenco("worker", "approve", "stranger").err == "stranger is approved already.\n"
    assert flamenco("worker", "forget", "stranger", "--yes").status == 0
    eventually(lambda: "stranger" not in flamenco("workers").out, "it is forgotten", deadline_s=20)


def manager_url(farm: Up) -> str:
    """Where the farm's Manager listens: its log says so."""
    log = (farm.data / "logs" / "manager.log").read_text()
    return [line for line in log.splitlines() if line.startswith("ready: ")][-1].removeprefix("ready: ")
