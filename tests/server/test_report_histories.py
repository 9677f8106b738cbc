"""Reports that come late, twice, out of order, to two processes: machine-made histories end as if none of that was."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.server_store import NOON, Reporter, ServerStore, compiled, job_report, linked, task_report
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_server.reports import ReceivedReport, ReportGap
from flamenco_server.stores.sqlite.store import open_store

JOBS, TASKS = 2, 2
SAID = st.dictionaries(
    st.tuples(st.integers(0, JOBS - 1), st.integers(0, TASKS - 1)), st.sampled_from(list(TaskStatus)), max_size=3
)
"""What a report says: of some tasks, which status they have."""
DELIVERIES = st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20)
"""Which report comes next, and to which of two processes."""


@dataclass
class History:
    """Two processes on one store, a Manager's reports, and what must be seen after each of them."""

    stores: tuple[ServerStore, ServerStore]
    manager: str
    jobs: list[str]
    reports: list[ReceivedReport]
    states: list[dict[tuple[int, int], str]]
    applied: int = 0

    async def deliver(self, index: int, *, to_the_other: bool) -> None:
        """Deliver a report; what is seen afterwards is what all applied so far say, whoever looks."""
        store, other = self.stores if to_the_other else self.stores[::-1]
        delivery = store.reports.apply_report(self.manager, self.reports[index], NOON)
        if index > self.applied:
            with pytest.raises(ReportGap) as refused:
                await delivery
            assert refused.value.members == {"expected": self.applied + 1}
        else:
            await delivery
            self.applied = max(self.applied, index + 1)
        assert (await other.managers.link(self.manager)).last_report == self.applied
        assert await self.seen(other) == self.states[self.applied]

    async def seen(self, store: ServerStore) -> dict[tuple[int, int], str]:
        """Return the status of every task."""
        return {
            (number, task.index): str(task.status)
            for number, job_id in enumerate(self.jobs)
            for task in (await store.reader.tasks(job_id, 10, None, None)).items
        }


async def a_history(stores: tuple[ServerStore, ServerStore], said: list[dict[tuple[int, int], TaskStatus]]) -> History:
    """Have the reports ready to be sent, as a Manager makes them."""
    manager = await linked(stores[0])
    jobs = [await compiled(stores[0], tasks=TASKS) for _ in range(JOBS)]
    reporter = Reporter()
    states = [{(job, task): "queued" for job in range(JOBS) for task in range(TASKS)}]
    reports = []
    for statuses in said:
        content: dict[str, Any] = {"tasks": [], "jobs": []}
        for (job, task), status in statuses.items():
            content["tasks"].append(task_report(jobs[job], task, reporter.rev(), status))
            content["jobs"].append(job_report(jobs[job], reporter.rev(), JobStatus.ACTIVE))
        reports.append(reporter.next(**content))
        states.append(states[-1] | {place: str(status) for place, status in statuses.items()})
    return History(stores, manager, jobs, reports, states)


async def live_through(said: list[dict[tuple[int, int], TaskStatus]], deliveries: list[tuple[int, bool]]) -> None:
    failures: list[BaseException] = []
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(Path(folder), failures.append) as one, open_store(Path(folder), failures.append) as other:
            history = await a_history((one, other), said)
            for index, to_the_other in deliveries:
                if index < len(said):
                    await history.deliver(index, to_the_other=to_the_other)
            for index in range(len(said)):  # the Manager sends again what was not acknowledged
                await history.deliver(index, to_the_other=bool(index % 2))
            assert history.applied == len(said)
    assert failures == []


@settings(max_examples=25, deadline=None)
@given(said=st.lists(SAID, min_size=1, max_size=6), deliveries=DELIVERIES)
def test_whatever_the_order_of_arrival_every_report_is_applied_once_and_in_turn(
    said: list[dict[tuple[int, int], TaskStatus]], deliveries: list[tuple[int, bool]]
) -> None:
    asyncio.run(live_through(said, deliveries))
