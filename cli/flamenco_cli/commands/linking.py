"""``flamenco server link``: link the Manager that shows a code."""

import sys

import click

from flamenco_cli.client import Client
from flamenco_cli.records import FoundLinkRequest
from flamenco_cli.running import json_option, with_client
from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import ago, harmless, print_json, say
from flamenco_core.errors import Conflict
from flamenco_runtime.clock import utc_now


@click.command(
    "link",
    cls=Verb,
    examples=[
        "flamenco server link BCDF-GHJK",
        "flamenco server link BCDF-GHJK --name north --yes",
        "flamenco server link BCDF-GHJK --again      the Manager of this name has lost its token",
        "flamenco server link BCDF-GHJK --refuse",
    ],
)
@click.argument("code")
@click.option("--name", help="Name that people see. Without: the one that the Manager asks for.")
@click.option("--again", is_flag=True, help="It is the Manager that has this name already: its old token ends.")
@click.option("--refuse", is_flag=True, help="Turn it down.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@with_client
async def link_command(
    client: Client, code: str, name: str | None, again: bool, refuse: bool, yes: bool, as_json: bool
) -> None:
    """Link the Manager that shows CODE, after a look at what it is."""
    if again and (name or refuse):
        raise click.UsageError("--again goes without --name and --refuse.")
    found = await client.link_request(code)
    _show(found)
    if refuse:
        await client.refuse_link(found["id"])
        say(f"{found['name']} is refused.")
        return
    decided = _decided(found, name, again=again)
    if not yes and not _is_confirmed():
        raise click.Abort
    manager = await client.confirm_link(found["id"], code, **decided)
    if as_json:
        print_json(manager)
    else:
        say(f"{manager['name']} is linked; it goes on by itself.")


def _show(found: FoundLinkRequest) -> None:
    runs = ", ".join(filter(None, (found["software"], found["platform"])))
    for label, text in (
        ("Name", found["name"]),
        ("Calls from", found["address"]),
        ("Runs", runs),
        ("Key", f"{found['key_fingerprint']}  (the Manager must show the same)"),
    ):
        say(f"  {label:<11}{harmless(text)}")


def _decided(found: FoundLinkRequest, name: str | None, *, again: bool) -> dict[str, str]:
    """Return what is told to the Server. Raises Conflict where the person must say more."""
    taken_by = found["taken_by"]
    if again:
        if taken_by is None:
            raise Conflict(f"There is no Manager {found['name']!r} that could be linked again: leave out --again.")
        return {"relink": taken_by["id"]}
    if name is not None:
        return {"name": name}
    if taken_by is not None:
        seen = "in touch now" if not taken_by["away"] else f"last seen {ago(taken_by['last_seen'], utc_now())} ago"
        seen = seen if taken_by["last_seen"] else "never seen"
        raise Conflict(
            f"There is a Manager {found['name']!r} already, {seen}. If this is another one, give it a name: "
            "--name NAME. If it is the same one and its token was lost: --again."
        )
    return {}


def _is_confirmed() -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked here whether to link it: look at it, then give --yes.")
    return click.confirm("Link this Manager?", err=True)
