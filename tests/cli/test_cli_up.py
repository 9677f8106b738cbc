"""``flamenco up``: a farm of real processes that restarts what dies and leaves nothing behind."""

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_world import Flamenco, Running, Up, flamenco_process

from end_to_end.farm import cpu_seconds, eventually, is_alive, processes
from flamenco_cli.connection import connection_in
from flamenco_cli.farm import LOCK_NAME

pytestmark = pytest.mark.timeout(180)

SERVICES = ["server", "manager", "worker"]
StartUp = Callable[..., Up]


def flamenco_of(farm: Up, *arguments: object) -> Any:
    """Run ``flamenco`` as that farm's user; returns its JSON."""
    outcome = flamenco_process(*arguments, "--json", config=farm.config)
    assert outcome.status == 0, outcome.err
    return outcome.json


def test_ready_is_one_line_for_programs_and_people_are_told_the_rest(farm: Up) -> None:
    assert farm.out == f"ready: {farm.url}\n"
    for words in ("A new farm is up.", str(farm.data), "2 Worker slots, Blender 3.4", "FFmpeg", "Ctrl-C stops it."):
        assert words in farm.err
    assert "token" not in farm.err.lower()
    assert connection_in(farm.data).token not in farm.err


def test_other_commands_find_the_farm_by_what_it_left_for_its_owner_only(farm: Up) -> None:
    file = farm.config / "connection.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert flamenco_of(farm, "workers")
    assert flamenco_process("workers", config=farm.folder / "other", FLAMENCO_URL=farm.url).status == 4
    assert flamenco_process("workers", "--json", "--data", farm.data, config=farm.folder / "other").status == 0


def test_no_secret_is_on_a_command_line(farm: Up) -> None:
    token = connection_in(farm.data).token
    assert {farm.pid(name) is not None for name in SERVICES} == {True}
    assert not [command for _, command in processes() if token in command or "TOKEN" in command]


def test_a_second_up_on_the_same_data_is_refused_and_told_where_the_first_is(farm: Up) -> None:
    before = dict(farm.services())
    outcome = flamenco_process("up", "--data", farm.data, "--listen", "127.0.0.1:0", config=farm.folder / "other")
    assert (outcome.status, outcome.out) == (2, "")
    assert f"A farm runs on {farm.data} already (process {farm.process.pid}, {farm.url})" in outcome.message
    assert f"flamenco open --data {farm.data}" in outcome.message
    assert dict(farm.services()) == before
    assert not (farm.folder / "other").exists()


def test_a_service_of_its_own_on_the_same_data_is_refused(farm: Up) -> None:
    for name, more in (("server", []), ("manager", ["--server", farm.url]), ("worker", ["--manager", farm.url])):
        listen = [] if name == "worker" else ["--listen", "127.0.0.1:0"]
        outcome = flamenco_process(name, "--data", farm.data / name, *listen, *more, config=farm.folder / "other")
        assert (outcome.status, outcome.out) == (2, "")
        assert f"Another {name.capitalize()} uses {farm.data}/{name}" in outcome.message
    assert connection_in(farm.data).url == farm.url


@pytest.mark.parametrize("option", ["--listen", "--manager-listen"])
def test_a_port_that_is_taken_is_refused_before_anything_starts(farm: Up, tmp_path: Path, option: str) -> None:
    other = {"--listen": "--manager-listen", "--manager-listen": "--listen"}[option]
    taken = farm.url.removeprefix("http://")
    outcome = flamenco_process(
        "up", "--data", tmp_path / "new", option, taken, other, "127.0.0.1:0", config=tmp_path / "config"
    )
    assert (outcome.status, outcome.out) == (3, "")
    assert f"Cannot listen on {taken}: Address already in use" in outcome.message
    assert f"{option} HOST:PORT" in outcome.message
    assert [path.name for path in (tmp_path / "new").iterdir()] == [LOCK_NAME]
    assert not (tmp_path / "config").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--listen", "nonsense"], "'nonsense': write HOST:PORT"),
        (["--listen", "127.0.0.1:x"], "write HOST:PORT"),
        (["--listen", "no-such-host.invalid:0"], "Cannot listen on no-such-host.invalid:0"),
        (["--workers", "-1"], "-1 is not in the range"),
        (["--workers", "many"], "'many' is not a valid integer"),
        (["--data", "/proc/no/farm"], "/proc/no"),
    ],
)
def test_what_cannot_be_meant_is_told(flamenco: Flamenco, tmp_path: Path, arguments: list[str], says: str) -> None:
    data = [] if "--data" in arguments else ["--data", tmp_path / "farm"]
    outcome = flamenco("up", *data, "--manager-listen", "127.0.0.1:0", *arguments)
    assert outcome.status in (2, 3)
    assert outcome.out == ""
    assert says in outcome.message


@pytest.mark.parametrize("name", SERVICES)
def test_whatever_is_killed_is_started_again_and_the_farm_works_on(
    farm: Up, background: Callable[..., Running], name: str
) -> None:
    told = farm.err.count(f"{name.capitalize()} ended (signal 9); starting it again")
    settings = ["--set", "sleep_duration_seconds=0.3", "--set", "sleep_repeats=20"]
    job = flamenco_of(farm, "submit", "--type", "echo-sleep-test", *settings)
    watching = background("watch", job["id"], FLAMENCO_CONFIG_DIR=str(farm.config))
    watching.until(" of 21 tasks")
    before = farm.pid(name)
    assert before is not None
    os.kill(before, signal.SIGKILL)
    outcome = watching.ended()
    assert outcome.status == 0, outcome.err
    assert outcome.err.splitlines()[-1] == "Done: 21 of 21 tasks"
    eventually(lambda: farm.pid(name) not in (None, before), f"the {name} runs again", deadline_s=30)
    assert farm.err.count(f"{name.capitalize()} ended (signal 9); starting it again") == told + 1
    assert farm.out == f"ready: {farm.url}\n", "and it is where it was"


def renders(farm: Up) -> int:
    """Wait until the farm's Blender is at work; returns its process id."""

    def question() -> int | None:
        found = [pid for pid, command in farm.services() if "--render-frame" in command]
        return next((pid for pid in found if cpu_seconds(pid) > 0.5), None)

    return eventually(question, "Blender renders", deadline_s=60)


def test_no_process_is_left_after_kill_9_of_up_nor_after_sigterm(start_up: StartUp, heavy_scene: Path) -> None:
    farm = start_up()
    assert farm.url
    flamenco_of(farm, "submit", heavy_scene, "-f", "1", "-o", farm.folder / "out")
    blender = renders(farm)
    assert [farm.pid(name) is not None for name in SERVICES] == [True, True, True]
    farm.process.kill()
    farm.process.wait()
    farm.until_nothing_runs()
    eventually(lambda: not is_alive(blender), "Blender is gone", deadline_s=20)

    again = start_up()
    assert again.url, "the data is free for the next start"
    blender = renders(again)
    pids = [pid for pid, _ in again.services()]
    outcome = again.stop(signal.SIGTERM)
    assert outcome.status == 0
    assert "Stopping …" in outcome.err
    assert "ended (" not in outcome.err, "what is stopped is not told as dead"
    assert not [pid for pid in (*pids, blender) if is_alive(pid)]


def test_ctrl_c_stops_a_farm_without_workers_and_a_later_start_knows_everything(
    start_up: StartUp, tmp_path: Path
) -> None:
    farm = start_up("--workers", "0")
    assert farm.url
    assert "none; start some with: flamenco worker --manager http://127.0.0.1:" in farm.err
    assert [farm.pid(name) is not None for name in SERVICES] == [True, True, False]
    job = flamenco_of(farm, "submit", "--type", "echo-sleep-test", "--name", "kept")
    pids = [pid for pid, _ in farm.services()]
    outcome = farm.stop(signal.SIGINT)
    assert outcome.status == 0
    assert "Traceback" not in outcome.err
    assert not [pid for pid in pids if is_alive(pid)]

    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    again = start_up("--workers", "0", "--open", BROWSER=f"{browser} %s")
    assert again.url
    assert "The farm is up." in again.err
    assert flamenco_of(again, "job", job["id"])["name"] == "kept"
    assert len(flamenco_of(again, "managers")) == 1, "the Manager is the same"
    opened = eventually(lambda: (tmp_path / "opened").exists() and (tmp_path / "opened").read_text(), "a browser")
    assert str(opened).startswith(f"{again.url}/sign-in/")


def test_a_service_that_cannot_start_is_given_up_with_the_tail_of_its_log(start_up: StartUp, tmp_path: Path) -> None:
    (tmp_path / "up" / "farm").mkdir(parents=True)
    (tmp_path / "up" / "farm" / "manager").write_text("no folder")
    farm = start_up("--workers", "1")
    outcome = farm.ended()
    assert (outcome.status, outcome.out) == (3, "")
    assert "Manager ended 3 times while it started." in outcome.message
    log = tmp_path / "up" / "farm" / "logs" / "manager.log"
    assert f"The last lines of {log}:" in outcome.message
    assert "'--data': Directory" in outcome.message
    assert "is a file" in outcome.message
    assert "Traceback" not in outcome.err
    farm.until_nothing_runs()


def test_stopping_while_it_starts_leaves_nothing(start_up: StartUp) -> None:
    farm = start_up()
    eventually(lambda: farm.pid("server"), "the Server is being started", deadline_s=30)
    outcome = farm.stop(signal.SIGTERM)
    assert (outcome.status, outcome.out) == (0, "")
    farm.until_nothing_runs()
