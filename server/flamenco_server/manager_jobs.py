"""What a Manager fetches: the definitions of its jobs, and their tasks as a stream."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from flamenco_core.wire.manager_api import JobDefinition
from flamenco_server.reading import NoSuchJob
from flamenco_server.records import Job

SUBMITTER_PLATFORM = "platform"
"""The member of a job's metadata that tells whose paths its settings are: ``linux``, ``windows``, ``darwin``."""
MOST_PLATFORM = 64


class ManagerJobStore(Protocol):
    """Jobs and their definitions, on disk."""

    async def job(self, job_id: str) -> Job:
        """Return one job. Raises NoSuchJob."""

    async def task_lines(self, job_id: str, after: int) -> bytes:
        """Return some definitions of tasks behind an index, as JSON lines in their order; empty at the end."""


async def job_for(store: ManagerJobStore, manager_id: str, job_id: str) -> JobDefinition:
    """Return the definition of a job that was issued to this Manager, with what people ask of it now.

    Raises NoSuchJob, also for the job of another Manager.
    """
    job = await _issued_job(store, manager_id, job_id)
    terms = job.terms
    return JobDefinition(
        id=job.id,
        name=job.name,
        type=job.type,
        priority=_asked(job, "priority", job.priority),
        owner=job.owner,
        created=job.created_at,
        task_count=job.task_count,
        settings=job.settings,
        metadata=job.metadata,
        files=job.files,
        cancel_requested=job.asked_state in ("cancel", "delete"),
        pause_requested=job.asked_state == "pause",
        deleted=job.deleted_at is not None,
        project=job.project,
        start_paused=job.start_paused,
        start_after=terms.start_after,
        max_workers=terms.max_workers,
        needs_jobs=terms.needs_jobs,
        task_runtime_limit_s=terms.task_runtime_limit_s,
        task_silence_limit_s=terms.task_silence_limit_s,
        tag=_asked(job, "tag", job.tag),
        memory_bytes=terms.memory_bytes,
        gpu=terms.gpu,
        limits=terms.limits,
        submitter_platform=str(job.metadata.get(SUBMITTER_PLATFORM, ""))[:MOST_PLATFORM],
    )


async def task_stream(store: ManagerJobStore, manager_id: str, job_id: str, after: int) -> AsyncIterator[bytes]:
    """Return the tasks of a job behind an index, as JSON lines, some at a time. Raises NoSuchJob."""
    await _issued_job(store, manager_id, job_id)
    return _lines(store, job_id, after)


def _asked(job: Job, about: str, present: Any) -> Any:
    asked = job.asks.get(about)
    return asked.value if asked else present


async def _issued_job(store: ManagerJobStore, manager_id: str, job_id: str) -> Job:
    job = await store.job(job_id)
    if job.manager_id != manager_id:
        raise NoSuchJob(job_id)
    return job


async def _lines(store: ManagerJobStore, job_id: str, after: int) -> AsyncIterator[bytes]:
    while lines := await store.task_lines(job_id, after):
        yield lines
        after += lines.count(b"\n")
