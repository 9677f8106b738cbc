"""What a Worker says of its attempts may come in any order, and any number of times (worker-api.md 15.2).

The words are those of our own Worker: its reporter gathers them. Told in order or not, one by one or in batches, they
end in the same state, with each byte of each log once.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import pytest
from fake_server import FakeServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manager_world import HttpWorker, World, a_frame_task, a_task, manager_world

from flamenco_core.statuses import TaskStatus
from flamenco_core.wire.worker_api import SavedFrame, TaskUpdate, TaskUpdateSchema
from flamenco_manager.task_logs import TaskLogs
from flamenco_worker.task_reporter import TaskReporter
from flamenco_worker.timing import Timing

pytestmark = pytest.mark.timeout(300)

ATTEMPTS = 3
STEPS = 9
LINES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12)
ACTS = st.one_of(
    st.tuples(st.just("log"), LINES),
    st.tuples(st.just("tell"), st.sampled_from(["Rendering", "Saving", "Waiting"])),
    st.tuples(st.just("count_steps"), st.integers(1, 2)),
    st.tuples(st.just("add_frame"), st.integers(1, 3)),
    st.tuples(st.just("hand_over"), st.none()),
)
ENDS = st.sampled_from([TaskStatus.COMPLETED, TaskStatus.FAILED, None])


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server) as running:
        yield running


async def words_of(attempt: int, acts: Sequence[tuple[str, Any]], end: TaskStatus | None) -> list[dict[str, Any]]:
    """Let the Worker's own reporter word what happens in an attempt; ``end`` is None where its Worker died."""
    words: list[TaskUpdate] = []

    async def post(update: TaskUpdate) -> None:
        words.append(update)

    reporter = TaskReporter(attempt, post, Timing())
    await reporter.begin()
    for act, value in acts:
        if act == "hand_over":
            await reporter.hand_over()
        elif act == "add_frame":
            reporter.add_frame(SavedFrame(value, f"/out/{value}.png", attempt, f"{attempt:064x}"))
        else:
            getattr(reporter, act)(value)
    if end is None:
        await reporter.hand_over()
    else:
        await reporter.end(end, f"{end} by attempt {attempt}", {"seconds": attempt})
    schema = TaskUpdateSchema()
    return [schema.dump(word) for word in words]


async def three_attempts(worker: HttpWorker) -> str:
    """Let a Worker be handed one task three times; returns its id."""
    tasks = [await worker.task() for _ in range(ATTEMPTS)]
    assert [(task["uuid"], task["attempt"]) for task in tasks] == [(tasks[0]["uuid"], n) for n in (1, 2, 3)]
    return str(tasks[0]["uuid"])


async def tell(worker: HttpWorker, task: str, words: Sequence[dict[str, Any]], sizes: Sequence[int]) -> None:
    """Tell words, in portions of these sizes: a portion of one goes alone, a larger one as a batch."""
    portions = iter(sizes)
    while words:
        size = next(portions, 1)
        portion, words = words[:size], words[size:]
        if size == 1:
            reply = await worker.call("POST", f"task/{task}", json=portion[0])
            assert reply.status in (204, 409), reply.body
        else:
            reply = await worker.batch(*[{"task": task, **word} for word in portion])
            assert reply.status == 200, reply.body


def logs_of(words: Sequence[dict[str, Any]]) -> dict[int, bytes]:
    """Put the log of each attempt together, as it was said."""
    logs = dict.fromkeys(range(1, ATTEMPTS + 1), b"")
    for word in words:
        logs[word["attempt"]] += word.get("log", "").encode()
    return logs


@dataclass
class OneJob:
    """A job of one task that was handed out three times, and of one that nobody can run: so it does not end."""

    world: World
    folder: Path
    worker: HttpWorker
    job: str
    task: str

    @classmethod
    async def handed_out(cls, world: World, folder: Path, name: str) -> "OneJob":
        job = await world.server.submit([a_frame_task("1-3", steps_total=STEPS), a_task(type="nobody-has-this")])
        await world.server.until_job(job, "queued")
        worker = await world.worker(name)
        return cls(world, folder, worker, job, await three_attempts(worker))

    def end(self) -> dict[str, Any]:
        """All that is known of the task, but for times, numbers of changes and who it was."""
        task = self.world.foreman.farm.tasks[self.task]
        return {
            "status": task.status,
            "attempt": task.attempt,
            "is_held": task.is_held,
            "activity": task.activity,
            "steps_completed": task.steps_completed,
            "failures": [entry.reason for entry in task.failed_by],
            "lost": task.lost,
            "result": task.result,
            "seq": task.seq,
        }

    async def logs(self) -> dict[int, bytes]:
        """What is on disk of the attempts' logs."""
        await self.world.logs.put_away()
        reader = TaskLogs(self.folder / "task-logs")
        try:
            places = [(self.job, self.task, number) for number in range(1, ATTEMPTS + 1)]
            sizes = [(await reader.size(*place)).shown_bytes for place in places]
            return {
                place[2]: await reader.read(*place, 0, size) if size else b""
                for place, size in zip(places, sizes, strict=True)
            }
        finally:
            await asyncio.to_thread(reader.close)

    def frames(self) -> list[Any]:
        """What is on disk about saved frames."""
        query = "SELECT frame, frames.attempt, sha256 FROM frames JOIN tasks ON task = key WHERE id = ? ORDER BY frame"
        reader = apsw.Connection(str(self.folder / "manager.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return list(reader.execute(query, (uuid.UUID(self.task).bytes,)))
        finally:
            reader.close()


async def make_room(world: World) -> None:
    """Cancel what the example before has left."""
    for job in list(world.foreman.farm.jobs):
        await world.server.issue("job.cancel", job=job)
        await world.server.until_job(job, "canceled")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_order_with_any_repeats_ends_alike(world: World, tmp_path: Path, data: st.DataObject) -> None:
    await make_room(world)
    ordered = await OneJob.handed_out(world, tmp_path, "ordered")
    shuffled = await OneJob.handed_out(world, tmp_path, "shuffled")
    words: list[dict[str, Any]] = []
    for number in range(1, ATTEMPTS + 1):
        acts = data.draw(st.lists(ACTS, max_size=8))
        words += await words_of(number, acts, data.draw(ENDS))
    repeats = data.draw(st.lists(st.sampled_from(words), max_size=len(words)))
    in_disorder = data.draw(st.permutations(words + repeats))
    sizes = data.draw(st.lists(st.integers(1, 5), max_size=len(in_disorder)))
    await tell(ordered.worker, ordered.task, words, [])
    await tell(shuffled.worker, shuffled.task, in_disorder, sizes)
    assert shuffled.end() == ordered.end()
    assert shuffled.frames() == ordered.frames()
    for one in (ordered, shuffled):
        assert await one.logs() == logs_of(words)
