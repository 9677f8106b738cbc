"""``flamenco workers``, ``managers``, ``job-types``."""

import click

from flamenco_cli.client import Client
from flamenco_cli.running import json_option, with_client
from flamenco_cli.tables import job_types_list, managers_table, workers_table
from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import print_json, results, say
from flamenco_core.errors import Forbidden
from flamenco_runtime.clock import utc_now


@click.command(
    "workers",
    cls=Verb,
    examples=["flamenco workers", "flamenco workers --json | jq -r '.[] | select(.status == \"awake\") | .name'"],
)
@json_option
@with_client
async def workers_command(client: Client, as_json: bool) -> None:
    """List Workers: what each one is, does and has."""
    workers = await client.workers()
    if as_json:
        print_json(workers)
    elif workers:
        results().print(workers_table(workers, utc_now()))
    else:
        say("No Workers yet. On a machine that shall render: flamenco worker --manager URL")


@click.command("managers", cls=Verb, examples=["flamenco managers"])
@json_option
@with_client
async def managers_command(client: Client, as_json: bool) -> None:
    """List Managers, one per site."""
    managers = await client.managers()
    if as_json:
        print_json(managers)
    elif managers:
        results().print(managers_table(managers, utc_now()))
    else:
        say("No Managers yet. On the machine that shall be one: flamenco manager --server URL")
    if not as_json:
        await _tell_who_waits(client)


async def _tell_who_waits(client: Client) -> None:
    """Say which Managers wait to be linked, to those who may link them."""
    try:
        waiting = await client.link_requests()
    except Forbidden:
        return
    for request in waiting:
        say(f"{request['name']}, from {request['address']}, waits to be linked: flamenco server link CODE")


@click.command("job-types", cls=Verb, examples=["flamenco job-types"])
@json_option
@with_client
async def job_types_command(client: Client, as_json: bool) -> None:
    """List job types, with the settings that 'flamenco submit --set' takes."""
    job_types = await client.job_types()
    if as_json:
        print_json(job_types)
    else:
        results().print(job_types_list(job_types))
