"""A Server that dies while it applies a report has applied all of it, or nothing; sent again it is applied once."""

import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from cuts import IN_MEMORY
from recorded_disk import Mark, OneConnectionJournal, Replay, put, recording

from contracts.report_store import everything
from contracts.server_store import (
    NOON,
    Reporter,
    compiled,
    frame_report,
    job_report,
    linked,
    task_report,
    worker_report,
)
from flamenco_core.identifiers import new_id
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_server.reports import ReceivedReport
from flamenco_server.stores.sqlite import store as sqlite_store
from flamenco_server.stores.sqlite.store import open_store


def a_large_report(reporter: Reporter, job_id: str, status: TaskStatus) -> ReceivedReport:
    """Say something of everything there is."""
    return reporter.next(
        jobs=[job_report(job_id, reporter.rev(), JobStatus.ACTIVE)],
        tasks=[task_report(job_id, index, reporter.rev(), status) for index in range(2)],
        frames=[frame_report(job_id, 0, 1, reporter.rev())],
        workers=[worker_report(new_id(), reporter.rev())],
    )


@pytest.mark.timeout(240)
async def test_a_report_is_applied_wholly_or_not_at_all_wherever_the_server_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[BaseException] = []
    with monkeypatch.context() as patch, recording(tmp_path / "data") as disk:
        patch.setattr(sqlite_store, "Journal", OneConnectionJournal)
        async with open_store(tmp_path / "data", failures.append) as store:
            manager = await linked(store)
            job_id = await compiled(store, frames=["1-2", "3"])
            reporter, states, applied = Reporter(), [await everything(store, job_id)], [len(disk.steps)]
            reports = [a_large_report(reporter, job_id, status) for status in (TaskStatus.ACTIVE, TaskStatus.COMPLETED)]
            for report in reports:
                await store.reports.apply_report(manager, report, NOON)
                applied.append(disk.mark())
                states.append(await everything(store, job_id))
        steps = disk.steps
    replay, rng, tried = Replay(disk.root), random.Random(len(steps)), 0
    for at, step in enumerate(steps, start=1):
        replay.take(step)
        if at >= applied[0] and not isinstance(step, Mark):
            for image in (replay.killed(), replay.cut(rng)):
                acknowledged = sum(at >= moment for moment in applied[1:])
                await check(image, manager, job_id, reports, states, acknowledged)
                tried += 1
    assert tried > 50
    assert failures == []


async def check(
    image: dict[str, bytes],
    manager: str,
    job_id: str,
    reports: list[ReceivedReport],
    states: list[Any],
    acknowledged: int,
) -> None:
    """Start on what a crash left; then the Manager sends again what was not acknowledged."""
    failures: list[BaseException] = []
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as name:
        put(image, Path(name))
        async with open_store(Path(name), failures.append) as store:
            found = (await store.managers.link(manager)).last_report
            assert found >= acknowledged
            assert await everything(store, job_id) == states[found], f"report {found}, no part of another"
            for report in reports[acknowledged:]:
                await store.reports.apply_report(manager, report, NOON)
            assert await everything(store, job_id) == states[-1]
    assert failures == []
