"""``flamenco open`` and ``login``."""

import asyncio
import os
import sys
import webbrowser

import click

from flamenco_cli.client import Client, open_client
from flamenco_cli.connection import Connection, checked_connection, save_connection
from flamenco_cli.running import with_client
from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import print_line, say


@click.command("open", cls=Verb, examples=["flamenco open", "flamenco open --print        to paste it elsewhere"])
@click.option("--print", "only_print", is_flag=True, help="Print the link instead of opening it.")
@with_client
async def open_command(client: Client, only_print: bool) -> None:
    """Open the farm's page in the browser, signed in.

    The link works once, for ten minutes; it carries no token.
    """
    link = (await client.sign_in_link())["url"]
    if not only_print and await asyncio.to_thread(webbrowser.open, link):
        say(f"Opened {client.connection.url} in your browser.")
        return
    if not only_print:
        say("No browser could be opened. This link signs you in once, within ten minutes:")
    print_line(link)


@click.command(
    "login", cls=Verb, examples=["flamenco login http://farm:8000", "flamenco login http://farm:8000 < token.txt"]
)
@click.argument("url", metavar="URL")
def login_command(url: str) -> None:
    """Sign in to a Server: keeps its URL and your token for later commands.

    The token is asked for, or read from standard input; it is never part of the command line, where others could see
    it. It is kept in your configuration folder, readable by you only.
    """
    asked = sys.stdin.isatty()
    token = click.prompt("Token", hide_input=True, err=True) if asked else sys.stdin.readline()
    source = "your answer" if asked else "standard input"
    asyncio.run(_sign_in(checked_connection(url, token.strip(), token_from=source)))


async def _sign_in(connection: Connection) -> None:
    async with open_client(connection) as client:
        user = await client.me()
    file = save_connection(connection, os.environ)
    say(f"Signed in to {connection.url} as {user['name']} ({user['role']}).")
    say(f"Kept in {file}.", "quiet")
