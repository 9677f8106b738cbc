"""The check of a running Manager: what it has in memory, what is stored, and whether the two are the same.

It goes on in slices, so that nobody waits for it, and the farm changes meanwhile. So what looks wrong is looked at
again; only what stays so, while nothing changes it, is told.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from flamenco_core.errors import Unavailable
from flamenco_manager.checking import (
    JOB_CHECKS,
    RESTART,
    Finding,
    check_limits,
    check_task,
    check_worker,
)
from flamenco_manager.farm import Farm
from flamenco_manager.foreman import Foreman
from flamenco_manager.long_work import OnProgress, Tell, telling
from flamenco_manager.model import Job, Moment, Task, Worker
from flamenco_manager.stores.comparing import Remembered, Thing
from flamenco_runtime.leisure import at_leisure

SLICE = 250
"""So many tasks are looked at in one go."""
LOOKS = 5
"""What looks wrong is looked at so often, so far apart, before it is told."""
LOOK_AGAIN_S = 0.5
RESTS = 1.0
"""Checking takes no more than one half of the time."""

Look = Callable[[], Iterator[Finding]]


class Store(Protocol):
    """What is stored."""

    def check_rows(self, on_progress: OnProgress) -> Sequence[Finding]:
        """Look at all that is stored, as it is at one moment; blocks."""

    async def differences(self, remembered: Remembered) -> dict[str, str]:
        """Return, by id, what is stored otherwise than it was in memory."""


@dataclass(frozen=True)
class Report:
    """What a check found, and how much it looked at; ``unsettled``: what never stood still long enough."""

    findings: Sequence[Finding]
    jobs: int
    tasks: int
    workers: int
    unsettled: int = 0

    def document(self) -> dict[str, object]:
        """Return it as programs read it."""
        return {
            "is_sound": not self.findings,
            "findings": [finding.document() for finding in self.findings],
            "jobs": self.jobs,
            "tasks": self.tasks,
            "workers": self.workers,
            "unsettled": self.unsettled,
        }


class StillLoading(Unavailable):
    """Right after a start, not all jobs are in memory."""

    type = "still-loading"

    def __init__(self) -> None:
        super().__init__("The Manager has just started and still reads its jobs: try again in a moment.")


class Audit:
    """Checks a running Manager."""

    def __init__(self, foreman: Foreman, store: Store) -> None:
        self._farm: Farm = foreman.farm
        self._now: Callable[[], Moment] = foreman.now
        self._store = store

    async def run(self, tell: Tell) -> Report:
        """Look at everything there is now. Raises StillLoading."""
        if not self._farm.is_whole:
            raise StillLoading
        findings = await self._stored_wrongly(tell)
        jobs, workers = list(self._farm.jobs.values()), list(self._farm.workers.values())
        looks, changing, tasks = await self._first_look(jobs, workers, tell)
        await tell("Looking again at what looked wrong", 1.0)
        findings += await self._look_again(looks)
        differing, unsettled = await self._compare_again(changing)
        return Report([*findings, *differing], len(jobs), tasks, len(workers), unsettled)

    async def _stored_wrongly(self, tell: Tell) -> list[Finding]:
        """Read what is stored; what looks wrong may be a change of many tasks that is on its way."""
        found = await telling("Reading what is stored", tell, self._store.check_rows)
        for _ in range(LOOKS if found else 0):
            await asyncio.sleep(LOOK_AGAIN_S)
            before = {finding.about for finding in found}
            again = await telling("Reading again what looked wrong", tell, self._store.check_rows)
            found = [finding for finding in again if finding.about in before]
        return list(found)

    async def _first_look(
        self, jobs: Sequence[Job], workers: Sequence[Worker], tell: Tell
    ) -> tuple[list[Look], list[Thing], int]:
        """Return what looks wrong in memory, what is stored otherwise, and how many tasks were looked at."""
        looks: list[Look] = [partial(check_limits, self._farm)]
        changing: list[Thing] = []
        tasks = 0
        for number, job in enumerate(jobs):
            await tell("Comparing memory with what is stored", number / len(jobs))
            for check in JOB_CHECKS:
                async with at_leisure(RESTS):
                    looks += _suspicious([partial(self._check_job, check, job)])
            for some in _slices(job.tasks):
                tasks += len(some)
                async with at_leisure(RESTS):
                    looks += _suspicious(partial(self._check_task, task) for task in some)
                    changing += await self._not_as_stored(some)
        async with at_leisure(RESTS):
            looks += _suspicious(partial(check_worker, self._farm, worker) for worker in workers)
            changing += await self._not_as_stored([*workers, *jobs])
        return looks, changing, tasks

    async def _look_again(self, looks: Sequence[Look]) -> list[Finding]:
        looks = _suspicious(looks)
        for _ in range(LOOKS if looks else 0):
            await asyncio.sleep(LOOK_AGAIN_S)
            looks = _suspicious(looks)
        return [finding for look in looks for finding in look()]

    async def _compare_again(self, things: Sequence[Thing]) -> tuple[list[Finding], int]:
        """Compare things once more with what is stored; tells of how many nothing can be said: they always change."""
        found: list[Finding] = []
        for _ in range(LOOKS):
            if not things:
                break
            settled, things = await self._compared(things)
            found += settled
        return found, len(things)

    async def _compared(self, things: Sequence[Thing]) -> tuple[list[Finding], list[Thing]]:
        """Return what is stored otherwise, and what changed while it was compared."""
        things = [thing for thing in things if self._is_here(thing)]
        noted = [thing for thing in things if self._farm.is_noted(thing)]
        remembered = Remembered([thing for thing in things if not self._farm.is_noted(thing)], self._now())
        differences = await self._store.differences(remembered)
        found: list[Finding] = []
        for thing in things:
            if thing.id in differences and self._is_here(thing):
                if thing.rev != remembered.revs[thing.id] or self._farm.is_noted(thing):
                    noted.append(thing)
                else:
                    what = f"In memory and in the store it is not the same: {differences[thing.id]}."
                    found.append(Finding(f"{_kind(thing)} {thing.id}", what, RESTART))
        return found, noted

    async def _not_as_stored(self, things: Sequence[Thing]) -> list[Thing]:
        remembered = Remembered(things, self._now())
        differences = await self._store.differences(remembered)
        return [thing for thing in things if thing.id in differences]

    def _check_job(self, check: Callable[[Farm, Job], Iterator[Finding]], job: Job) -> Iterator[Finding]:
        if job.is_whole and self._is_here(job):
            yield from check(self._farm, job)

    def _check_task(self, task: Task) -> Iterator[Finding]:
        if self._is_here(task.job):
            yield from check_task(self._farm, task)

    def _is_here(self, thing: Thing) -> bool:
        """Tell whether something is still in memory: jobs leave it when they have ended."""
        if isinstance(thing, Task):
            return self._is_here(thing.job)
        if isinstance(thing, Job):
            return self._farm.jobs.get(thing.id) is thing
        return self._farm.workers.get(thing.id) is thing


def _suspicious(looks: Iterable[Look]) -> list[Look]:
    return [look for look in looks if next(look(), None) is not None]


def _slices(tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
    return (tasks[first : first + SLICE] for first in range(0, len(tasks), SLICE))


def _kind(thing: Thing) -> str:
    return "Worker" if isinstance(thing, Worker) else type(thing).__name__.lower()
