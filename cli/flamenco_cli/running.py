"""How a verb runs: click reads the line, then an async function gets a client."""

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import click

from flamenco_cli.client import Client, open_client
from flamenco_cli.connection import find_connection

P = ParamSpec("P")
FOLDER = click.Path(path_type=Path, file_okay=False)

data_option = click.option(
    "--data", type=FOLDER, help="Data folder of the farm to talk to ('flamenco up --data DIR'), if not your usual one."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the API's own objects, for programs.")


def with_client(verb: Callable[Concatenate[Client, P], Awaitable[None]]) -> Callable[..., None]:
    """Make a click callback of an async verb: finds the Server, adds ``--data``, and runs it with a client."""

    @data_option
    @functools.wraps(verb)
    def callback(*, data: Path | None, **options: Any) -> None:
        before_the_verb = click.get_current_context().find_root().params.get("data")
        asyncio.run(_run(verb, data or before_the_verb, options))

    return callback


async def _run(verb: Callable[..., Awaitable[None]], data: Path | None, options: dict[str, Any]) -> None:
    async with open_client(find_connection(data, os.environ)) as client:
        await verb(client, **options)
