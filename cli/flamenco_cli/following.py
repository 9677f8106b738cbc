"""Following a job until it ends: events from the Server, and patience while it is away."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from flamenco_cli.client import Client
from flamenco_cli.records import Job, Task
from flamenco_core.errors import Unavailable
from flamenco_core.statuses import JobStatus, TaskStatus
from flamenco_runtime.http_client import pauses


@dataclass(frozen=True)
class Change:
    """The job as it is now, and the task that changed with it, if one did."""

    job: Job
    task: Task | None = None


def has_ended(job: Job) -> bool:
    """Tell whether nothing more happens to the job by itself."""
    return job["status"] in [status.value for status in JobStatus if status.is_ended]


async def follow(client: Client, job_id: str, on_away: Callable[[str], None]) -> AsyncGenerator[Change, None]:
    """Yield the job as it is, then every change, until it has ended.

    While the Server cannot be reached it is tried again, and ``on_away`` is told why each time. Raises what the first
    call raises (NotFound, Unreachable …).
    """
    await client.job(job_id)
    waits = pauses()
    while True:
        try:
            async with aclosing(_until_lost(client, job_id)) as changes:
                async for change in changes:
                    waits = pauses()
                    yield change
                    if has_ended(change.job):
                        return
        except Unavailable as error:
            on_away(str(error))
        await asyncio.sleep(next(waits))


async def _until_lost(client: Client, job_id: str) -> AsyncGenerator[Change, None]:
    async with client.events(job_id) as events:  # listens first, then asks: nothing falls between the two
        job = await client.job(job_id)
        for task in await _active_tasks(client, job_id):
            yield Change(job, task)
        yield Change(job)
        async for event in events:
            if event.kind == "job" and event.document["id"] == job_id:
                job = event.document
                yield Change(job)
            elif event.kind == "task" and event.document["job"] == job_id:
                yield Change(job, event.document)
            elif event.kind == "resync":
                job = await client.job(job_id)
                yield Change(job)


async def _active_tasks(client: Client, job_id: str) -> list[Task]:
    return [task async for task in client.tasks(job_id, status=TaskStatus.ACTIVE)]
