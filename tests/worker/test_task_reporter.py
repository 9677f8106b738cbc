"""Updates of an attempt: numbered, each byte of the log once and in its place."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from worker_world import QUICK

from flamenco_core.statuses import TaskStatus
from flamenco_core.wire.worker_api import SavedFrame, TaskUpdate
from flamenco_worker.task_reporter import CUT, MOST_LOG_BYTES, TaskReporter


def a_reporter(most_log_bytes: int = MOST_LOG_BYTES) -> tuple[TaskReporter, list[TaskUpdate]]:
    updates: list[TaskUpdate] = []

    async def post(update: TaskUpdate) -> None:
        updates.append(update)

    return TaskReporter(3, post, QUICK, most_log_bytes=most_log_bytes), updates


def a_frame(number: int) -> SavedFrame:
    return SavedFrame(frame=number, path=f"/out/{number}.png", size_bytes=1, sha256="0" * 64)


@given(st.lists(st.one_of(st.text(max_size=30), st.integers(1, 5), st.none()), max_size=40))
def test_however_it_is_cut_the_log_comes_once_and_at_its_offset(history: list[str | int | None]) -> None:
    """A text is a log line, a number so many steps, None a moment at which what gathered is handed over."""

    async def tell() -> list[TaskUpdate]:
        reporter, updates = a_reporter()
        await reporter.begin()
        for item in history:
            if isinstance(item, str):
                reporter.log(item)
            elif isinstance(item, int):
                reporter.count_steps(item)
            else:
                await reporter.hand_over()
        await reporter.end(TaskStatus.COMPLETED, "Completed", {"seconds": 1})
        return updates

    updates = asyncio.run(tell())
    assert [update.seq for update in updates] == list(range(1, len(updates) + 1))
    log = b""
    for update in updates:
        if update.log is not None:
            assert update.log_at == len(log)
            log += update.log.encode()
    assert log == b"".join(f"{line}\n".encode("utf-8", "replace") for line in history if isinstance(line, str))
    steps = [update.steps_completed for update in updates]  # every update says all: any of them may be the last heard
    assert steps == sorted(steps)
    assert steps[-1] == sum(item for item in history if isinstance(item, int))
    assert [update.activity for update in updates] == ["Started"] * (len(updates) - 1) + ["Completed"]
    assert [update.task_status for update in updates if update.task_status] == ["active", "completed"]


async def test_frames_are_handed_over_without_being_asked() -> None:
    reporter, updates = a_reporter()
    running = asyncio.create_task(reporter.run())
    reporter.add_frame(a_frame(1))
    async with asyncio.timeout(20):
        while not updates:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    running.cancel()
    assert updates[0].frames == (a_frame(1),)


async def test_nothing_new_is_no_update() -> None:
    reporter, updates = a_reporter()
    await reporter.hand_over()
    assert updates == []


async def test_a_log_without_end_is_cut_with_a_note() -> None:
    reporter, updates = a_reporter(most_log_bytes=1000)
    for _ in range(1000):
        reporter.log("x" * 99)
    await reporter.hand_over()
    assert updates[0].log is not None
    assert updates[0].log.endswith(CUT)
    assert len(updates[0].log) < 1300
