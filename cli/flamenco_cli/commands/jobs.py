"""``flamenco jobs``, ``job``, ``watch``."""

import click

from flamenco_cli.client import Client
from flamenco_cli.records import Job
from flamenco_cli.running import json_option, with_client
from flamenco_cli.short_ids import job_id_of
from flamenco_cli.tables import job_sheet, jobs_table
from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import print_json, results, say
from flamenco_cli.waiting import check_completed, wait_for
from flamenco_core.statuses import JobStatus
from flamenco_runtime.clock import utc_now

STATUSES = [status.value for status in JobStatus]


@click.command(
    "jobs",
    cls=Verb,
    examples=["flamenco jobs", "flamenco jobs --status failed --limit 100", "flamenco jobs --json | jq -r '.[].id'"],
)
@click.option("--status", type=click.Choice(STATUSES), help="Only jobs of this status.")
@click.option("--deleted", is_flag=True, help="Those in the bin, which 'flamenco undelete' brings back.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, the newest first.")
@json_option
@with_client
async def jobs_command(client: Client, status: str | None, deleted: bool, limit: int, as_json: bool) -> None:
    """List jobs, newest first."""
    found: list[Job] = []
    async for job in client.jobs(status=status, deleted=deleted):
        found.append(job)
        if len(found) == limit:
            break
    if as_json:
        print_json(found)
    elif found:
        results().print(jobs_table(found, utc_now()))
    else:
        say(
            "No jobs yet. Send one: flamenco submit scene.blend -f 1-250"
            if status is None and not deleted
            else "No such jobs."
        )


@click.command("job", cls=Verb, examples=["flamenco job 3f2a", "flamenco job 3f2a --json | jq .status"])
@click.argument("job_id", metavar="ID")
@json_option
@with_client
async def job_command(client: Client, job_id: str, as_json: bool) -> None:
    """Show one job: its state, progress, settings and page."""
    job = await client.job(await job_id_of(client, job_id))
    if as_json:
        print_json(job)
    else:
        results().print(job_sheet(job, f"{client.connection.url}/jobs/{job['id']}", utc_now()))


@click.command("watch", cls=Verb, examples=["flamenco watch 3f2a"])
@click.argument("job_id", metavar="ID")
@with_client
async def watch_command(client: Client, job_id: str) -> None:
    """Watch a job until it ends: progress, time left, and what each Worker does.

    Exit code 1 if the job fails or is canceled. Ctrl-C ends the watching, not the job.
    """
    job = await wait_for(client, await job_id_of(client, job_id), show_tasks=True)
    check_completed(job)
