"""``flamenco server``, ``manager``, ``worker``: run a service, or do something about one."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from flamenco_cli.client import Client
from flamenco_cli.commands import manager_upkeep, worker_verbs
from flamenco_cli.commands.linking import link_command
from flamenco_cli.commands.manager_settings import settings_command
from flamenco_cli.running import FOLDER, json_option, with_client
from flamenco_cli.services import Logs, run_manager, run_server, run_worker
from flamenco_cli.teaching import Service, Verb
from flamenco_cli.terminal import print_json, print_line, say

LISTEN_HELP = "Where to listen, HOST:PORT; port 0 takes a free one."


def log_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what every service is told about its settings file and its log."""
    for option in (
        click.option("--log-json", is_flag=True, help="Write the log as JSON lines."),
        click.option(
            "--log-level",
            type=click.Choice(["debug", "info", "warning", "error"]),
            default="info",
            show_default=True,
            help="How much the log tells.",
        ),
        click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="TOML file with any settings."),
    ):
        command = option(command)
    return command


@click.group(
    "server",
    cls=Service,
    examples=[
        "flamenco server --data /var/lib/flamenco/server --listen 0.0.0.0:8000",
        "flamenco server link BCDF-GHJK              links the Manager that shows this code",
        "flamenco server add-manager studio          prints a token for a Manager",
    ],
)
@click.option("--data", type=FOLDER, help="Folder of everything that the Server stores.")
@click.option("--listen", metavar="HOST:PORT", help=LISTEN_HELP)
@click.option("--job-types", type=FOLDER, help="Folder of your own job types, beside the built-in ones.")
@log_options
@click.pass_context
def server_command(
    ctx: click.Context,
    data: Path | None,
    listen: str | None,
    job_types: Path | None,
    config: Path | None,
    log_level: str,
    log_json: bool,
) -> None:
    """Run a Server: takes jobs, compiles them, and shows everything on its page.

    Settings may also stand in the environment, as in FLAMENCO_SERVER_LISTEN, or in a file (--config).
    """
    if ctx.invoked_subcommand is not None:
        ctx.default_map = {name: {"data": data} for name in server_command.commands if data}
        return
    run_server(_given(data=data, listen=listen, job_types=job_types), os.environ, config, Logs(log_level, log_json))


@server_command.command(
    "add-manager",
    cls=Verb,
    examples=["flamenco server add-manager studio", "flamenco server add-manager studio --json | jq -r .token"],
)
@click.argument("name")
@json_option
@with_client
async def add_manager_command(client: Client, name: str, as_json: bool) -> None:
    """Add a Manager and print its token, this once."""
    added = await client.add_manager(name)
    if as_json:
        print_json(added)
        return
    say("The Manager's token follows; it is shown this once. On the Manager's machine:", "quiet")
    say(f"  FLAMENCO_MANAGER_TOKEN=… flamenco manager --server {client.connection.url}", "quiet")
    print_line(added["token"])


server_command.add_command(link_command)


@click.group(
    "manager",
    cls=Service,
    examples=[
        "flamenco manager --server http://farm:8000 --listen 0.0.0.0:8080",
        "FLAMENCO_MANAGER_TOKEN=… flamenco manager --server http://farm:8000",
        "flamenco manager settings                   prints a settings file to begin with",
        "flamenco manager check                      looks whether all that it keeps fits together",
        "flamenco manager backup /var/backups/       copies its store, also while it runs",
    ],
)
@click.option("--server", metavar="URL", help="The Server's URL.")
@click.option("--data", type=FOLDER, help="Folder of everything that the Manager keeps.")
@click.option("--listen", metavar="HOST:PORT", help=f"{LISTEN_HELP} Workers connect here.")
@click.option("--name", help="Name that people see. Without: this machine's.")
@click.option(
    "--connections-per-address",
    type=click.IntRange(1),
    metavar="N",
    help="Connections that one address may hold, so that none takes all; a Worker needs 2 or 3 for each of its slots. "
    "Without: 1000. This machine, and proxies that are trusted, may hold any number.",
)
@click.option(
    "--new-workers-per-hour",
    type=click.IntRange(1),
    metavar="N",
    help="New Workers that one address may register in an hour. Without: 256. Those of this machine, and those that "
    "bring the registration token, do not count.",
)
@click.option(
    "--awaiting-workers",
    type=click.IntRange(1),
    metavar="N",
    help="Workers that may await approval; no more are taken in until some are approved or forgotten. Without: 1000. "
    "Those that are gone are forgotten after 7 days.",
)
@log_options
@click.pass_context
def manager_command(
    ctx: click.Context,
    server: str | None,
    data: Path | None,
    listen: str | None,
    name: str | None,
    connections_per_address: int | None,
    new_workers_per_hour: int | None,
    awaiting_workers: int | None,
    config: Path | None,
    log_level: str,
    log_json: bool,
) -> None:
    """Run a Manager: schedules the tasks of a site and serves its Workers.

    At its first start it shows a code, with which an admin links it: on the Server's page /link, or by 'flamenco server
    link CODE'. Without anybody there: give it a token ('flamenco server add-manager NAME') in the environment, as
    FLAMENCO_MANAGER_TOKEN. Later starts need neither. Settings may also stand in the environment, as in
    FLAMENCO_MANAGER_LISTEN, or in a file (--config).
    """
    if ctx.invoked_subcommand is not None:
        ctx.default_map = {name: {"data": data, "config": config} for name in manager_command.commands}
        return
    overrides = _given(
        server=server,
        data=data,
        listen=listen,
        name=name,
        connections_per_address=connections_per_address,
        new_workers_per_hour=new_workers_per_hour,
        awaiting_workers=awaiting_workers,
    )
    run_manager(overrides, os.environ, config, Logs(log_level, log_json))


for verb in (settings_command, *manager_upkeep.VERBS):
    manager_command.add_command(verb)


@click.group(
    "worker",
    cls=Service,
    examples=[
        "flamenco worker                             finds a Manager in the network",
        "flamenco worker --manager http://farm:8080 --slots 2",
        "flamenco worker approve render-07",
        "flamenco worker sleep render-07",
    ],
)
@click.option("--manager", metavar="URL", help="The Manager's URL. Without: one is looked for in the network.")
@click.option("--data", type=FOLDER, help="Folder of what the Worker keeps.")
@click.option("--slots", type=click.IntRange(1, 1024), help="How many tasks it runs at a time.")
@click.option(
    "--ca",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Certificate authority (PEM) that is trusted for the Manager, alone. Without: those of the system.",
)
@click.option("--name", help="Name that people see. Without: this machine's.")
@log_options
@click.pass_context
def worker_command(
    ctx: click.Context,
    manager: str | None,
    data: Path | None,
    slots: int | None,
    ca: Path | None,
    name: str | None,
    config: Path | None,
    log_level: str,
    log_json: bool,
) -> None:
    """Run a Worker: renders what the Manager hands out, with the Blender and FFmpeg of this machine.

    FLAMENCO_BLENDER and FLAMENCO_FFMPEG name other programs. Settings may also stand in the environment, as in
    FLAMENCO_WORKER_SLOTS, or in a file (--config).
    """
    if ctx.invoked_subcommand is not None:
        return
    overrides = _given(manager=manager, data=data, slots=slots, ca=ca, name=name)
    run_worker(overrides, os.environ, config, Logs(log_level, log_json))


for verb in worker_verbs.VERBS:
    worker_command.add_command(verb)


def _given(**options: Any) -> dict[str, object]:
    return {name: value for name, value in options.items() if value is not None}
