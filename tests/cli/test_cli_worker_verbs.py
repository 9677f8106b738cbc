"""What people ask of Workers on the command line, against a real Server and a Manager that is played."""

import pytest
from cli_world import Flamenco
from played_manager import PlayedManager

from flamenco_core.identifiers import new_id

pytestmark = pytest.mark.usefixtures("own_server")


@pytest.fixture
def worker(manager: PlayedManager) -> str:
    worker_id = new_id()
    manager.report(workers=[manager.worker(worker_id, "r7")])
    return worker_id


@pytest.mark.parametrize(
    ("words", "status", "lazy", "said"),
    [
        (["sleep"], "asleep", True, "r7 goes to sleep after its current task."),
        (["sleep", "--now"], "asleep", False, "r7 goes to sleep."),
        (["wake"], "awake", False, "r7 wakes up."),
        (["restart"], "restart", True, "r7 restarts after its current task."),
        (["restart", "--now"], "restart", False, "r7 restarts."),
        (["shutdown"], "offline", True, "r7 shuts down after its current task."),
        (["shutdown", "--now"], "offline", False, "r7 shuts down."),
    ],
)
def test_a_status_is_for_after_the_current_task_unless_it_is_for_now(
    flamenco: Flamenco,
    manager: PlayedManager,
    worker: str,
    words: list[str],
    status: str,
    lazy: bool,
    said: str,
) -> None:
    outcome = flamenco("worker", *words, "r7")
    assert (outcome.status, outcome.err) == (0, f"{said}\n")
    assert manager.until_ordered("worker.status")["details"] == {
        "worker": worker,
        "status": status,
        "lazy": lazy,
    }


def test_several_workers_are_asked_or_none(flamenco: Flamenco, manager: PlayedManager, worker: str) -> None:
    assert flamenco("worker", "sleep", worker[:8], "nobody").status == 2
    assert manager.kinds() == []
    manager.report(workers=[manager.worker(new_id(), "r8")])
    outcome = flamenco("worker", "sleep", "r7", "r8", "--json")
    assert [found["name"] for found in outcome.json] == ["r7", "r8"]
    assert manager.kinds() == ["worker.status"] * 2


def test_tags_are_shown_and_changed(flamenco: Flamenco, manager: PlayedManager, worker: str) -> None:
    for tag in ("gpu", "big"):
        assert flamenco("tag", "add", tag).status == 0
    assert flamenco("worker", "tags", "r7").err == "It has no tags.\n"
    manager.answers["worker.tags"] = lambda order: {
        "workers": [manager.worker(worker, "r7", tags=order["details"]["tags"])]
    }
    assert flamenco("worker", "tags", "r7", "gpu", "big").err == "Tags of r7: gpu, big.\n"
    assert flamenco("worker", "tags", "r7").out == "gpu\nbig\n"
    assert flamenco("worker", "tags", "r7", "--json").json == ["gpu", "big"]
    assert "gpu, big" in flamenco("worker", "list").out
    assert flamenco("worker", "tags", "r7", "--none").err == "Tags of r7: none.\n"
    assert flamenco("worker", "tags", "r7").out == ""
    assert "no tag 'cpu'" in flamenco("worker", "tags", "r7", "cpu").message
    assert flamenco("worker", "tags", "r7", "gpu", "--none").status == 2


def test_a_schedule_is_shown_and_changed(flamenco: Flamenco, manager: PlayedManager, worker: str) -> None:
    manager.answers["worker.schedule"] = lambda order: {
        "workers": [manager.worker(worker, "r7", schedule=order["details"]["schedule"])]
    }
    assert flamenco("worker", "schedule", "r7").err == "It has no schedule.\n"
    assert "--time-zone" in flamenco("worker", "schedule", "r7", "--sleep", "22:00-07:00").message
    assert "--sleep" in flamenco("worker", "schedule", "r7", "--on", "--time-zone", "UTC").message
    zone = ("--time-zone", "Europe/Amsterdam")
    outcome = flamenco("worker", "schedule", "r7", "--sleep", "22:00-7:00 mon-fri", "--sleep", "0:00-0:00 sun", *zone)
    assert outcome.err == ("r7: sleeps 22:00-07:00 mon-fri; 00:00-00:00 sun (Europe/Amsterdam).\n")
    shown = flamenco("worker", "schedule", "r7")
    assert shown.out == "22:00-07:00 mon-fri\n00:00-00:00 sun\n"
    assert shown.err == "Times of Europe/Amsterdam; the schedule is on.\n"
    assert flamenco("worker", "schedule", "r7", "--off").status == 0
    document = flamenco("worker", "schedule", "r7", "--json").json
    assert (document["is_active"], len(document["windows"])) == (False, 2)
    assert "no time zone" in flamenco("worker", "schedule", "r7", "--time-zone", "Mars").message
    assert flamenco("worker", "schedule", "r7", "--none").err == "r7: no schedule.\n"
    assert flamenco("worker", "schedule", "r7", "--json").json is None


def test_blocks_are_lifted(flamenco: Flamenco, manager: PlayedManager, worker: str) -> None:
    job = manager.running_job()
    assert flamenco("worker", "unblock", "r7", "--job", job[:8], "--type", "blender").status == 0
    assert manager.until_ordered("worker.unblock")["details"] == {
        "worker": worker,
        "job": job,
        "task_type": "blender",
    }


def test_new_workers_are_approved_and_others_not_asked_about(
    flamenco: Flamenco, manager: PlayedManager, worker: str
) -> None:
    fresh = new_id()
    manager.report(workers=[manager.worker(fresh, "r9", approved=False)])
    outcome = flamenco("worker", "approve", "r7", "r9")
    assert (outcome.status, outcome.err) == (0, "r7 is approved already.\nApproved r9.\n")
    assert [order["details"] for order in manager.orders] == [{"worker": fresh}]


def test_the_past_is_shown_newest_first(flamenco: Flamenco, manager: PlayedManager, worker: str) -> None:
    assert "Nothing is known" in flamenco("worker", "history", "r7").message
    states = [
        {"worker": worker, "status": status, "at": f"2026-01-31T11:00:0{second}.000Z", "why": why}
        for second, (status, why) in enumerate([("starting", "it signed on"), ("asleep", "its schedule")])
    ]
    manager.report(worker_states=states)
    assert [state["why"] for state in flamenco("worker", "history", "r7", "--json").json] == [
        "its schedule",
        "it signed on",
    ]
    assert "Asleep" in flamenco("worker", "history", "r7", "--limit", "1").out.splitlines()[1]


def test_what_is_asked_for_is_shown_beside_what_is_so(flamenco: Flamenco, manager: PlayedManager, worker: str) -> None:
    manager.report(workers=[manager.worker(worker, "r7", status_requested="asleep", lazy=True)])
    assert "Awake, going to sleep  " in flamenco("workers").out
    task = manager.server.api.get(f"jobs/{manager.running_job()}/tasks")["tasks"][0]["id"]
    manager.report(workers=[manager.worker(worker, "r7", status_requested="asleep", lazy=True, current_task=task)])
    assert "Awake, going to sleep after its task" in flamenco("workers").out


def test_of_an_offline_worker_it_is_said_what_it_comes_back_to(
    flamenco: Flamenco, manager: PlayedManager, worker: str
) -> None:
    manager.report(workers=[manager.worker(worker, "r7", status="offline", status_requested="awake")])
    assert "Offline  " in flamenco("workers").out
    assert "r7 is offline: that happens once somebody has started it." in flamenco("worker", "sleep", "r7").err
    manager.report(workers=[manager.worker(worker, "r7", status="offline", status_requested="asleep")])
    assert "Offline, asleep when it is back" in flamenco("workers").out
