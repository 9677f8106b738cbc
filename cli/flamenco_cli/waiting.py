"""Waiting for a job: its progress on standard error, and an error at the end unless it was completed."""

from contextlib import aclosing

from flamenco_cli.client import Client
from flamenco_cli.exit_codes import JobNotCompleted
from flamenco_cli.following import follow
from flamenco_cli.job_progress import JobProgress
from flamenco_cli.records import Job
from flamenco_cli.terminal import notes
from flamenco_cli.words import look_of
from flamenco_core.statuses import JobStatus


async def wait_for(client: Client, job_id: str, *, show_tasks: bool = False) -> Job:
    """Show a job's progress until it has ended, and return it as it is then."""
    with JobProgress(notes(), show_tasks=show_tasks) as progress:
        async with aclosing(follow(client, job_id, progress.away)) as changes:
            async for change in changes:
                progress.show(change)
    return await client.job(job_id)


def check_completed(job: Job) -> None:
    """Raise JobNotCompleted, naming why, if the job ended otherwise."""
    if job["status"] != JobStatus.COMPLETED:
        word = look_of(job["status"]).word.lower()
        raise JobNotCompleted(
            f"Job {job['name']!r} ({job['id'][:8]}) is {word}: {job['activity'] or 'no reason given'}"
        )
