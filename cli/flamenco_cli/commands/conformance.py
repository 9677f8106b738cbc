"""``flamenco conformance``: judges Managers."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from flamenco_cli.client import open_client
from flamenco_cli.commands.conformance_managers import manager_command
from flamenco_cli.commands.conformance_servers import server_command
from flamenco_cli.conformance.check import Outcome, Verdict, all_checks
from flamenco_cli.conformance.judging import Patience, Scope, judged
from flamenco_cli.conformance.peer import Differs, open_peer
from flamenco_cli.conformance.report import Printer, as_document
from flamenco_cli.conformance.visit import Visit
from flamenco_cli.conformance.work import FarmTasks, NoTasks, ReadyTasks, TaskSource
from flamenco_cli.connection import Connection, checked_connection, find_connection
from flamenco_cli.exit_codes import ExitCode
from flamenco_cli.running import data_option
from flamenco_cli.teaching import Group, Verb
from flamenco_cli.terminal import print_json, results, say
from flamenco_core.errors import FlamencoError

SOURCES = ("none", "flamenco", "ready")


@dataclass(frozen=True)
class Judgement:
    """What was asked on the command line."""

    url: str
    source: str
    connection: Connection | None
    registration_token: str | None
    scope: Scope
    wait_s: float
    as_json: bool


@click.group(
    "conformance",
    cls=Group,
    examples=[
        "flamenco conformance worker-api http://render-manager:8080",
        "flamenco conformance server http://farm:8000 --token TOKEN",
        "flamenco conformance manager                says how to start the Manager that is to be judged",
    ],
)
def conformance_command() -> None:
    """Judge whether a Manager, or a Server, speaks the protocols as they are written down."""


conformance_command.add_command(server_command)
conformance_command.add_command(manager_command)


@conformance_command.command(
    "worker-api",
    cls=Verb,
    examples=[
        "flamenco conformance worker-api http://render-manager:8080",
        "flamenco conformance worker-api http://render-manager:8080 --task-source flamenco",
        "flamenco conformance worker-api http://old-manager:8080 --flamenco3 --task-source ready",
        "flamenco conformance worker-api http://localhost:8080 --only 6.7 --only bodies-are-json-objects",
    ],
)
@click.argument("url")
@click.option(
    "--task-source",
    type=click.Choice(SOURCES),
    default="none",
    show_default=True,
    help="Where tasks come from: none; a job that is submitted to a flamenco Server; ones that are ready already, "
    "which are taken and called completed without being worked on.",
)
@click.option("--server", help="URL of the Server, for --task-source flamenco; without: the farm that is known here.")
@click.option("--token", help="Token for --server, of a user who may submit jobs and steer Workers.")
@click.option("--registration-token", help="Token of the Manager that spares new Workers their approval.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 3600),
    default=0.0,
    metavar="SECONDS",
    help="How long somebody may take to approve the Workers that are played.",
)
@click.option("--flamenco3", is_flag=True, help="Judge a Manager of Flamenco 3: leave out sections 14 and 15.")
@click.option("--slow", is_flag=True, help="Make the check too that takes a minute.")
@click.option("--only", multiple=True, metavar="NAME", help="A check or a section (6.7); repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")
@data_option
def worker_api_command(
    url: str,
    task_source: str,
    server: str | None,
    token: str | None,
    registration_token: str | None,
    wait_s: float,
    flamenco3: bool,
    slow: bool,
    only: Sequence[str],
    as_json: bool,
    data: Path | None,
) -> int:
    """Play a Flamenco 3 Worker at the Manager at URL, call by call, and say where its answers differ.

    Each line: what was asked, what the protocol expects (with its section), what came. Checks that need a task are
    made with --task-source. Exit code 1: something differs, or waits for approval.
    """
    _check_url(url)
    _check_names(only)
    connection = _connection(task_source, server, token, data)
    scope = Scope(flamenco3, slow, only)
    judgement = Judgement(url, task_source, connection, registration_token, scope, wait_s, as_json)
    verdicts = asyncio.run(_judge(judgement))
    is_good = all(verdict.outcome in (Outcome.PASSED, Outcome.NOT_JUDGED) for verdict in verdicts)
    return ExitCode.DONE if is_good else ExitCode.DIFFERS


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.BadParameter(f"{url!r} is not the URL of a Manager. Write it like http://{url}:8080.")


def _check_names(only: Sequence[str]) -> None:
    checks = all_checks()
    known = {word for check in checks for word in (check.name, check.section, check.group)}
    for word in only:
        if word not in known:
            raise click.BadParameter(f"There is no check and no section {word!r}.", param_hint="--only")


def _connection(source: str, server: str | None, token: str | None, data: Path | None) -> Connection | None:
    if source != "flamenco":
        if server or token:
            raise click.UsageError("--server and --token are for --task-source flamenco.")
        return None
    if server is None:
        if token:
            raise click.UsageError("--token needs --server.")
        return find_connection(data, os.environ)
    if token is None:
        raise click.UsageError("--server needs --token.")
    return checked_connection(server, token, token_from="--token")  # noqa: S106 (the name of an option)


async def _judge(wanted: Judgement) -> list[Verdict]:
    printer = Printer(results())
    verdicts: list[Verdict] = []
    async with open_peer(wanted.url) as peer, _task_source(wanted) as source:
        visit = Visit(peer, source, wanted.registration_token)
        try:
            async for verdict in judged(visit, all_checks(), wanted.scope, Patience(wanted.wait_s, say)):
                verdicts.append(verdict)
                if not wanted.as_json:
                    printer.show(verdict)
        finally:
            await _left(visit)
    if wanted.as_json:
        print_json(as_document(wanted.url, verdicts, flamenco3=wanted.scope.is_flamenco3))
    else:
        printer.summary(wanted.url, verdicts)
    return verdicts


@asynccontextmanager
async def _task_source(wanted: Judgement) -> AsyncIterator[TaskSource]:
    if wanted.connection is None:
        yield ReadyTasks() if wanted.source == "ready" else NoTasks()
        return
    async with open_client(wanted.connection) as client:
        source = FarmTasks(client)
        try:
            yield source
        finally:
            await source.close()


async def _left(visit: Visit) -> None:
    """Sign our Workers off, if the Manager still answers."""
    try:
        await visit.leave()
    except (Differs, FlamencoError) as error:
        say(f"The Workers that were played could not sign off, or not be removed: {error}")
    if visit.registered and not visit.source.has_farm:
        say(f"{len(visit.registered)} Workers named {visit.run_name}-… stay behind: flamenco worker forget NAME")
