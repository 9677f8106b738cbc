"""A crash at every write step of what a Manager does: each write, sync, rename and removal, once."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from cuts import FILES, Round, a_graph, check_image, has_ended, recorded_farm
from recorded_disk import Mark, Sync, SyncFolder
from recorded_worker import RecordedWorker


@dataclass
class Stage:
    """A farm with one Worker, on a recorded disk."""

    round_: Round
    where: Callable[[], tuple[str, int]]
    job: str = ""

    async def submit(self, tasks: int) -> None:
        """Submit a job and wait until it is there."""
        self.job = await self.round_.server.submit(a_graph(tasks), files=FILES)
        await self.settled()

    async def work(self, until: Callable[[], object]) -> None:
        """Let a Worker work until something is so."""
        over = asyncio.Event()
        worker = RecordedWorker("w", random.Random(5), self.round_.record, self.where, longest_log=9_000)
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run(over))
            await self.round_.server.until(until)
            over.set()

    async def settled(self) -> None:
        """Wait until every order was answered for."""
        server = self.round_.server
        await server.until(lambda: len(server.results) == len(server.orders))

    def is_done(self) -> bool:
        """The job has ended."""
        return has_ended(self.round_.server, self.job)


async def submit_and_arrival(stage: Stage) -> int:
    """A job with files is submitted, fetched and laid out."""
    first = len(stage.round_.disk.steps)
    await stage.submit(3)
    return first


async def hand_out_update_and_end(stage: Stage) -> int:
    """A Worker takes the tasks of a job, prints, and completes them; the job ends."""
    await stage.submit(2)
    first = len(stage.round_.disk.steps)
    await stage.work(stage.is_done)
    return first


async def orders_of_people(stage: Stage) -> int:
    """A job is paused, resumed, cancelled and requeued; a task of it, too."""
    await stage.submit(6)
    await stage.work(lambda: stage.round_.record.tally["completed, acknowledged"] >= 1)
    server, record = stage.round_.server, stage.round_.record
    first = len(stage.round_.disk.steps)
    for kind in ("job.pause", "job.resume", "job.cancel"):
        await server.asked(kind, job=stage.job)
    ids = [task["id"] for task in server.tasks[stage.job]]
    await record.requeue(server, ids[0], *ids[1:])
    await server.issue("job.requeue", job=stage.job, which="all")
    await stage.settled()
    return first


async def reports_frozen_and_acknowledged(stage: Stage) -> int:
    """Reports are frozen, sent, lost on their way back, sent again and acknowledged."""
    await stage.submit(2)
    first = len(stage.round_.disk.steps)
    stage.round_.server.lose_answers = 3
    await stage.work(stage.is_done)
    await stage.settled()
    return first


async def log_put_away_and_job_erased(stage: Stage) -> int:
    """The logs of a job are put into their files, and sent; then the job is deleted and erased."""
    await stage.submit(2)
    await stage.work(stage.is_done)
    server = stage.round_.server
    first = len(stage.round_.disk.steps)
    ended = stage.round_.record.logs_of_ended()
    await server.until(lambda: ended.keys() <= server.whole_logs)
    stage.round_.erased[stage.job] = stage.round_.disk.mark()
    await server.issue("job.delete", job=stage.job)
    await server.asked("job.erase", job=stage.job)
    return first


SCENARIOS: tuple[Callable[[Stage], Awaitable[int]], ...] = (
    submit_and_arrival,
    hand_out_update_and_end,
    orders_of_people,
    reports_frozen_and_acknowledged,
    log_put_away_and_job_erased,
)


async def crash_everywhere(
    folder: Path, scenario: Callable[[Stage], Awaitable[int]], seed: int, say: Callable[[str], None] = print
) -> int:
    """Crash after each step of a scenario: killed, and with the power cut. Returns how many crashes were tried.

    Steps that change nothing of what is found are passed over; what was told by then is looked at after the next one.
    """
    rng, began, tried = random.Random(seed), time.monotonic(), 0
    async with recorded_farm(folder / "data", lost_attempts=10_000) as (round_, where):
        first = await scenario(Stage(round_, where))
    for power, idle in ((False, (Mark, Sync, SyncFolder)), (True, (Mark,))):
        points = [at for at, step in enumerate(round_.disk.steps[first:], first + 1) if not isinstance(step, idle)]
        for point, image in round_.images(points, rng, power=power):
            await check_image(image, folder / "image", round_, point)
            tried += 1
    steps, what = len(round_.disk.steps) - first, getattr(scenario, "__name__", "").replace("_", " ")
    say(f"crashes: {tried} at {steps} steps of {what}, seed {seed}, {time.monotonic() - began:.0f} s")
    return tried
