"""How a Worker joins, sleeps, works, obeys and leaves; with a Manager of ours and with a Flamenco 3 one."""

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fake_manager import FakeManager
from worker_world import RunWorker, a_command

from flamenco_runtime.data_folder import DataInUse
from flamenco_runtime.settings import BadSettings
from flamenco_worker.settings import Settings


@pytest.fixture(params=["ours", "flamenco 3"])
async def either_manager(request: pytest.FixtureRequest) -> AsyncIterator[FakeManager]:
    async with FakeManager(extended=request.param == "ours").listening() as fake:
        yield fake


async def test_a_task_is_run_and_told_of_in_order(either_manager: FakeManager, run_worker: RunWorker) -> None:
    manager = either_manager
    async with run_worker(manager=manager.url):
        task = await manager.hand_out(
            a_command("echo", message="hello"), a_command("sleep", duration_in_seconds=0), steps_total=2
        )
        assert await manager.until_ended(task) == "completed"
    updates = manager.of(task)
    assert updates[0]["taskStatus"] == "active"
    assert updates[-1]["taskStatus"] == "completed"
    assert updates[-1]["steps_completed"] == 2
    assert "hello\n" in manager.log_of(task)
    assert ("attempt" in updates[0]) == manager.extended


async def test_identity_is_made_up_once_and_kept_private(
    manager: FakeManager, run_worker: RunWorker, tmp_path: Path
) -> None:
    for _ in range(2):
        async with run_worker(token="from-the-manager", slots=2):
            pass
    assert len(manager.registrations) == 2
    assert len(manager.sign_ons) == 4
    assert {(sign_on["name"], sign_on["slot"]) for sign_on in manager.sign_ons} == {("node-1", 0), ("node-2", 1)}
    assert len({sign_on["node"] for sign_on in manager.sign_ons}) == 1
    assert manager.registrations[0]["token"] == "from-the-manager"
    assert manager.registrations[0]["authorization"] == "Bearer from-the-manager"
    for slot in (0, 1):
        path = tmp_path / "data" / f"slot-{slot}" / "credentials.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert manager.secrets[json.loads(path.read_text())["uuid"]] == json.loads(path.read_text())["secret"]


async def test_only_a_clear_rejection_makes_it_register_anew(manager: FakeManager, run_worker: RunWorker) -> None:
    async with run_worker():
        pass
    manager.outage = 500
    async with run_worker(awaits_ready=False):
        await manager.until(lambda: manager.turned_away > 2, "it tries")
        manager.outage = None
        await manager.until(lambda: len(manager.sign_ons) == 2, "it signs on")
    assert len(manager.registrations) == 1
    manager.secrets.clear()
    async with run_worker():
        await manager.until(lambda: len(manager.sign_ons) == 3, "it signs on as somebody new")
    first, second = manager.registrations
    assert first["secret"] != second["secret"]


async def test_a_worker_that_is_forgotten_while_it_works_comes_back(
    manager: FakeManager, run_worker: RunWorker
) -> None:
    async with run_worker():
        await manager.until(lambda: manager.statuses, "it is awake")
        manager.secrets.clear()
        await manager.notify()
        await manager.hand_out(a_command("echo", message="first"))  # ends the long poll of the one forgotten
        await manager.until(lambda: len(manager.registrations) == 2, "it registers again")


async def test_without_the_program_the_worker_does_not_take_its_tasks(
    manager: FakeManager, run_worker: RunWorker, ffmpeg: str
) -> None:
    async with run_worker(ffmpeg=ffmpeg, blender=None):
        pass
    sign_on = manager.sign_ons[0]
    assert {"ffmpeg", "file-management", "misc"} <= set(sign_on["supported_task_types"])
    assert ("blender" in sign_on["supported_task_types"]) == any(p["name"] == "blender" for p in sign_on["programs"])
    assert [program["path"] for program in sign_on["programs"] if program["name"] == "ffmpeg"] == [ffmpeg]


async def test_a_program_that_is_not_what_the_settings_say_stops_the_start(run_worker: RunWorker) -> None:
    with pytest.raises(BadSettings, match="not a working blender"):
        async with run_worker(blender="/bin/true"):
            pass


async def test_it_sleeps_and_wakes_as_the_manager_says(either_manager: FakeManager, run_worker: RunWorker) -> None:
    manager = either_manager
    manager.first_status = "asleep"
    async with run_worker(manager=manager.url):
        await manager.until(lambda: manager.statuses == ["asleep"], "it sleeps")
        task = await manager.hand_out(a_command("echo", message="hello"))
        await manager.ask_for("awake")
        assert await manager.until_ended(task) == "completed"
        await manager.ask_for("asleep")
        await manager.until(lambda: manager.statuses == ["asleep", "awake", "asleep"], "it sleeps again")
    assert manager.sign_offs == 1


async def test_asked_to_sleep_while_it_sleeps_it_says_so_once_more(
    either_manager: FakeManager, run_worker: RunWorker
) -> None:
    manager = either_manager
    manager.first_status = "asleep"
    async with run_worker(manager=manager.url):
        await manager.until(lambda: manager.statuses == ["asleep"], "it sleeps")
        await manager.ask_for("asleep")
        await manager.until(lambda: manager.statuses == ["asleep", "asleep"], "it says that it sleeps")
        await manager.ask_for("awake")
        await manager.until(lambda: manager.statuses == ["asleep", "asleep", "awake"], "it wakes up")


@pytest.mark.parametrize("status", ["error", "starting", "testing"])
async def test_a_status_that_no_worker_can_have_makes_it_sleep(
    manager: FakeManager, run_worker: RunWorker, status: str
) -> None:
    manager.first_status = status
    async with run_worker():
        await manager.until(lambda: manager.statuses == ["asleep"], "it sleeps")


async def test_asked_to_go_offline_it_signs_off_and_ends(manager: FakeManager, run_worker: RunWorker) -> None:
    async with run_worker() as serving:
        await manager.until(lambda: manager.statuses, "it is awake")
        await manager.ask_for("offline")
        await serving
    assert manager.sign_offs == 1
    assert manager.statuses == ["awake"]


async def test_asked_to_restart_it_signs_off_and_on_again(manager: FakeManager, run_worker: RunWorker) -> None:
    async with run_worker():
        await manager.until(lambda: manager.statuses, "it is awake")
        await manager.ask_for("restart")
        await manager.until(lambda: manager.sign_offs == 1, "it signs off")
        manager.wanted_status = None
        await manager.until(lambda: len(manager.sign_ons) == 2, "it signs on")
    assert len(manager.registrations) == 1


async def test_a_canceled_task_is_ended_and_nothing_more_is_said_of_it(
    either_manager: FakeManager, run_worker: RunWorker
) -> None:
    manager = either_manager
    async with run_worker(manager=manager.url):
        task = await manager.hand_out(a_command("sleep", duration_in_seconds=600))
        await manager.until(lambda: manager.of(task), "the task begins")
        await manager.stop_task(task)
        other = await manager.hand_out(a_command("echo", message="next"))
        assert await manager.until_ended(other) == "completed"
    assert manager.ended_as(task) is None


async def test_a_refused_update_ends_the_task(manager: FakeManager, run_worker: RunWorker) -> None:
    async with run_worker():
        task = await manager.hand_out(a_command("exec", exe="sh", args=["-c", "while echo x; do sleep 0.05; done"]))
        await manager.until(lambda: manager.log_of(task), "it logs")
        manager.refused.add(task)
        other = await manager.hand_out(a_command("echo", message="next"))
        assert await manager.until_ended(other) == "completed"
    assert manager.ended_as(task) is None


async def test_a_failing_command_stops_the_task_and_says_why(manager: FakeManager, run_worker: RunWorker) -> None:
    async with run_worker():
        task = await manager.hand_out(a_command("exec", exe="false"), a_command("echo", message="never"))
        assert await manager.until_ended(task) == "failed"
    assert manager.last_of(task)["activity"] == "Failed: false ended with status 1."
    assert manager.log_of(task).endswith("Failed: false ended with status 1.\n")
    assert "never" not in manager.log_of(task)


async def test_a_stopping_worker_ends_its_task_without_a_result(manager: FakeManager, run_worker: RunWorker) -> None:
    async with run_worker():
        task = await manager.hand_out(a_command("sleep", duration_in_seconds=600))
        await manager.until(lambda: manager.of(task), "the task begins")
    assert manager.sign_offs == 1
    assert manager.ended_as(task) is None


async def test_what_happened_while_the_manager_was_away_is_told_when_it_is_back(
    manager: FakeManager, run_worker: RunWorker, tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    script = f"echo began; while [ ! -e {go_on} ]; do sleep 0.05; done; echo ended"
    async with run_worker():
        task = await manager.hand_out(a_command("exec", exe="sh", args=["-c", script]))
        await manager.until(lambda: "began" in manager.log_of(task), "it begins")
        manager.outage = 503
        go_on.touch()
    assert manager.ended_as(task) is None
    manager.outage = None
    async with run_worker():
        await manager.until(lambda: len(manager.sign_ons) == 2, "it is back")
    assert [update["seq"] for update in manager.of(task)] == list(range(1, len(manager.of(task)) + 1))


async def test_updates_reach_a_manager_that_was_gone_while_the_task_ended(
    manager: FakeManager, run_worker: RunWorker, tmp_path: Path
) -> None:
    go_on, has_ended = tmp_path / "go-on", tmp_path / "has-ended"
    script = f"while [ ! -e {go_on} ]; do sleep 0.05; done; touch {has_ended}"
    async with run_worker():
        task = await manager.hand_out(a_command("exec", exe="sh", args=["-c", script]))
        await manager.until(lambda: manager.of(task), "it begins")
        manager.outage = 500
        go_on.touch()
        await manager.until(has_ended.exists, "the program ends")
        manager.outage = None
        assert await manager.until_ended(task) == "completed"


async def test_no_task_is_asked_for_before_the_manager_knows_how_the_last_one_ended(
    manager: FakeManager, run_worker: RunWorker, tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    script = f"while [ ! -e {go_on} ]; do sleep 0.05; done"
    async with run_worker():
        first = await manager.hand_out(a_command("exec", exe="sh", args=["-c", script]))
        await manager.until(lambda: manager.of(first), "it begins")
        manager.takes_no_updates = True
        second = await manager.hand_out(a_command("echo", message="next"))
        go_on.touch()
        await manager.until(lambda: manager.turned_away > 8, "it tries to tell the end")
        assert manager.handed_out == [first]
        manager.takes_no_updates = False
        assert await manager.until_ended(second) == "completed"
    assert manager.ended_as(first) == "completed"


async def test_two_processes_do_not_share_a_data_folder(run_worker: RunWorker) -> None:
    async with run_worker():
        with pytest.raises(DataInUse):
            async with run_worker():
                pass


@pytest.mark.parametrize("bad", [{"manager": "render-manager:8080"}, {"slots": 0}, {"slots": 5000}])
def test_settings_that_cannot_work_are_refused_at_once(bad: dict[str, object]) -> None:
    with pytest.raises(BadSettings):
        Settings(**bad)
