"""Several tasks of one hand-out, and those that come with the answer to a batch (worker-api.md 15.6)."""

from dataclasses import replace

from fake_manager import FakeManager
from worker_world import QUICK, RunWorker, a_command


async def test_tasks_of_one_hand_out_are_run_in_their_order_without_asking_in_between(
    manager: FakeManager, run_worker: RunWorker
) -> None:
    manager.hands_out_several = True
    tasks = [await manager.hand_out(a_command("echo", message=f"task {number}")) for number in range(3)]
    async with run_worker():
        for task in tasks:
            assert await manager.until_ended(task) == "completed"
        await manager.until(lambda: len(manager.asks) == 2, "it asks for more")
    assert manager.asks[0] == "max=16"
    ends = [update["task"] for update in manager.updates if update.get("taskStatus") == "completed"]
    assert ends == tasks
    assert manager.released == []


async def test_each_begins_only_when_the_one_before_has_ended(manager: FakeManager, run_worker: RunWorker) -> None:
    manager.hands_out_several = True
    tasks = [await manager.hand_out(a_command("sleep", duration_in_seconds=0.05)) for _ in range(3)]
    async with run_worker():
        for task in tasks:
            await manager.until_ended(task)
    said = [(update["task"], update["taskStatus"]) for update in manager.updates if "taskStatus" in update]
    assert said == [(task, status) for task in tasks for status in ("active", "completed")]


async def test_a_manager_that_hands_out_one_at_a_time_is_understood(
    manager: FakeManager, run_worker: RunWorker
) -> None:
    tasks = [await manager.hand_out(a_command("echo", message="x")) for _ in range(2)]
    async with run_worker():
        for task in tasks:
            assert await manager.until_ended(task) == "completed"
    assert manager.asks[:2] == ["max=16", "max=16"]


async def test_a_flamenco_3_manager_is_not_asked_for_several(manager: FakeManager, run_worker: RunWorker) -> None:
    manager.extended = False
    task = await manager.hand_out(a_command("echo", message="x"))
    async with run_worker():
        await manager.until_ended(task)
    assert set(manager.asks) == {""}


async def test_what_comes_with_the_answer_to_a_batch_is_run_without_asking(
    manager: FakeManager, run_worker: RunWorker
) -> None:
    manager.hands_out_several = True
    first = await manager.hand_out(a_command("sleep", duration_in_seconds=0.3))
    async with run_worker():
        await manager.until(lambda: manager.handed_out == [first], "it runs the first")
        later = [await manager.hand_out(a_command("echo", message="x")) for _ in range(2)]
        for task in later:
            assert await manager.until_ended(task) == "completed"
        await manager.until(lambda: len(manager.asks) == 2, "it asks for more")
    assert manager.ended_as(first) == "completed"


async def test_when_the_manager_ends_the_one_that_runs_the_others_are_given_back(
    manager: FakeManager, run_worker: RunWorker
) -> None:
    manager.hands_out_several = True
    tasks = [await manager.hand_out(a_command("sleep", duration_in_seconds=600)) for _ in range(3)]
    async with run_worker():
        await manager.until(lambda: manager.of(tasks[0]), "it runs the first")
        await manager.stop_task(tasks[0])
        await manager.until(lambda: len(manager.released) == 2, "the others are given back")
    assert set(manager.released) == set(tasks[1:])
    assert manager.of(tasks[1]) == manager.of(tasks[2]) == []


async def test_behind_a_task_that_takes_long_nothing_waits_for_ever(
    manager: FakeManager, run_worker: RunWorker
) -> None:
    manager.hands_out_several = True
    tasks = [await manager.hand_out(a_command("sleep", duration_in_seconds=600)) for _ in range(3)]
    async with run_worker(timing=replace(QUICK, keep_waiting_s=0.1)):
        await manager.until(lambda: len(manager.released) == 2, "the others are given back")
        assert set(manager.released) == set(tasks[1:])
        assert manager.ended_as(tasks[0]) is None  # it goes on
        await manager.stop_task(tasks[0])
        await manager.until(lambda: len(manager.asks) == 2, "it asks for more")
    assert manager.of(tasks[1]) == []


async def test_a_worker_that_is_stopped_begins_nothing_more(manager: FakeManager, run_worker: RunWorker) -> None:
    manager.hands_out_several = True
    tasks = [await manager.hand_out(a_command("sleep", duration_in_seconds=600)) for _ in range(2)]
    async with run_worker():
        await manager.until(lambda: manager.of(tasks[0]), "it runs the first")
    assert manager.of(tasks[1]) == []
    assert manager.sign_offs == 1
