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
from flamenco_cli.terminal import notes, print_line


@click.command("open", cls=Verb, examples=["flamenco open", "flamenco open --print        to paste it elsewhere"])
@click.option("--print", "only_print", is_flag=True, help="Print the link instead of opening it.")
@with_client
async def open_command(client: Client, only_print: bool) -> None:
    """Open the farm's page in the browser, signed in.

    The link works once, for ten minutes; it carries no token.
    """
    link = (await client.sign_in_link())["url"]
    if not only_print and await asyncio.to_thread(webbrowser.open, link):
        notes().print(f"Opened {client.connection.url} in your browser.", markup=False)
        return
    if not only_print:
        notes().print("No browser could be opened. This link signs you in once, within ten minutes:")
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
    token = click.prompt("Token", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    asyncio.run(_sign_in(checked_connection(url, token.strip())))


async def _sign_in(connection: Connection) -> None:
    async with open_client(connection) as client:
        user = await client.me()
    file = save_connection(connection, os.environ)
    notes().print(f"Signed in to {connection.url} as {user['name']} ({user['role']}).", markup=False, soft_wrap=True)
    notes().print(f"Kept in {file}.", style="quiet", markup=False, soft_wrap=True)
