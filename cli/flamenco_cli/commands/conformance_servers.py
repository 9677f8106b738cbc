"""``flamenco conformance server``: plays a Manager at a Server."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import click

from flamenco_cli.client import open_client
from flamenco_cli.conformance.check import Check, Needs, Outcome, Verdict
from flamenco_cli.conformance.farm_people import FarmPeople
from flamenco_cli.conformance.guest_manager import GuestManager
from flamenco_cli.conformance.judging import made
from flamenco_cli.conformance.manager_api import TITLES
from flamenco_cli.conformance.peer import Differs, open_peer
from flamenco_cli.conformance.report import Printer, as_document
from flamenco_cli.connection import Connection, checked_connection, find_connection
from flamenco_cli.exit_codes import ExitCode
from flamenco_cli.running import data_option
from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import print_json, results, say
from flamenco_core.errors import FlamencoError

PEOPLE = ("none", "flamenco")
NEEDS_PEOPLE = "needs somebody who submits jobs (--people flamenco)"


@click.command(
    "server",
    cls=Verb,
    examples=[
        "flamenco conformance server http://farm:8000 --token TOKEN",
        "flamenco conformance server http://farm:8000 --token TOKEN --people flamenco",
        "flamenco conformance server http://farm:8000 --token TOKEN --only reports",
    ],
)
@click.argument("url")
@click.option("--token", required=True, help="Token of a Manager that was just added there, for this.")
@click.option(
    "--people",
    type=click.Choice(PEOPLE),
    default="none",
    show_default=True,
    help="Who submits jobs and looks at them: nobody; or an admin, through the public API of a flamenco Server.",
)
@click.option("--user-token", help="That admin's token; without: the farm that is known here.")
@click.option("--only", multiple=True, metavar="NAME", help="A check or a section (reports); repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")
@data_option
def server_command(
    url: str,
    token: str,
    people: str,
    user_token: str | None,
    only: Sequence[str],
    as_json: bool,
    data: Path | None,
) -> int:
    """Play a Manager at the Server at URL, call by call, and say where its answers differ from manager-api.md.

    Each line: what was asked, what is expected (with the sentence that says so), what came. Checks that need a job are
    made with --people. The Server should have no other Manager meanwhile. Exit code 1: something differs.
    """
    from flamenco_cli.services import needing

    with needing("manager"):
        from flamenco_cli.conformance.manager_api import server_checks

        checks = chosen(server_checks(), only)
    connection = None
    if people == "flamenco":
        connection = _connection(url, user_token, data)
    elif user_token:
        raise click.UsageError("--user-token is for --people flamenco.")
    verdicts = asyncio.run(_judge(url, token, connection, checks, as_json=as_json))
    return ExitCode.DIFFERS if any(one.outcome is Outcome.FAILED for one in verdicts) else ExitCode.DONE


def chosen(checks: Sequence[Check], only: Sequence[str]) -> list[Check]:
    """Return the checks that are named, by themselves or by their section; all if none is. Raises BadParameter."""
    known = {word for check in checks for word in (check.name, check.section)}
    for word in only:
        if word not in known:
            raise click.BadParameter(f"There is no check and no section {word!r}.", param_hint="--only")
    return [check for check in checks if not only or check.name in only or check.section in only]


def _connection(url: str, user_token: str | None, data: Path | None) -> Connection:
    if user_token is not None:
        return checked_connection(url, user_token, token_from="--user-token")  # noqa: S106 (the name of an option)
    connection = find_connection(data, os.environ)
    if connection.url != url.rstrip("/"):
        raise click.UsageError(f"The farm that is known here is at {connection.url}: give --user-token for {url}.")
    return connection


async def _judge(
    url: str, token: str, connection: Connection | None, checks: Sequence[Check], *, as_json: bool
) -> list[Verdict]:
    printer, verdicts = Printer(results(), TITLES), list[Verdict]()
    async with open_peer(url) as peer, _people(connection) as people:
        guest = GuestManager(peer, token, people)
        async for verdict in judged(guest, checks):
            verdicts.append(verdict)
            if not as_json:
                printer.show(verdict)
        await _left(guest, people)
    if as_json:
        print_json(as_document(url, verdicts, TITLES))
    else:
        printer.summary(url, verdicts)
    return verdicts


async def judged(guest: GuestManager, checks: Sequence[Check]) -> AsyncIterator[Verdict]:
    """Make checks of a Server in turn. Raises Unreachable."""
    for check in checks:
        if check.needs is Needs.FARM and guest.farm is None:
            yield Verdict(check, Outcome.NOT_JUDGED, NEEDS_PEOPLE)
        else:
            yield await made(guest, check)


@asynccontextmanager
async def _people(connection: Connection | None) -> AsyncIterator[FarmPeople | None]:
    if connection is None:
        yield None
        return
    async with open_client(connection) as client:
        yield FarmPeople(client)


async def _left(guest: GuestManager, people: FarmPeople | None) -> None:
    """Leave no job behind that would wait for ever, if the Server still answers."""
    try:
        await guest.leave()
    except (Differs, FlamencoError) as error:
        say(f"The jobs that were submitted could not be cancelled: {error}")
    except Exception as error:  # noqa: BLE001 (whatever a strange answer leads to is told, not raised, at the very end)
        say(f"The jobs that were submitted could not be cancelled: {error!r}")
    for name in people.linked if people is not None else ():
        say(f"The Manager {name!r} that was linked stays behind; it was only to see that it works.")
