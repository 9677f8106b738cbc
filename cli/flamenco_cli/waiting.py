"""Waiting for a job: its progress on standard error, and an error at the end unless it was completed."""

from contextlib import aclosing

from flamenco_cli.client import Client
from flamenco_cli.exit_codes import JobNotCompleted
from flamenco_cli.following import follow
from flamenco_cli.job_progress import JobProgress
from flamenco_cli.records import Job
from flamenco_cli.short_ids import SHORT
from flamenco_cli.terminal import notes
from flamenco_core.statuses import JobStatus, TaskStatus


async def wait_for(client: Client, job_id: str, *, show_tasks: bool = False) -> Job:
    """Show a job's progress until it has ended, and return it as it is then."""
    with JobProgress(notes(), show_tasks=show_tasks) as progress:
        async with aclosing(follow(client, job_id, progress.away)) as changes:
            async for change in changes:
                progress.show(change)
    return await client.job(job_id)


def check_completed(job: Job) -> None:
    """Raise JobNotCompleted, naming why, if the job ended otherwise."""
    if job["status"] == JobStatus.COMPLETED:
        return
    named, why = f"Job {job['name']!r} ({job['id'][:SHORT]})", job["activity"].rstrip(".")
    if job["status"] == JobStatus.CANCELED:
        raise JobNotCompleted(f"{named} was canceled{why and f': {why}'}.")
    advice = f" What went wrong: flamenco tasks {job['id'][:SHORT]} --status failed"
    raise JobNotCompleted(
        f"{named} failed: {why or 'no reason was given'}.{advice if job['task_counts'].get(TaskStatus.FAILED) else ''}"
    )
