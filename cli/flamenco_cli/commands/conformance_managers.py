"""``flamenco conformance manager``: plays a Server to which a Manager comes."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import click

from flamenco_cli.commands.conformance_servers import chosen
from flamenco_cli.conformance.check import Check, Outcome, Verdict
from flamenco_cli.conformance.host_server import HostServer
from flamenco_cli.conformance.judging import made
from flamenco_cli.conformance.manager_api import TITLES, manager_checks
from flamenco_cli.conformance.report import Printer, as_document
from flamenco_cli.exit_codes import ExitCode
from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import print_json, results, say
from flamenco_core.errors import Unavailable
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address, parse_address


class NoManagerCame(Unavailable):
    """Nobody called, so there is nothing to judge."""

    type = "no-manager-came"

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"No Manager called within {wait_s:g} seconds. Start one as it is said above.")


@click.command(
    "manager",
    cls=Verb,
    examples=[
        "flamenco conformance manager",
        "flamenco conformance manager --listen 0.0.0.0:8000 --wait 600",
        "flamenco conformance manager --only reports",
    ],
)
@click.option("--listen", default="127.0.0.1:0", show_default=True, metavar="HOST:PORT", help="Where to listen.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(1, 3600),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the Manager may be in coming.",
)
@click.option("--only", multiple=True, metavar="NAME", help="A check or a section (reports); repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")
def manager_command(listen: str, wait_s: float, only: Sequence[str], as_json: bool) -> int:
    """Play a Server for the Manager that you start, and say where it differs from manager-api.md.

    A Manager opens every connection, so this listens, says with which URL and token to start the Manager, and drives it
    by orders. Start it with an empty data folder, and throw that away afterwards. Exit code 1: something differs.
    """
    checks = chosen(manager_checks(), only)
    try:
        address = parse_address(listen)
    except ValueError as error:
        raise click.BadParameter(f"{listen!r}: {error}", param_hint="--listen") from error
    verdicts = asyncio.run(_judge(address, wait_s, checks, as_json=as_json))
    return ExitCode.DIFFERS if any(one.outcome is Outcome.FAILED for one in verdicts) else ExitCode.DONE


async def _judge(address: Address, wait_s: float, checks: Sequence[Check], *, as_json: bool) -> list[Verdict]:
    printer, verdicts, host = Printer(results(), TITLES), list[Verdict](), HostServer()
    async with listening(host.app(), address) as found:
        say(
            f"Start the Manager that is to be judged with an empty data folder, this Server and this token:\n"
            f"  FLAMENCO_MANAGER_TOKEN={host.token} flamenco manager --server {found.url} --data NEW-FOLDER"
        )
        await _first_call(host, wait_s)
        async for verdict in judged(host, checks):
            verdicts.append(verdict)
            if not as_json:
                printer.show(verdict)
    if as_json:
        print_json(as_document(found.url, verdicts, TITLES))
    else:
        printer.summary("The Manager", verdicts)
    return verdicts


async def judged(host: HostServer, checks: Sequence[Check]) -> AsyncIterator[Verdict]:
    """Make checks of the Manager that calls the host, in turn."""
    for check in checks:
        yield await made(host, check)


async def _first_call(host: HostServer, wait_s: float) -> None:
    """Wait until somebody calls. Raises NoManagerCame."""
    try:
        async with asyncio.timeout(wait_s):
            await host.called.wait()
    except TimeoutError as error:
        raise NoManagerCame(wait_s) from error
